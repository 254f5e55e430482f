"""Each operation against whole-number arithmetic that cannot overflow."""

import numba
import numpy as np
import pytest

from engines.face.int16 import add, multiply_high, shift_down, to_grey, widen

EDGES = [-32768, -32767, -256, -1, 0, 1, 127, 255, 256, 32767]


@numba.njit
def _high(a, b):
    return multiply_high(a, b)


@numba.njit
def _grey(a):
    return to_grey(a)


@numba.njit
def _wide(a, bits):
    return widen(a, bits)


@numba.njit
def _sum(a, b):
    return add(a, b)


@numba.njit
def _down(a, bits):
    return shift_down(a, bits)


@pytest.mark.parametrize("a", EDGES)
@pytest.mark.parametrize("b", EDGES)
def test_the_high_half_of_a_product_is_rounded_down(a, b):
    assert _high(np.int16(a), np.int16(b)) == np.int64(a * b) >> 16


@pytest.mark.parametrize("a", EDGES)
def test_grey_levels_are_clipped_and_shifts_round_down(a):
    assert _grey(np.int16(a)) == min(max(a, 0), 255)
    assert _down(np.int16(a), np.int16(3)) == a >> 3


def test_a_byte_is_widened_and_sums_wrap_as_the_machine_s():
    assert _wide(np.uint8(255), np.int16(7)) == 255 << 7
    assert [_sum(_wide(np.uint8(x), np.int16(8)), np.int16(-32768)) for x in (0, 128, 255)] == [-32768, 0, 32512]
