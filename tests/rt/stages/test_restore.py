"""The face loses its electrodes, later stages see it without them, and what cannot be used is refused in a sentence."""

import json
from dataclasses import replace

import numpy as np
import pytest
from painted_bundle import GREEN_BGR, SIDE, altered, write_painted

from engines.errors import BackendMissing
from rt.errors import BadSettings
from rt.message import Crop, Frame
from rt.stage import Context
from rt.stages import restore
from rt.stages.paste_back import PasteBackSettings, PasteBackStage
from rt.stages.pixel_map import PixelMapSettings, PixelMapStage
from rt.stages.restore import RestoreSettings, RestoreStage, read_restorer

pytest.importorskip("onnx")
pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_painted(tmp_path_factory.mktemp("bundles") / "painted")


@pytest.fixture(scope="module")
def stage(bundle):
    found = opened(bundle)
    yield found
    found.close()


def opened(bundle, **settings):
    settings = {"backend": "openvino", "precision": "fp32", "threads": 1, **settings}
    found = RestoreStage(RestoreSettings(str(bundle), **settings), Context("restore"))
    found.open()
    return found


@pytest.fixture
def frame():
    image = np.random.default_rng(3).integers(60, 180, (120, 160, 3)).astype(np.uint8)
    place = np.array([[0.4, 0, -16], [0, 0.4, -8]], np.float32)  # 80 px of the picture: x 40..120, y 20..100
    crop = Crop(np.full((SIDE, SIDE, 3), 100, np.uint8), place, tracked=True)
    for array in (image, crop.image):
        array.flags.writeable = False
    return Frame(3, 1.0, "device", image, crop=crop)


def through(stage, frame):
    [(port, out)] = list(stage.process("frame", frame))
    assert port == "frame"
    return out


def test_the_face_is_restored_and_later_stages_see_it(stage, frame):
    out = through(stage, frame)
    assert out.removal == "restored"
    assert np.abs(out.crop.image.astype(int) - GREEN_BGR).max() <= 2
    np.testing.assert_array_equal(out.crop.image, out.restored.face)
    assert (out.restored.edit == 255).all()
    assert out.image is frame.image  # the picture itself is paste-back's
    assert (frame.crop.image == 100).all()
    assert stage.context.facts.items() >= {
        "role": "restore", "backend": "openvino", "bundle": "painted", "precision": "fp32", "removal": "restored",
    }.items()  # fmt: skip


def test_the_page_switches_and_in_the_raw_view_the_network_rests(stage, frame, monkeypatch):
    stage.command("restore", "edit")
    assert through(stage, frame).removal == "edit"
    stage.command("restore", "raw")
    monkeypatch.setattr(stage._restorer, "run", lambda *_: pytest.fail("nobody asked for it"))
    out = through(stage, frame)
    assert (out.removal, out.restored) == ("raw", None)
    assert out.crop is frame.crop
    stage.command("restore", "nonsense")
    stage.command("view", "restored")
    assert stage.context.facts["removal"] == "raw"
    monkeypatch.undo()
    stage.command("restore", "restored")
    assert through(stage, frame).removal == "restored"


def test_without_a_face_nothing_is_said_to_be_removed(stage, frame):
    untracked = replace(frame, crop=replace(frame.crop, tracked=False))
    assert through(stage, untracked) is untracked
    bare = replace(frame, crop=None)
    assert through(stage, bare) is bare
    assert bare.removal == ""


def test_on_the_fixed_crop_only_where_no_face_can_be_followed_at_all(bundle, frame):
    untracked = replace(frame, crop=replace(frame.crop, tracked=False))
    stage = opened(bundle, allow_untracked=True)
    assert through(stage, untracked).removal == "restored"
    stage.close()


def test_the_whole_picture_shows_it_in_every_view(stage, frame):
    paste = PasteBackStage(PasteBackSettings(), Context("paste_back"))
    paste.open()
    shown = through(paste, through(stage, frame))
    assert shown.removal == "restored"
    assert shown.restored is None
    assert np.abs(shown.image[50:70, 70:90].astype(int) - GREEN_BGR).max() <= 2
    np.testing.assert_array_equal(shown.image[:18], frame.image[:18])
    np.testing.assert_array_equal(shown.image[:, :38], frame.image[:, :38])
    stage.command("restore", "edit")
    marked = through(paste, through(stage, frame))
    stage.command("restore", "raw")
    raw = through(paste, through(stage, frame))
    stage.command("restore", "restored")
    assert raw.image is frame.image  # nothing is copied
    inside = marked.image[50:70, 70:90].astype(int)
    assert inside[..., 0].mean() > frame.image[50:70, 70:90, 0].mean() + 30
    assert np.corrcoef(inside[..., 2].ravel(), frame.image[50:70, 70:90, 2].ravel())[0, 1] > 0.95  # seen through it


