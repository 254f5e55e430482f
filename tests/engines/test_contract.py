import dataclasses

import pytest

from engines.bundle import Manifest, Training
from engines.contract import check_emg, require
from engines.errors import BadInput, BundleError, ChainMismatch
from engines.spec import ArraySpec

FACE = ArraySpec("face", "height, width, colour", "uint8", (0, 255), "grey level", "BGR", (128, 128, 3))
EDIT = ArraySpec("edit", "height, width", "uint8", (0, 255), "1/255", None, (128, 128))
MANIFEST = Manifest("eifer", "emg_mlp", {}, (), (), Training("none", 0, True, "CC0", 1), {}, "chain-1", "fridlund")


def test_what_fits_is_given_back():
    assert require((FACE, EDIT), "edit", dtype="uint8", shape=(128, 128)) == EDIT
    assert require((FACE,), "face") == FACE


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"colour": "RGB"}, "this bundle's 'face' has the colour BGR, RGB is needed: choose another bundle"),
        ({"shape": (256, 256, 3)}, "'face' has the size 128 x 128 x 3, 256 x 256 x 3 is needed"),
        ({"dtype": "float32"}, "'face' has the type uint8, float32 is needed"),
    ],
)
def test_another_size_colour_or_type_is_refused_in_one_sentence(wanted, sentence):
    with pytest.raises(BundleError, match=sentence):
        require((FACE, EDIT), "face", **wanted)


def test_an_output_that_is_not_there_is_refused():
    with pytest.raises(BundleError, match="'edit' is needed and this bundle's network has face: choose"):
        require((FACE,), "edit")


def test_a_network_that_learned_from_the_same_emg_fits():
    check_emg(MANIFEST, "chain-1", "fridlund")
    check_emg(dataclasses.replace(MANIFEST, emg_chain=None, montage=None), "any", "any")


@pytest.mark.parametrize(
    ("chain", "montage", "error", "sentence"),
    [
        ("chain-2", "fridlund", ChainMismatch, "learned from the EMG chain chain-1, the station runs chain-2"),
        ("chain-1", "kuramoto", BadInput, "for the montage fridlund, the station has kuramoto: choose another bundle"),
    ],
)
def test_other_emg_is_refused(chain, montage, error, sentence):
    with pytest.raises(error, match=sentence):
        check_emg(MANIFEST, chain, montage)
