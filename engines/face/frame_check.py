"""Whether a picture is fit to take a person's face from, and if not, what is in the way.

One judge for all who keep a face: what movements are measured against (engines/face/neutral.py), and what a person's
own maps are learned from (calibration/guided.py).  Each has words of its own for what is in the way.

What is open, sharp or still is judged against the same person a moment ago: cameras and eyes differ more between people
than within one.  Nothing here knows a clock or a device: times come with the pictures.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from engines.face.arrays import Picture
from engines.face.blendshapes import BLENDSHAPES

Points = npt.NDArray[np.floating]

# Lids and corners of the person's right and left eye; points at the face's sides; nose tip
_EYES = ((159, 145, 33, 133), (386, 374, 362, 263))
_SIDES, _NOSE = (234, 454), 1
# Where the tip lies against the middle between the sides, shares of the face's width: before it, as seen in a head that
# turns to a side and in one that nods, and below it.  Fitted to 612 rendered heads with known turns; the last is also
# the mean of the 90 neutral London faces.
_AHEAD_ACROSS, _AHEAD_UP, _BELOW = 0.586, 0.477, 0.113
_MEMORY = 90  # pictures that "a moment ago" means
_ENOUGH = 8  # of them, before anything is judged against them

# What a face at rest does not do, and from which score on.  MediaPipe sees a little of each on everybody, of brows and
# lips most: none of 90 neutral photos of the London faces is above one of these, and 52 of the 90 smiling ones are
_AT_REST = {
    "jawOpen": 0.12, "mouthSmileLeft": 0.58, "mouthSmileRight": 0.58, "mouthPucker": 0.9, "cheekPuff": 0.3,
    "mouthFunnel": 0.3, "mouthLeft": 0.3, "mouthRight": 0.3,
    "noseSneerLeft": 0.3, "noseSneerRight": 0.3, "mouthUpperUpLeft": 0.3, "mouthUpperUpRight": 0.3,
    "mouthLowerDownLeft": 0.3, "mouthLowerDownRight": 0.3, "browOuterUpLeft": 0.88, "browOuterUpRight": 0.88,
    "browInnerUp": 0.88, "mouthFrownLeft": 0.4, "mouthFrownRight": 0.4, "mouthStretchLeft": 0.4,
    "mouthStretchRight": 0.4, "eyeSquintLeft": 0.75, "eyeSquintRight": 0.75,
}  # fmt: skip
_AT_REST_ROWS = np.array([BLENDSHAPES.index(name) for name in _AT_REST])
_AT_REST_MOST = np.array(list(_AT_REST.values()))


class Obstacle(Enum):
    """What is in the way."""

    LOST = auto()  # no face
    FAR = auto()
    TURNED = auto()
    DARK = auto()
    CLOSED = auto()  # eyes
    MOVING = auto()
    BLURRED = auto()
    NOT_AT_REST = auto()


@dataclass(frozen=True)
class CheckSettings:
    """What is good enough; chosen on the demo's clip, the London faces and a webcam clip, not on patients."""

    smallest_px: float = 70.0  # the face's width in the picture
    turned_deg: float = 14.0  # to either side; of `away_deg`, where that is known
    nods_deg: float = 20.0  # up or down, by the landmarks, which differ by 6 degrees from one face to the next
    darkest: float = 35.0  # mean grey level of the face
    closed: float = 0.6  # of the eye's own opening at rest
    least_open: float = 0.13  # opening / width of an eye: below it nobody's eye is open
    fastest: float = 0.35  # widths of the face per second, mean over the landmarks
    sharpest: float = 0.55  # of what this camera showed of this face a moment ago


