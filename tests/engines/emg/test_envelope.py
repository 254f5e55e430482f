from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from engines.emg.chain import PRESETS, front_sections, lowpass_sections, rms_window_samples
from engines.emg.envelope import LIMIT_UV, MAX_HOLD_S, Envelope, warm_up
from engines.errors import BadInput

RATE = 4096.0
EVERY = pytest.mark.parametrize("name", PRESETS)


def emg(seconds=1.0, channels=5, seed=0, offset_uv=0.0):
    noise = np.random.default_rng(seed).normal(offset_uv, 40.0, (round(seconds * RATE), channels))
    return noise.astype(np.float32)


def envelope_slowly(data, chain):
    """The chain as a textbook writes it: filter, rectify, filter, or filter, square, mean of the last W, root."""
    front = front_sections(chain, RATE)
    start = signal.sosfilt_zi(front)[:, :, None] * data[0].astype(np.float64)
    band, _ = signal.sosfilt(front, data.astype(np.float64), axis=0, zi=start)
    window = rms_window_samples(chain, RATE)
    if not window:
        return np.maximum(signal.sosfilt(lowpass_sections(chain, RATE), np.abs(band), axis=0), 0)
    squares = np.vstack([np.zeros((window, band.shape[1])), band**2])
    return np.sqrt([squares[i + 1 : i + 1 + window].mean(axis=0) for i in range(len(band))])


def cut(data, sizes):
    edges = np.minimum(np.cumsum([0, *sizes]), len(data))
    return [data[a:b] for a, b in pairwise(edges)] + [data[edges[-1] :]]


@EVERY
@pytest.mark.parametrize("channels", [1, 5, 8, 22])
def test_kernel_agrees_with_the_textbook(name, channels):
    data = emg(0.7, channels, offset_uv=3000.0)
    fast = Envelope(PRESETS[name]).process(data, RATE)
    assert fast.dtype == np.float32
    np.testing.assert_allclose(fast, envelope_slowly(data, PRESETS[name]), rtol=2e-6, atol=1e-6)


@EVERY
@pytest.mark.parametrize("block", [1, 7, 64, 137, 4096])
def test_envelope_ignores_block_size(name, block):
    data = emg(1.3)
    data[700:750, 1] = np.nan
    data[2000:3000, 2] = np.inf
    data[:300, 3] = np.nan
    whole = Envelope(PRESETS[name]).process(data, RATE)
    parts = Envelope(PRESETS[name])
    pieces = [parts.process(data[i : i + block], RATE) for i in range(0, len(data), block)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 300), max_size=8),
    bad=st.lists(st.tuples(st.integers(0, 899), st.integers(0, 2), st.integers(1, 400)), max_size=4),
    name=st.sampled_from(sorted(PRESETS)),
)
def test_any_cut_with_any_holes_gives_the_same_bits(sizes, bad, name):
    data = emg(900 / RATE, 3, seed=3)
    for start, channel, length in bad:
        data[start : start + length, channel] = np.nan
    parts = Envelope(PRESETS[name])
    pieces = [parts.process(piece, RATE) for piece in cut(data, sizes)]
    np.testing.assert_array_equal(np.concatenate(pieces), Envelope(PRESETS[name]).process(data, RATE))
    assert (np.isnan(np.concatenate(pieces)) == np.isnan(data)).all()


@EVERY
def test_channels_do_not_see_each_other(name):
    data = emg(0.5, 22)
    together = Envelope(PRESETS[name]).process(data, RATE)
    alone = Envelope(PRESETS[name]).process(data[:, 13:14], RATE)
    np.testing.assert_array_equal(together[:, 13:14], alone)


@EVERY
def test_empty_chunk_is_legal_and_changes_nothing(name):
    data = emg(0.2)
    envelope = Envelope(PRESETS[name])
    assert envelope.process(data[:0], RATE).shape == (0, 5)
    first = envelope.process(data[:400], RATE)
    assert envelope.process(data[:0], RATE).shape == (0, 5)
    both = np.concatenate([first, envelope.process(data[400:], RATE)])
    np.testing.assert_array_equal(both, Envelope(PRESETS[name]).process(data, RATE))


@EVERY
@pytest.mark.parametrize("offset", [250_000.0, -3000.0])
def test_first_sample_makes_no_step(name, offset):
    constant = np.full((2000, 2), offset, np.float32)
    assert Envelope(PRESETS[name]).process(constant, RATE).max() < 1e-3


@EVERY
@pytest.mark.parametrize("bad_value", [np.nan, np.inf, -np.inf, 2 * LIMIT_UV])
def test_a_bad_sample_poisons_nothing(name, bad_value):
    data = emg(2.0)
    clean = Envelope(PRESETS[name]).process(data, RATE)
    data[1000:1010, 2] = bad_value
    dirty = Envelope(PRESETS[name]).process(data, RATE)
    others = [0, 1, 3, 4]
    np.testing.assert_array_equal(dirty[:, others], clean[:, others])
    assert np.isnan(dirty[1000:1010, 2]).all()
    assert np.isfinite(np.delete(dirty[:, 2], slice(1000, 1010))).all()
    np.testing.assert_allclose(dirty[-1, 2], clean[-1, 2], rtol=1e-3)


