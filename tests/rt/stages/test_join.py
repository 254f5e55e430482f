"""The join reads the envelope as of the picture's moment: compared with a search through the whole recording."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.emg.measures import Calibration, percent_mvc, signed_asymmetry
from engines.emg.montage import FRIDLUND
from engines.emg.quality import Contact
from rt.message import Chunk, Crop, Face, Frame, Muscles, Parameters, Slot
from rt.muscles import measure
from rt.stage import Context
from rt.stages.join import History, JoinStage, JoinStageSettings

RATE_HZ = 4096.0
CHANNELS = len(FRIDLUND)


def calibration(rest=2.0, sd=0.3, reference=102.0):
    kinds = [(value,) * CHANNELS for value in (rest, sd, reference)]
    return Calibration("chain", FRIDLUND.labels, *kinds, "maximal")


def frame(t, **more):
    return Frame(7, t, "device", np.zeros((4, 6, 3), np.uint8), **more)


def ramp(first, count, t0=None, gap_s=0.0, rate_hz=RATE_HZ):
    """Envelope whose value is the sample's number."""
    values = np.arange(first, first + count, dtype=np.float32)
    data = np.repeat(values[:, None], CHANNELS, axis=1)
    return Chunk(data, rate_hz, 100 + first / rate_hz if t0 is None else t0, first, "envelope", gap_s, "chain")


@settings(max_examples=40, deadline=None, database=None)
@given(
    blocks=st.lists(
        st.tuples(st.integers(0, 900), st.sampled_from([0.0, 0.0, 0.0, 0.07, 0.4])), min_size=1, max_size=12
    ),
    asked=st.lists(st.floats(-0.2, 3.0), min_size=1, max_size=20),
    limit_s=st.sampled_from([0.05, 0.1, 0.5]),
)
def test_as_of_agrees_with_a_search_through_everything(blocks, asked, limit_s):
    rate_hz, history = 1000.0, History(1)
    t, times, values, runs, run = 100.0, [], [], [], 0
    for index, (count, gap_s) in enumerate(blocks):
        gap_s *= index > 0
        t += gap_s
        run += gap_s > 0
        data = np.arange(len(values), len(values) + count, dtype=np.float32)[:, None]
        history.add(Chunk(data, rate_hz, t, len(values), "envelope", gap_s))
        times += [t + i / rate_hz for i in range(count)]
        values += data[:, 0].tolist()
        runs += [run] * count
        t += count / rate_hz
    for offset in asked:
        moment = 100.0 + offset
        if any(abs(moment - t_sample) < 1e-8 for t_sample in times):
            continue  # on a sample, rounding decides
        before = [i for i, found in enumerate(times) if found <= moment]
        found = history.as_of(moment, limit_s)
        if not before or before[-1] < len(times) - 1000:
            assert found is None
            continue
        i = before[-1]
        across = i + 1 < len(times) and runs[i + 1] != runs[i] and moment - times[i] > 1 / rate_hz + 1e-9
        age_s = moment - times[i]
        if abs(age_s - limit_s) < 1e-6 or abs(age_s - 1 / rate_hz) < 1e-6:
            continue
        if across or age_s > limit_s:
            assert found is None
        else:
            assert found is not None
            assert found[1][0] == values[i]
            assert found[0] == pytest.approx(times[i], abs=1e-9)


def joined(stage, t, **more):
    out = dict(stage.process("frame", frame(t, **more)))
    assert list(out) == ["frame", "params"]
    return out["frame"]


def test_a_frame_gets_the_envelope_of_its_own_moment():
    stage = JoinStage(JoinStageSettings(), Context())
    for first in range(0, 4096, 64):
        stage.process("envelope", ramp(first, 64))
    for sample in (700, 1365, 4000):  # 4096 / 30 is no integer
        found = joined(stage, 100 + (sample + 0.4) / RATE_HZ).muscles
        assert found.envelope_uv.tolist() == [sample] * CHANNELS
        assert found.t == pytest.approx(100 + sample / RATE_HZ)
    assert joined(stage, 100 + 4150 / RATE_HZ).muscles.envelope_uv[0] == 4095
    assert joined(stage, 99.9).muscles is None
    assert joined(stage, 101.11).muscles is None, "older than the limit"


