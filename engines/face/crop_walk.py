"""How a frame's pixels are walked through the crop that lies over them, in fixed point.

A frame row is a straight line through the crop; its crop position moves on by the same step at every pixel, in int64
with 32 fraction bits. Kernels call this from other files, so they are told here what each argument is, not asked.
"""

import math

import numpy as np
import numpy.typing as npt

from engines.kernels import kernel

Affine = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]  # (size, size), four lanes of 16 bits per crop pixel

ONE = 2.0**32  # crop coordinates are int64 with 32 fraction bits: no visible drift over any row
_EDGE_PX = 1e-3  # keeps all four neighbours inside the crop despite rounding


def rows_under(crop_from_frame: Affine, size: int, height: int) -> tuple[int, int]:
    """First and one-past-last frame row under the crop's square."""
    (a, b, shift_u), (c, d, shift_v) = crop_from_frame.tolist()
    if abs(a * d - b * c) < 1e-9:
        return 0, 0
    rows = [(a * (v - shift_v) - c * (u - shift_u)) / (a * d - b * c) for u in (0, size) for v in (0, size)]
    return max(0, math.floor(min(rows))), min(height, math.ceil(max(rows)) + 1)


@kernel
def _clip_row(start: float, step: float, limit: float, x_from: float, x_to: float) -> tuple[float, float]:
    """Shrink [x_from, x_to] to where 0 <= start + step * x <= limit; empty when x_from > x_to."""
    if abs(step) < 1e-12:
        return (x_from, x_to) if 0 <= start <= limit else (1.0, 0.0)
    a, b = -start / step, (limit - start) / step
    return max(x_from, min(a, b)), min(x_to, max(a, b))


@kernel
def row_under(matrix: Affine, y: int, width: int, size: int) -> tuple[int, int, int, int]:
    """First and last column of frame row y under the crop, and the crop position (fixed point) of the first."""
    u, v = matrix[0, 1] * y + matrix[0, 2], matrix[1, 1] * y + matrix[1, 2]
    limit = size - 1 - 2 * _EDGE_PX
    low, high = _clip_row(u - _EDGE_PX, matrix[0, 0], limit, 0.0, width - 1.0)
    low, high = _clip_row(v - _EDGE_PX, matrix[1, 0], limit, low, high)
    x_from, x_to = int(np.ceil(low)), int(np.floor(high))
    return x_from, x_to, int((u + matrix[0, 0] * x_from) * ONE), int((v + matrix[1, 0] * x_from) * ONE)


@kernel
def between(packed: Words, u: int, v: int, one: int) -> np.uint64:
    """Bilinear in every lane at once, times `one`; the four weights add up to `one` (128 or 256) exactly."""
    x, y = u >> 32, v >> 32
    fx, fy = ((u & 0xFFFFFFFF) * one) >> 32, ((v & 0xFFFFFFFF) * one) >> 32
    both = fx * fy // one
    return np.uint64(
        packed[y, x] * np.uint64(one - fx - fy + both)
        + packed[y, x + 1] * np.uint64(fx - both)
        + packed[y + 1, x] * np.uint64(fy - both)
        + packed[y + 1, x + 1] * np.uint64(both)
    )
