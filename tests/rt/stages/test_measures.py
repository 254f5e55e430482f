"""%MVC and asymmetry from the synthetic person, calibrated from a file and live, with every refusal."""

import json
import stat

import numpy as np
import pytest

from engines.emg.measures import Calibration, percent_mvc, reference_mvc, rest_statistics, signed_asymmetry
from engines.emg.montage import FRIDLUND
from engines.emg.quality import Contact
from rt import clock
from rt.errors import BadSettings
from rt.message import Chunk, Quality
from rt.stage import Context
from rt.stages.measures import MeasuresStage, MeasuresStageSettings

RATE_HZ = 1000.0
CHANNELS = len(FRIDLUND)
STABLE = np.full(CHANNELS, Contact.STABLE, np.uint8)


class Person:
    """Feeds envelope chunks of 16 ms, with noise, at rest or contracting."""

    def __init__(self, tmp_path=None, name="person.json", chain="chain-a"):
        path = str(tmp_path / name) if tmp_path else None
        self.stage = MeasuresStage(MeasuresStageSettings(calibration_path=path), Context())
        self.stage.open()
        self.chain, self.sample = chain, 0
        self.rng = np.random.default_rng(1)
        self.fed = []
        self.quality(STABLE)

    @property
    def events(self):
        return [(e.kind, e.text) for e in self.stage.context.events]

    def quality(self, contact):
        no = np.zeros(CHANNELS, bool)
        self.stage.process("quality", Quality(0.0, contact, no, no, np.zeros(CHANNELS, np.float32)))

    def feed(self, seconds, level_uv=2.0, gap_s=0.0, count=16):
        """level_uv: one for all channels, or one each. Returns the muscles that came out."""
        out, self.fed = [], []
        for _ in range(round(seconds * RATE_HZ / count)):
            noise = self.rng.normal(0, 0.1, (count, CHANNELS))
            data = np.abs(np.asarray(level_uv) + noise).astype(np.float32)
            self.fed.append(data)
            chunk = Chunk(data, RATE_HZ, 100 + self.sample / RATE_HZ, self.sample, "envelope", gap_s, self.chain)
            out += [message for _, message in self.stage.process("envelope", chunk)]
            self.sample, gap_s = self.sample + count, 0.0
        return out

    def calibrate(self, reference_uv=52.0):
        self.feed(1.0)
        self.stage.command("calibrate_rest", 2.0)
        self.feed(2.1)
        self.stage.command("calibrate_reference", 2.0)
        self.feed(2.1, reference_uv)


def test_before_calibrating_nothing_is_claimed():
    (found, *_) = Person().feed(0.1, 50.0)
    assert np.isnan(found.percent_mvc).all()
    assert np.isnan(found.asymmetry).all()
    assert np.isnan(found.rest_uv).all()
    assert found.reference == ""
    np.testing.assert_allclose(found.envelope_uv, 50.0, atol=1.0)


def test_at_most_sixty_a_second_and_one_per_chunk():
    assert 55 <= len(Person().feed(1.0)) <= 63
    assert 55 <= len(Person().feed(1.0, count=2)) <= 67
    assert len(Person().feed(1.0, count=100)) == 10


def test_live_rest_and_reference_are_the_engine_s():
    person = Person()
    person.feed(1.0)
    person.stage.command("calibrate_rest", 2.0)
    person.feed(2.0)
    rest = rest_statistics(np.concatenate(person.fed)[:2000])
    assert person.stage.context.facts["calibration"] == "rest only"
    found = person.feed(0.016)[-1]
    np.testing.assert_allclose(found.rest_uv, rest.mean_uv, rtol=1e-6)
    np.testing.assert_allclose(found.rest_sd_uv, rest.sd_uv, rtol=1e-6)
    assert np.isnan(found.percent_mvc).all(), "there is no reference yet"
    levels = np.linspace(20, 230, CHANNELS)
    person.stage.command("calibrate_reference", 2.0)
    person.feed(2.0, levels)
    reference = reference_mvc([np.concatenate(person.fed)[:2000]] * 3, RATE_HZ)
    found = person.feed(0.016, levels / 2)[-1]
    np.testing.assert_allclose(found.reference_uv, reference, rtol=1e-6)
    ruler = Calibration(
        "x", FRIDLUND.labels, *(tuple(map(float, a)) for a in (rest.mean_uv, rest.sd_uv, reference)), ""
    )
    np.testing.assert_allclose(found.percent_mvc, percent_mvc(found.envelope_uv, ruler), rtol=1e-4)
    np.testing.assert_allclose(found.asymmetry, signed_asymmetry(found.envelope_uv, ruler, FRIDLUND), rtol=1e-4)
    assert "live" in found.reference
    assert [kind for kind, _ in person.events] == ["CALIBRATION"] * 4


