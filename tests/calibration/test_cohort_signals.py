from dataclasses import replace

import numpy as np
import pytest

from calibration.cohort_plan import CohortSettings, plan_clips, plan_people
from calibration.cohort_signals import RATE_HZ, Signals, _spoilt
from engines.emg.artefacts import LeadOff, Loss, Motion, Settling
from engines.emg.jena import jena_offline
from engines.emg.montage import FRIDLUND

PHOTOS = [f"{n:03d}" for n in range(1, 31)]
SETTINGS = CohortSettings(participants=1, sessions=1, mishaps=0.0)


@pytest.fixture(scope="module")
def session():
    """The recording with electrodes, and where its clips are."""
    plans = [plan for plan in plan_clips(SETTINGS, plan_people(SETTINGS, PHOTOS)) if plan.recording.electrodes]
    return Signals(SETTINGS, plans[0].recording), {plan.id.task: plan for plan in plans}


def clip(session, task):
    signals, plans = session
    return signals.clip_emg(plans[task].place, plans[task].frames(None))


def test_a_clip_has_a_row_per_frame_and_a_second_more_raw_signal_on_both_sides(session):
    emg = clip(session, "Smile-Closed")
    assert emg.envelope_uv.shape == (495, 22)
    assert emg.raw_uv.shape == (len(emg.raw_s), 22)
    assert emg.raw_s[0] == pytest.approx(-1, abs=2 / RATE_HZ)
    assert emg.raw_s[-1] == pytest.approx(16.5 + 1, abs=1e-3)
    np.testing.assert_allclose(np.diff(emg.raw_s), 1 / RATE_HZ, rtol=2e-4)  # the amplifier's clock is not perfect


def test_the_first_clip_has_nothing_before_it(session):
    emg = clip(session, "Face-At-Rest")
    assert 0 <= emg.raw_s[0] < 1 / RATE_HZ
    assert emg.envelope_uv.shape == (495, 22)


def test_rows_are_the_chain_applied_to_the_raw_signal_at_the_frames_times(session):
    """The slow way round: the envelope of a longer piece, read at the frames' times."""
    signals, plans = session
    plan = plans["Forehead-Raise"]
    first = round((signals.performance.first_s[plan.place] - 3) * RATE_HZ)
    longer = jena_offline(signals.emg.block(first, round(22.5 * RATE_HZ)), RATE_HZ)[90 : 90 + 495]
    emg = clip(session, "Forehead-Raise")
    column = FRIDLUND.column("F1")
    np.testing.assert_allclose(emg.envelope_uv[5:-5, column], longer[5:-5, column], rtol=0.03, atol=0.5)


def test_muscles_are_strongest_in_their_tasks_when_the_movement_is_held(session):
    signals, plans = session
    for task, muscle in (("Smile-Closed", "zygomaticus"), ("Forehead-Raise", "medial_frontalis")):
        emg = clip(session, task)
        performed = signals.performed(plans[task].place, 495)
        column = FRIDLUND.column(f"{muscle}_right")
        held, rest = performed.activation[:, column] > 0.3, performed.activation[:, column] < 0.05
        assert emg.envelope_uv[held, column].mean() > 5 * emg.envelope_uv[rest, column].mean()


def test_everything_follows_from_the_seed(session):
    signals, plans = session
    again = Signals(SETTINGS, signals.plan)
    plan = plans["happy"]
    a, b = (each.clip_emg(plan.place, 30) for each in (signals, again))
    np.testing.assert_array_equal(a.raw_uv, b.raw_uv)
    np.testing.assert_array_equal(a.envelope_uv, b.envelope_uv)
    other = Signals(replace(SETTINGS, seed=5), signals.plan)
    assert not np.array_equal(other.clip_emg(plan.place, 30).raw_uv, a.raw_uv)


def test_two_sessions_have_other_gains_and_the_same_loudness():
    settings = replace(SETTINGS, sessions=2)
    recordings = dict.fromkeys(p.recording for p in plan_clips(settings, plan_people(settings, PHOTOS)))
    first, second = (Signals(settings, r).emg for r in recordings if r.electrodes)
    assert not np.allclose(first.electrode_gain, second.electrode_gain)
    np.testing.assert_allclose(first.full_uv / first.electrode_gain, second.full_uv / second.electrode_gain)


def test_lost_samples_have_no_stamps_and_a_mark():
    settings = replace(SETTINGS, mishaps=60.0)
    plan = next(p for p in plan_clips(settings, plan_people(settings, PHOTOS)) if p.recording.electrodes)
    signals = Signals(settings, plan.recording)
    lost = next(a for a in signals.artefacts if isinstance(a, Loss) and a.at_s > 20 and a.duration_s > 0.05)
    place = int(signals.performance.clip_at(np.array([lost.at_s]))[0])
    frames = round(plan.recording.clips[place].duration_s * 30)
    emg = signals.clip_emg(place, frames)
    at_s = lost.at_s - signals.performance.first_s[place]
    assert not ((emg.raw_s > at_s + 0.01) & (emg.raw_s < at_s + lost.duration_s - 0.01)).any()
    assert np.isfinite(emg.envelope_uv).all()
    assert not emg.intact[min(round(at_s * 30), frames - 1)].any()


def test_artefacts_spoil_their_channels_for_as_long_as_the_window_sees_them():
    t_s = np.arange(600) / 30
    found = _spoilt((Motion(2.0, 0.5, ("F1",)), LeadOff(5.0, 1.0, "F2"), Loss(8.0, 0.1)), t_s)
    assert np.flatnonzero(found[:, 0] & (t_s < 7)).tolist() == list(range(53, 98))  # 1.75 s to 3.25 s
    assert np.flatnonzero(found[:, 1] & (t_s < 7)).tolist() == list(range(143, 188))
    assert found[240].all()
    assert not found[t_s > 9].any()
    slide = _spoilt((Settling(0.0, (), 20_000.0, 1.0),), t_s)
    assert slide[: round(6.9 * 30)].all()  # e^-6.9 of 20 mV are 20 microvolt
    assert not slide[round(7.2 * 30) :].any()
    assert not _spoilt((), t_s).any()
