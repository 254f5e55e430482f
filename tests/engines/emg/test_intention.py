import numpy as np
import pytest

from engines.emg.intention import CONTROL_HZ, Intention, table_bins
from engines.emg.montage import FRIDLUND
from engines.emg.muscles import ACTION_INDEX, action_columns
from engines.emg.tasks import TASKS, Task, clip_of, functional_clip, session_clips, task_named

F = FRIDLUND.column
SMILE = clip_of(task_named("Smile-Closed"))


@pytest.fixture(scope="module")
def session():
    return Intention(session_clips(2), seed=2, person=5, variability=1.0)


def middle(intention, held):
    return intention.table[round((held.start_s + 0.3) * CONTROL_HZ) : round((held.end_s - 0.2) * CONTROL_HZ)]


def test_a_rise_is_the_minimum_jerk_curve():
    """The slow twin: Flash and Hogan's polynomial, written out, between rest and hold."""
    alone = functional_clip(Task("x", "schaede", (("zygomaticus_left", 0.8),)), 1)
    intention = Intention([alone], 0, 0, 0.0)
    rise = intention.table[: round(2.0 * CONTROL_HZ), F("F20")]
    for step, value in enumerate(rise):
        x = min(max((step / CONTROL_HZ - (1.5 - 0.4)) / 0.4, 0.0), 1.0)
        assert value == pytest.approx(0.8 * (10 * x**3 - 15 * x**4 + 6 * x**5), abs=1e-9)
    assert not np.delete(intention.table, F("F20"), axis=1).any()


def test_repetitions_vary(session):
    strengths = np.array([middle(session, h)[:, F("F19")].mean() for h in session.held if h.task == "Smile-Open"])
    assert len(strengths) == 3
    assert 0.01 < strengths.std() / strengths.mean() < 0.3
    efforts = np.log([held.effort for held in session.held])
    assert 0.05 < efforts.std() < 0.2
    late = [h.start_s - session.first_s[h.clip] - session_clips(2)[h.clip].holds[0].start_s for h in session.held[::3]]
    assert 0.02 < np.std(late[:10]) < 0.2


def test_people_have_habits_and_keep_them():
    def strength(person, seed):
        intention = Intention([SMILE] * 4, seed, person, 1.0)
        return np.mean([middle(intention, held).mean(axis=0) for held in intention.held], axis=0)

    people = np.array([strength(person, 0)[F("F19")] for person in range(12)])
    sessions = np.array([strength(3, seed)[F("F19")] for seed in range(12)])
    assert people.std() / people.mean() > max(0.1, 1.5 * sessions.std() / sessions.mean())
    both = strength(3, 0)[[F("F19"), F("F20")]]
    assert both[1] / both[0] == pytest.approx(1.0, abs=0.06)  # a habit has no side


def test_nobody_holds_still(session):
    held = next(h for h in session.held if h.task == "Eye-Tight")
    hold = middle(session, held)[:, F("F17")]
    assert 0.005 < hold.std() / hold.mean() < 0.12
    assert np.abs(np.diff(hold)).max() < 0.03  # slowly


def test_slow_noise_is_slow_and_circular(session):
    noise = session.slow_noise(3)
    np.testing.assert_allclose(noise.std(axis=0), 1.0, atol=1e-9)
    power = np.abs(np.fft.rfft(noise, axis=0)) ** 2
    bins = table_bins(len(noise))
    assert power[bins > 9.5].sum() < 1e-9 * power.sum()
    assert power[bins < 3.0].sum() > 0.85 * power.sum()
    assert np.abs(noise[0] - noise[-1]).max() < 6 * np.diff(noise, axis=0).std()


def test_nobody_blinks_with_the_eyes_shut(session):
    lids = list(action_columns("lid_close"))
    shut = [h for h in session.held if h.task in ("Eye-Gentle", "Eye-Tight")]
    assert shut
    for held in shut:
        assert not ((session.blinks_s > held.start_s) & (session.blinks_s < held.end_s)).any()
    rest = Intention([functional_clip(TASKS[0], repetitions=8)], 1, 1, 1.0)
    assert len(rest.blinks_s) >= 2
    for begin_s in rest.blinks_s:
        assert rest.table[round((begin_s + 0.05) * CONTROL_HZ)][lids].min() > 0.9
    others = np.delete(rest.table, lids, axis=1)
    assert not others.any()
    assert rest.table[:, ACTION_INDEX["lid_close_left"]].mean() < 0.1
