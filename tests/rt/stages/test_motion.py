"""The frontal face live: a neutral face first, then picture and numbers, and a state for everything in the way."""

import functools
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from engines.face.blendshapes import BLENDSHAPE_INDEX
from engines.face.demo_clip import CLEAN, DemoClip
from engines.face.frame_check import Obstacle
from engines.face.head_turn import HeadFitter
from engines.face.mesh import FaceModel
from rt.errors import BadSettings
from rt.message import Face, Frame, MotionState
from rt.sources.looped_clip import LoopedClip
from rt.stage import Context
from rt.stages import motion
from rt.stages.motion import Calm, MotionSettings, MotionStage

COUNT = 16


@pytest.fixture(scope="module")
def frames():
    """The demo's person, without electrodes: at rest, then at the first movements."""
    if not (Path(os.environ.get("MYOMIRROR_ASSETS", "/missing")) / motion.FACE_MODEL).is_file():
        pytest.skip("needs MYOMIRROR_ASSETS")
    person = DemoClip.load()
    clip, found = LoopedClip(person.videos[CLEAN]), []
    for number in range(COUNT):
        image = np.empty(clip.shape, np.uint8)
        clip.read(2 * number, image)
        image.flags.writeable = False
        found.append(Frame(number, 500 + number / 15, "device", image, still_face(person.landmarks_px(2 * number))))
    return found