class Look(NamedTuple):
    """What is known of one picture.

    t_s: capture time.  face: (size, size, 3) uint8 BGR, the crop.  landmarks_px: (478, 2) in pixels of the whole
    picture, None without a face.  blendshapes: (52,) in [0, 1].  away_deg: angle between the face's direction and the
    camera's where somebody has fitted a head; None: the landmarks tell.
    """

    t_s: float
    face: Picture
    landmarks_px: Points | None
    blendshapes: npt.NDArray[np.floating]
    away_deg: float | None = None


class FrameCheck:
    """Judges one picture after the other."""

    def __init__(self, settings: CheckSettings | None = None) -> None:
        self.settings = settings or CheckSettings()
        self._open: deque[tuple[float, float]] = deque(maxlen=_MEMORY)
        self._sharp: deque[float] = deque(maxlen=_MEMORY)
        self._before: tuple[float, Points] | None = None
        self.sharpness = 0.0

    def judge(self, look: Look, at_rest: bool, eyes_open: float | None) -> Obstacle | None:
        """Why this picture is not taken; None when it is fit.

        at_rest: whether the face is to do nothing.  eyes_open: the least opening, as a share of the eye's own at rest;
        None where eyes may be shut.
        """
        if look.landmarks_px is None:
            self._before = None
            return Obstacle.LOST
        points = look.landmarks_px.astype(np.float64)
        speed = self._speed(look.t_s, points)
        self.sharpness = sharpness(look.face)
        self._sharp.append(self.sharpness)
        openings = opening(points)
        self._open.append(openings)
        limits = self.settings
        if _width(points) < limits.smallest_px:
            return Obstacle.FAR
        if self._is_turned(points, look.away_deg):
            return Obstacle.TURNED
        if look.face.mean() < limits.darkest:
            return Obstacle.DARK
        if eyes_open is not None and self._closed(openings, eyes_open):
            return Obstacle.CLOSED
        if speed > limits.fastest:
            return Obstacle.MOVING
        if len(self._sharp) >= _ENOUGH and self.sharpness < limits.sharpest * np.percentile(self._sharp, 90):
            return Obstacle.BLURRED
        return Obstacle.NOT_AT_REST if at_rest and (look.blendshapes[_AT_REST_ROWS] > _AT_REST_MOST).any() else None

    def _speed(self, t_s: float, points: Points) -> float:
        """Widths of the face per second since the picture before; 0 for the first."""
        before, self._before = self._before, (t_s, points)
        if before is None or not 0 < t_s - before[0] < 0.5:
            return 0.0
        moved = np.linalg.norm(points - before[1], axis=1).mean()
        return float(moved / max(_width(points), 1.0) / (t_s - before[0]))

    def _is_turned(self, points: Points, away_deg: float | None) -> bool:
        limits = self.settings
        if away_deg is not None:
            return not away_deg <= limits.turned_deg
        yaw, pitch = turned_deg(points)
        return abs(yaw) > limits.turned_deg or abs(pitch) > limits.nods_deg

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


def turned_deg(points: Points) -> tuple[float, float]:
    """How the head is turned, by where the nose's tip lies between the sides of the face: yaw and pitch, degrees.

    points: (478, 2) px.  Yaw is positive towards the picture's right, pitch up, as engines/face/pose.HeadPose has them.
    Against the same heads as they were rendered: 2.6 and 6.0 degrees (standard deviation over 612); a face model fitted
    to the landmarks is at 2.7 and 4.8.
    """
    right, left = points[list(_SIDES)]
    across = (left - right) / max(float(np.linalg.norm(left - right)), 1e-6)
    tip = (points[_NOSE] - (right + left) / 2) / max(float(np.linalg.norm(left - right)), 1e-6)
    aside, below = float(tip @ across), float(tip @ (-across[1], across[0]))
    yaw, pitch = math.atan(aside / _AHEAD_ACROSS), math.atan((_BELOW - below) / _AHEAD_UP)
    return math.degrees(yaw), math.degrees(pitch)


def _width(points: Points) -> float:
    return float(np.linalg.norm(points[_SIDES[1]] - points[_SIDES[0]]))
