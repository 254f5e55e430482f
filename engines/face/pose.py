"""Where a head is and how it is turned, against the photo it was taken from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput
from engines.face.arrays import Floats
from engines.kernels import kernel

Doubles = npt.NDArray[np.float64]
_MOST_DEG = 60.0
_TURNED_DEG = 10.0


@dataclass(frozen=True)
class HeadPose:
    """A head's pose against the photo's.

    yaw_deg: towards the picture's right (the person's left), pitch_deg: up, roll_deg: clockwise in the picture; each
    within +-60.  right_cm, up_cm: shift in the picture, +-20.  zoom: 0.3..3, nearer is larger.
    Raises BadInput beyond.
    """

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    right_cm: float = 0.0
    up_cm: float = 0.0
    zoom: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        angles = np.array([self.yaw_deg, self.pitch_deg, self.roll_deg])
        if not (np.abs(angles) <= _MOST_DEG).all():
            raise BadInput(f"a head can be turned by up to {_MOST_DEG:.0f} degrees, found {angles}")
        if not (abs(self.right_cm) <= 20 and abs(self.up_cm) <= 20 and 0.3 <= self.zoom <= 3):
            raise BadInput(
                "a head can be shifted by up to 20 cm and zoomed 0.3..3, "
                f"found {self.right_cm}, {self.up_cm}, {self.zoom}"
            )

    @property
    def is_turned(self) -> bool:
        """Whether parts of the head hide each other that the photo shows side by side."""
        return abs(self.yaw_deg) > _TURNED_DEG or abs(self.pitch_deg) > _TURNED_DEG

    @property
    def rotation(self) -> Doubles:
        """(3, 3) in the camera's axes: x right, y up, z to the viewer; roll after pitch after yaw."""
        yaw, pitch, roll = np.radians([self.yaw_deg, -self.pitch_deg, -self.roll_deg])
        about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
        return np.asarray(about_z @ about_x @ about_y)

    def turn_px(self, pivot_px: Doubles, scale: float) -> Floats:
        """(3, 4): photo px (x right, y down, z_px) after the pose from before.

        pivot_px: (3,), what stays in place while the head turns.  scale: px per cm.
        """
        flip = np.diag([1.0, -1.0, 1.0])
        turned = flip @ self.rotation @ flip
        shift = pivot_px - turned @ pivot_px + np.array([self.right_cm, -self.up_cm, 0.0]) * scale
        return np.column_stack([turned, shift]).astype(np.float32)


def join(out_from_photo: Floats, turn: Floats, photo_from_model: Doubles) -> Floats:
    """(3, 4): picture px and z_px from model cm: camera, then pose, then framing."""
    square = np.vstack([photo_from_model, [0, 0, 0, 1]])
    posed = turn.astype(np.float64) @ square
    zoom = float(out_from_photo[0, 0])
    posed *= zoom
    posed[:2, 3] += out_from_photo[:, 2]
    return np.asarray(posed, np.float32)


@kernel
def project_all(vertices: Floats, matrix: Floats, out: Floats) -> None:
    """out[v] = matrix (3, 4) times vertex v (x, y, z, 1)."""
    for v in range(vertices.shape[0]):
        x, y, z = vertices[v, 0], vertices[v, 1], vertices[v, 2]
        for k in range(3):
            out[v, k] = matrix[k, 0] * x + matrix[k, 1] * y + matrix[k, 2] * z + matrix[k, 3]
