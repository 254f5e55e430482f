import math
import tracemalloc

import numpy as np
import pytest
from scipy import signal, stats

from engines.emg.artefacts import LeadOff, Loss, Motion
from engines.emg.chain import PRESETS
from engines.emg.envelope import Envelope, group_delay_ms
from engines.emg.montage import FRIDLUND, KURAMOTO
from engines.emg.performance import Performance
from engines.emg.profile import HEALTHY, Profile, healthy
from engines.emg.simulator import Amplifier, SyntheticEmg
from engines.emg.tasks import MAXIMUM, TASKS, Task, functional_clip, task_named
from engines.errors import BadInput, UnknownChannel

RATE = 4096.0
F = FRIDLUND.column
NO_AMPLIFIER = Amplifier(noise_uv=0, mains_uv=0, offset_uv=0, drift_uv=0, gain_sd=0)
STILL = functional_clip(TASKS[0])
SMILE = Task("Smile-Alone", "schaede", (("zygomaticus", 0.7),))


def exact(*clips, profile=HEALTHY):
    return Performance(clips, profile, variability=0.0)


def during(emg, held, lead_s=0.0):
    """Raw samples of one contraction."""
    first = round((held.start_s + lead_s) * RATE)
    return emg.block(first, round(held.end_s * RATE) - first)


@pytest.fixture(scope="module")
def person():
    performance = Performance([task_named("Smile-Open"), task_named("Eye-Tight")], healthy(7), seed=7, person=7)
    faults = (Motion(4.0, channels=("F1",)), LeadOff(6.0, 2.0, "F3", "hum"), Loss(7.0, 0.1))
    return SyntheticEmg(seed=7, performance=performance, person=7, artefacts=faults)


@pytest.fixture(scope="module")
def ten_seconds(person):
    return person.block(0, round(10 * RATE))


@pytest.mark.parametrize("block", [1, 68, 1000])
def test_samples_depend_on_their_index_only(person, ten_seconds, block):
    begin, end = 30_000, 34_000  # across the end of noise tables, within the hum
    pieces = [person.block(i, min(block, end - i)) for i in range(begin, end, block)]
    np.testing.assert_array_equal(np.concatenate(pieces), ten_seconds[begin:end])


def test_same_seed_same_person_other_seed_another(person, ten_seconds):
    again = SyntheticEmg(seed=7, performance=person.performance, person=7)
    np.testing.assert_array_equal(again.block(0, 500), ten_seconds[:500])
    other = SyntheticEmg(seed=8, performance=person.performance, person=7)
    assert not np.array_equal(other.block(0, 500), ten_seconds[:500])
    louder = SyntheticEmg(seed=7, performance=person.performance, person=8)
    np.testing.assert_allclose(louder.electrode_gain, person.electrode_gain)  # electrodes: session; loudness: person
    assert not np.allclose(louder.full_uv, person.full_uv)
    assert person.origin == "synthetic"


def test_a_day_later_it_still_runs(person):
    assert np.isfinite(person.block(round(86_400 * RATE), 500)).all()


def test_the_signal_is_the_formula():
    """The slow twin: sample by sample in double precision, from the same tables."""
    performance = Performance([task_named("Forehead-Raise")], healthy(1), seed=1)
    emg = SyntheticEmg(seed=2, performance=performance, amplifier=Amplifier(clock_ppm=300.0, drift_uv=50.0))
    activation, fatigue, lids, full, strong, strong_too, tired, few, crosstalk = emg._signal
    blink, noise, mains, _, drift, _ = emg._electrics
    first, count = 4 * 4096, 40
    found = emg.block(first, count)

    def table(values, place):
        below = math.floor(place)
        share = place - below
        return (1 - share) * values[below % len(values)] + share * values[(below + 1) % len(values)]

    for n in range(first, first + count):
        t = n / (RATE * 1.0003)
        level, weary = table(activation.astype(float), t * 128), table(fatigue.astype(float), t * 128)
        many = level / (level + 0.03)
        fresh = (strong[n % 32749] + strong_too[n % 16381]) / math.sqrt(2)
        crowd = np.sqrt(1 - weary) * fresh + np.sqrt(weary) * tired[n % 32719]
        wave = np.sqrt(many) * crowd + np.sqrt(1 - many) * few[n % 24571]
        muscles = full * level * (1 + 0.4 * weary) * wave
        turns = [2 * math.pi * 50 * harmonic * t for harmonic in (1, 2, 3)]
        hum = sum(mains[h, 0] * math.cos(turn) + mains[h, 1] * math.sin(turn) for h, turn in enumerate(turns))
        slow = table(drift.astype(float), t * 2) + table(lids.astype(float), t * 128) * blink
        np.testing.assert_allclose(found[n - first], muscles @ crosstalk + noise[n % 8191] + hum + slow, atol=2e-3)


