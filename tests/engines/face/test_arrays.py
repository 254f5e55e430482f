import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.arrays import check_array, check_indices, check_out, frozen


def test_a_frozen_view_shares_its_memory_and_leaves_the_original_writable():
    array = np.zeros(3, np.float32)
    view = frozen(array)
    array[1] = 5
    assert view[1] == 5
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1


@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 3)), np.zeros((2, 4), np.float32), np.zeros(3, np.float32), np.zeros((4, 6), np.float32)[::2, ::2]],
    ids=["type", "shape", "dimensions", "layout"],
)
def test_the_sentence_says_what_was_wanted_and_what_was_found(array):
    with pytest.raises(BadInput, match=r"the points must be contiguous float32 \(any, 3\), found .*\d"):
        check_array(array, "points", np.float32, (None, 3))


def test_what_fits_passes():
    check_array(np.zeros((0, 3), np.float32), "points", np.float32, (None, 3))
    check_out(np.zeros((2, 3), np.uint8), np.uint8, (2, 3))
    check_indices(np.zeros((0, 3), np.int32), 0)
    check_indices(np.array([[0, 1, 2]], np.int32), 3)


@pytest.mark.parametrize("index", [3, -1, np.iinfo(np.int32).min])
def test_a_corner_that_does_not_exist_is_refused(index):
    with pytest.raises(BadInput, match=r"0\.\.2"):
        check_indices(np.array([[0, 1, index]], np.int32), 3)


def test_a_read_only_output_is_refused():
    with pytest.raises(BadInput, match="writable"):
        check_out(frozen(np.zeros((2, 3), np.uint8)), np.uint8, (2, 3))
