import numpy as np
import pytest

from engines.emg.intention import CONTROL_HZ
from engines.emg.montage import FRIDLUND
from engines.emg.muscles import ACTION_INDEX, at_the_sites, shown_by
from engines.emg.performance import (
    ELECTROMECHANICAL_DELAY_S,
    LID_DELAY_S,
    LID_TIME_S,
    MUSCLE_TIME_S,
    Performance,
)
from engines.emg.profile import HEALTHY, REST_TONE, Profile, Synkinesis, healthy, palsy
from engines.emg.tasks import MAXIMUM, TASKS, Task, functional_clip, session_clips, task_named
from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPE_INDEX

F = FRIDLUND.column
SMILE = task_named("Smile-Closed")


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def held_at(performance, number=0):
    held = performance.held[number]
    return np.linspace(held.start_s + 0.3, held.end_s - 0.2, 50)


@pytest.fixture(scope="module")
def session():
    return Performance(session_clips(2), healthy(5), seed=2, person=5)


@pytest.fixture(scope="module")
def plain():
    """A smile exactly as planned: no variability, no blinks."""
    return Performance([SMILE], HEALTHY, variability=0.0)


def test_a_session_has_the_clips_in_order(session):
    assert 325.5 <= session.duration_s <= 325.5 * 1.02
    times = session.first_s[:-1] + 0.01
    np.testing.assert_array_equal(session.clip_at(times), np.arange(35))
    assert [session.task_at(float(t)) for t in times[:11]] == [task.name for task in TASKS[:11]]
    assert len(session.held) == 10 * 3 + 24
    for held in session.held:
        clip = session.clips[held.clip]
        assert session.first_s[held.clip] < held.start_s < held.end_s < session.first_s[held.clip] + clip.duration_s
        assert clip.task.name == held.task


def test_every_number_is_in_range(session):
    moments = session.at(np.arange(0, session.duration_s, 0.05))
    for values, width in zip(moments[:3], (22, 22, 52), strict=True):
        assert values.shape == (len(moments.clip), width)
        assert 0 <= values.min() <= values.max() <= 1.0


def test_a_moment_depends_on_the_moment_alone(session, rng):
    times = rng.uniform(0, session.duration_s, 200)
    together = session.at(times)
    for i in (0, 17, 199):
        alone = session.at(times[i : i + 1])
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_array_equal(a[i], b[0])
    assert session.at(np.empty(0)).expression.shape == (0, 52)


def test_same_seeds_same_performance_other_seeds_another(session):
    times = np.arange(100, 200, 0.1)
    again = Performance(session_clips(2), healthy(5), seed=2, person=5)
    np.testing.assert_array_equal(again.activation(times), session.activation(times))
    np.testing.assert_array_equal(again.expression(times), session.expression(times))
    np.testing.assert_array_equal(again.drive.fatigue, session.drive.fatigue)
    for seeds in ((3, 5), (2, 6)):
        other = Performance(session_clips(2), healthy(5), *seeds)
        assert np.abs(other.activation(times) - session.activation(times)).max() > 0.05


def test_it_joins_its_own_beginning(session):
    period = session.duration_s
    times = np.arange(0, 20, 0.13)
    np.testing.assert_allclose(session.at(times + period).expression, session.at(times).expression, atol=1e-6)
    np.testing.assert_allclose(session.at(times - period).activation, session.at(times).activation, atol=1e-6)
    edge = session.at(np.array([period - 0.01, period + 0.01]))
    assert np.abs(np.diff(edge.expression, axis=0)).max() < 0.02


def test_without_variability_it_is_exactly_the_plan(plain):
    middle = plain.at(held_at(plain))
    sites = at_the_sites(SMILE.intent)
    np.testing.assert_allclose(middle.intent, np.tile(sites, (50, 1)), atol=1e-6)
    np.testing.assert_allclose(middle.activation, np.tile(np.clip(sites + REST_TONE, 0, 1), (50, 1)), atol=1e-6)
    np.testing.assert_allclose(middle.expression, np.tile(shown_by(SMILE.intent), (50, 1)), atol=1e-3)
    rest = plain.at(np.array([0.2, 0.5]))
    np.testing.assert_allclose(rest.activation, REST_TONE, atol=1e-6)
    np.testing.assert_allclose(rest.expression, 0.0, atol=1e-6)
    assert len(plain.blinks_s) == 0


def test_the_face_follows_the_muscle_by_delay_and_dynamics(plain):
    """Delay of a delay line and two equal time constants: their sum; half the height is passed about there."""
    times = np.arange(0, 4, 1e-3)
    muscle = plain.intent(times)[:, F("zygomaticus_left")]
    face = plain.expression(times)[:, BLENDSHAPE_INDEX["mouthSmileLeft"]]
    late = times[np.argmax(face > face.max() / 2)] - times[np.argmax(muscle > muscle.max() / 2)]
    assert late == pytest.approx(ELECTROMECHANICAL_DELAY_S + 2 * MUSCLE_TIME_S, abs=0.015)
    assert np.argmax(face > 0.05) > np.argmax(muscle > 0.05)


def test_dynamics_are_the_textbooks():
    """The slow twin: delay by shifting, then two first-order low-passes, step by step."""
    eyes = Performance([task_named("Eye-Gentle")], HEALTHY, variability=0.0)
    steps = np.arange(0, 8, 1 / 2048)
    wanted = eyes.intent(steps - LID_DELAY_S)[:, F("orbicularis_oculi_left")] / 0.25  # lids and muscle in step
    for _ in range(2):
        level, out = 0.0, []
        for value in wanted:
            level += (value - level) * (1 - np.exp(-1 / 2048 / LID_TIME_S))
            out.append(level)
        wanted = np.array(out)
    shown = eyes.actions(steps)[:, ACTION_INDEX["lid_close_left"]]
    np.testing.assert_allclose(shown, wanted, atol=0.02)


