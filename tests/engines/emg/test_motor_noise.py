import numpy as np
import pytest
from scipy import signal, stats

from engines.emg.motor_noise import few_units, interference, spectrum, wandering, white

RATE = 4096.0
LENGTH = 32749
MEDIANS = np.array([120.0, 150.0, 180.0])


def median_frequency(noise):
    frequency, power = signal.welch(noise, RATE, nperseg=2048, axis=0)
    return np.array([frequency[np.searchsorted(c, c[-1] / 2)] for c in np.cumsum(power, axis=0).T])


@pytest.mark.parametrize("make", [interference, few_units])
def test_motor_noise_has_its_median_frequency_and_unit_rms(make):
    noise = make(np.random.default_rng(1), LENGTH, MEDIANS, RATE)
    assert noise.shape == (LENGTH, 3)
    assert noise.dtype == np.float32
    np.testing.assert_allclose(np.sqrt((noise.astype(float) ** 2).mean(axis=0)), 1.0, atol=1e-4)
    np.testing.assert_allclose(median_frequency(noise), MEDIANS, rtol=0.08)


def test_the_spectrum_is_the_published_one():
    frequency = np.arange(0, 5000, 0.05)
    power = spectrum(frequency, np.array([100.0, 200.0]))
    for column, median in enumerate((100.0, 200.0)):
        total = np.cumsum(power[:, column])
        assert frequency[np.searchsorted(total, total[-1] / 2)] == pytest.approx(median, rel=0.005)
    upper = 100.0 / 0.7976
    lower, f = upper / 2, 80.0
    by_hand = upper**4 * f**2 / ((f**2 + lower**2) * (f**2 + upper**2) ** 2)
    assert spectrum(np.array([f]), np.array([100.0]))[0, 0] == pytest.approx(by_hand)
    measured = interference(np.random.default_rng(2), LENGTH, np.array([150.0]), RATE)
    frequency, found = signal.welch(measured[:, 0], RATE, nperseg=1024)
    expected = spectrum(frequency, np.array([150.0]))[:, 0]
    inside = (frequency > 10) & (frequency < 800)
    ratio = found[inside] / expected[inside]
    assert np.log(ratio / np.median(ratio)).std() < 0.25


def test_many_units_are_gaussian_and_few_are_spiky():
    many = interference(np.random.default_rng(3), LENGTH, MEDIANS, RATE)
    few = few_units(np.random.default_rng(3), LENGTH, MEDIANS, RATE)
    assert np.abs(stats.kurtosis(many, axis=0)).max() < 0.3
    assert stats.kurtosis(few, axis=0).min() > 2.0


def test_single_units_fire_at_their_rate():
    """Three units of 8 to 20 per second: 24 to 60 potentials per second, counted in the peaks."""
    few = few_units(np.random.default_rng(4), LENGTH, np.array([180.0]), RATE)[:, 0]
    peaks, _ = signal.find_peaks(np.abs(few), height=1.5, distance=round(0.008 * RATE))
    assert 15 < len(peaks) / (LENGTH / RATE) < 65


@pytest.mark.parametrize("make", [interference, few_units])
def test_tables_join_their_own_beginning(make):
    noise = make(np.random.default_rng(5), LENGTH, MEDIANS, RATE)
    seam = np.abs(noise[0] - noise[-1]).max()
    assert seam < np.abs(np.diff(noise, axis=0)).max()


def test_white_and_wandering():
    rng = np.random.default_rng(6)
    assert median_frequency(white(rng, LENGTH, 2)) == pytest.approx(RATE / 4, rel=0.05)
    slow = wandering(rng, 1021, 2)
    np.testing.assert_allclose(np.sqrt((slow.astype(float) ** 2).mean(axis=0)), 1.0, atol=1e-4)
    assert np.abs(np.diff(slow, axis=0)).max() < 0.5
    assert np.abs(slow[0] - slow[-1]).max() < 0.5
