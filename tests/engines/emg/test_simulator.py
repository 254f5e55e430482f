import numpy as np
import pytest

from engines.emg.chain import PRESETS
from engines.emg.envelope import Envelope, group_delay_ms
from engines.emg.montage import FRIDLUND, KURAMOTO
from engines.emg.simulator import BROW_RAISE, SMILE, ActivationScript, SyntheticEmg, Task
from engines.errors import BadInput, UnknownChannel

RATE = 4096.0


@pytest.fixture(scope="module")
def person():
    return SyntheticEmg(seed=7)


@pytest.fixture(scope="module")
def ten_seconds(person):
    return person.block(0, round(10 * RATE))


@pytest.mark.parametrize("block", [1, 68, 1000])
def test_samples_depend_on_their_index_only(person, ten_seconds, block):
    begin, end = 30_000, 34_000  # across the end of the noise tables, within the smile
    pieces = [person.block(i, min(block, end - i)) for i in range(begin, end, block)]
    np.testing.assert_array_equal(np.concatenate(pieces), ten_seconds[begin:end])


def test_same_seed_same_person_other_seed_another(ten_seconds):
    np.testing.assert_array_equal(SyntheticEmg(seed=7).block(0, 500), ten_seconds[:500])
    assert not np.array_equal(SyntheticEmg(seed=8).block(0, 500), ten_seconds[:500])


def test_a_day_later_it_still_runs(person):
    late = person.block(round(86_400 * RATE), 500)
    assert np.isfinite(late).all()


def test_envelope_follows_the_truth(person, ten_seconds):
    delay = round(group_delay_ms(PRESETS["standard"], RATE) / 1000 * RATE)
    envelope = Envelope(PRESETS["standard"]).process(ten_seconds, RATE)[delay:]
    truth = person.truth(np.arange(len(ten_seconds)) / RATE)[: len(envelope)]
    for column in np.flatnonzero(truth.max(axis=0) > 0.3):
        assert np.corrcoef(envelope[:, column], truth[:, column])[0, 1] > 0.97
    silent = truth.max(axis=0) == 0
    assert silent.any()
    assert envelope[1000:, silent].max() < 6.0


def test_noise_lies_in_the_muscles_band():
    loud = SyntheticEmg(noise_uv=0.0, mains_uv=0.0, script=ActivationScript(tasks=(SMILE,)))
    smile = loud.block(round(2.5 * RATE), round(2 * RATE))[:, FRIDLUND.column("F19")]
    power = np.abs(np.fft.rfft(smile * np.hanning(len(smile)))) ** 2
    frequency = np.fft.rfftfreq(len(smile), 1 / RATE)
    inside = power[(frequency > 15) & (frequency < 600)].sum() / power.sum()
    assert inside > 0.93
    assert power[frequency < 5].sum() / power.sum() < 0.005


def test_baseline_and_mains_have_their_size():
    rest = round(1.9 * RATE)
    quiet = SyntheticEmg(noise_uv=2.0, mains_uv=0.0).block(0, rest)
    assert quiet.std(axis=0) == pytest.approx(2.0, rel=0.1)
    hum = SyntheticEmg(noise_uv=0.0, mains_uv=3.0, mains_hz=60.0).block(0, rest)
    spectrum = np.abs(np.fft.rfft(hum[:4096, 0]))
    assert spectrum.argmax() == 60
    assert np.sqrt((hum[:4096] ** 2).mean()) == pytest.approx(3.0, rel=0.01)


def test_the_left_side_is_weaker_and_the_left_eye_moves_along():
    script = ActivationScript()
    strength = script.activation(np.array([1.0, 8.5]))
    assert strength.shape == (2, 22)
    assert not strength[0].any()
    right, left, eye_left = (FRIDLUND.column(c) for c in ("F19", "F20", "F18"))
    assert strength[1, right] == pytest.approx(0.9)
    assert strength[1, left] == pytest.approx(0.4)
    assert strength[1, eye_left] > 0.3
    assert script.task_at(8.5) == "Smile-Closed"
    assert script.task_at(1.0) == "Face-At-Rest"


def test_the_face_lags_the_muscle():
    script = ActivationScript(delay_s=0.1)
    times = np.arange(2.0, 5.5, 0.01)
    muscle = script.activation(times)[:, FRIDLUND.column("F1")] / 0.85
    face = np.array([script.expression(t)["browInnerUp"] for t in times]) / 0.7
    np.testing.assert_allclose(face[10:], muscle[:-10], atol=1e-9)
    assert set(script.expression(0.0)) == set(script.expression(8.5))
    assert all(0 <= v <= 1 for t in np.arange(0, 30, 0.1) for v in script.expression(float(t)).values())


def test_activation_is_periodic_smooth_and_bounded():
    script = ActivationScript(tasks=(BROW_RAISE, SMILE))
    times = np.arange(0, script.period_s, 0.001)
    strength = script.activation(times)
    assert 0 <= strength.min() <= strength.max() <= 1
    np.testing.assert_allclose(script.activation(times + script.period_s), strength, atol=1e-9)
    assert np.abs(np.diff(strength, axis=0)).max() < 0.01


def test_a_subset_keeps_its_own_order():
    two = SyntheticEmg(FRIDLUND.subset(["F20", "F19"]))
    truth = two.truth(np.array([8.5]))
    np.testing.assert_allclose(truth, [[0.4, 0.9]])
    assert two.block(0, 10).shape == (10, 2)


def test_out_is_used_and_empty_blocks_are_legal(person):
    out = np.empty((5, 22), np.float32)
    assert person.block(0, 5, out) is out
    assert person.block(7, 0).shape == (0, 22)
    assert person.origin == "synthetic"


def test_what_does_not_fit_is_refused(person):
    with pytest.raises(BadInput):
        person.block(-1, 5)
    with pytest.raises(BadInput, match="out must be"):
        person.block(0, 5, np.empty((5, 22)))
    with pytest.raises(BadInput):
        SyntheticEmg(rate_hz=500.0)
    with pytest.raises(UnknownChannel):
        SyntheticEmg(KURAMOTO)
    with pytest.raises(BadInput, match="unknown: biceps"):
        ActivationScript(tasks=(Task("Curl", (("biceps", 1.0, 1.0),), ()),))
    with pytest.raises(BadInput):
        ActivationScript(ramp_s=5.0)
