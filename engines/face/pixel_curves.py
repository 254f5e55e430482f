"""Pixel-KR at run time: one curve per pixel and channel, from grey level to grey level.

Akram and Khan 2020, Eq. 15: y = t (K + lambda I)^-1 kappa(x).  A pixel has 256 grey levels, so the curve is a table of
256 numbers, and the pairs it was learned from are no longer needed.  With the kernels that the paper found best the
curves bend so little that a cubic holds them within half a grey level: 4 numbers instead of 256, which are read at the
speed of Pixel-RR's 2.  Curves that bend more stay tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput
from engines.face.arrays import Floats, Picture, check_array, check_out, frozen
from engines.face.int16 import add, multiply_high, shift_down, to_grey, widen
from engines.kernels import kernel

LEVELS = 256
_LIMITS = (2040.0, 1020.0, 510.0, 255.0)  # grey levels that 16 bits hold with 4, 5, 6, 7 fraction bits
_BITS = (4, 5, 6, 7)


def positions(levels: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Grey levels as the cubic's variable: -1 at 0, 0 at 128."""
    return np.asarray(levels, np.float64) / 128 - 1


@dataclass(frozen=True, eq=False)
class PixelCurves:
    """One expression's curves for crops of one size.

    cubic: (4, size, size, 3) float32, grey levels: out = c0 + c1 u + c2 u^2 + c3 u^3 with u = positions(in).
    table: (size, size, 3, 256) uint8, used instead where given.  expression: what a neutral face becomes.
    Raises BadInput when shapes do not fit or a coefficient leaves the kernel's range.
    """

    cubic: Floats
    expression: str
    table: Picture | None = None

    def __post_init__(self) -> None:
        shape = self.cubic.shape[1:]
        if self.cubic.ndim != 4 or len(self.cubic) != 4 or shape[0] != shape[1] or shape[2] != 3:
            raise BadInput(f"pixel curves need (4, size, size, 3) coefficients, found {self.cubic.shape}")
        if self.table is not None:
            check_array(self.table, "curves' table", np.uint8, (*shape, LEVELS))
        elif not all(np.abs(c).max() < most for c, most in zip(self.cubic, _LIMITS, strict=True)):
            raise BadInput(f"the curves' coefficients must lie within {_LIMITS} grey levels: keep them as a table")

    @property
    def size(self) -> int:
        """Side of the crops, px."""
        return int(self.cubic.shape[1])

    @cached_property
    def fixed(self) -> npt.NDArray[np.int16]:
        """(4, size * size * 3) int16: what the curve changes, curve - face, as the kernel's cubic."""
        change = self.cubic.reshape(4, -1).astype(np.float64)
        change[:2] -= 128  # the face itself is 128 + 128 u
        scale = np.array([[2.0**bits] for bits in _BITS])
        return np.asarray(np.clip(np.rint(change * scale), -32768, 32767), np.int16)


def apply_pixel_curves(face: Picture, curves: PixelCurves, amount: float, out: Picture) -> Picture:
    """Give the face the curves' expression: out = clip(face + amount * (curve(face) - face)).

    face, out: (size, size, 3) uint8, [0, 255], contiguous; out may be face itself.  amount: 0 (the face, bit for bit)
    to 1.  Returns out.  Cubics are within 1 grey level of the float formula, tables exact at amount 1.
    Raises BadInput when something does not fit.
    """
    shape = (curves.size, curves.size, 3)
    check_array(face, "face", np.uint8, shape)
    check_out(out, np.uint8, shape)
    if not 0.0 <= amount <= 1.0:
        raise BadInput(f"amount must lie in 0..1, found {amount}")
    part = round(amount * 32767)
    if curves.table is not None:
        _apply_table(frozen(face), frozen(curves.table), part, out)
    else:
        _apply_cubic(frozen(face), curves.fixed, part, out)
    return out


@kernel
def _apply_cubic(face: Picture, cubic: npt.NDArray[np.int16], amount: int, out: Picture) -> None:
    # u: 15 fraction bits; a product loses one: c3 7, c2 6, c1 5, c0 4; amount: 15; part: 3
    face, out, part_of = face.ravel(), out.ravel(), np.int16(amount)
    for i in range(face.size):
        u = add(widen(face[i], np.int16(8)), np.int16(-32768))
        change = add(multiply_high(cubic[3, i], u), cubic[2, i])
        change = add(multiply_high(change, u), cubic[1, i])
        change = add(multiply_high(change, u), cubic[0, i])
        step = shift_down(add(multiply_high(change, part_of), np.int16(4)), np.int16(3))
        out[i] = to_grey(add(widen(face[i], np.int16(0)), step))


@kernel
def _apply_table(face: Picture, table: Picture, amount: int, out: Picture) -> None:
    face, out, table = face.ravel(), out.ravel(), table.ravel()
    for i in range(face.size):
        level = int(face[i])
        change = int(table[i * 256 + level]) - level
        out[i] = np.uint8(level + ((change * amount + 16384) // 32767))
