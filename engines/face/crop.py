"""The face crop: where it lies in the frame, how it is kept calm, and the warp that cuts it out.

A crop's place is a pose (centre x px, centre y px, log side px, angle rad).  The pose is what gets smoothed,
never the picture and never the landmarks: jitter of the crop becomes jitter of the face (FACTS 3).
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from engines.errors import BadInput, FaceLost
from engines.face.one_euro import OneEuro, OneEuroSettings

Pose = npt.NDArray[np.float64]  # (4,): centre x px, centre y px, log(side / px), angle rad (clockwise on screen)
Affine = npt.NDArray[np.float64]  # (2, 3)
Picture = npt.NDArray[np.uint8]

LANDMARKS = 478
SMALLEST_FACE_PX = 24.0  # mean side of the landmarks' box; below it there is nothing to edit
# Landmarks that expressions hardly move: between a neutral and a smiling face of 90 people these stay within
# 0.06-0.14 cm, the mouth moves by 0.5 cm and more.  Eye corners 33 133 362 263, nose root 168 6, forehead 151 10.
STABLE = np.array([33, 133, 362, 263, 168, 6, 151, 10])
# Their places on MediaPipe's canonical face, cm, x to the image's right, y down (Apache-2.0, Google).
_CANONICAL_CM = np.array([-4.446 - 2.664j, -1.856 - 2.585j, 1.856 - 2.585j, 4.446 - 2.664j,
                          -3.271j, -2.473j, -6.545j, -8.262j])  # fmt: skip
_BOX_CENTRE_CM = 0.571j  # centre of the canonical face's box
_BOX_SIDE_CM = 16.576  # mean of its width and height


@dataclass(frozen=True)
class CropSettings:
    """Size and calmness of the crop."""

    size: int = 128  # pixels per side of the crop
    scale: float = 1.4  # side of the crop / mean side of the neutral face's box (EIFER and SMIRK use 1.4)
    one_euro: OneEuroSettings = field(default_factory=OneEuroSettings)  # speeds in crop sides (or rad) per second


def pose_from_landmarks(landmarks_px: npt.NDArray[np.floating], scale: float) -> Pose:
    """Place the crop by the best similarity from the canonical face's stable points to the frame.

    landmarks_px: (478, 2) as (x, y) in frame pixels, MediaPipe's order.  scale: side of the crop in sides of
    the neutral face's box.  Returns (4,): centre x px, centre y px, log side, angle in (-pi, pi].
    Opening the mouth does not zoom: the box is the canonical face's, moved by the stable points.
    Raises FaceLost when the landmarks' box is empty, not finite or smaller than 24 px.
    """
    if landmarks_px.shape != (LANDMARKS, 2):
        raise BadInput(f"landmarks must be ({LANDMARKS}, 2) pixels, found {landmarks_px.shape}")
    box = np.ptp(landmarks_px, axis=0).mean()
    if not box >= SMALLEST_FACE_PX or not np.isfinite(box):
        raise FaceLost(f"the landmarks' box is {box:.1f} px wide; at least {SMALLEST_FACE_PX:.0f} px are needed")
    points = landmarks_px[STABLE, 0] + 1j * landmarks_px[STABLE, 1].astype(np.float64)
    middle = _CANONICAL_CM.mean()
    arm = _CANONICAL_CM - middle
    turn = np.vdot(arm, points) / np.vdot(arm, arm).real  # least squares: frame = turn * cm + shift
    if not abs(turn) > 0:
        raise FaceLost("the landmarks' stable points lie on one spot")
    centre = points.mean() + turn * (_BOX_CENTRE_CM - middle)
    side_px = abs(turn) * _BOX_SIDE_CM * scale
    return np.array([centre.real, centre.imag, np.log(side_px), np.angle(turn)])


def crop_from_pose(pose: Pose, size: int) -> Affine:
    """Turn a pose into crop_from_frame: (2, 3) float64, frame pixels to crop pixels, for a crop of size px."""
    zoom = size / np.exp(pose[2])
    cos, sin = zoom * np.cos(pose[3]), zoom * np.sin(pose[3])
    rotation = np.array([[cos, sin], [-sin, cos]])
    shift = (size - 1) / 2 - rotation @ pose[:2]
    return np.column_stack([rotation, shift])


def crop_from_landmarks(landmarks_px: npt.NDArray[np.floating], size: int = 128, scale: float = 1.4) -> Affine:
    """Align the face: upright, centred, its box 1/scale of the crop.

    landmarks_px: (478, 2) as (x, y) in frame pixels.  size: crop side, px.  scale: see pose_from_landmarks.
    Returns crop_from_frame (2, 3) float64.  Raises FaceLost and BadInput as pose_from_landmarks does.
    """
    return crop_from_pose(pose_from_landmarks(landmarks_px, scale), size)


def fixed_crop(frame_shape: tuple[int, ...], size: int = 128, scale: float = 1.4) -> Affine:
    """Place the crop without landmarks, for a face held in the page's oval guide.

    The oval is centred, 3/5 of the frame's height tall and 3/4 as wide as tall; the crop is its mean side
    times scale.  frame_shape: (height, width, ...).  Returns crop_from_frame (2, 3) float64.
    """
    height, width = frame_shape[:2]
    oval_px = 0.6 * min(height, width) * (1 + 0.75) / 2
    return crop_from_pose(np.array([(width - 1) / 2, (height - 1) / 2, np.log(oval_px * scale), 0.0]), size)


def warp(frame: Picture, crop_from_frame: Affine, out: Picture) -> Picture:
    """Cut the crop out of the frame, bilinear.

    frame: (height, width, 3) uint8.  crop_from_frame: (2, 3).  out: (size, size, 3) uint8, C-contiguous, filled
    in place and returned; outside the frame is black.  Raises BadInput when out does not fit.
    """
    if out.dtype != np.uint8 or out.ndim != 3 or not out.flags.c_contiguous or out.shape[2:] != frame.shape[2:]:
        raise BadInput(f"the crop's buffer must be contiguous uint8 (size, size, 3), found {out.dtype} {out.shape}")
    cv2.warpAffine(frame, crop_from_frame, (out.shape[1], out.shape[0]), dst=out, flags=cv2.INTER_LINEAR)
    return out


class SmoothCrop:
    """Landmarks in, calm crop_from_frame out: One-Euro on the pose, restarted when the face was lost."""

    def __init__(self, settings: CropSettings | None = None) -> None:
        self.settings = settings or CropSettings()
        self._filter = OneEuro(self.settings.one_euro)
        self._angle = 0.0

    def reset(self) -> None:
        """Forget the past, e.g. after the face was lost: the next crop is not drawn towards the old place."""
        self._filter.reset()
        self._angle = 0.0

    def update(self, landmarks_px: npt.NDArray[np.floating], t_s: float) -> Affine:
        """Smooth one frame's crop.

        landmarks_px: (478, 2) frame pixels.  t_s: the frame's capture time, seconds.
        Returns crop_from_frame (2, 3) float64.  Raises FaceLost (and resets itself) when there is no usable face.
        """
        try:
            pose = pose_from_landmarks(landmarks_px, self.settings.scale)
        except FaceLost:
            self.reset()
            raise
        pose[3] = self._angle + (pose[3] - self._angle + np.pi) % (2 * np.pi) - np.pi  # unwrapped
        self._angle = pose[3]
        side_px = np.exp(pose[2])
        calm = self._filter(pose, t_s, unit=np.array([side_px, side_px, 1.0, 1.0]))
        return crop_from_pose(calm, self.settings.size)
