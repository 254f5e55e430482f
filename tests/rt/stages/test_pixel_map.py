"""The map changes the crop in the practise view only, and only where a face is followed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.bundle import Manifest, Training, read_bundle, write_bundle
from engines.errors import BackendMissing
from engines.face.pixel_mesh import MeshPainter, load_pixel_mesh
from engines.shipped import bundle_folder
from engines.spec import ArraySpec
from rt.errors import BadSettings
from rt.message import Crop, Face, Frame
from rt.stage import Context
from rt.stages.pixel_map import PixelMapSettings, PixelMapStage, movements, own_movements


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A map of 32 px crops: 0.5 x + 60 grey levels."""
    folder = tmp_path_factory.mktemp("bundles") / "half"
    planes = {
        "gain": np.full((32, 32, 3), 0.5, np.float32),
        "bias": np.full((32, 32, 3), 60.0, np.float32),
    }
    manifest = Manifest(
        system="pixel_rr",
        network="pixel map",
        sizes={"size": 32, "expression": "test", "lambda": 0.4, "intensity_scale": "[0,255]"},
        inputs=(),
        outputs=(),
        training=Training("none", 0, True, "CC0", None),
    )
    write_bundle(folder, manifest, planes)
    return folder


@pytest.fixture
def frame():
    image = np.random.default_rng(2).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    image.flags.writeable = False
    crop = Crop(image, np.eye(2, 3, dtype=np.float32), tracked=True)
    return Frame(0, 1.0, "host", np.zeros((48, 64, 3), np.uint8), crop=crop)


def opened(bundle, **settings):
    stage = PixelMapStage(PixelMapSettings(str(bundle), **settings), Context("pixel_map"))
    stage.open()
    return stage


def through(stage, frame):
    [(port, out)] = list(stage.process("frame", frame))
    assert port == "frame"
    return out


def naive(face, amount):
    return np.clip(np.rint(face + amount * (0.5 * face + 60.0 - face)), 0, 255)


def test_the_camera_view_passes_frames_on_as_they_are(bundle, frame):
    assert through(opened(bundle), frame) is frame


@pytest.mark.parametrize("amount", [1.0, 0.4])
def test_the_practise_view_applies_the_map_to_a_copy(bundle, frame, amount):
    before = frame.crop.image.copy()
    out = through(opened(bundle, view="practise", amount=amount), frame)
    assert out.practise
    assert np.abs(out.crop.image - naive(before.astype(float), amount)).max() <= 1
    np.testing.assert_array_equal(frame.crop.image, before)
    assert not frame.practise
    assert out.image is frame.image


def test_the_page_switches_view_and_amount(bundle, frame):
    stage = opened(bundle)
    stage.command("view", "practise")
    assert through(stage, frame).practise
    stage.command("amount", 0.0)
    assert through(stage, frame) is frame
    stage.command("amount", 0.5)
    assert np.abs(through(stage, frame).crop.image - naive(frame.crop.image.astype(float), 0.5)).max() <= 1
    for name, value in (("amount", 7), ("amount", "much"), ("amount", float("nan")), ("view", "x-ray"), ("stop", 1)):
        stage.command(name, value)
    assert stage.context.facts.items() >= {"view": "practise", "amount": 0.5, "expression": "test"}.items()
    stage.command("view", "beside")
    assert through(stage, frame).practise
    stage.command("view", "camera")
    assert through(stage, frame) is frame


def test_an_untracked_crop_is_left_alone_unless_asked(bundle, frame):
    untracked = replace(frame, crop=replace(frame.crop, tracked=False))
    assert through(opened(bundle, view="practise"), untracked) is untracked
    assert through(opened(bundle, view="practise", allow_untracked=True), untracked).practise
    bare = replace(frame, crop=None)
    assert through(opened(bundle, view="practise", allow_untracked=True), bare) is bare


def test_the_crop_before_stays_whole_while_the_next_is_made(bundle, frame):
    stage = opened(bundle, view="practise")
    first = through(stage, frame).crop.image
    kept = first.copy()
    through(stage, replace(frame, crop=replace(frame.crop, image=np.zeros((32, 32, 3), np.uint8))))
    np.testing.assert_array_equal(first, kept)


