import dataclasses

import numpy as np
import pytest

from engines.backends.buffers import Buffers, check_graph, graph_name
from engines.errors import BadInput, BundleError
from engines.spec import ArraySpec

FACE = ArraySpec("face", "height, width, colour", "uint8", (0, 255), "grey level", "BGR", (4, 6, 3))
EMG = ArraySpec("emg", "channel", "float32", (0, 1), "1", None, (22,))


def given(**changes):
    arrays = {"face": np.full((4, 6, 3), 7, np.uint8), "emg": np.ones(22, np.float32)}
    return {name: array for name, array in {**arrays, **changes}.items() if array is not None}


def test_what_is_filled_in_is_copied_into_the_same_memory():
    buffers = Buffers((FACE, EMG))
    addresses = {name: array.ctypes.data for name, array in buffers.arrays.items()}
    arrays = given(face=np.random.default_rng(0).integers(0, 256, (6, 4, 3), dtype=np.uint8).swapaxes(0, 1))
    buffers.fill(arrays)
    for name, array in buffers.arrays.items():
        np.testing.assert_array_equal(array, arrays[name])
        assert array.ctypes.data == addresses[name]
    arrays["emg"][:] = 5
    assert buffers.arrays["emg"].max() == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"face": None}, r"input 'face' is uint8 \(4, 6, 3\), found none"),
        ({"face": np.zeros((4, 6), np.uint8)}, r"'face' is uint8 \(4, 6, 3\), found uint8 \(4, 6\)"),
        ({"emg": np.zeros(22)}, r"'emg' is float32 \(22,\), found float64 \(22,\)"),
        ({"mask": np.zeros(3)}, "no input 'mask': it takes face, emg"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(changes, sentence):
    with pytest.raises(BadInput, match=sentence):
        Buffers((FACE, EMG)).fill(given(**changes))


def test_a_spec_without_a_shape_is_refused():
    with pytest.raises(BundleError, match="no shape for 'face'"):
        Buffers((dataclasses.replace(FACE, shape=None),))


def test_a_graph_that_says_what_the_manifest_says_is_fine():
    check_graph({"in_face": ("uint8", (4, 6, 3))}, {graph_name("in", FACE): FACE})


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ({}, "in_face is in the manifest, not in the model.onnx"),
        ({"in_face": ("uint8", (4, 6, 3)), "in_mask": ("uint8", (4, 6))}, "in_mask is in the model.onnx, not in the"),
        ({"in_face": ("uint8", (8, 6, 3))}, r"in_face is uint8 \(8, 6, 3\), the manifest says uint8 \(4, 6, 3\)"),
        ({"in_face": ("float32", (4, 6, 3))}, "in_face is float32"),
    ],
)
def test_a_graph_that_disagrees_is_refused(found, sentence):
    with pytest.raises(BundleError, match=f"disagrees with its manifest: {sentence}"):
        check_graph(found, {"in_face": FACE})
