"""The node: frames in, words out, an own map on disk when it is accepted and nothing when it is not."""

import os
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from sitter import Sitter

from calibration.guide_stage import GuideStage, GuideStageSettings
from calibration.prompts import Reason
from engines.face.pixel_mesh import load_pixel_mesh
from rt import assets
from rt.errors import BadSettings
from rt.message import Frame, Guidance
from rt.stage import Context
from rt.stages.crop import CropStage, CropStageSettings
from rt.stages.face import FaceSettings, FaceStage

SMILE = "pixel-smile-open"


@pytest.fixture(scope="module")
def sitter():
    return Sitter()


class Led:
    """A stage and the person before it."""

    def __init__(self, folder, sitter, **settings):
        found = GuideStageSettings("P01", str(folder), (SMILE,), countdown_s=0.2, **settings)
        self.stage, self.sitter, self.t_s, self.said = GuideStage(found, Context("guide")), sitter, 50.0, []
        self.stage.open()

    def show(self, pictures=1, removal="", practise=False, **does):
        for _ in range(pictures):
            self.t_s += 1 / 30
            frame = replace(self.sitter.frame(self.t_s, **does), removal=removal, practise=practise)
            self.said += [message for _, message in self.stage.process("frame", frame)]
        return self.said[-1].state

    def until(self, wanted, limit=150, **does):
        for _ in range(limit):
            if wanted(self.show(**does)):
                return self.said[-1]
        raise AssertionError(f"it never came: {self.said[-1].state}")

    def reviewed(self):
        self.stage.command("guide", "start")
        self.until(lambda state: state["title"] == "Smile open" and state["phase"] == "taking")
        return self.until(lambda state: state["phase"] == "review", amount=1.0)


def test_an_accepted_map_is_kept_and_shown_beside_the_person(tmp_path, sitter):
    led = Led(tmp_path / "P01", sitter, synthetic=True)
    review = led.reviewed()
    assert isinstance(review, Guidance)
    assert bytes(review.still[:3]) == b"\xff\xd8\xff"  # a JPEG
    assert not (tmp_path / "P01").exists()
    led.stage.command("guide", "keep")
    assert led.show()["phase"] == "done"
    assert led.said[-1].still.size == 0
    own = load_pixel_mesh(tmp_path / "P01" / SMILE)
    corner = np.abs(sitter.own.way - sitter.population.way).sum(1).argmax()
    assert (own.way[corner] / sitter.population.way[corner] > 1.15).all()
    assert led.stage.context.commands[-2:] == [("target", SMILE), ("view", "beside")]
    assert (led.said[-1].state["subject"], led.said[-1].state["folder"]) == ("P01", str(tmp_path / "P01"))


@pytest.mark.parametrize("end", ["finish", "close"])
def test_whoever_stops_leaves_nothing(tmp_path, sitter, end):
    led = Led(tmp_path / "P01", sitter)
    led.reviewed()
    getattr(led.stage, end)()
    assert list(tmp_path.iterdir()) == []
    assert not any(step.taken for step in led.stage._guided._steps)
    assert led.stage._guided.still is None


def test_where_electrodes_are_removed_only_such_pictures_teach(tmp_path, sitter):
    led = Led(tmp_path, sitter, removes=True)
    led.show(5, removal="restored")
    led.stage.command("guide", "start")
    for _ in range(10):
        state = led.show(removal="raw")
    assert state["reason"] == Reason.COVERED.value
    before = state["progress"]
    assert led.show(3, removal="restored", practise=True)["progress"] == before  # painted on, so not the person's own
    assert led.show(3, removal="restored")["progress"] > before


def test_the_page_hears_when_something_changes_and_now_and_then(tmp_path, sitter):
    led = Led(tmp_path, sitter)
    led.show(10)
    assert len(led.said) < 4
    led.stage._t_said -= 1.0
    assert [port for port, _ in led.stage.tick()] == ["guide"]


def test_a_camera_that_sends_nothing_is_said(tmp_path, sitter):
    led = Led(tmp_path, sitter)
    led.show(2)
    led.stage.command("guide", "start")
    led.stage._t_seen -= 2.0
    led.stage._t_said -= 1.0
    [(_, message)] = led.stage.tick()
    assert "No picture comes" in message.state["reason"]