def test_a_crop_of_another_size_gets_the_map_stretched(bundle, frame):
    """Whoever removes electrodes decides how large the crop is."""
    stage = opened(bundle, view="practise")
    small = through(stage, frame).crop.image
    double = np.ascontiguousarray(frame.crop.image.repeat(2, 0).repeat(2, 1))
    large = through(stage, replace(frame, crop=replace(frame.crop, image=double))).crop.image
    assert large.shape == (64, 64, 3)
    change = large.astype(int) - double
    means = change.reshape(32, 2, 32, 2, 3).mean((1, 3))
    assert np.abs(means - (small.astype(int) - frame.crop.image)).mean() < 3
    assert np.abs(change).max() > 3


def test_the_shipped_smile_opens_by_name():
    assert opened("pixel-smile").context.facts["expression"] == "smile"


def test_only_one_side_is_changed_when_asked(bundle, frame):
    stage = opened(bundle, view="practise", side="left")
    left = through(stage, frame).crop.image.astype(int)
    stage.command("side", "right")
    right = through(stage, frame).crop.image.astype(int)
    stage.command("side", "both")
    both = through(stage, frame).crop.image.astype(int)
    stage.command("side", "up")
    assert stage.context.facts["side"] == "both"
    face = frame.crop.image.astype(int)
    assert (left[:, :12] == face[:, :12]).all()  # the person's left is the picture's right
    assert (left[:, -12:] == both[:, -12:]).all()
    assert (right[:, -12:] == face[:, -12:]).all()
    assert (right[:, :12] == both[:, :12]).all()


@pytest.fixture
def looking(frame):
    """The frame with landmarks: the mean face of a shipped movement, in a crop that is a quarter of the picture."""
    movement = load_pixel_mesh(bundle_folder("pixel-smile-open"))
    in_crop = movement.rest.reshape(-1, 2) * 64 - 0.5
    landmarks = np.concatenate([in_crop, np.repeat(in_crop[-1:], 10, 0)]).astype(np.float32)
    matrix = np.array([[0.5, 0, -10], [0, 0.5, -5]], np.float32)
    image = np.full((64, 64, 3), 120, np.uint8)
    image[::4] = 160
    face = Face(((landmarks - matrix[:, 2]) / 0.5).astype(np.float32), np.zeros(52, np.float32))
    return replace(frame, crop=Crop(image, matrix, tracked=True), face=face)


def test_a_movement_that_changes_the_shape_goes_by_the_landmarks(bundle, looking):
    stage = opened("pixel-smile-open", view="practise")
    out = through(stage, looking).crop.image
    movement = load_pixel_mesh(bundle_folder("pixel-smile-open"))
    in_crop = movement.rest.reshape(-1, 2) * 64 - 0.5
    wanted = MeshPainter(movement, 64).paint(looking.crop.image, in_crop, 1.0, 1.0, np.empty_like(out))
    assert np.abs(out.astype(int) - wanted).mean() < 0.1
    assert (out != looking.crop.image).mean() > 0.05
    lost = replace(looking, face=None)
    assert through(stage, lost) is lost


def test_the_target_is_changed_while_it_runs(bundle, looking):
    stage = opened("pixel-smile-open", view="practise")
    smile = through(stage, looking).crop.image
    stage.command("target", "pixel-snarl")
    assert stage.context.facts["target"] == "pixel-snarl"
    snarl = through(stage, looking).crop.image
    assert (snarl != smile).any()
    for nonsense in ("restore-cpu", "../pixel-smile", 7):
        stage.command("target", nonsense)
    assert stage.context.facts["expression"] == "snarl"
    stage.command("target", "pixel-smile")  # by gain and bias: needs no landmarks
    assert through(stage, replace(looking, face=None)).practise


def test_a_bundle_for_something_else_is_one_sentence():
    with pytest.raises(BadSettings, match="is for mc_cyclegan, not a movement to practise"):
        opened("restore-cpu")