def test_envelope_follows_the_truth():
    performance = Performance([task_named("Smile-Open"), task_named("Forehead-Raise")], HEALTHY, seed=1)
    emg = SyntheticEmg(seed=1, performance=performance)
    delay = round(group_delay_ms(PRESETS["standard"], RATE) / 1000 * RATE)
    raw = emg.block(0, round(30 * RATE))
    envelope = Envelope(PRESETS["standard"]).process(raw, RATE)[delay:]
    truth = emg.truth(np.arange(len(raw)) / RATE)[: len(envelope)]
    active = np.flatnonzero(truth.max(axis=0) > 0.5)
    assert len(active) >= 6
    for column in active:
        assert np.corrcoef(envelope[:, column], truth[:, column])[0, 1] > 0.97


def test_amplitude_is_proportional_to_activation():
    levels = (0.2, 0.4, 0.8)
    clips = [functional_clip(Task(str(level), "schaede", (("zygomaticus", level),)), 1, hold_s=4.0) for level in levels]
    performance = exact(*clips, profile=Profile("x", tone=tuple((m, 0.0) for m in ("zygomaticus",)), fatigue=0.0))
    emg = SyntheticEmg(seed=1, performance=performance, amplifier=NO_AMPLIFIER)
    rms = np.array([during(emg, held)[:, F("F19")].std() for held in performance.held])
    np.testing.assert_allclose(rms / (emg.full_uv[F("F19")] * np.array(levels)), 1.0, atol=0.08)


def test_every_muscles_spectrum_is_facial():
    """Median frequencies of 100 to 200 Hz, nearly all of it between 15 and 600 Hz."""
    performance = exact(functional_clip(MAXIMUM, 1, hold_s=8.0), profile=Profile("x", fatigue=0.0))
    emg = SyntheticEmg(seed=3, performance=performance)
    frequency, power = signal.welch(during(emg, performance.held[0]), RATE, nperseg=2048, axis=0)
    total = np.cumsum(power, axis=0)
    medians = np.array([frequency[np.searchsorted(c, c[-1] / 2)] for c in total.T])
    assert 100 < medians.min() < medians.max() < 200
    inside = power[(frequency > 15) & (frequency < 600)].sum(axis=0) / total[-1]
    assert inside.min() > 0.9


def test_fatigue_makes_louder_and_slower():
    long = functional_clip(Task("Hold", "schaede", (("zygomaticus", 0.8),)), 1, hold_s=40.0, rest_s=150.0)
    change = {}
    for fatigue in (0.0, 1.0):
        performance = exact(long, profile=Profile("x", fatigue=fatigue))
        emg = SyntheticEmg(seed=1, performance=performance, amplifier=NO_AMPLIFIER)
        held = performance.held[0]
        early, late = (emg.block(round(t * RATE), round(6 * RATE))[:, F("F19")] for t in (held.start_s, held.end_s - 6))
        medians = []
        for piece in (early, late):
            frequency, power = signal.welch(piece, RATE, nperseg=2048)
            medians.append(frequency[np.searchsorted(np.cumsum(power), power.sum() / 2)])
        change[fatigue] = late.std() / early.std(), medians[1] / medians[0]
    assert change[0.0] == pytest.approx((1.0, 1.0), abs=0.06)
    assert 1.1 < change[1.0][0] < 1.5
    assert 0.6 < change[1.0][1] < 0.9