def test_nothing_is_read_across_a_gap():
    stage = JoinStage(JoinStageSettings(limit_ms=500.0), Context())
    stage.process("envelope", ramp(0, 410))
    t_end = 100 + 409 / RATE_HZ
    assert joined(stage, t_end + 0.05).muscles.envelope_uv[0] == 409, "the newest, while nobody knows of a gap"
    stage.process("envelope", ramp(410, 64, t0=t_end + 0.2, gap_s=0.2))
    assert joined(stage, t_end).muscles.envelope_uv[0] == 409
    assert joined(stage, t_end + 0.05).muscles is None
    assert joined(stage, t_end + 0.2).muscles.envelope_uv[0] == 410


def test_it_measures_with_the_calibration_that_the_newest_muscles_carry():
    stage = JoinStage(JoinStageSettings(), Context())
    envelope = np.linspace(1, 200, CHANNELS).astype(np.float32)
    stage.process("envelope", Chunk(envelope[None], RATE_HZ, 100.0, 0, "envelope", chain="chain"))
    before = joined(stage, 100.01).muscles
    assert np.isnan(before.percent_mvc).all()
    assert before.reference == ""
    contact = np.full(CHANNELS, Contact.STABLE, np.uint8)
    contact[3] = Contact.OFF
    ruler = calibration()
    stage.process("muscles", measure(99.0, envelope * 0, contact, ruler, FRIDLUND))
    found = joined(stage, 100.01).muscles
    expected = percent_mvc(envelope, ruler)
    expected[3] = np.nan
    np.testing.assert_allclose(found.percent_mvc, expected, rtol=1e-5)
    asymmetry = signed_asymmetry(envelope, ruler, FRIDLUND)
    assert np.isnan(found.asymmetry[1]), "F3/F4: the left electrode is off"
    np.testing.assert_allclose(np.delete(found.asymmetry, 1), np.delete(asymmetry, 1), rtol=1e-4)
    assert found.reference == "maximal"
    stage.process("muscles", measure(99.1, envelope, contact, calibration(reference=52.0), FRIDLUND))
    assert joined(stage, 100.01).muscles.percent_mvc[0] == 0
    assert joined(stage, 100.01).muscles.percent_mvc[9] == pytest.approx(2 * expected[9], rel=1e-5)


def test_params_carry_the_numbers_and_no_picture():
    stage = JoinStage(JoinStageSettings(), Context())
    stage.process("envelope", ramp(0, 64))
    crop = Crop(np.zeros((8, 8, 3), np.uint8), np.eye(2, 3, dtype=np.float32), True)
    face = Face(np.zeros((478, 2), np.float32), np.zeros(52, np.float32))
    whole, found = (m for _, m in stage.process("frame", frame(100.01, crop=crop, face=face, slot=Slot("r", 1, 2))))
    assert (whole.image.shape, whole.crop.image.shape, whole.slot) == ((4, 6, 3), (8, 8, 3), Slot("r", 1, 2))
    assert isinstance(found, Parameters)
    assert (found.seq, found.t_capture, found.tracked) == (whole.seq, whole.t_capture, True)
    assert found.face is whole.face
    assert found.muscles is whole.muscles
    assert found.crop_from_frame is crop.crop_from_frame


def test_nan_and_another_rate_do_not_confuse_it():
    stage = JoinStage(JoinStageSettings(), Context())
    stage.process("envelope", Chunk(np.full((10, CHANNELS), np.nan, np.float32), RATE_HZ, 100.0, 0, "envelope"))
    assert np.isnan(joined(stage, 100.001).muscles.envelope_uv).all()
    stage.process("envelope", ramp(0, 50, rate_hz=1000.0))
    assert joined(stage, 100.0104).muscles.envelope_uv[0] == 10


def test_muscles_of_another_size_are_not_adopted():
    stage = JoinStage(JoinStageSettings(), Context())
    few = np.zeros(3, np.float32)
    stage.process("muscles", Muscles(1.0, few, few, few, few.astype(np.uint8), few, few, few))
    stage.process("envelope", ramp(0, 64))
    assert np.isnan(joined(stage, 100.01).muscles.percent_mvc).all()