@pytest.fixture(scope="module", autouse=True)
def one_fitter():
    """A fitter knows nobody, so one does for all stages: a second of work each."""
    made = functools.cache(lambda path: HeadFitter(FaceModel.load(path)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(motion, "FaceModel", SimpleNamespace(load=lambda path: path))
        patch.setattr(motion, "HeadFitter", made)
        yield


def still_face(landmarks_px, **values):
    shapes = np.zeros(52, np.float32)
    for name, value in values.items():
        shapes[BLENDSHAPE_INDEX[name]] = value
    return Face(landmarks_px, shapes)


def with_shut_eyes(landmarks_px):
    found = landmarks_px.copy()
    found[[159, 386]] = found[[145, 374]]
    return found


def opened(**settings):
    stage = MotionStage(MotionSettings(**settings), Context("motion"))
    stage.open()
    return stage


def said(stage, frame):
    """(motion, jpeg) of a picture that is looked at."""
    ports = dict(stage.process("frame", frame))
    assert ports["frontal"].motion is ports["motion"]
    return ports["motion"], ports["frontal"].jpeg


def states(stage, frames):
    return [MotionState(said(stage, frame)[0].state) for frame in frames]


@pytest.fixture(scope="module")
def ready(frames):
    """A stage that has a neutral face (every picture is looked at)."""
    stage = opened(every=1)
    found = states(stage, frames[:COUNT])
    assert set(found) <= {MotionState.HOLD_STILL, MotionState.SHOWN}
    assert found[0] == MotionState.HOLD_STILL
    assert found[-1] == MotionState.SHOWN
    return stage


def test_a_neutral_face_is_taken_and_then_the_face_is_shown(ready, frames):
    assert ready.context.facts["neutral"] == "taken"
    assert ready.context.events[0].kind == "NEUTRAL"
    found, jpeg = said(ready, frames[12])
    picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert picture.shape == (192, 192, 3)
    assert picture.std() > 20
    assert np.isfinite(found.pose_deg).all()
    assert found.pose_deg[3] < 10
    assert 0 <= found.hidden < 0.2
    assert (found.moved >= 0).all()
    assert (found.t, found.seq) == (frames[12].t_capture, 12)


def test_an_avatar_is_told_what_the_face_does_beyond_the_neutral_one(frames, monkeypatch):
    stage, asked = opened(every=1), []
    read = stage._symmetry.moved_cm
    monkeypatch.setattr(stage._symmetry, "moved_cm", lambda *given: asked.append(given[-1]) or read(*given))
    marks, uneven = frames[0].face.landmarks_px, {"mouthSmileLeft": 0.3, "browDownLeft": 0.2}
    for number in range(COUNT):
        held = replace(frames[0], seq=number, t_capture=500 + number / 15, face=still_face(marks, **uneven))
        ports = dict(stage.process("frame", held))
    assert ports["frontal"].motion.state == MotionState.SHOWN
    np.testing.assert_array_equal(ports["frontal"].expression, np.zeros(52))
    moved = still_face(marks, mouthSmileLeft=0.7, browDownLeft=0.1, jawOpen=0.4)
    ports = dict(stage.process("frame", replace(frames[0], seq=COUNT, t_capture=501.1, face=moved)))
    worn = ports["frontal"].expression
    assert worn.dtype == np.float32
    assert {BLENDSHAPE_INDEX["mouthSmileLeft"], BLENDSHAPE_INDEX["jawOpen"]} == set(np.flatnonzero(worn).tolist())
    np.testing.assert_allclose(worn[worn > 0].sum(), 0.8, atol=1e-6)
    given = asked[-1][BLENDSHAPE_INDEX["browDownLeft"]]
    assert given == pytest.approx(-0.1), "what is less than at rest tells of the movement, too"
    gone = dict(stage.process("frame", replace(frames[0], seq=COUNT + 1, t_capture=501.2, face=None)))
    assert gone["frontal"].expression.size == 0


def test_how_often_a_face_is_shown_is_told(frames):
    stage = opened(every=1)
    marks = frames[0].face.landmarks_px
    for number in range(60):
        stage.process("frame", replace(frames[0], seq=number, t_capture=500 + number / 15, face=still_face(marks)))
    assert stage.context.facts["rate_hz"] == pytest.approx(15, abs=0.5)
    for number in range(60):
        stage.process("frame", replace(frames[0], seq=60 + number, t_capture=504 + number / 15, face=None))
    assert stage.context.facts["rate_hz"] == 0


def tilted(frame, degrees):
    """The camera held askew: the whole picture turned clockwise."""
    height, width = frame.image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
    marks = frame.face.landmarks_px @ matrix[:, :2].T + matrix[:, 2]
    face = replace(frame.face, landmarks_px=marks.astype(np.float32))
    image = cv2.warpAffine(frame.image, matrix, (width, height))
    return replace(frame, image=image, face=face, seq=frame.seq + 1)


def test_a_tilt_of_the_head_is_told_and_taken_out(ready, frames):
    upright, _ = said(ready, frames[14])
    found, _ = said(ready, tilted(frames[14], 15))
    assert found.pose_deg[2] - upright.pose_deg[2] == pytest.approx(15, abs=1)
    assert found.pose_deg[3] == pytest.approx(upright.pose_deg[3], abs=1.5)  # a tilt is no turn away
    assert found.state == MotionState.SHOWN


def test_further_turned_than_is_trusted_it_is_marked_and_no_symmetry_is_told(frames):
    stage = opened(every=1, face_camera_deg=0.01)
    found = [said(stage, frame) for frame in frames]
    last, jpeg = found[-1]
    assert last.state == MotionState.TURNED
    assert jpeg.size > 0
    assert np.isnan(last.asymmetry).all()
    assert last.limit_deg == pytest.approx(0.01)


def test_every_second_picture_is_looked_at(frames):
    stage = opened(every=2)
    assert [len(list(stage.process("frame", frame))) for frame in frames[:4]] == [2, 0, 2, 0]


def test_what_is_in_the_way_is_told(frames):
    stage = opened(every=1)
    marks = frames[0].face.landmarks_px
    cases = [
        (replace(frames[0], face=None), MotionState.NO_FACE),
        (replace(frames[1], face=still_face(marks, jawOpen=0.5)), MotionState.RELAX),
        (replace(frames[2], face=still_face(with_shut_eyes(marks))), MotionState.OPEN_EYES),
        (replace(frames[3], face=still_face(marks * 0)), MotionState.NO_FACE),
        (replace(frames[4], face=still_face(np.full_like(marks, np.nan))), MotionState.NO_FACE),
        (replace(frames[5], face=None, practise=True), MotionState.PAUSED),
    ]
    for frame, state in cases:
        found, jpeg = said(stage, frame)
        assert (found.state, jpeg.size) == (state, 0)
        assert np.isnan(found.asymmetry).all()
    assert stage.context.facts["neutral"] == "none"


def test_a_picture_whose_electrodes_are_still_there_is_not_looked_at(frames):
    stage = opened(every=1, removes=True)
    assert states(stage, frames[:2]) == [MotionState.PAUSED] * 2
    assert states(stage, [replace(frames[2], removal="restored")]) == [MotionState.HOLD_STILL]


def test_another_face_is_told_and_after_a_while_taken_as_the_neutral_one(frames):
    stage = opened(every=1)
    states(stage, frames)
    other = np.random.default_rng(0).normal((320, 240), 60, (478, 2)).astype(np.float32)
    other[:, 1] = other[:, 1] // 90 * 90  # no head's landmarks
    strange = [replace(frames[-1], seq=COUNT + n, t_capture=510.0 + n, face=still_face(other)) for n in range(3)]
    found = states(stage, [replace(frame, t_capture=502 + 2 * n) for n, frame in enumerate(strange)])
    assert found[0] == MotionState.OTHER_FACE
    assert stage.context.facts["neutral"] == "none"
    assert "another face" in stage.context.events[-1].text


def test_a_new_neutral_face_is_taken_when_the_page_asks(frames):
    stage = opened(every=1)
    states(stage, frames)
    stage.command("neutral", None)
    assert stage.context.facts["neutral"] == "none"
    again = replace(frames[0], seq=COUNT, t_capture=600.0)
    assert states(stage, [again]) == [MotionState.HOLD_STILL]
    stage.command("view", "beside")  # not for it


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A network of eMotion-GAN that has learned nothing, as narrow as can be."""
    torch = pytest.importorskip("torch")
    from calibration.motion_bundles import motion_manifest
    from engines.building import write_network_bundle
    from engines.bundle import Training
    from engines.networks.motion_gan import LIVE, MotionGan

    folder = tmp_path_factory.mktemp("bundles") / "gan"
    torch.manual_seed(0)
    gan = MotionGan(replace(LIVE, ngf=4, warp_ngf=4))
    taught = Training("nothing: random weights", 0, True, "CC0", 3)
    write_network_bundle(folder, motion_manifest(gan.sizes, 32, taught, {}), gan.state_dict(), with_onnx=False)
    return str(folder)


@pytest.mark.parametrize("strategy", ["neutral-apex", "frame-to-frame"])
def test_with_a_network_the_face_is_its(bundle, frames, strategy):
    stage = opened(bundle=bundle, every=1, strategy=strategy, backend="torch", device="cpu")
    found = [said(stage, frame) for frame in frames]
    assert found[-1][0].state == MotionState.SHOWN
    picture = cv2.imdecode(found[-1][1], cv2.IMREAD_COLOR)
    assert picture.shape == (32, 32, 3)
    assert {"role": "motion", "bundle": "gan", "backend": "torch"}.items() <= stage.context.facts.items()
    stage.close()


def test_a_torn_picture_says_nothing(ready, frames, monkeypatch):
    monkeypatch.setattr(ready.context, "intact", lambda frame: False, raising=False)
    assert list(ready.process("frame", replace(frames[15], seq=9000))) == []


def test_settings_that_cannot_work_are_one_sentence(monkeypatch, tmp_path):
    with pytest.raises(BadSettings, match="every is 0"):
        MotionStage(MotionSettings(every=0), Context())
    with pytest.raises(BadSettings, match=r"cannot be shown from the front: .*is for mc_cyclegan"):
        MotionStage(MotionSettings(bundle="restore-cpu"), Context())
    monkeypatch.setattr(motion.assets, "find", lambda name: None)
    with pytest.raises(BadSettings, match="is not installed: see `myomirror assets list`") as found:
        MotionStage(MotionSettings(), Context())
    assert "\n" not in str(found.value)


def test_calm_is_a_mean_that_fades_and_begins_anew_after_a_pause():
    calm, one, zero = Calm(0.15), np.ones(3, np.float32), np.zeros(3, np.float32)
    np.testing.assert_array_equal(calm(1.0, one), one)
    assert calm(1.15, zero)[0] == pytest.approx(np.exp(-1))
    np.testing.assert_array_equal(calm(9.0, zero), zero)
    calm(9.1, one)
    calm.reset()
    np.testing.assert_array_equal(calm(9.2, zero), zero)


def test_there_is_a_state_for_everything_that_can_be_in_the_way():
    assert set(motion._WAITING) == set(Obstacle)
