"""A network between a turned face and a frontal one: what it is given, and which bundles are refused."""

from dataclasses import replace

import numpy as np
import pytest

from engines.bundle import Manifest, Training, read_bundle
from engines.errors import BundleError
from engines.face.flow import FlowMeter
from engines.face.head_turn import HeadTurn
from engines.face.motion_engine import MotionEngine, MotionFit, fitting
from engines.networks.motion_network import flow_spec
from engines.shipped import bundle_folder
from engines.spec import ArraySpec

SIZE = 32
FACE = ArraySpec("face", "height, width, colour", "uint8", (0, 255), "grey level", "BGR", (SIZE, SIZE, 3))
SPECS = (flow_spec("flow", SIZE, 10.0), FACE)
TAUGHT = Training("nothing", 0, True, "CC0", 0)
GAN = Manifest("emotion_gan", "motion_gan", {"given": "still"}, SPECS, SPECS, TAUGHT)
STILL = HeadTurn(np.eye(3, 4), 1.0, 0.0, 0.0, 0.0, 0.1)


def test_what_fits_says_its_size_and_what_it_wants():
    assert fitting(GAN, "gan") == MotionFit(SIZE, "still")
    assert fitting(GAN, "gan").full_px == 64
    assert fitting(replace(GAN, sizes={}), "gan").given == "posed"  # the paper's


def test_what_ships_fits_and_is_small():
    folder = bundle_folder("motion-live")
    assert fitting(read_bundle(folder).manifest, "motion-live") == MotionFit(128, "still")
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 6e6


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"system": "mc_cyclegan"}, "is for mc_cyclegan, not for faces from the front"),
        ({"network": "recogniser"}, "not for faces from the front"),
        ({"outputs": SPECS[:1]}, "'face' is needed"),
        ({"inputs": (SPECS[0], replace(FACE, colour="RGB"))}, "BGR is needed"),
        ({"inputs": (flow_spec("flow", 64, 10.0), FACE)}, "does not take a square flow and a face of its size"),
        ({"sizes": {"given": "front"}}, "a camera has none"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(BundleError, match=sentence) as found:
        fitting(replace(GAN, **change), "gan")
    assert "\n" not in str(found.value)
    assert "gan" in str(found.value)


class Head:
    """A face in the middle, all of it seen but its right column of pixels."""

    def __init__(self):
        self.face = np.ones((64, 64), np.float32)

    def trust(self, turn):
        seen = self.face.copy()
        seen[:, -1] = 0
        return seen


class Face:
    """What an engine asks of a FrontalFace."""

    def __init__(self, neutral):
        self.neutral, self.head = neutral, Head()

    def hidden_share(self, trust):
        return float((self.head.face - trust).mean())


class Echo:
    """Gives the neutral face back, one brighter, and remembers."""

    def run(self, arrays):
        self.given = {name: array.copy() for name, array in arrays.items()}
        return {"flow": arrays["flow"], "face": arrays["face"] + 1}

    def close(self):
        self.given = {}


def pictures():
    rng = np.random.default_rng(0)
    before = np.kron(rng.integers(40, 200, (16, 16, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    return before, np.roll(before, 2, 1)


def test_it_is_given_the_way_from_the_neutral_face_and_its_picture():
    before, after = pictures()
    engine = Echo()
    motion = MotionEngine(engine, MotionFit(SIZE, "still"))
    motion.take_neutral(Face(before))
    for _ in range(2):  # always against the neutral face
        picture, hidden = motion.show(after, STILL)
    assert picture.shape == (SIZE, SIZE, 3)
    np.testing.assert_array_equal(picture, engine.given["face"] + 1)
    assert hidden == pytest.approx(1 / 64)
    true = FlowMeter(64, SIZE).measure(before, after).flow
    np.testing.assert_allclose(engine.given["flow"][:, : SIZE - 1], true[:, : SIZE - 1], atol=1e-5)
    np.testing.assert_allclose(engine.given["flow"][:, -1], true[:, -1] / 2, atol=1e-5)  # half of it is hidden
    motion.close()
    assert engine.given == {}


def test_from_frame_to_frame_the_picture_before_is_what_is_moved():
    before, after = pictures()
    engine = Echo()
    motion = MotionEngine(engine, MotionFit(SIZE, "still"), "frame-to-frame")
    motion.take_neutral(Face(before))
    motion.show(after, STILL)
    first = engine.given["face"]
    motion.show(after, STILL)
    assert np.abs(engine.given["flow"]).max() < 0.1  # nothing has moved since
    assert (engine.given["face"] != first).any()
    with pytest.raises(BundleError, match="brought to rest"):
        MotionEngine(engine, MotionFit(SIZE, "posed"), "frame-to-frame")


def test_a_flow_as_a_camera_sees_it_is_not_faded():
    before, after = pictures()
    engine = Echo()
    motion = MotionEngine(engine, MotionFit(SIZE, "posed"))
    motion.take_neutral(Face(before))
    motion.show(after, STILL)
    np.testing.assert_array_equal(engine.given["flow"], FlowMeter(64, SIZE).measure(before, after).flow)
