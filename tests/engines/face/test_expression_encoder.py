"""A face encoder in the live picture: what fits, what is refused, and a crop cut at another size."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from engines.bundle import Manifest, Training
from engines.errors import BundleError
from engines.face.crop import crop_from_pose, warp
from engines.face.expression_encoder import EncoderFit, ExpressionEncoder, crop_at_size, fitting
from engines.spec import ArraySpec

FACE = ArraySpec("face", "height, width, colour", "uint8", (0.0, 255.0), "grey level", "BGR", (64, 64, 3))
SHOWN = ArraySpec("expression", "parameter", "float32", (0.0, 1.0), "1", None, (52,))
POSE = ArraySpec("pose", "parameter", "float32", (-1.6, 1.6), "rad", None, (3,))
MANIFEST = Manifest(
    "eifer", "face_encoder", {"profile": "arkit52"}, (FACE,), (SHOWN, POSE), Training("", 0, True, "", 1)
)


def test_what_fits():
    assert fitting(MANIFEST, "mine") == EncoderFit(64, "arkit52")
    flame = replace(MANIFEST, sizes={"profile": "flame55"}, outputs=(replace(SHOWN, shape=(55,)),))
    assert fitting(flame, "mine") == EncoderFit(64, "flame55")


@pytest.mark.parametrize(
    ("manifest", "sentence"),
    [
        (replace(MANIFEST, system="mc_cyclegan"), "mine is for mc_cyclegan, not for reading expressions"),
        (replace(MANIFEST, network="emg_mlp"), "choose a face encoder"),
        (replace(MANIFEST, sizes={"profile": "flame50"}), "expressions in 'flame50', known are arkit52, flame55"),
        (replace(MANIFEST, outputs=(POSE,)), "'expression' is needed"),
        (replace(MANIFEST, outputs=(replace(SHOWN, shape=(55,)),)), "has the size 55, 52 is needed"),
        (replace(MANIFEST, inputs=(replace(FACE, colour="RGB"),)), "has the colour RGB, BGR is needed"),
        (replace(MANIFEST, inputs=(replace(FACE, shape=(64, 32, 3)),)), "does not see one square face"),
        (replace(MANIFEST, inputs=(FACE, replace(FACE, name="more"))), "does not see one square face"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(manifest, sentence):
    with pytest.raises(BundleError, match=sentence) as found:
        fitting(manifest, "mine")
    assert "\n" not in str(found.value)


class Says:
    """An engine that gives the same face whatever it sees."""

    inputs, outputs = (FACE,), (SHOWN,)

    def __init__(self, values):
        self.values, self.closed = values, False

    def run(self, arrays):
        assert arrays["face"].shape == FACE.shape
        return {"expression": self.values}

    def close(self):
        self.closed = True


def test_what_comes_out_is_its_own_and_a_number():
    engine = Says(np.linspace(0, 1, 52, dtype=np.float32))
    encoder = ExpressionEncoder(engine)
    found = encoder.run(np.zeros((64, 64, 3), np.uint8))
    engine.values[:] = np.nan
    assert found[-1] == 1.0
    with pytest.raises(BundleError, match="no number"):
        encoder.run(np.zeros((64, 64, 3), np.uint8))
    encoder.close()
    assert engine.closed


@pytest.mark.parametrize("wanted", [64, 128, 192, 224])
def test_a_crop_at_another_size_shows_the_same_face(wanted):
    frame = cv2.GaussianBlur(np.random.default_rng(4).integers(0, 256, (240, 320, 3)).astype(np.uint8), (0, 0), 4)
    pose = np.array([150.0, 120.0, np.log(140.0), 0.2])
    given = crop_from_pose(pose, 128)
    found = crop_at_size(given, 128, wanted)
    np.testing.assert_allclose(found, crop_from_pose(pose, wanted), atol=1e-9)
    small = warp(frame, given, np.zeros((128, 128, 3), np.uint8))
    cut = warp(frame, found, np.zeros((wanted, wanted, 3), np.uint8))
    resized = cv2.resize(small, (wanted, wanted), interpolation=cv2.INTER_AREA if wanted < 128 else cv2.INTER_LINEAR)
    inside = slice(3, -3)
    assert np.abs(cut[inside, inside].astype(int) - resized[inside, inside]).mean() < 2