@EVERY
def test_after_a_long_hole_the_channel_starts_anew(name):
    data = emg(1.5, 2)
    hole = round(MAX_HOLD_S * RATE) + 1
    data[1000 : 1000 + hole, 1] = np.nan
    data[1000 + hole :, 1] += 50_000.0  # the electrode came back at another level: no step may show
    after = Envelope(PRESETS[name]).process(data, RATE)[1000 + hole :, 1:]
    np.testing.assert_array_equal(after, Envelope(PRESETS[name]).process(data[1000 + hole :, 1:], RATE))


def test_a_short_hole_is_bridged_with_the_last_good_sample():
    data = emg(0.5, 1)
    held = data.copy()
    data[900:1000] = np.nan
    held[900:1000] = held[899]
    np.testing.assert_array_equal(
        Envelope(PRESETS["standard"]).process(data, RATE)[1000:],
        Envelope(PRESETS["standard"]).process(held, RATE)[1000:],
    )


@EVERY
def test_state_follows_the_stream(name):
    data = emg(0.3)
    envelope = Envelope(PRESETS[name])
    first = envelope.process(data, RATE)
    for fresh in (
        envelope.process(data, RATE, restart=True),
        (envelope.process(data[:, :2], RATE), envelope.process(data, RATE))[1],
        (envelope.process(data, 2000.0), envelope.process(data, RATE))[1],
    ):
        np.testing.assert_array_equal(fresh, first)
    assert not np.array_equal(envelope.process(data, RATE), first)


def test_input_stays_and_out_is_used():
    data = emg(0.1)
    before = data.copy()
    out = np.empty_like(data)
    assert Envelope(PRESETS["fast"]).process(data, RATE, out=out) is out
    np.testing.assert_array_equal(data, before)
    strided = np.repeat(data, 2, axis=1)[:, ::2]
    np.testing.assert_array_equal(Envelope(PRESETS["fast"]).process(strided, RATE), out)


def test_wrong_input_is_refused():
    envelope = Envelope(PRESETS["standard"])
    good = np.zeros((10, 2), np.float32)
    for wrong in (np.zeros(10, np.float32), np.zeros((10, 0), np.float32)):
        with pytest.raises(BadInput, match="time, channel"):
            envelope.process(wrong, RATE)
    for rate in (0.0, 800.0, float("nan"), float("inf")):
        with pytest.raises(BadInput, match="too low"):
            envelope.process(good, rate)
    with pytest.raises(BadInput, match="out must be"):
        envelope.process(good, RATE, out=np.zeros((10, 2)))


def test_rms_does_not_drift():
    """After loud signal the sum of a quiet one is exact again: a running sum would keep the loud one's rounding."""
    chain = replace(PRESETS["calm"], rms_window_s=0.05, mains_hz=None)  # a notch would ring on for seconds
    envelope = Envelope(chain)
    envelope.process(emg(1.0, 1) * 1e5, RATE)
    quiet = emg(4.0, 1, seed=5) * np.float32(1e-4)
    both = envelope.process(quiet, RATE)[-500:]
    np.testing.assert_allclose(both, Envelope(chain).process(quiet, RATE)[-500:], rtol=1e-4)


def test_constant_effort_gives_the_published_steadiness():
    """FACTS 1.3: SD of the bar at constant effort, 8 Hz 13 %, 6 Hz 11 %, RMS 250 ms 6 % of its mean."""
    band = signal.butter(2, (30.0, 200.0), "bandpass", fs=RATE, output="sos")  # what muscle looks like
    muscle = signal.sosfilt(band, np.random.default_rng(2).normal(size=(round(30 * RATE), 4)), axis=0) * 100
    spread = {}
    for name, chain in PRESETS.items():
        late = Envelope(chain).process(muscle.astype(np.float32), RATE)[4096:]
        spread[name] = float((late.std(axis=0) / late.mean(axis=0)).mean())
    assert spread["fast"] == pytest.approx(0.13, abs=0.03)
    assert spread["standard"] == pytest.approx(0.11, abs=0.03)
    assert spread["calm"] == pytest.approx(0.06, abs=0.02)


def test_mains_is_gone_and_muscle_stays():
    t = np.arange(round(3 * RATE)) / RATE
    tones = np.stack([np.sin(2 * np.pi * f * t) for f in (50.0, 100.0, 150.0, 125.0)], axis=1)
    late = Envelope(PRESETS["standard"]).process((1000 * tones).astype(np.float32), RATE)[-1]
    assert late[:3].max() < 1.0
    assert late[3] == pytest.approx(1000 * 2 / np.pi, rel=0.05)


def test_envelope_is_never_negative():
    """The low-pass undershoots when a loud contraction ends at once."""
    data = np.zeros((round(2 * RATE), 1), np.float32)
    data[:3000] = emg(3000 / RATE, 1) * 100
    no_notch = replace(PRESETS["fast"], mains_hz=None)  # a notch rings on and hides it
    assert Envelope(no_notch).process(data, RATE).min() >= 0


def test_warm_up_compiles_what_a_session_needs():
    warm_up()
