"""16-bit machine operations for kernels on pictures.

Numba widens every integer to 64 bits, and a loop over pixels then runs 5 x slower (measured).  These spell the 16-bit
operations out; LLVM turns the loop over them into vpmulhw, vpaddw and saturating packs.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

_I16, _I32 = ir.IntType(16), ir.IntType(32)
_Build = Callable[[ir.IRBuilder, list[ir.Value]], ir.Value]


def _int16_op(build: _Build, result: types.Type, *arguments: types.Type) -> tuple[Any, Any]:
    return result(*arguments), lambda _context, builder, _signature, values: build(builder, values)


@intrinsic
def widen(_typing: Any, value: Any, shift: Any) -> tuple[Any, Any]:
    """uint8 << shift, as int16."""
    return _int16_op(lambda b, v: b.shl(b.zext(v[0], _I16), v[1]), types.int16, types.uint8, types.int16)


@intrinsic
def multiply_high(_typing: Any, left: Any, right: Any) -> tuple[Any, Any]:
    """(left * right) >> 16, rounded down."""

    def build(b: ir.IRBuilder, v: list[ir.Value]) -> ir.Value:
        return b.trunc(b.ashr(b.mul(b.sext(v[0], _I32), b.sext(v[1], _I32)), _I32(16)), _I16)

    return _int16_op(build, types.int16, types.int16, types.int16)


@intrinsic
def add(_typing: Any, left: Any, right: Any) -> tuple[Any, Any]:
    """left + right; the caller's ranges leave no overflow."""
    return _int16_op(lambda b, v: b.add(v[0], v[1]), types.int16, types.int16, types.int16)


@intrinsic
def to_grey(_typing: Any, value: Any) -> tuple[Any, Any]:
    """int16 to uint8, clipped to 0..255."""

    def build(b: ir.IRBuilder, v: list[ir.Value]) -> ir.Value:
        above = b.select(b.icmp_signed(">", v[0], _I16(0)), v[0], _I16(0))
        return b.trunc(b.select(b.icmp_signed("<", above, _I16(255)), above, _I16(255)), ir.IntType(8))

    return _int16_op(build, types.uint8, types.int16)


@intrinsic
def shift_down(_typing: Any, value: Any, shift: Any) -> tuple[Any, Any]:
    """value >> shift, rounded down."""
    return _int16_op(lambda b, v: b.ashr(v[0], v[1]), types.int16, types.int16, types.int16)