def test_weak_contractions_are_single_units():
    weak = functional_clip(Task("Weak", "schaede", (("zygomaticus", 0.01),)), 1, hold_s=8.0)
    strong = functional_clip(SMILE, 1, hold_s=8.0)
    silent = Profile("x", tone=tuple((c.name, 0.0) for c in FRIDLUND.channels))
    performance = exact(weak, strong, profile=silent)
    emg = SyntheticEmg(seed=2, performance=performance, amplifier=NO_AMPLIFIER)
    kurtosis = [stats.kurtosis(during(emg, held)[:, F("F19")]) for held in performance.held]
    assert kurtosis[0] > 1.0
    assert abs(kurtosis[1]) < 0.4


def test_cross_talk_falls_with_the_distance():
    silent = Profile("x", tone=tuple((c.name, 0.0) for c in FRIDLUND.channels))
    frown = functional_clip(Task("Frown", "schaede", (("corrugator_supercilii_right", 0.8),)), 1, hold_s=4.0)
    performance = exact(frown, profile=silent)
    emg = SyntheticEmg(seed=2, performance=performance, amplifier=NO_AMPLIFIER)
    rms = during(emg, performance.held[0]).std(axis=0)
    share = rms / rms[F("F5")]
    x, y = np.array(FRIDLUND.channels[F("F5")].site_xy) - np.array(FRIDLUND.channels[F("F7")].site_xy)
    assert share[F("F7")] == pytest.approx(math.exp(-math.hypot(x, y) / 7.0), rel=0.01)
    assert 0.1 < share[F("F7")] < 0.25
    assert share[F("F19")] == 0.0


def test_electrodes_spread_with_the_session_and_asymmetry_is_natural():
    performance = exact(STILL)
    gains = np.array([SyntheticEmg(seed=s, performance=performance).electrode_gain for s in range(12)])
    assert np.log(gains).std() == pytest.approx(0.15, rel=0.25)
    asymmetry = []  # the person's own and the electrodes' together, as a healthy person is measured
    for seed in range(300):
        gain = np.exp(0.15 * np.random.default_rng(seed).standard_normal(22))
        both = (healthy(seed).gain[:22] * gain).reshape(11, 2)
        asymmetry.append(100 * np.abs(both[:, 0] - both[:, 1]) / both.sum(axis=1))
    mean = np.mean(asymmetry, axis=0)
    assert 9.0 < mean.min() < mean.max() < 18.0  # the published means are 11 to 17 %


def test_baseline_and_mains_have_their_size():
    silent = Profile("x", tone=tuple((c.name, 0.0) for c in FRIDLUND.channels))
    still = exact(STILL, profile=silent)
    quiet = SyntheticEmg(performance=still, amplifier=Amplifier(noise_uv=2.0, mains_uv=0, offset_uv=0, drift_uv=0))
    assert quiet.block(0, 8192).std(axis=0) == pytest.approx(2.0, rel=0.1)
    only_hum = Amplifier(noise_uv=0, mains_uv=3.0, mains_hz=60.0, offset_uv=0, drift_uv=0)
    hum = SyntheticEmg(performance=still, amplifier=only_hum).block(0, 4096)
    power = np.abs(np.fft.rfft(hum, axis=0)) ** 2
    assert (power.argmax(axis=0) == 60).all()
    assert set(np.flatnonzero(power.max(axis=1) > 1e-3 * power.max())) == {60, 120, 180}
    assert np.median(hum.std(axis=0)) == pytest.approx(3.0, rel=0.3)
    assert hum.std(axis=0).std() > 0.3  # not the same on every channel