def test_seconds_need_not_be_said():
    person = Person()
    person.feed(1.0)
    person.stage.command("calibrate_rest", None)
    person.feed(4.9)
    assert "calibration" not in person.stage.context.facts or not person.stage.context.facts["calibration"]
    person.feed(0.2)
    assert person.stage.context.facts["calibration"] == "rest only"


def test_muscle_after_muscle_can_be_done_and_an_idle_one_stays_uncalibrated():
    person = Person()
    smile, frown = np.full(CHANNELS, 2.0), np.full(CHANNELS, 2.0)
    smile[18:20], frown[4:6] = 80.0, 40.0
    person.calibrate(smile)
    found = person.feed(0.016, smile)[-1]
    np.testing.assert_allclose(found.percent_mvc[18:20], 100, atol=2)
    assert np.isnan(np.delete(found.percent_mvc, [18, 19])).all(), "noise never becomes 100 %"
    person.stage.command("calibrate_reference", 2.0)
    person.feed(2.1, frown)
    found = person.feed(0.016, frown)[-1]
    np.testing.assert_allclose(found.percent_mvc[4:6], 100, atol=2)
    np.testing.assert_allclose(found.percent_mvc[18:20], 0, atol=1)
    assert "F5, F6" in person.events[-1][1]


def test_rest_begins_a_new_calibration():
    person = Person()
    person.calibrate()
    person.stage.command("calibrate_rest", 1.0)
    person.feed(1.1)
    assert np.isnan(person.feed(0.016, 52.0)[-1].percent_mvc).all()


def test_an_electrode_that_is_off_has_no_value():
    person = Person()
    person.calibrate()
    off = STABLE.copy()
    off[19] = Contact.OFF
    person.quality(off)
    found = person.feed(0.016, 52.0)[-1]
    assert np.isnan(found.percent_mvc[19])
    assert np.isnan(found.asymmetry[9])
    assert np.isfinite(np.delete(found.percent_mvc, 19)).all()
    assert found.contact[19] == Contact.OFF


def refused(person):
    kind, text = person.events[-1]
    assert kind == "ALARM"
    assert text.startswith("not calibrated: ")
    return text


def test_refusals_before_anything_is_measured():
    stage = MeasuresStage(MeasuresStageSettings(), Context())
    stage.command("calibrate_rest", 2.0)
    assert "no EMG signal" in stage.context.events[-1].text
    person = Person()
    person.feed(0.1)
    for value in (0.1, 1e6, "long", True, float("nan")):
        person.stage.command("calibrate_rest", value)
        assert "calibrating takes" in refused(person)
    person.stage.command("calibrate_reference", 2.0)
    assert "measure rest first" in refused(person)


def test_no_contact_refuses_and_names_the_electrodes():
    person = Person()
    person.feed(1.0)
    person.stage.command("calibrate_rest", 2.0)
    person.feed(1.0)
    off = STABLE.copy()
    off[[6, 8]] = Contact.OFF
    person.quality(off)
    person.feed(0.2)
    person.quality(STABLE)
    person.feed(1.0)
    assert "no contact at F7, F9" in refused(person)
    assert np.isnan(person.feed(0.016)[-1].rest_uv).all()


