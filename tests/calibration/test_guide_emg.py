"""Face and muscles calibrated together: the guide asks, the measures stage answers, the file is the person's own."""

import json

import numpy as np
import pytest
from sitter import Sitter

from calibration.guide_stage import GuideStage, GuideStageSettings
from engines.emg.montage import FRIDLUND
from engines.emg.quality import Contact
from rt.message import Chunk, Quality
from rt.stage import Context
from rt.stages.measures import MeasuresStage, MeasuresStageSettings

RATE_HZ, CHANNELS = 300.0, len(FRIDLUND)
SMILERS = [k for k, channel in enumerate(FRIDLUND.channels) if channel.muscle == "zygomaticus"]


class Together:
    """Both stages, told of each other as the session does it."""

    def __init__(self, folder):
        path = folder / "emg-calibration.json"
        self.guide = GuideStage(
            GuideStageSettings("P01", str(folder), ("pixel-smile-open",), emg=True, countdown_s=0.2), Context("guide")
        )
        self.measures = MeasuresStage(MeasuresStageSettings(calibration_path=str(path)), Context("measures"))
        self.sitter, self.rng, self.count, self.heard = Sitter(), np.random.default_rng(1), 0, 0
        self.guide.open()
        self.measures.open()
        self.contact(Contact.STABLE)

    def contact(self, state):
        no = np.zeros(CHANNELS, bool)
        contact = np.full(CHANNELS, state, np.uint8)
        self.measures.process("quality", Quality(0.0, contact, no, no, np.zeros(CHANNELS, np.float32)))

    def turn(self, amount):
        """A picture and the 33 ms of envelope that belong to it, then everybody's news."""
        level = np.full(CHANNELS, 2.0)
        level[SMILERS] += 60 * amount
        data = np.abs(level + self.rng.normal(0, 0.1, (10, CHANNELS))).astype(np.float32)
        t_s = 100 + self.count / 30
        list(self.measures.process("envelope", Chunk(data, RATE_HZ, t_s, 10 * self.count, "envelope", 0.0, "chain")))
        list(self.guide.process("frame", self.sitter.frame(t_s, amount)))
        self.count += 1
        for name, value in self.guide.context.commands:
            self.measures.command(name, value)
        self.guide.context.commands.clear()
        news = self.measures.context.events[self.heard :]
        self.heard += len(news)
        for event in news:
            self.guide.command("event", {"kind": event.kind, "text": event.text, "data": event.data})
        return self.guide._guided.state()

    def until(self, wanted, amount=0.0):
        for _ in range(400):
            if wanted(state := self.turn(amount)):
                return state
        raise AssertionError(state)


@pytest.fixture
def together(tmp_path):
    found = Together(tmp_path)
    for _ in range(20):
        found.turn(0.0)
    found.guide.command("guide", "start")
    return found


def test_rest_and_contraction_are_measured_while_the_face_is(together, tmp_path):
    together.until(lambda state: state["title"] == "Smile open" and state["phase"] == "taking")
    state = together.until(lambda state: state["phase"] == "review", amount=1.0)
    assert state["note"] == ""
    path = tmp_path / "emg-calibration.json"
    assert path.stat().st_mode & 0o777 == 0o600
    found = json.loads(path.read_text())
    reference = np.array(found["reference_uv"])
    np.testing.assert_allclose(reference[SMILERS], 62, atol=1.5)
    assert (np.delete(reference, SMILERS) == 0).all()  # what did not contract has no 100 %


def test_an_electrode_without_contact_is_said_and_the_face_goes_on(together):
    together.until(lambda state: state["phase"] == "taking")
    together.contact(Contact.OFF)
    together.until(lambda state: state["steps"][0]["state"] == "done")
    texts = [event.text for event in together.measures.context.events if event.kind == "ALARM"]
    assert len(texts) == 1
    assert "no contact" in texts[0]