def test_the_muscles_answer_comes_as_an_event(tmp_path, sitter):
    led = Led(tmp_path, sitter, emg=True)
    led.show(2)
    led.stage.command("guide", "start")
    led.until(lambda state: state["phase"] == "taking")
    led.show(2)
    assert led.stage.context.commands[-1] == ("calibrate_rest", 3.0)
    led.stage.command("event", {"kind": "CALIBRATION", "text": "calibrating", "data": {"step": "rest", "seconds": 3}})
    led.show(20)
    led.stage.command("event", {"kind": "CALIBRATION", "text": "done", "data": {"step": "rest", "done": True}})
    led.until(lambda state: state["title"] == "Smile open")
    led.until(lambda state: state["phase"] == "taking")
    led.show(2, amount=1.0)
    led.stage.command("event", {"kind": "ALARM", "text": "no contact at F20", "data": {"step": "reference"}})
    assert led.show()["note"] == "no contact at F20"


def test_a_map_that_cannot_be_written_is_an_alarm_and_the_session_goes_on(tmp_path, sitter):
    (tmp_path / "P01").write_text("a file where the folder should be")
    led = Led(tmp_path / "P01", sitter)
    led.reviewed()
    led.stage.command("guide", "keep")
    assert led.show()["phase"] == "done"
    [alarm] = [event for event in led.stage.context.events if event.kind == "ALARM"]
    assert "cannot be kept" in alarm.text


def test_a_picture_that_was_overwritten_meanwhile_teaches_nothing(tmp_path, sitter):
    led = Led(tmp_path, sitter)
    led.stage.context.intact = lambda frame: False
    led.stage.command("guide", "start")
    assert list(led.stage.process("frame", sitter.frame(60.0))) == []


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("pixel-smile", "cannot be fitted to a person"), ("restore-cpu", "not a movement"), ("nowhere", "no bundle")],
)
def test_what_cannot_be_fitted_is_one_sentence(tmp_path, name, sentence):
    stage = GuideStage(GuideStageSettings("P01", str(tmp_path), (name,)), Context("guide"))
    with pytest.raises(BadSettings, match=sentence):
        stage.open()


def test_nothing_to_calibrate_is_refused(tmp_path):
    with pytest.raises(BadSettings, match="name a movement"):
        GuideStage(GuideStageSettings("P01", str(tmp_path), ()), Context("guide"))


def test_a_real_face_is_led_through_by_what_mediapipe_sees(tmp_path):
    """A webcam clip, to and fro: who blinks or smiles while asked to relax is told, and the smile is learned."""
    path = Path(os.environ.get("MYOMIRROR_DATA", "")) / "video" / "neutral_smile_neutral.mp4"
    if not path.is_file() or assets.find(assets.FACE_LANDMARKER) is None:
        pytest.skip("needs video/neutral_smile_neutral.mp4 in $MYOMIRROR_DATA and MediaPipe's model")
    with av.open(str(path)) as clip:
        pictures = [picture.to_ndarray(format="bgr24") for picture in clip.decode(video=0)]
    face = FaceStage(FaceSettings(), Context("face"))
    crop = CropStage(CropStageSettings(), Context("crop"))
    stage = GuideStage(GuideStageSettings("P01", str(tmp_path), (SMILE,), countdown_s=0.1), Context("guide"))
    reasons = set()
    try:
        face.open()
        stage.open()
        for number, image in enumerate(3 * [*pictures, *pictures[::-1]]):
            frame = Frame(number, 100 + number / 30, "host", image)
            for node in (face, crop):
                [(_, frame)] = node.process("frame", frame)
            list(stage.process("frame", frame))
            state = stage._guided.state()
            reasons.add(state["reason"])
            if number == 20:
                stage.command("guide", "start")
            if state["phase"] == "review":
                break
    finally:
        face.close()
    assert state["phase"] == "review"
    assert {Reason.CLOSED.value, Reason.NOT_AT_REST.value} <= reasons
    assert state["closer_db"] > 2
    assert list(tmp_path.iterdir()) == []
