"""The noise that muscles make: Gaussian interference of many motor units, and the spikes of few (tables, RMS 1).

Surface EMG of a steady contraction is noise whose amplitude follows the activation, with the power spectrum

    P(f) = f_h^4 f^2 / ((f^2 + f_l^2) (f^2 + f_h^2)^2)                        Shwedyk 1977; Stulen and De Luca 1981

Here f_l = f_h / 2, so that one number, the median frequency, gives the spectrum. A very weak contraction is no such
noise: single motor units fire 8 to 20 times per second, each time with the same small potential. Both are made with the
same filter, driven by Gaussian numbers or by such spike trains, and mixed by the activation (simulator.py).

Tables are circular and have prime lengths: sample n of a stream is `table[n % len(table)]`, whatever the block.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

MEDIAN_PER_UPPER = 0.7976
"""Median frequency of P(f) from 0 to infinity, divided by f_h, for f_l = f_h / 2 (worked out numerically, tested)."""

_UNITS = 3
_FIRING_HZ = (8.0, 20.0)  # of single motor units in weak contraction: a choice within what is known
_FIRING_CV = 0.2  # relative SD of the interval between two spikes


def spectrum(frequency_hz: np.ndarray, median_hz: np.ndarray) -> np.ndarray:
    """P(f), not normalised. frequency_hz: (f,); median_hz: (channel,). Returns (f, channel) float64."""
    upper = np.asarray(median_hz) / MEDIAN_PER_UPPER
    lower = upper / 2.0
    f2 = np.square(np.asarray(frequency_hz, dtype=np.float64))[:, None]
    power: np.ndarray = upper**4 * f2 / ((f2 + lower**2) * (f2 + upper**2) ** 2)
    return power


def interference(rng: np.random.Generator, length: int, median_hz: np.ndarray, rate_hz: float) -> np.ndarray:
    """Many motor units: Gaussian. Returns (length, channel) float32, RMS 1 per channel, joins its own beginning."""
    return _shaped(rng.standard_normal((length, len(median_hz)), dtype=np.float32), median_hz, rate_hz)


def few_units(rng: np.random.Generator, length: int, median_hz: np.ndarray, rate_hz: float) -> np.ndarray:
    """Three motor units per channel, each firing on its own. Returns (length, channel) float32, RMS 1 per channel."""
    spikes = np.zeros((length, len(median_hz)), np.float32)
    seconds = length / rate_hz
    for column in range(len(median_hz)):
        for _ in range(_UNITS):
            per_s = rng.uniform(*_FIRING_HZ)
            count = max(1, round(seconds * per_s))
            intervals = np.clip(1.0 + _FIRING_CV * rng.standard_normal(count), 0.3, 1.7)
            places = np.cumsum(intervals) / intervals.sum() * length + rng.uniform(0, length)
            np.add.at(spikes[:, column], places.astype(np.int64) % length, rng.uniform(0.5, 1.5))
    return _shaped(spikes, median_hz, rate_hz)


def white(rng: np.random.Generator, length: int, channels: int) -> np.ndarray:
    """An amplifier's own noise. Returns (length, channels) float32, RMS 1 per channel."""
    return _unit(rng.standard_normal((length, channels), dtype=np.float32))


def wandering(rng: np.random.Generator, length: int, channels: int) -> np.ndarray:
    """Slow wandering with a 1/f^2 power spectrum, circular. Returns (length, channels) float32, RMS 1 per channel."""
    transform = fft.rfft(rng.standard_normal((length, channels), dtype=np.float32), axis=0)
    transform[0] = 0.0
    transform[1:] /= np.arange(1, len(transform), dtype=np.float32)[:, None]
    return _unit(fft.irfft(transform, length, axis=0))


def _shaped(excitation: np.ndarray, median_hz: np.ndarray, rate_hz: float) -> np.ndarray:
    transform = fft.rfft(excitation, axis=0)
    transform *= np.sqrt(spectrum(fft.rfftfreq(len(excitation), 1.0 / rate_hz), median_hz)).astype(np.float32)
    return _unit(fft.irfft(transform, len(excitation), axis=0))


def _unit(noise: np.ndarray) -> np.ndarray:
    unit: np.ndarray = (noise / np.sqrt(np.square(noise, dtype=np.float64).mean(axis=0))).astype(np.float32)
    return unit
