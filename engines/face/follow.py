"""Points that go along with a moving head: on its skin, a little above it, or hanging free and following the shoulders.

Every point is anchored to three vertices of the skin and stands off by a vector in the head's own axes; what hangs free
follows a body that keeps still while the head turns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.face.arrays import Floats, Indices, frozen
from engines.face.mesh import FaceModel
from engines.face.normals import across
from engines.face.skin_surface import Doubles, Places
from engines.kernels import kernel

_NECK_CM = (0.0, -7.0, -1.0)  # about which heads turn; a body's place is measured from here
_HEAD_ROWS = 60  # vertices that say how the head lies
_STILL_CM = 0.02  # a vertex that no expression moves further belongs to the skull


class HeadFrame:
    """How a head lies in a picture, from the vertices that no expression moves."""

    def __init__(self, model: FaceModel) -> None:
        """model: a whole head."""
        first, last = model.regions["head_and_neck"]
        rows = np.arange(first, last)
        rows = rows[model.neutral[rows, 1] > 0]
        moved = np.abs(model.expression[:, rows].astype(np.float32)).max((0, 2))
        rows = rows[moved < _STILL_CM]
        self._rows = rows[:: max(len(rows) // _HEAD_ROWS, 1)]
        points = np.column_stack([model.neutral[self._rows], np.ones(len(self._rows))]).astype(np.float64)
        self._inverse = np.linalg.pinv(points)

    def matrix(self, projected: Floats) -> Floats:
        """(3, 4) float32: px (x right, y down, z_px) from the model's cm, least squares.  projected: (V, 3)."""
        return np.ascontiguousarray((self._inverse @ projected[self._rows]).T, np.float32)

    @staticmethod
    def scale(matrix: Floats) -> float:
        """Px per cm of a `matrix`."""
        return float(np.cbrt(abs(np.linalg.det(matrix[:, :3].astype(np.float64)))))


@dataclass(frozen=True)
class Followers:
    """Points of one session.

    corners: (n, 3) int32, weights: (n, 3) float32, the anchor.  offset: (n, 3) float32, cm from there in the model's
    axes.  hang: (n,) float32, 0 = goes with the head, 1 = with the body.  hanging: (n, 3) float32, cm from the neck
    in the picture's axes (x right, y up, z to the viewer), where it hangs.
    """

    corners: Indices
    weights: Floats
    offset: Floats
    hang: Floats
    hanging: Floats

    @classmethod
    def of(cls, anchors: Places, points: npt.ArrayLike, hang: npt.ArrayLike) -> Followers:
        """points: (n, 3), cm, where they are around the neutral head.  hang: (n,)."""
        where = np.asarray(points, np.float64)
        return cls(
            frozen(anchors.corners),
            frozen(anchors.weights),
            frozen((where - anchors.points).astype(np.float32)),
            frozen(np.asarray(hang, np.float32)),
            frozen((where - np.array(_NECK_CM)).astype(np.float32)),
        )

    def follow(self, projected: Floats, matrix: Floats, scale: float, out: Floats, facing: Floats) -> None:
        """Where the points are: out (n, 3) float32, px; facing (n,) float32, see `_follow`."""
        neck = matrix[:, :3] @ np.array(_NECK_CM, np.float32) + matrix[:, 3]
        _follow(
            *(frozen(projected), self.corners, self.weights, self.offset, self.hang, self.hanging),
            *(frozen(matrix), frozen(neck.astype(np.float32)), np.float32(scale), out, facing),
        )


def smooth(points: Doubles, rounds: int) -> Doubles:
    """A curve (n, 3) with its inner points drawn towards the middle of their neighbours, `rounds` times."""
    found = points.copy()
    for _ in range(rounds):
        found[1:-1] = 0.5 * found[1:-1] + 0.25 * (found[:-2] + found[2:])
    return found


@kernel
def _follow(
    projected: Floats,
    corners: Indices,
    weights: Floats,
    offset: Floats,
    hang: Floats,
    hanging: Floats,
    matrix: Floats,
    neck: Floats,
    scale: np.float32,
    out: Floats,
    facing: Floats,
) -> None:
    """facing: how far the skin at the anchor faces the viewer, -1..1; 1 for what hangs free."""
    for i in range(corners.shape[0]):
        a, b, c = corners[i, 0], corners[i, 1], corners[i, 2]
        for k in range(3):
            head = (
                weights[i, 0] * projected[a, k]
                + weights[i, 1] * projected[b, k]
                + weights[i, 2] * projected[c, k]
                + matrix[k, 0] * offset[i, 0]
                + matrix[k, 1] * offset[i, 1]
                + matrix[k, 2] * offset[i, 2]
            )
            down = -scale if k == 1 else scale
            out[i, k] = head + hang[i] * (neck[k] + down * hanging[i, k] - head)
        nx, ny, nz = across(projected, a, b, c)
        length = np.sqrt(nx * nx + ny * ny + nz * nz)
        towards = nz / length if length > 0 else np.float32(-1)
        facing[i] = towards + hang[i] * (1 - towards)