def test_no_bundle_a_damaged_one_and_a_bad_amount_are_one_sentence(tmp_path, bundle):
    with pytest.raises(BadSettings, match="pixel-smile"):
        opened("pixel-frown")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for name in ("manifest.json", "weights.safetensors"):
        (damaged / name).write_bytes((bundle / name).read_bytes()[:-1] + b"\n")
    with pytest.raises(BadSettings):
        opened(damaged)
    with pytest.raises(BadSettings, match="0 to 1"):
        opened(bundle, amount=1.5)
    with pytest.raises(BadSettings, match="both, left, right"):
        opened(bundle, side="up")


@pytest.fixture
def person(tmp_path):
    """A person's folder with an own version of pixel-smile-open, which moves by this factor of the shipped one."""
    shipped = read_bundle(bundle_folder("pixel-smile-open"))

    def write(factor: float) -> Path:
        arrays = {**shipped.arrays, "way": (factor * shipped.arrays["way"].astype(np.float32)).astype(np.float16)}
        write_bundle(tmp_path / "P01" / "pixel-smile-open", shipped.manifest, arrays)
        return tmp_path / "P01"

    return write


def test_a_persons_own_map_stands_in_for_the_shipped_one_of_its_name(person, looking):
    folder = person(0.5)
    shipped = through(opened("pixel-smile-open", view="practise"), looking).crop.image
    stage = opened("pixel-smile-open", view="practise", own=str(folder))
    assert stage.context.facts["fitted_to_person"]
    own = through(stage, looking).crop.image
    assert (own != shipped).any()
    stage.command("target", "pixel-snarl")
    assert not stage.context.facts["fitted_to_person"]  # of this one there is no own version
    stage.command("target", "pixel-smile-open")
    np.testing.assert_array_equal(through(stage, looking).crop.image, own)
    assert own_movements(folder) == ["pixel-smile-open"]
    assert own_movements(folder / "nobody") == []


def test_a_map_that_was_fitted_meanwhile_is_shown_when_it_is_chosen_again(person, looking):
    stage = opened("pixel-smile-open", view="practise", own=str(person(0.5)))
    before = through(stage, looking).crop.image.copy()
    person(0.2)
    stage.command("target", "pixel-smile-open")
    assert (through(stage, looking).crop.image != before).any()


def test_an_own_map_that_is_damaged_is_an_alarm_and_changes_nothing(person, looking):
    folder = person(0.5)
    stage = opened("pixel-smile-open", view="practise", own=str(folder))
    before = through(stage, looking).crop.image.copy()
    (folder / "pixel-smile-open" / "weights.safetensors").write_bytes(b"nothing")
    stage.command("target", "pixel-smile-open")
    np.testing.assert_array_equal(through(stage, looking).crop.image, before)
    [event] = stage.context.events
    assert event.kind == "ALARM"
    assert "altered or cut short" in event.text
    with pytest.raises(BadSettings, match="altered or cut short"):
        opened("pixel-smile-open", own=str(folder))


@pytest.fixture(scope="module")
def editor(tmp_path_factory):
    """The bundle of an expression editor, without weights: what stands for its network needs none."""
    picture = ArraySpec("face", "height, width, colour", "uint8", (0, 255), "grey level", "BGR", (16, 16, 3))
    target = ArraySpec("target", "parameter", "float32", (0.0, 5.0), "FACS intensity", None, (17,))
    training = Training("none", 0, True, "CC0", None)
    sizes = {"profile": "facs17"}
    folder = tmp_path_factory.mktemp("bundles") / "cascade-test"
    write_bundle(
        folder, Manifest("cascade_ef_gan", "cascade_editor", sizes, (picture, target), (picture,), training), {}
    )
    return folder


class StandIn:
    """Reddens a face for each unit of lip corners pulled up (12), darkens it for each of corners pulled down (15)."""

    backend, precision = "openvino", "bf16"

    def __init__(self, model):
        self.inputs, self.closed = model.bundle.manifest.inputs, False

    def run(self, arrays):
        more = 10 * (arrays["target"][8] * np.array([0, 0, 1]) - arrays["target"][10])
        return {"face": np.clip(arrays["face"] + more, 0, 255).astype(np.uint8)}

    def close(self):
        self.closed = True


