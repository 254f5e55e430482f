"""Which bundles may remove electrodes, and what comes out of the ones that do."""

from dataclasses import replace

import numpy as np
import pytest

from engines.bundle import Manifest, Training
from engines.errors import BadInput, BundleError, ChainMismatch
from engines.face.restorer import Fit, Restorer, fitting
from engines.spec import ArraySpec

SIDE = 16
FACE = ArraySpec("face", "height, width, colour", "uint8", (0, 255), "grey level", "BGR", (SIDE, SIDE, 3))
COLOUR = replace(FACE, name="colour")
EDIT = ArraySpec("edit", "height, width", "uint8", (0, 255), "1/255", None, (SIDE, SIDE))
SIZES = {"ngf": 4, "blocks": 1, "in_channels": 3, "out_channels": 3}
MANIFEST = Manifest(
    "mc_cyclegan", "attentive_generator", SIZES, (FACE,), (FACE, EDIT, COLOUR), Training("nothing", 0, True, "CC0", 1)
)


class Scripted:
    """An engine that says what it is told, in buffers that it writes over, as real ones do."""

    backend, device, precision = "scripted", "cpu", "fp32"

    def __init__(self, outputs, **found):
        self.inputs, self.outputs = (FACE,), outputs
        self.found = {name: np.zeros(spec.shape, np.uint8) for spec in outputs for name in [spec.name]}
        self.found.update(found)
        self.closed = False

    def run(self, arrays):
        assert arrays["face"].shape == FACE.shape
        return self.found

    def close(self):
        self.closed = True


def test_what_fits():
    assert fitting(MANIFEST, "x", "chain", "fridlund") == Fit(SIDE, has_edit=True)
    paper = replace(MANIFEST, network="resnet_generator", outputs=(FACE,))
    assert fitting(paper, "x", "chain", "fridlund") == Fit(SIDE, has_edit=False)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"system": "pixel_rr"}, BundleError, "the bundle x is for pixel_rr, not for removing electrodes"),
        ({"network": "closed_form"}, BundleError, "not for removing electrodes"),
        ({"inputs": (replace(FACE, colour="RGB"),)}, BundleError, "'face' has the colour RGB, BGR is needed"),
        ({"outputs": (FACE, EDIT, replace(COLOUR, colour="RGB"))}, BundleError, "'colour' has the colour RGB, BGR"),
        ({"outputs": (FACE, EDIT)}, BundleError, "'colour' is needed and this bundle's network has face, edit"),
        ({"outputs": (FACE, replace(EDIT, shape=(8, 8)), COLOUR)}, BundleError, "'edit' has the size 8 x 8, 16 x 16"),
        ({"inputs": (replace(FACE, dtype="float32"),)}, BundleError, "'face' has the type float32, uint8 is needed"),
        ({"inputs": (replace(FACE, shape=(16, 12, 3)),)}, BundleError, "face is 16 x 12 x 3, a square"),
        ({"inputs": (replace(FACE, shape=None),)}, BundleError, "face is of no stated size, a square"),
        ({"inputs": (FACE, EDIT)}, BundleError, "its network wants face, edit, and a live picture has a face only"),
        ({"emg_chain": "other"}, ChainMismatch, "learned from the EMG chain other, the station runs chain"),
        ({"montage": "kuramoto"}, BadInput, "is for the montage kuramoto, the station has fridlund"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(change, error, sentence):
    with pytest.raises(error, match=sentence) as found:
        fitting(replace(MANIFEST, **change), "x", "chain", "fridlund")
    assert "\n" not in str(found.value)


def test_the_face_the_colour_and_where():
    rng = np.random.default_rng(3)
    face, colour = (rng.integers(0, 256, FACE.shape).astype(np.uint8) for _ in range(2))
    edit = np.zeros((SIDE, SIDE), np.uint8)
    edit[0], edit[1], edit[2], edit[3] = 176, 8, 9, 128
    restored, laid, where = Restorer(Scripted(MANIFEST.outputs, colour=colour, edit=edit)).run(face)
    np.testing.assert_array_equal(laid, colour)
    assert where[0, 0] == 255
    assert (where[1] == 0).all()  # a network's unrest is no electrode
    assert 0 < where[2, 0] < 5
    assert where[3, 0] == round(255 * 120 / 168)
    np.testing.assert_array_equal(restored[0], colour[0])
    np.testing.assert_array_equal(restored[4:], face[4:])
    np.testing.assert_array_equal(restored[1], face[1])


def test_without_an_edit_mask_the_whole_crop_is_replaced():
    painted = np.full(FACE.shape, 77, np.uint8)
    restored, laid, where = Restorer(Scripted((FACE,), face=painted)).run(np.zeros(FACE.shape, np.uint8))
    assert (restored == 77).all()
    assert (laid == 77).all()
    assert (where == 255).all()


def test_what_was_handed_out_outlives_the_next_face():
    engine = Scripted(MANIFEST.outputs, edit=np.full((SIDE, SIDE), 255, np.uint8))
    restorer = Restorer(engine)
    engine.found["colour"][:] = 10
    first = restorer.run(np.zeros(FACE.shape, np.uint8))
    engine.found["colour"][:] = 20
    second = restorer.run(np.zeros(FACE.shape, np.uint8))
    assert (first[0] == 10).all()
    assert (first[1] == 10).all()
    assert (second[0] == 20).all()
    restorer.close()
    assert engine.closed


def test_the_next_moment_is_steadied_and_a_new_face_is_not():
    engine = Scripted(MANIFEST.outputs, edit=np.full((SIDE, SIDE), 255, np.uint8))
    restorer = Restorer(engine)
    face = np.zeros(FACE.shape, np.uint8)
    engine.found["colour"][:] = 100
    restorer.run(face)
    engine.found["colour"][:] = 102
    assert (restorer.run(face, follows=True)[0] == 101).all()  # unrest: 0.3 of it
    assert (restorer.run(face)[0] == 102).all()
    engine.found["colour"][:] = 150
    assert (restorer.run(face, follows=True)[0] == 150).all()  # movement
