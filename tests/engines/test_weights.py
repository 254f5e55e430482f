import numpy as np
import pytest

from engines.errors import BadInput, BundleError
from engines.weights import STORAGES, pack, unpack


def weights():
    numbers = np.random.default_rng(0)
    return {
        "conv.weight": numbers.normal(0, 0.02, (6, 3, 3, 3)).astype(np.float32),
        "conv.bias": numbers.normal(0, 1, 6).astype(np.float32),
    }


@pytest.mark.parametrize(("storage", "step"), [("float32", 0), ("float16", 2**-11), ("int8", 0.5 / 127)])
def test_packing_costs_at_most_half_a_step(storage, step):
    original = weights()
    found = unpack(pack(original, storage))
    assert found.keys() == original.keys()
    for name, array in found.items():
        assert array.dtype == np.float32
        largest = np.abs(original[name]).max(axis=tuple(range(1, array.ndim)), keepdims=True)
        allowed = 0 if array.ndim < 2 else step * largest * 1.0001
        assert (np.abs(array - original[name]) <= allowed).all()


def test_int8_is_a_quarter_of_the_bytes():
    packed = pack({"w": np.ones((64, 64, 3, 3), np.float32)}, "int8")
    assert packed["w"].dtype == np.int8
    assert sum(a.nbytes for a in packed.values()) < 64 * 64 * 9 * 1.01


def test_packing_what_was_unpacked_changes_nothing():
    for storage in STORAGES:
        once = unpack(pack(weights(), storage))
        twice = unpack(pack(once, storage))
        for name in once:
            np.testing.assert_allclose(twice[name], once[name], rtol=2e-7)


def test_a_channel_of_zeros_stays_zero():
    found = unpack(pack({"w": np.zeros((2, 3, 1, 1), np.float32)}, "int8"))
    assert (found["w"] == 0).all()


@pytest.mark.parametrize(("value", "storage"), [(np.nan, "int8"), (np.inf, "float32"), (7e4, "float16")])
def test_numbers_that_do_not_fit_are_refused(value, storage):
    with pytest.raises(BadInput, match="'w' hold numbers"):
        pack({"w": np.full((1, 1), value, np.float32)}, storage)


def test_an_unknown_storage_is_refused():
    with pytest.raises(BadInput, match="one of float32, float16, int8, found 'int4'"):
        pack(weights(), "int4")


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"w": np.zeros((2, 2), np.int8)}, "lack their scale"),
        ({"w": np.zeros((2, 2), np.int8), "w.scale": np.zeros(3, np.float32)}, "lack their scale"),
        ({"w": np.zeros(2, np.int64)}, "are int64"),
    ],
)
def test_arrays_that_are_no_weights_are_refused(arrays, sentence):
    with pytest.raises(BundleError, match=sentence):
        unpack(arrays)
