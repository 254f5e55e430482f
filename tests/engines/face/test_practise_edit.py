"""An editor's change is laid over every picture, glides to the next one, and no picture waits for it but the first."""

import threading
import time

import numpy as np
import pytest

pytest.importorskip("torch")

from engines.bundle import Manifest, Metric, Training, write_bundle
from engines.errors import BackendMissing, BadInput, BundleError
from engines.face.practise import load_movement, painter_of
from engines.face.practise_edit import EXPRESSIONS, EditPainter, load_edit
from engines.loading import load
from engines.networks.cascade_editor import CascadeEditor, EditorSizes, initialise_editor
from engines.shipped import bundle_folder
from engines.spec import ArraySpec
from engines.weights import pack

SIDE, CROP = 16, 32  # px of the network's picture and of the crop


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """An editor that has learned nothing, and paints all the same."""
    sizes = EditorSizes(size=SIDE, modules=2, ngf=2, blocks=1, between=4)
    network = CascadeEditor(sizes)
    initialise_editor(network, 1)
    picture = ArraySpec("face", "height, width, colour", "uint8", (0, 255), "grey level", "BGR", (SIDE, SIDE, 3))
    labels = [
        ArraySpec(n, "parameter", "float32", (0.0, 5.0), "FACS intensity", None, (17,)) for n in ("source", "target")
    ]
    manifest = Manifest(
        "cascade_ef_gan", "cascade_editor", {**vars(sizes)}, (picture, *labels), (picture,),
        Training("none", 0, True, "CC0", None), dict[str, Metric](),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("bundles") / "cascade-test"
    write_bundle(folder, manifest, pack({k: v.numpy() for k, v in network.state_dict().items()}, "float16"))
    return folder


class Brighter:
    """Stands for a network: adds 10 grey levels for each unit of intensity of action unit 12, when it is let."""

    def __init__(self, model):
        self.inputs, self.outputs = model.bundle.manifest.inputs, model.bundle.manifest.outputs
        self.backend, self.precision = "openvino", "bf16"
        self.asked, self.closed, self.free, self.more = [], False, threading.Event(), 0
        self.free.set()

    def run(self, arrays):
        assert self.free.wait(30)
        self.asked.append({name: array.copy() for name, array in arrays.items()})
        return {"face": np.clip(arrays["face"] + 10 * arrays["target"][8] + self.more, 0, 255).astype(np.uint8)}

    def close(self):
        self.closed = True


@pytest.fixture
def painted(bundle):
    """A painter on a stand-in, and the stand-in."""
    made = []
    painter = EditPainter(load_edit(bundle, "happy"), CROP, lambda model: made.append(Brighter(model)) or made[0])
    yield painter, made[0]
    made[0].free.set()
    painter.close()
    assert made[0].closed


def grey(level=100):
    return np.full((CROP, CROP, 3), level, np.uint8)


def paint(painter, face, left=1.0, right=1.0):
    return painter.paint(face, None, left, right, np.empty_like(face))


def settled(painter, face, wanted, left=1.0, right=1.0):
    """Paint until the newest change is there."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = paint(painter, face, left, right)
        if abs(float(found.mean()) - wanted) < 1:
            return found
        time.sleep(0.001)
    raise AssertionError(f"never became {wanted}")


def test_the_first_picture_has_its_own_change(painted):
    painter, engine = painted
    first = paint(painter, grey())
    asked = engine.asked[0]
    assert asked["face"].shape == (SIDE, SIDE, 3)
    assert (asked["face"] == 100).all()
    assert asked["source"].max() == 0  # as whoever practises begins
    assert 0 < asked["target"][8] <= 5  # a smile
    assert (first == 100 + int(10 * asked["target"][8])).all()


def test_pictures_do_not_wait_and_glide(painted):
    painter, engine = painted
    before = paint(painter, grey()).mean() - 100
    end = time.monotonic() + 30
    while len(engine.asked) < 2 and time.monotonic() < end:
        time.sleep(0.001)
    engine.free.clear()  # the third change takes its time
    for _ in range(2):
        paint(painter, grey())
    engine.more = 40
    held = [paint(painter, grey(120)).mean() for _ in range(6)]
    assert np.allclose(held, 120 + before, atol=1)  # the old change on the new picture
    engine.free.set()
    found = [paint(painter, grey(120)).mean()]
    settled(painter, grey(120), 120 + before + 40)
    assert painter.pictures_per_edit >= 1
    assert found[0] <= 120 + before + 40 + 1


def test_a_change_comes_in_over_as_many_pictures_as_it_took(painted):
    painter, _ = painted
    paint(painter, grey())
    painter.forget()  # nothing runs
    painter._next.change[:], painter._before.change[:], painter._next.gone[:], painter._before.gone[:] = 30, 0, 0, 0
    painter.pictures_per_edit, painter._since = 4, 0
    painter._job = type("Never", (), {"done": lambda self: False, "result": lambda self: painter._next})()
    found = [int(paint(painter, grey()).mean()) for _ in range(6)]
    assert found == [108, 115, 122, 130, 130, 130]


def test_the_amount_is_the_expressions_and_the_sides_are_shares(painted):
    painter, engine = painted
    whole = paint(painter, grey()).mean() - 100
    painter.forget()
    half = paint(painter, grey(), 0.5, 0.5)
    assert half.mean() - 100 == pytest.approx(whole / 2, abs=1)
    painter.forget()
    left = paint(painter, grey(), 1.0, 0.5).astype(int)  # the person's left is the picture's right
    assert (left[:, -6:] == round(100 + whole)).all()
    assert np.abs(left[:, :6] - (100 + whole / 2)).max() <= 1
    assert {round(float(each["target"][8] / engine.asked[0]["target"][8]), 2) for each in engine.asked} <= {0.5, 1.0}


def test_what_is_forgotten_is_not_shown_again(painted):
    painter, engine = painted
    paint(painter, grey())
    engine.more = 40
    painter.forget()
    assert (paint(painter, grey()) == 140 + int(10 * engine.asked[0]["target"][8])).all()


def test_a_crop_of_another_size_is_a_new_beginning(painted):
    painter, engine = painted
    whole = paint(painter, grey()).mean()
    double = paint(painter, np.full((2 * CROP, 2 * CROP, 3), 100, np.uint8))
    assert double.shape == (2 * CROP, 2 * CROP, 3)
    assert (double == whole).all()
    assert all(asked["face"].shape == (SIDE, SIDE, 3) for asked in engine.asked)


def test_another_expression_of_the_same_network(painted, bundle):
    painter, engine = painted
    paint(painter, grey())
    painter.aim(load_edit(bundle, "sad"))
    assert (paint(painter, grey()) == 100).all()
    assert engine.asked[-1]["target"][[8, 10]].tolist() != engine.asked[0]["target"][[8, 10]].tolist()


def test_the_network_itself_is_painted(bundle):
    movement = load_edit(bundle, "smile-open")
    assert movement.target.shape == (52,)
    painter = EditPainter(movement, CROP, lambda model: load(model, "cpu", "torch", "fp32"))
    face = np.random.default_rng(0).integers(0, 256, (CROP, CROP, 3), dtype=np.uint8)
    face.flags.writeable = False
    found = paint(painter, face)
    painter.close()
    assert found.shape == face.shape
    assert (found != face).mean() > 0.2
    assert not painter.needs_landmarks


def test_a_bundle_of_many_movements_is_asked_for_one(bundle):
    assert load_movement(bundle).expression == "happy"
    assert load_movement(bundle, "sad").expression == "sad"
    assert {"happy", "smile-open", "lip-pucker"} < set(EXPRESSIONS)
    with pytest.raises(BadInput, match="'hapy' is no expression of an editor's; the nearest is 'happy'"):
        load_movement(bundle, "hapy")
    with pytest.raises(BadInput, match="knows one movement only: leave :sad out"):
        load_movement(bundle_folder("pixel-smile"), "sad")
    with pytest.raises(BundleError):
        load_edit(bundle_folder("restore-cpu"), "happy")


def test_nothing_that_runs_it_is_one_sentence(bundle, monkeypatch):
    def nothing(model, threads):
        raise BackendMissing("nothing here can run it: pip install openvino")

    monkeypatch.setattr("engines.face.practise_edit.load", nothing)
    with pytest.raises(BackendMissing, match="pip install openvino"):
        painter_of(load_movement(bundle), CROP)
    with pytest.raises(BadInput, match="found 0"):
        EditPainter(load_edit(bundle, "happy"), 0)


def test_what_is_painted_over_takes_its_fine_lines_along(painted):
    painter, engine = painted
    face = grey()
    face[1::2] = 108  # finer than the network's picture can hold, which has 104 everywhere
    paint(painter, face)
    smile = int(10 * engine.asked[0]["target"][8])
    for more, left in ((0, 8), (60, 0)):
        engine.more = more - smile
        painter.forget()
        found = paint(painter, face)[4:-4, 4:-4].astype(int)
        assert found.mean() == pytest.approx(104 + more, abs=1)
        assert found.max() - found.min() == pytest.approx(left, abs=1)


def test_lines_that_have_moved_since_the_edit_are_painted_over_where_they_are(painted):
    painter, engine = painted
    face = grey()
    face[1::2] = 108
    paint(painter, face)
    engine.more = 60 - int(10 * engine.asked[0]["target"][8])
    painter.forget()
    paint(painter, face)
    engine.free.clear()  # the next edit takes its time
    found = paint(painter, np.roll(face, 1, 0))[4:-4, 4:-4].astype(int)
    engine.free.set()
    assert found.max() - found.min() <= 1