def test_before_the_first_verdict_nothing_is_known_of_the_electrodes():
    stage = MeasuresStage(MeasuresStageSettings(), Context())
    stage.process("envelope", Chunk(np.ones((16, CHANNELS), np.float32), RATE_HZ, 1.0, 0, "envelope", chain="c"))
    stage.command("calibrate_rest", 2.0)
    assert "electrodes" in stage.context.events[-1].text


def test_an_interruption_refuses():
    person = Person()
    person.feed(1.0)
    person.stage.command("calibrate_rest", 2.0)
    person.feed(1.0)
    person.feed(1.2, gap_s=0.3)
    assert "interrupted" in refused(person)


def test_too_few_samples_refuse(monkeypatch):
    person = Person()
    person.feed(1.0)
    person.stage.command("calibrate_rest", 2.0)
    person.feed(0.5)
    later = clock.now() + 60
    monkeypatch.setattr(clock, "now", lambda: later)
    person.stage.tick()
    assert "too few samples came in 0.5 s" in refused(person)
    person.stage.command("calibrate_rest", 2.0)
    nan = np.full(CHANNELS, 2.0)
    nan[5] = np.nan
    person.feed(2.1, nan)
    assert "too few samples came at F6" in refused(person)


def test_no_contraction_refuses_and_keeps_what_there_was():
    person = Person()
    person.calibrate()
    person.stage.command("calibrate_reference", 2.0)
    person.feed(2.1)
    assert "no muscle rose" in refused(person)
    np.testing.assert_allclose(person.feed(0.016, 52.0)[-1].percent_mvc, 100, atol=2)


def test_it_waits_until_filters_have_settled():
    person = Person()
    person.stage.command("calibrate_rest", 1.0)  # before any chunk: refused
    person.feed(0.1)
    person.stage.command("calibrate_rest", 1.0)
    person.feed(0.4, 500.0)  # the filters swing
    person.feed(1.2)
    np.testing.assert_allclose(person.feed(0.016)[-1].rest_uv, 2.0, atol=0.1)


def test_a_calibration_is_saved_privately_and_read_by_the_next_session(tmp_path):
    person = Person(tmp_path)
    person.calibrate()
    path = tmp_path / "person.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    person = Person(tmp_path)
    found = person.feed(0.016, 27.0)[-1]
    np.testing.assert_allclose(found.percent_mvc, 50, atol=2)
    assert person.stage.context.facts["calibration"] == found.reference != ""


def test_another_chain_is_not_mixed_in(tmp_path):
    Person(tmp_path).calibrate()
    person = Person(tmp_path, chain="chain-b")
    assert np.isnan(person.feed(0.016)[-1].rest_uv).all()
    assert "chain-a, this session runs chain-b" in refused(person)


def test_a_chain_that_changes_under_way_ends_the_calibration():
    person = Person()
    person.calibrate()
    person.chain = "chain-b"
    assert np.isnan(person.feed(0.016)[-1].rest_uv).all()


def test_damaged_files_end_the_start(tmp_path):
    (tmp_path / "person.json").write_text("{")
    with pytest.raises(BadSettings, match="cannot read"):
        Person(tmp_path)
    (tmp_path / "person.json").write_text("{}")
    with pytest.raises(BadSettings, match="no calibration"):
        Person(tmp_path)
    part = Calibration("c", ("F1",), (1.0,), (1.0,), (1.0,), "x")
    part.save(tmp_path / "part.json")
    with pytest.raises(BadSettings, match="has no channel F2"):
        Person(tmp_path, "part.json")
    assert json.loads((tmp_path / "part.json").read_text())["labels"] == ["F1"]


def test_what_cannot_be_saved_still_holds(tmp_path):
    person = Person(tmp_path, "no-such-folder/person.json")
    person.calibrate()
    assert any(kind == "ALARM" and "for this session only" in text for kind, text in person.events)
    np.testing.assert_allclose(person.feed(0.016, 52.0)[-1].percent_mvc, 100, atol=2)
