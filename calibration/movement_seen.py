"""How much of a movement a face shows, and whether it is that movement at all.

The landmarks' way since the person's own neutral face is split, by least squares, into what a turn and shift of a rigid
head does (to first order: an affine function of the landmarks' places in space), a share of the movement as a map
expects it on this face, and a rest:  d = R p + s way + e.  s is the strength; the likeness is how much of what the head
does not explain points the movement's way.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engines.face.pixel_mesh import MESH, PixelMesh

Doubles = npt.NDArray[np.float64]
_STEADY = 0.0025  # of the crop's side: landmarks that the movement moves less all count alike


class Seen(NamedTuple):
    """strength: 1 = as far as the population goes.  likeness: -1..1, 1 = this movement and nothing else."""

    strength: float
    likeness: float


class MovementSeen:
    """Looks for one movement on one person."""

    def __init__(self, movement: PixelMesh, neutral: npt.NDArray[np.floating], depth: Doubles | None = None) -> None:
        """neutral: (478, 2) or (468, 2), the person's landmarks at rest, shares of an upright crop's side.

        depth: (468,), how far each lies in front, in any unit (the canonical face's z); without, heads only shift,
        turn in the picture and stretch.
        """
        self._neutral = neutral[:MESH].astype(np.float64)
        self._expected = movement.moved(neutral)[1][:MESH].astype(np.float64)
        columns = [np.ones(MESH), *self._neutral.T] + ([] if depth is None else [depth - depth.mean()])
        self._rigid = np.column_stack(columns)
        self._of_rigid = np.linalg.pinv(self._rigid)
        self._way = self._without_head(self._expected)
        self._length = float(np.linalg.norm(self._way))
        steady = 1 / (_STEADY + np.hypot(*self._expected.T))  # what the movement leaves alone tells of the head
        self._of_head = np.linalg.pinv(self._rigid * steady[:, None]) * steady

    def _without_head(self, way: Doubles) -> Doubles:
        return way - self._rigid @ (self._of_rigid @ way)

    def look(self, landmarks: npt.NDArray[np.floating]) -> Seen:
        """landmarks: (478, 2) or (468, 2) now, in the same crop's shares."""
        own = self._without_head(landmarks[:MESH] - self._neutral)
        along = float((own * self._way).sum())
        size = float(np.linalg.norm(own))
        return Seen(along / self._length**2, along / (self._length * size) if size > 0 else 0.0)

    def head(self, landmarks: npt.NDArray[np.floating]) -> Doubles:
        """(468, 2): the part of the way since neutral that the head alone has made, in shares of the crop's side."""
        rest = landmarks[:MESH] - self._neutral - self.look(landmarks).strength * self._expected
        return np.asarray(self._rigid @ (self._of_head @ rest))
