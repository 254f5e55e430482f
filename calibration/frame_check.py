"""Whether a picture is fit to learn a person's face from, and if not, why.

What is open, sharp or still is judged against the same person a moment ago: cameras and eyes differ more between people
than within one.  Nothing here knows a clock or a device: times come with the pictures.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from calibration.prompts import Reason
from engines.face.blendshapes import BLENDSHAPES

Picture = npt.NDArray[np.uint8]
Points = npt.NDArray[np.floating]

# Lids and corners of the person's right and left eye; face width; nose tip
_EYES = ((159, 145, 33, 133), (386, 374, 362, 263))
_SIDES, _NOSE = (234, 454), 1
_NOSE_DEPTH = 0.46  # of the face's width: how far the tip lies before the points at the sides, canonical face
_MEMORY = 90  # pictures that "a moment ago" means
_ENOUGH = 8  # of them, before anything is judged against them

# What a face at rest does not do, and from which score on.  MediaPipe sees a little of each on everybody, of brows and
# lips most: 2 of 90 neutral photos of the London faces are above one of these, and 61 of the 90 smiling ones
_AT_REST = {
    "jawOpen": 0.2, "mouthSmileLeft": 0.4, "mouthSmileRight": 0.4, "mouthPucker": 0.9, "cheekPuff": 0.3,
    "noseSneerLeft": 0.3, "noseSneerRight": 0.3, "mouthUpperUpLeft": 0.3, "mouthUpperUpRight": 0.3,
    "mouthLowerDownLeft": 0.3, "mouthLowerDownRight": 0.3, "browOuterUpLeft": 0.88, "browOuterUpRight": 0.88,
    "browInnerUp": 0.88, "mouthFrownLeft": 0.4, "mouthFrownRight": 0.4, "mouthStretchLeft": 0.4,
    "mouthStretchRight": 0.4, "eyeSquintLeft": 0.75, "eyeSquintRight": 0.75,
}  # fmt: skip
_AT_REST_ROWS = np.array([BLENDSHAPES.index(name) for name in _AT_REST])
_AT_REST_MOST = np.array(list(_AT_REST.values()))


@dataclass(frozen=True)
class CheckSettings:
    """What is good enough; chosen on the demo's clip, the London faces and a webcam clip, not on patients."""

    smallest_px: float = 70.0  # the face's width in the picture
    turned_deg: float = 14.0  # to either side, up or down
    darkest: float = 35.0  # mean grey level of the face
    closed: float = 0.6  # of the eye's own opening at rest
    least_open: float = 0.13  # opening / width of an eye: below it nobody's eye is open
    fastest: float = 0.35  # widths of the face per second, mean over the landmarks
    sharpest: float = 0.55  # of what this camera showed of this face a moment ago


class Look(NamedTuple):
    """What is known of one picture.

    t_s: capture time.  face: (size, size, 3) uint8 BGR, the crop.  landmarks_px: (478, 2) in pixels of the whole
    picture, None without a face.  blendshapes: (52,) in [0, 1].  pose: (4, 4) rigid head pose or None.
    """

    t_s: float
    face: Picture
    landmarks_px: Points | None
    blendshapes: npt.NDArray[np.floating]
    pose: npt.NDArray[np.floating] | None = None


class FrameCheck:
    """Judges one picture after the other."""

    def __init__(self, settings: CheckSettings | None = None) -> None:
        self.settings = settings or CheckSettings()
        self._open: deque[tuple[float, float]] = deque(maxlen=_MEMORY)
        self._sharp: deque[float] = deque(maxlen=_MEMORY)
        self._before: tuple[float, Points] | None = None
        self.sharpness = 0.0

    def judge(self, look: Look, at_rest: bool, eyes_open: float | None) -> Reason | None:
        """Why this picture is not taken; None when it is fit.

        at_rest: whether the face is to do nothing.  eyes_open: the least opening, as a share of the eye's own at rest;
        None where eyes may be shut.
        """
        if look.landmarks_px is None:
            self._before = None
            return Reason.LOST
        points = look.landmarks_px.astype(np.float64)
        speed = self._speed(look.t_s, points)
        self.sharpness = sharpness(look.face)
        self._sharp.append(self.sharpness)
        openings = opening(points)
        self._open.append(openings)
        limits = self.settings
        if _width(points) < limits.smallest_px:
            return Reason.FAR
        if turned_deg(points, look.pose) > limits.turned_deg:
            return Reason.TURNED
        if look.face.mean() < limits.darkest:
            return Reason.DARK
        if eyes_open is not None and self._closed(openings, eyes_open):
            return Reason.CLOSED
        if speed > limits.fastest:
            return Reason.MOVING
        if len(self._sharp) >= _ENOUGH and self.sharpness < limits.sharpest * np.percentile(self._sharp, 90):
            return Reason.BLURRED
        return Reason.NOT_AT_REST if at_rest and (look.blendshapes[_AT_REST_ROWS] > _AT_REST_MOST).any() else None

    def _speed(self, t_s: float, points: Points) -> float:
        """Widths of the face per second since the picture before; 0 for the first."""
        before, self._before = self._before, (t_s, points)
        if before is None or not 0 < t_s - before[0] < 0.5:
            return 0.0
        moved = np.linalg.norm(points - before[1], axis=1).mean()
        return float(moved / max(_width(points), 1.0) / (t_s - before[0]))

    def _closed(self, openings: tuple[float, float], least: float) -> bool:
        """Either eye far below its own opening a moment ago, or both below what anybody's open eye has."""
        if max(openings) < self.settings.least_open:
            return True
        usual = np.percentile(self._open, 75, axis=0)
        return len(self._open) >= _ENOUGH and any(now < least * own for now, own in zip(openings, usual, strict=True))


def opening(points: Points) -> tuple[float, float]:
    """Opening / width of the person's right and left eye.  points: (478, 2) px."""
    right, left = (
        float(np.linalg.norm(points[up] - points[down]) / max(float(np.linalg.norm(points[a] - points[b])), 1e-6))
        for up, down, a, b in _EYES
    )
    return right, left


def sharpness(face: Picture) -> float:
    """How sharp a crop is: variance of the Laplacian over variance of the grey levels, after a blur against noise."""
    grey = cv2.GaussianBlur(cv2.cvtColor(face, cv2.COLOR_BGR2GRAY), (0, 0), 0.8).astype(np.float32)
    edge = len(grey) // 5
    inner = grey[edge:-edge, edge:-edge]
    return float(cv2.Laplacian(inner, cv2.CV_32F).var() / max(float(inner.var()), 1.0))


def turned_deg(points: Points, pose: npt.NDArray[np.floating] | None) -> float:
    """How far the head is turned to a side or nods, degrees; by the landmarks, without nodding, where no pose is known.

    points: (478, 2) px.  pose: (4, 4), rotation in its upper left.
    """
    if pose is not None:
        forward = np.asarray(pose, np.float64)[:3, 2]
        length = float(np.linalg.norm(forward)) or 1.0
        return math.degrees(max(abs(math.asin(np.clip(v / length, -1, 1))) for v in forward[:2]))
    right, left = points[list(_SIDES), 0]
    return math.degrees(math.atan(abs(points[_NOSE, 0] - (right + left) / 2) / max(left - right, 1e-6) / _NOSE_DEPTH))


def _width(points: Points) -> float:
    return float(np.linalg.norm(points[_SIDES[1]] - points[_SIDES[0]]))