@pytest.fixture
def networks(monkeypatch):
    """Every network that is opened is a stand-in, listed here."""
    opened_here = []
    monkeypatch.setattr(
        "engines.face.practise_edit.load", lambda model, threads: opened_here.append(StandIn(model)) or opened_here[-1]
    )
    return opened_here


def test_an_editor_paints_what_it_is_asked_for(editor, networks, frame):
    flat = replace(frame, crop=replace(frame.crop, image=np.full((32, 32, 3), 120, np.uint8)))
    stage = opened(f"{editor}:happy", view="practise")
    assert stage.context.facts["target"] == "cascade-test:happy"
    assert stage.context.facts["expression"] == "happy"
    out = through(stage, flat).crop.image.reshape(-1, 3)
    assert (out[:, :2] == 120).all()
    assert (out[:, 2] > 140).all()
    assert stage.context.facts.items() >= {"backend": "openvino", "precision": "bf16"}.items()
    stage.command("target", "pixel-smile")
    assert stage.context.facts.items() >= {"backend": "numba", "precision": "int16"}.items()
    stage.command("target", "cascade-test:happy")
    assert len(networks) == 1  # kept
    np.testing.assert_array_equal(through(stage, flat).crop.image.reshape(-1, 3), out)
    stage.command("view", "camera")
    assert through(stage, flat) is flat
    stage.close()
    assert networks[0].closed
    sad = opened(f"{editor}:sad", view="practise")
    assert through(sad, flat).crop.image.mean() < 120
    sad.close()
    usual = opened(editor)
    assert usual.context.facts["expression"] == "happy"
    usual.close()


def test_a_shipped_editor_is_offered_with_its_emotions(monkeypatch, editor, networks, frame):
    shipped = [bundle_folder("pixel-smile"), editor, bundle_folder("restore-cpu")]
    monkeypatch.setattr("rt.stages.pixel_map.shipped_bundles", lambda: shipped)
    by_name = {folder.name: folder for folder in shipped}

    def folder_of(given):
        return by_name.get(str(given)) or bundle_folder(given)

    monkeypatch.setattr("rt.stages.pixel_map.bundle_folder", folder_of)
    assert movements()[:3] == ["pixel-smile", "cascade-test:angry", "cascade-test:disgusted"]
    assert len(movements()) == 7
    stage = opened("pixel-smile", view="practise")
    flat = replace(frame, crop=replace(frame.crop, image=np.full((32, 32, 3), 120, np.uint8)))
    stage.command("target", "cascade-test:sad")
    sad = through(stage, flat).crop.image.mean()
    stage.command("target", "cascade-test:happy")  # of the same network
    assert through(stage, flat).crop.image.mean() > 120 > sad
    assert len(networks) == 1
    stage.close()


def test_an_editor_that_nothing_here_runs_leaves_the_movement_before(monkeypatch, editor, frame):
    def nothing(model, threads):
        raise BackendMissing("openvino is needed: pip install openvino")

    monkeypatch.setattr("engines.face.practise_edit.load", nothing)
    monkeypatch.setattr("rt.stages.pixel_map.movements", lambda: [str(editor)])
    stage = opened("pixel-smile", view="practise")
    before = through(stage, frame).crop.image.copy()
    stage.command("target", str(editor))
    np.testing.assert_array_equal(through(stage, frame).crop.image, before)
    assert stage.context.facts["target"] == "pixel-smile"
    [event] = stage.context.events
    assert "cannot be shown: openvino is needed: pip install openvino" in event.text
    with pytest.raises(BadSettings, match="pip install openvino"):
        opened(editor)
    with pytest.raises(BadSettings, match="'hapy' is no expression of an editor's"):
        opened(f"{editor}:hapy")
    with pytest.raises(BadSettings, match="knows one movement only"):
        opened("pixel-smile:happy")