def test_the_movement_to_practise_is_made_on_the_restored_face(stage, frame):
    """Also where the map is for crops of another size."""
    practise = PixelMapStage(PixelMapSettings(view="practise"), Context("pixel_map"))
    practise.open()
    paste = PasteBackStage(PasteBackSettings(), Context("paste_back"))
    paste.open()
    restored = through(stage, frame)
    moved = through(practise, restored)
    assert moved.practise
    assert (moved.crop.image != restored.crop.image).any()
    picture = through(paste, moved).image[50:70, 70:90].astype(int)
    without = through(paste, restored).image[50:70, 70:90].astype(int)
    change = moved.crop.image.astype(int) - restored.crop.image
    assert np.abs(picture - without).max() > 0
    assert np.abs(picture - without).max() <= np.abs(change).max() + 1
    assert (without[..., 1] > 200).all()
    stage.command("restore", "edit")
    marked = through(stage, frame)
    stage.command("restore", "restored")
    assert through(practise, marked) is marked


def other(document, side, name, **change):
    return {side: [{**spec, **change} if spec["name"] == name else spec for spec in document[side]]}


@pytest.mark.parametrize(
    ("manifest", "sentence"),
    [
        (lambda d: {"system": "pixel_rr"}, "is for pixel_rr, not for removing electrodes"),
        (lambda d: {"montage": "other"}, "is for the montage other, the station has fridlund"),
        (lambda d: {"emg_chain": "other"}, "learned from the EMG chain other"),
        (lambda d: other(d, "inputs", "face", colour="RGB"), "'face' has the colour RGB, BGR is needed"),
        (lambda d: other(d, "outputs", "edit", shape=[16, 16]), "'edit' has the size 16 x 16, 32 x 32 is needed"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_opens(tmp_path, bundle, manifest, sentence):
    document = json.loads((bundle / "manifest.json").read_text())
    wrong = altered(bundle, tmp_path / "wrong", **manifest(document))
    with pytest.raises(BadSettings, match=sentence) as found:
        RestoreStage(RestoreSettings(str(wrong)), Context("restore"))
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("name", ["weights.safetensors", "model.onnx"])
@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:-1] + bytes([b[-1] ^ 1])])
def test_a_truncated_or_tampered_file_is_refused(tmp_path, bundle, name, damage):
    wrong = altered(bundle, tmp_path / "wrong", {name: damage((bundle / name).read_bytes())}, resealed=False)
    with pytest.raises(BadSettings, match=f"{name} is altered or cut short"):
        read_restorer(str(wrong))


def test_an_onnx_that_disagrees_with_its_manifest_is_refused(tmp_path, bundle):
    document = json.loads((bundle / "manifest.json").read_text())
    larger = {
        side: [{**spec, "shape": [64, 64, *spec["shape"][2:]]} for spec in document[side]]
        for side in ("inputs", "outputs")
    }
    wrong = altered(bundle, tmp_path / "wrong", **larger)
    with pytest.raises(BadSettings, match=r"model\.onnx disagrees with its manifest") as found:
        opened(wrong)
    assert "\n" not in str(found.value)


def test_what_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(BadSettings, match="is no bundle"):
        read_restorer(str(tmp_path / "nowhere"))


def test_without_a_backend_the_sentence_says_what_to_install_and_how_to_go_on(bundle, monkeypatch):
    def nothing(*_):
        raise BackendMissing("nothing here can run painted: this; and that")

    monkeypatch.setattr(restore, "load", nothing)
    monkeypatch.setattr(restore.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BadSettings, match=r"pip install openvino, or set `restore: off`") as found:
        opened(bundle, backend=None)
    assert len(str(found.value)) < 200
    with pytest.raises(BadSettings, match="this; and that, or set `restore: off`"):
        opened(bundle, backend="tensorrt")


def test_words_that_make_no_sense(bundle):
    with pytest.raises(BadSettings, match="backend must be one of"):
        opened(bundle, backend="abacus")
