"""A person is led through a calibration: who does as told is learned from, who does not is told why."""

import cv2
import numpy as np
import pytest
from sitter import Sitter

from calibration.guided import TILES, Guided, GuideSettings
from calibration.prompts import Reason
from calibration.recipes.pixel_person import Shot
from engines.face.frame_check import Look, Obstacle
from engines.face.pixel_mesh import load_pixel_mesh
from engines.shipped import bundle_folder

QUICK = GuideSettings(countdown_s=0.2, hold_s=0.4, pairs=2, emg_s=1.0)
SMILE, PUCKER = "pixel-smile-open", "pixel-lip-pucker"


@pytest.fixture(scope="module")
def sitter():
    return Sitter()


class Sitting:
    """A person before a guide; time goes on by pictures."""

    def __init__(self, sitter, movements=(SMILE,), **options):
        self.sitter, self.t_s, self.kept = sitter, 100.0, {}
        found = [(name, load_pixel_mesh(bundle_folder(name))) for name in movements]
        self.guide = Guided(found, self.kept.__setitem__, QUICK, **options)

    @property
    def state(self):
        return self.guide.state()

    def show(self, pictures=1, **does):
        for _ in range(pictures):
            self.t_s += 1 / 30
            frame = self.sitter.frame(self.t_s, **does)
            crop = np.ascontiguousarray(frame.image[10:266, 20:276])
            if frame.face is None:
                self.guide.look(Look(self.t_s, crop, None, np.zeros(52)), None)
            else:
                points = frame.face.landmarks_px
                look = Look(self.t_s, crop, points, frame.face.blendshapes)
                self.guide.look(look, Shot(crop, points - np.float32([20, 10])), does.get("covered", False))
        return self.state

    def until(self, phase, limit=200, **does):
        for _ in range(limit):
            if self.guide.phase == phase:
                return self.state
            self.show(**does)
        raise AssertionError(f"{phase} never came: {self.state}")

    def neutral_done(self):
        self.guide.say("start")
        self.until("taking")
        for _ in range(60):
            if self.state["steps"][0]["state"] == "done":
                return self
            self.show()
        raise AssertionError(self.state)

    def reviewed(self):
        self.neutral_done().until("taking")
        self.until("review", amount=1.0)
        return self


def test_nothing_is_looked_at_before_the_person_agrees(sitter):
    sitting = Sitting(sitter)
    assert sitting.show(20)["phase"] == "welcome"
    assert all(step["state"] == "todo" for step in sitting.state["steps"])
    sitting.guide.say("keep")
    sitting.guide.say("skip")
    assert sitting.state["phase"] == "welcome"


def test_the_whole_way_from_welcome_to_an_own_map(sitter):
    sitting = Sitting(sitter).reviewed()
    state = sitting.state
    assert state["tiles"] == list(TILES)
    assert state["closer_db"] > 1
    strip = cv2.imdecode(sitting.guide.still, cv2.IMREAD_COLOR)
    assert strip.shape == (256, 4 * 256, 3)
    relaxed, before, after, real = (strip[:, 256 * k : 256 * (k + 1)].astype(float) for k in range(4))
    assert np.abs(after - real).mean() < np.abs(before - real).mean() < np.abs(relaxed - real).mean()
    assert sitting.kept == {}
    sitting.guide.say("keep")
    assert sitting.state["phase"] == "done"
    assert sitting.state["kept"] == ["Smile open"]
    corner = np.abs(sitter.own.way - sitter.population.way).sum(1).argmax()
    own = sitting.kept[SMILE].own.way[corner] / sitter.population.way[corner]
    assert (own > 1.15).all()


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        ({"there": False}, Reason.LOST),
        ({"shut": True}, Reason.CLOSED),
        ({"blur": True}, Reason.BLURRED),
        ({"jawOpen": 0.5}, Reason.NOT_AT_REST),
    ],
)
def test_a_relaxed_face_that_is_none_is_not_taken_and_the_person_is_told_why(sitter, does, reason):
    sitting = Sitting(sitter)
    sitting.show(15)
    sitting.guide.say("start")
    sitting.until("taking")
    state = sitting.show(5, **does)
    assert state["reason"] == reason.value
    assert state["progress"] == 0
    assert sitting.show(3)["progress"] > 0


def test_a_face_that_never_seems_at_rest_is_taken_as_it_is_when_it_holds_still(sitter):
    """After a palsy a relaxed mouth may look like half a smile; nobody is to be kept out by that."""
    sitting = Sitting(sitter)
    sitting.guide.say("start")
    sitting.until("taking")
    assert sitting.show(140, mouthSmileLeft=0.6)["progress"] == 0
    sitting.show(2, mouthSmileLeft=0.6, shift_px=40.0)  # moving begins it anew
    assert sitting.show(140, mouthSmileLeft=0.6)["progress"] == 0
    assert sitting.show(20, mouthSmileLeft=0.6)["progress"] > 0