def test_blinks_come_as_often_as_peoples_do(session):
    per_minute = len(session.blinks_s) / session.duration_s * 60
    assert 6 < per_minute < 26
    assert np.diff(session.blinks_s).min() > 0.5
    times = session.blinks_s[:40, None] + np.arange(0, 0.3, 0.01)
    shut = session.expression(times.ravel())[:, BLENDSHAPE_INDEX["eyeBlinkLeft"]].reshape(times.shape)
    assert shut.max(axis=1).min() > 0.8
    open_again = session.expression(session.blinks_s[:40] + 0.4)[:, BLENDSHAPE_INDEX["eyeBlinkLeft"]]
    assert np.median(open_again) < 0.05
    muscle = session.activation(times.ravel())[:, F("orbicularis_oculi_left")].reshape(times.shape)
    assert muscle.max(axis=1).min() > REST_TONE + 0.08  # a blink in orbicularis oculi is real EMG
    assert session.drive.lids.max() == pytest.approx(1.0, abs=0.01)
    assert (session.drive.lids > 0.1).mean() == pytest.approx(per_minute / 60 * 0.24, rel=0.3)


def test_synkinesis_moves_the_other_muscle_and_shows():
    gain = 0.4
    profile = Profile("x", synkinesis=(Synkinesis("zygomaticus_left", "orbicularis_oculi_left", gain),))
    with_it = Performance([SMILE], profile, variability=0.0)
    middle = with_it.at(held_at(with_it))
    eye, mouth = F("orbicularis_oculi_left"), F("zygomaticus_left")
    extra = middle.activation[:, eye] - middle.activation[:, F("orbicularis_oculi_right")]
    np.testing.assert_allclose(extra / (middle.activation[:, mouth] - REST_TONE), gain, rtol=1e-3)
    np.testing.assert_allclose(middle.intent[:, eye], middle.intent[:, F("orbicularis_oculi_right")])
    squint = [middle.expression[0, BLENDSHAPE_INDEX[f"eyeSquint{side}"]] for side in ("Left", "Right")]
    assert squint[0] > squint[1] + 0.15


def test_a_blink_moves_a_synkinetic_mouth():
    profile = Profile("x", synkinesis=(Synkinesis("orbicularis_oculi_left", "zygomaticus_left", 0.5),))
    rest = Performance([functional_clip(TASKS[0])], profile, seed=1)
    times = rest.blinks_s + 0.05
    moved = rest.activation(times)
    assert (moved[:, F("zygomaticus_left")] - moved[:, F("zygomaticus_right")]).min() > 0.03


def test_co_contraction_fires_and_does_not_show():
    profile = Profile("x", co_contraction=(("depressor_anguli_oris_left", 0.2),))
    stiff, plain = (Performance([SMILE], p, variability=0.0) for p in (profile, HEALTHY))
    times = held_at(stiff)
    extra = (stiff.activation(times) - plain.activation(times))[:, F("depressor_anguli_oris_left")]
    np.testing.assert_allclose(extra, 0.2 * at_the_sites(SMILE.intent).max(), rtol=1e-3)
    np.testing.assert_array_equal(stiff.expression(times), plain.expression(times))


def test_a_palsy_shows_in_muscle_and_face():
    weak = Performance([task_named("Eye-Gentle")], palsy("left", "severe"), variability=0.0)
    middle = weak.at(held_at(weak))
    assert middle.expression[:, BLENDSHAPE_INDEX["eyeBlinkLeft"]].max() < 0.3  # the eye stays open
    assert middle.expression[:, BLENDSHAPE_INDEX["eyeBlinkRight"]].min() > 0.95


def test_fatigue_builds_up_and_goes():
    long = functional_clip(Task("Hold", "schaede", (("zygomaticus", 0.8),)), 1, hold_s=60.0, rest_s=100.0)
    fatigue = Performance([long], HEALTHY, variability=0.0).drive.fatigue[:, F("zygomaticus_left")]
    at = lambda t: fatigue[round(t * CONTROL_HZ)]  # noqa: E731
    assert at(1.0) < 0.1
    assert 0.3 < at(21.5) < 0.6  # one time constant into the hold
    assert at(61.0) > 0.7
    assert at(155.0) < 0.1
    assert not Performance([long], Profile("x", fatigue=0.0), variability=0.0).drive.fatigue.any()


@pytest.mark.parametrize("variability", [0.0, 1.0])
def test_the_maximum_reaches_one(variability):
    best = Performance([MAXIMUM], HEALTHY, seed=3, person=4, variability=variability)
    assert best.activation(held_at(best)).min() > 0.999 - 0.25 * variability  # nobody holds still
    np.testing.assert_allclose(best.activation(held_at(best)).mean(), 1.0, atol=0.04)
    assert best.held[0].effort == 1.0


def test_what_does_not_fit_is_refused():
    with pytest.raises(BadInput, match="got 0 clips"):
        Performance([])
    with pytest.raises(BadInput, match="variability of 0 to 3"):
        Performance([SMILE], variability=-1.0)
    with pytest.raises(BadInput, match="seeds >= 0"):
        Performance([SMILE], seed=-1)
