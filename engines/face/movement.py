"""The mesh in motion: a person's face at rest plus weighted displacements, only where there are any."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engines.face.arrays import Floats, Indices
from engines.face.mesh import FaceModel
from engines.kernels import kernel

_STILL_CM = 2e-4  # displacements below this are rounding of the model's file


@dataclass(frozen=True)
class Movement:
    """A model's displacements as compressed rows, one per expression.

    starts: (E + 1,) int32.  vertex: (N,) int32.  delta: (N, 3) float32, cm at weight 1.
    """

    starts: Indices
    vertex: Indices
    delta: Floats

    @classmethod
    def of(cls, model: FaceModel) -> Movement:
        """Collect what moves (about a quarter of the 1.4 million displacements)."""
        starts, vertices, deltas = [0], [], []
        for mode in model.expression:
            moved = np.flatnonzero(np.abs(mode).max(1) > _STILL_CM)
            vertices.append(moved)
            deltas.append(mode[moved])
            starts.append(starts[-1] + len(moved))
        return cls(
            np.array(starts, np.int32),
            np.concatenate(vertices).astype(np.int32),
            np.ascontiguousarray(np.concatenate(deltas), np.float32),
        )

    def scaled(self, row: int, factor: Floats) -> Floats:
        """A copy of `delta` in which one expression's displacements are times factor[vertex]; (N, 3)."""
        delta = self.delta.copy()
        part = slice(self.starts[row], self.starts[row + 1])
        delta[part] *= factor[self.vertex[part], None]
        return delta


@kernel
def move(starts: Indices, vertex: Indices, delta: Floats, weights: Floats, out: Floats) -> None:
    """out = the sum of weights[e] x displacements of e; weights: (E,), out: (V, 3) cm."""
    out[:] = 0
    for e in range(weights.shape[0]):
        weight = weights[e]
        if weight == 0:
            continue
        for n in range(starts[e], starts[e + 1]):
            v = vertex[n]
            out[v, 0] += weight * delta[n, 0]
            out[v, 1] += weight * delta[n, 1]
            out[v, 2] += weight * delta[n, 2]
