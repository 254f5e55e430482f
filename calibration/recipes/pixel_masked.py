"""Masked regression, the peer: an output pixel looks at the 3 x 3 input pixels around it, channel by channel.

Khan et al. 2020, "Masked linear regression for learning local receptive fields for facial expression synthesis", with
the ridge on all ten weights as in Eq. 2 of Akram and Khan 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.recipes.pixel_pairs import Pictures
from engines.errors import BadInput
from engines.face.arrays import frozen
from engines.face.pixel_map import SCALES
from engines.kernels import kernel

TERMS = 10  # 3 x 3 pixels and the bias


@dataclass(frozen=True, eq=False)
class MaskedMap:
    """weights: (size, size, 3, 10) float32: the 3 x 3 pixels row by row, then the bias, grey levels."""

    weights: npt.NDArray[np.float32]

    def apply(self, faces: Pictures) -> Pictures:
        """(pair, size, size, 3) uint8 with the expression; beyond the border the border's pixels repeat."""
        around = _with_border(faces)
        out = np.empty_like(faces)
        _apply(frozen(around), frozen(self.weights), out)
        return out


def fit_masked(
    neutral: Pictures, target: Pictures, lambda_: float = 0.4, intensity_scale: str = "[0,255]"
) -> MaskedMap:
    """Solve the ridge of every pixel and channel.

    neutral, target: (pair, size, size, 3) uint8.  Raises BadInput when they do not match or there are none.
    """
    if neutral.shape != target.shape or neutral.ndim != 4 or len(neutral) == 0:
        raise BadInput(f"masked regression needs pairs of equal shape, found {neutral.shape} and {target.shape}")
    unit = 255 / SCALES[intensity_scale]
    size, gram = neutral.shape[1], np.zeros((*neutral.shape[1:], TERMS, TERMS))
    right = np.zeros((*neutral.shape[1:], TERMS))
    _add_up(frozen(_with_border(neutral)), frozen(target), 1 / unit, gram, right)
    gram += lambda_ * np.eye(TERMS)
    weights = np.linalg.solve(gram, right[..., None])[..., 0]
    weights[..., 9] *= unit
    return MaskedMap(np.ascontiguousarray(weights.reshape(size, size, 3, TERMS), np.float32))


def _with_border(faces: Pictures) -> Pictures:
    return np.pad(faces, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")


@kernel
def _look(around: Pictures, n: int, y: int, x: int, z: int, scale: float, out: npt.NDArray[np.float64]) -> None:
    for k in range(9):
        out[k] = around[n, y + k // 3, x + k % 3, z] * scale
    out[9] = 1.0


@kernel
def _add_up(
    around: Pictures, target: Pictures, scale: float, gram: npt.NDArray[np.float64], right: npt.NDArray[np.float64]
) -> None:
    look = np.empty(TERMS)
    for n in range(target.shape[0]):
        for y in range(target.shape[1]):
            for x in range(target.shape[2]):
                for z in range(3):
                    _look(around, n, y, x, z, scale, look)
                    for i in range(TERMS):
                        right[y, x, z, i] += look[i] * target[n, y, x, z] * scale
                        for j in range(TERMS):
                            gram[y, x, z, i, j] += look[i] * look[j]


@kernel
def _apply(around: Pictures, weights: npt.NDArray[np.float32], out: Pictures) -> None:
    look = np.empty(TERMS)
    for n in range(out.shape[0]):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                for z in range(3):
                    _look(around, n, y, x, z, 1.0, look)
                    total = 0.5
                    for i in range(TERMS):
                        total += look[i] * weights[y, x, z, i]
                    out[n, y, x, z] = np.uint8(min(max(total, 0.0), 255.0))
