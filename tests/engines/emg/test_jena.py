import numpy as np
import pytest
from scipy import signal

from engines.emg.jena import JENA_CHAIN_ID, OUTPUT_RATE_HZ, _centred_mean, jena_offline
from engines.errors import BadInput

RATE = 4096.0


def tone(seconds, frequency_hz, rms_uv=100.0):
    t = np.arange(round(seconds * RATE)) / RATE
    return (np.sqrt(2) * rms_uv * np.sin(2 * np.pi * frequency_hz * t))[:, None]


def test_a_steady_tone_shows_its_rms():
    envelope = jena_offline(tone(6.0, 200.0), RATE)
    assert envelope.shape == (180, 1)
    assert envelope.dtype == np.float32
    notch = abs(signal.freqz(*signal.iirnotch(50.0, 2.0, RATE), worN=[200.0], fs=RATE)[1][0])
    assert envelope[60:120] == pytest.approx(100.0 * notch, rel=0.01)


def test_a_short_burst_shows_at_45_percent():
    """FACTS 1.2: 100 ms within a 500 ms window, sqrt(0.2) = 0.447 of its true RMS."""
    burst = tone(4.0, 200.0)
    t = np.arange(len(burst)) / RATE
    burst[(t < 2.0) | (t >= 2.1)] = 0
    assert jena_offline(burst, RATE).max() == pytest.approx(45.0, abs=2.0)


def test_it_is_centred_not_late():
    burst = tone(4.0, 200.0)
    t = np.arange(len(burst)) / RATE
    burst[(t < 1.75) | (t >= 2.25)] = 0
    envelope = jena_offline(burst, RATE)[:, 0]
    seconds = np.arange(len(envelope)) / OUTPUT_RATE_HZ
    assert (envelope * seconds).sum() / envelope.sum() == pytest.approx(2.0, abs=0.01)


def test_nan_and_offset_do_no_harm_and_nothing_is_negative():
    raw = tone(3.0, 200.0) + 5000.0
    raw[4000:4020] = np.nan
    envelope = jena_offline(raw, RATE)
    assert np.isfinite(envelope).all()
    assert envelope.min() >= 0
    assert envelope[30:60] == pytest.approx(jena_offline(tone(3.0, 200.0), RATE)[30:60], rel=0.02)


def test_ringing_of_the_resampling_is_clamped():
    burst = tone(4.0, 200.0)
    burst[round(0.5 * RATE) :] = 0  # loud at the beginning only: the circular resampling rings at the end
    envelope = jena_offline(burst, RATE)
    assert envelope.min() == 0.0
    assert (envelope == 0.0).sum() > 10


def test_mean_over_rows_is_the_naive_one():
    values = np.random.default_rng(0).normal(size=(50, 2))
    padded = np.vstack([np.zeros((4, 2)), values, np.zeros((3, 2))])
    naive = np.array([padded[i : i + 8].mean(axis=0) for i in range(50)])
    np.testing.assert_allclose(_centred_mean(values, 8), naive, atol=1e-12)


def test_chain_id_never_changes():
    assert JENA_CHAIN_ID == "e43476f5cab5"


def test_what_does_not_fit_is_refused():
    for raw, rate in ((tone(0.4, 200.0), RATE), (tone(2.0, 200.0), 1000.0), (tone(2.0, 200.0)[:, 0], RATE)):
        with pytest.raises(BadInput):
            jena_offline(raw, rate)