def test_electrodes_that_could_not_be_removed_are_not_learned(sitter):
    sitting = Sitting(sitter)
    sitting.guide.say("start")
    sitting.until("taking")
    frame = sitter.frame(200.0)
    crop = np.ascontiguousarray(frame.image[10:266, 20:276])
    points = frame.face.landmarks_px
    look = Look(200.0, crop, points, frame.face.blendshapes)
    sitting.guide.look(look, Shot(crop, points - np.float32([20, 10])), covered=True)
    assert sitting.state["reason"] == Reason.COVERED.value


def test_no_movement_another_one_and_letting_go_are_told_apart(sitter):
    sitting = Sitting(sitter).neutral_done()
    sitting.until("taking")
    assert sitting.show(3)["reason"] == Reason.WEAK.value
    assert sitting.show(3, amount=0.7)["reason"] == ""
    assert sitting.show(2, amount=0.4)["reason"] == Reason.LESS.value
    other = Sitting(Sitter("pixel-lip-pucker")).neutral_done()
    other.until("taking")
    assert other.show(3, amount=1.0)["reason"] in (Reason.WEAK.value, Reason.OTHER.value)
    assert other.state["progress"] == 0


def test_an_open_mouth_teaches_no_movement_of_closed_lips():
    closed = Sitting(Sitter("pixel-smile-closed"), ("pixel-smile-closed",)).neutral_done()
    closed.until("taking")
    assert closed.show(3, amount=1.0)["reason"] == ""
    open_mouth = Sitting(Sitter(SMILE), ("pixel-smile-closed",)).neutral_done()
    open_mouth.until("taking")
    assert open_mouth.show(3, amount=1.0)["reason"] in (Reason.LIPS.value, Reason.OTHER.value)
    assert open_mouth.state["progress"] == 0


def test_the_strongest_hold_counts_and_not_the_way_there(sitter):
    sitting = Sitting(sitter).neutral_done()
    sitting.until("taking")
    sitting.show(6, amount=0.5)
    before = sitting.state["progress"]
    assert sitting.show(2, amount=0.9)["progress"] < before
    sitting.until("review", amount=0.9)
    corner = np.abs(sitter.own.way - sitter.population.way).sum(1).argmax()
    sitting.guide.say("keep")
    assert (sitting.kept[SMILE].own.way[corner] / sitter.population.way[corner] > 1.05).all()


def test_again_skip_and_start_over(sitter):
    sitting = Sitting(sitter, (SMILE, PUCKER)).reviewed()
    sitting.guide.say("again")
    state = sitting.state
    assert (state["phase"], state["title"], sitting.guide.still) == ("ready", "Smile open", None)
    sitting.until("taking")
    sitting.until("review", amount=1.0)
    sitting.guide.say("skip")
    assert sitting.state["title"] == "Lip pucker"
    sitting.guide.say("skip")
    state = sitting.state
    assert [step["state"] for step in state["steps"]] == ["done", "skipped", "skipped"]
    assert state["phase"] == "done"
    assert state["kept"] == []
    assert sitting.kept == {}
    sitting.guide.say("start")
    assert sitting.state["phase"] == "ready"
    assert not sitting.state["can_skip"]  # the relaxed face is needed


def test_pictures_are_let_go(sitter):
    sitting = Sitting(sitter).reviewed()
    assert sitting.guide._steps[0].taken
    sitting.guide.forget()
    assert not any(step.taken for step in sitting.guide._steps)
    assert sitting.guide.still is None


def test_muscles_are_asked_for_with_the_face_and_waited_for(sitter):
    asked = []
    sitting = Sitting(sitter, ask_emg=lambda *what: asked.append(what))
    sitting.guide.say("start")
    sitting.until("taking")
    sitting.show(25)
    assert asked == [("calibrate_rest", 1.0)]
    assert sitting.state["phase"] == "taking"  # the face is done, the muscles are not
    sitting.guide.hear_emg(True, "")
    sitting.until("taking")
    sitting.show(2)
    assert sitting.state["title"] == "Smile open" or sitting.state["phase"] == "ready"
    sitting.until("taking")
    sitting.show(20)
    assert len(asked) == 1  # who has not begun to smile is not measured yet
    sitting.show(20, amount=1.0)
    assert asked[1:] == [("calibrate_reference", 1.0)]
    sitting.guide.hear_emg(False, "no contact at F20")
    assert sitting.show(2, amount=1.0)["phase"] == "review"
    assert sitting.state["note"] == "no contact at F20"


def test_an_amplifier_that_never_answers_is_not_waited_for_for_ever(sitter):
    sitting = Sitting(sitter, ask_emg=lambda *_: None)
    sitting.guide.say("start")
    sitting.until("taking")
    for _ in range(200):
        if sitting.state["steps"][0]["state"] == "done":
            break
        sitting.show()
    assert sitting.state["steps"][0]["state"] == "done"


def test_there_is_a_sentence_for_everything_that_can_be_in_the_way():
    assert {obstacle.name for obstacle in Obstacle} <= {reason.name for reason in Reason}