def test_blinks_are_at_the_eye_and_slow_at_the_forehead():
    performance = Performance([STILL], HEALTHY, seed=3)
    emg = SyntheticEmg(seed=3, performance=performance, amplifier=NO_AMPLIFIER)
    raw = emg.block(0, round(performance.duration_s * RATE))
    eye, brow, chin = [], [], []
    for begin_s in performance.blinks_s:
        here = slice(round(begin_s * RATE), round((begin_s + 0.3) * RATE))
        before = slice(round((begin_s - 0.25) * RATE), round((begin_s - 0.05) * RATE))
        eye.append(raw[here, F("F17")][:400].std() / raw[before, F("F17")].std())
        brow.append(np.convolve(raw[here, F("F5")], np.ones(200) / 200, "same").max())
        chin.append(np.abs(raw[here, F("F15")].mean()))
    assert np.median(eye) > 2.0
    assert 8 < np.median(brow) < 40
    assert np.median(chin) < 3


def test_a_subset_is_the_same_columns(person, ten_seconds):
    two = FRIDLUND.subset(["F20", "F1"])
    emg = SyntheticEmg(two, seed=7, performance=person.performance, person=7)
    np.testing.assert_array_equal(emg.block(0, 3000), ten_seconds[:3000][:, [F("F20"), F("F1")]])
    np.testing.assert_allclose(emg.truth(np.array([2.5])), person.truth(np.array([2.5]))[:, [F("F20"), F("F1")]])


def test_the_clock_drifts():
    performance = exact(functional_clip(SMILE))
    fast = SyntheticEmg(performance=performance, amplifier=Amplifier(clock_ppm=5000.0))
    assert fast.true_rate_hz == RATE * 1.005
    assert fast.time_s(np.array([4096.0 * 100]))[0] == pytest.approx(100 / 1.005)
    raw = fast.block(0, round(16 * RATE))[:, F("F19")]
    power = np.convolve(raw**2, np.ones(200) / 200, "same")
    onset = np.flatnonzero(power > power.max() / 8)
    rises = [onset[0], *onset[1:][np.diff(onset) > RATE]]
    assert np.diff(rises).mean() / (5.0 * RATE) == pytest.approx(1.005, abs=0.004)


def test_lost_packets_are_reported_and_left_out(person, ten_seconds):
    assert [(g.first, g.samples) for g in person.gaps] == [(round(7 * RATE), 410)]
    pieces = list(person.pieces(round(6.9 * RATE), 2000))
    assert len(pieces) == 2
    for first, data in pieces:
        np.testing.assert_array_equal(data, ten_seconds[first : first + len(data)])
    assert pieces[1][0] == round(7 * RATE) + 410
    assert sum(len(data) for _, data in pieces) == 2000 - 410


def test_nothing_large_is_allocated_per_block(person):
    out = np.empty((137, 22), np.float32)
    person.block(0, 137, out)
    tracemalloc.start()
    for first in range(0, 20 * 137, 137):
        person.block(first, 137, out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000


def test_out_is_used_and_empty_blocks_are_legal(person):
    out = np.empty((5, 22), np.float32)
    assert person.block(0, 5, out) is out
    assert person.block(7, 0).shape == (0, 22)


def test_what_does_not_fit_is_refused(person):
    with pytest.raises(BadInput, match="no samples -1"):
        person.block(-1, 5)
    with pytest.raises(BadInput, match="out must be"):
        person.block(0, 5, np.empty((5, 22)))
    with pytest.raises(BadInput, match="more than 900 Hz"):
        SyntheticEmg(rate_hz=500.0)
    with pytest.raises(BadInput, match="seeds >= 0"):
        SyntheticEmg(seed=-1)
    with pytest.raises(UnknownChannel):
        SyntheticEmg(KURAMOTO)
    with pytest.raises(BadInput, match="noise_uv must be 0 or more, got -1"):
        Amplifier(noise_uv=-1.0)
    with pytest.raises(BadInput, match="gain_sd must be 0 or more, got nan"):
        Amplifier(gain_sd=float("nan"))
    with pytest.raises(BadInput, match="above 0"):
        Amplifier(mains_hz=0.0)
