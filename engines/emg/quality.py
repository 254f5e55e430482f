"""Is each electrode on, and is its signal fit to be measured? Streaming, per channel (FACTS 1.4).

The stream is judged in windows of 0.1 s (whole cycles of 50 and of 60 Hz), laid by sample count and not by chunk, so
the verdicts do not depend on how the wire cut the signal. A blink is real EMG: nothing here removes anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from engines.errors import BadInput
from engines.kernels import kernel

WINDOW_S = 0.1


class Contact(IntEnum):
    """Contact of one electrode pair. Only STABLE is fit to calibrate or to train with."""

    OFF = 0  # nothing comes in: flat, railed, not a number, or an open input full of mains
    ON = 1  # a signal, but spoilt: clipping, mains, lost packets
    SETTLING = 2  # a clean signal whose level still drifts, or which has not been clean for long enough
    STABLE = 3


@dataclass(frozen=True)
class QualitySettings:
    """Limits of the verdicts. A limit is left again only below limit / hysteresis.

    Raises BadInput when a number is not positive.
    """

    range_uv: float = 187_500.0  # half the amplifier's input range: +- this; 4.5 V / gain 24 here
    mains_hz: float | None = 50.0
    clip_level: float = 0.98  # of range_uv
    clip_run: int = 5  # equal samples in a row at the window's extreme count as clipped ...
    clip_run_above_uv: float = 100.0  # ... when the window spans more than this (less is coarse resolution)
    clip_limit: float = 0.01  # share of clipped samples
    railed_limit: float = 0.5  # share of clipped or bad samples from which nothing is left
    flat_uv: float = 0.5  # peak to peak within a window; an amplifier's own noise is above 1
    mains_limit: float = 0.5  # share of the AC power, but only
    mains_above_uv: float = 10.0  # when the hum is at least this strong (RMS)
    open_input_uv: float = 500.0  # hum of an electrode in the air (RMS), with mains_limit reached
    drift_limit_uv_per_s: float = 500.0
    lost_limit: float = 0.02  # share of lost samples, smoothed over a second
    settle_s: float = 1.0  # clean and still for so long makes STABLE
    react_s: float = 0.2  # a worse verdict must last so long before it counts
    hysteresis: float = 1.5

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is None and name == "mains_hz":
                continue
            if not (math.isfinite(value) and value > 0):
                raise BadInput(f"EMG quality: {name} must be a positive number, got {value}")
        if self.hysteresis < 1:
            raise BadInput(f"EMG quality: hysteresis must be at least 1, got {self.hysteresis}")


@dataclass(frozen=True)
class QualityReport:
    """The newest finished window; every array is (channel,). Before the first window all is NaN and OFF."""

    contact: np.ndarray  # uint8, Contact
    clip_ratio: np.ndarray  # float32, share of clipped samples, 0..1
    bad_ratio: np.ndarray  # float32, share of NaN and infinite samples, 0..1
    flat: np.ndarray  # bool
    mains_ratio: np.ndarray  # float32, mains and two harmonics, share of the AC power, 0..1
    mains_uv: np.ndarray  # float32, the same as RMS microvolt
    drift_uv_per_s: np.ndarray  # float32, >= 0, smoothed over half a second
    rms_uv: np.ndarray  # float32, AC part of the raw signal
    lost_ratio: float  # share of lost samples, 0..1, smoothed over a second
    windows: int  # finished windows since the stream began


# Rows of the per-window accumulators, (row, channel) float64, and of the finished metrics.
_COUNT, _SUM, _SQUARES, _MIN, _MAX, _RUN_MIN, _RUN_MAX, _RAILED, _BEST_MIN, _BEST_MAX, _LAST, _LEVEL = range(12)
_CLIP, _BAD, _FLAT, _MAINS_RATIO, _MAINS_UV, _DRIFT, _RMS = range(7)
_DRIFT_WINDOWS = 5.0
_LOST_WINDOWS = 10.0


class Quality:
    """Streaming verdicts; owns its state and rebuilds it when rate or channels change."""

    def __init__(self, settings: QualitySettings | None = None) -> None:
        self.settings = settings or QualitySettings()
        self._key: tuple[float, int] | None = None

    def process(self, data: np.ndarray, rate_hz: float, lost_samples: int = 0) -> QualityReport:
        """Judge one chunk.

        data: (time, channel) microvolt as the amplifier sent it (unfiltered), may be empty, is not changed.
        lost_samples: how many samples were lost just before this chunk; the window they fell in is thrown away.
        Raises BadInput for wrong shapes, a rate below 200 Hz, or a negative loss.
        """
        if data.ndim != 2 or data.shape[1] == 0:
            raise BadInput(f"EMG must be (time, channel) with at least one channel, got shape {data.shape}")
        if not (math.isfinite(rate_hz) and rate_hz >= 200) or lost_samples < 0:
            raise BadInput(f"EMG quality needs at least 200 Hz and no negative loss, got {rate_hz} Hz, {lost_samples}")
        if self._key != (float(rate_hz), data.shape[1]):
            self._begin(float(rate_hz), data.shape[1])
        if lost_samples:
            self._lose(lost_samples)
        data = np.require(data, np.float32, ["C", "W"])  # read-only ones would have Numba compile anew
        done = 0
        while done < len(data):
            take = min(len(data) - done, self._window - self._filled)
            _accumulate(
                data[done : done + take],
                self._sums,
                self._goertzel,
                self._turn,
                self.settings.clip_level * self.settings.range_uv,
            )
            done += take
            self._filled += take
            if self._filled == self._window:
                self._finish_window()
        return self._report()

    def _begin(self, rate_hz: float, channels: int) -> None:
        self._key = (rate_hz, channels)
        self._window = max(1, round(WINDOW_S * rate_hz))
        self._filled = 0
        mains = self.settings.mains_hz
        tones = [] if mains is None else [k * mains for k in (1, 2, 3) if k * mains < rate_hz / 2]
        self._turn = np.array([2.0 * math.cos(2 * math.pi * f / rate_hz) for f in tones])
        self._goertzel = np.zeros((len(tones), 2, channels))
        self._sums = np.zeros((12, channels))
        self._sums[_LEVEL] = np.nan
        self._metrics = np.full((7, channels), np.nan)
        self._previous_mean = np.full(channels, np.nan)
        self._slope = np.zeros(channels)
        self._lost = 0.0
        self._lost_now = 0
        self._windows = 0
        self._contact = np.full(channels, Contact.OFF, np.uint8)
        self._spoilt = np.zeros(channels, bool)  # the hysteresis' memory
        self._drifting = np.ones(channels, bool)
        self._worse_for = np.zeros(channels)  # windows
        self._clean_for = np.zeros(channels)
        _clear(self._sums, self._goertzel)

    def _lose(self, lost_samples: int) -> None:
        """A gap: the window it falls in means nothing, and the level may have moved meanwhile."""
        self._lost_now += lost_samples
        self._filled = 0
        self._previous_mean[:] = np.nan
        _clear(self._sums, self._goertzel)

    def _finish_window(self) -> None:
        s, now, n = self._sums, self._metrics, self._window
        count = np.maximum(s[_COUNT], 1.0)
        deviation = s[_SUM] / count
        power = np.maximum(s[_SQUARES] / count - deviation**2, 0.0)
        span = s[_MAX] - s[_MIN]
        runs = np.where(s[_BEST_MIN] >= self.settings.clip_run, s[_BEST_MIN], 0.0)
        runs = runs + np.where(s[_BEST_MAX] >= self.settings.clip_run, s[_BEST_MAX], 0.0)
        runs = np.where(span > self.settings.clip_run_above_uv, runs, 0.0)
        now[_CLIP] = np.minimum(np.maximum(s[_RAILED], runs) / n, 1.0)
        now[_BAD] = 1.0 - s[_COUNT] / n
        now[_FLAT] = span < self.settings.flat_uv
        mains = np.minimum(_tone_power(self._goertzel, self._turn, n), power)
        now[_MAINS_RATIO] = np.divide(mains, power, out=np.zeros_like(power), where=power > 0)
        now[_MAINS_UV] = np.sqrt(mains)
        now[_RMS] = np.sqrt(power)
        level = np.where(np.isnan(s[_LEVEL]), 0.0, s[_LEVEL])
        self._follow_drift(np.where(s[_COUNT] > 0, level + deviation, np.nan))
        lost = self._lost_now / (self._lost_now + n)
        self._lost += (lost - self._lost) * min(1.0, (1 + self._lost_now / n) / _LOST_WINDOWS)
        self._lost_now = 0
        self._windows += 1
        self._filled = 0
        self._judge()
        _clear(self._sums, self._goertzel)

    def _follow_drift(self, mean: np.ndarray) -> None:
        slope = (mean - self._previous_mean) * (1.0 / WINDOW_S)
        known = np.isfinite(slope)
        self._slope[known] += (slope[known] - self._slope[known]) / _DRIFT_WINDOWS
        self._metrics[_DRIFT] = np.abs(self._slope)
        self._previous_mean = mean
        self._sums[_LEVEL] = np.where(np.isnan(mean), self._sums[_LEVEL], mean)

    def _judge(self) -> None:
        """Contact of every channel, with hysteresis in level and in time."""
        q, now = self.settings, self._metrics
        ease = np.where(self._spoilt, 1.0 / q.hysteresis, 1.0)
        hum = (now[_MAINS_RATIO] >= q.mains_limit * ease) & (now[_MAINS_UV] >= q.mains_above_uv * ease)
        gone = (now[_FLAT] > 0) | (now[_CLIP] + now[_BAD] >= q.railed_limit)
        gone |= hum & (now[_MAINS_UV] >= q.open_input_uv)
        self._spoilt = hum | (now[_CLIP] + now[_BAD] >= q.clip_limit * ease) | (self._lost >= q.lost_limit * ease)
        steady = np.where(self._drifting, 1.0 / q.hysteresis, 1.0)
        self._drifting = now[_DRIFT] >= q.drift_limit_uv_per_s * steady
        clean = ~(gone | self._spoilt | self._drifting)
        self._clean_for = np.where(clean, self._clean_for + 1, 0)
        wanted = np.where(self._spoilt, Contact.ON, np.where(self._drifting, Contact.SETTLING, Contact.STABLE))
        wanted = np.where(gone, Contact.OFF, wanted)
        waiting = (wanted == Contact.STABLE) & (self._clean_for * WINDOW_S < q.settle_s - 1e-9)
        stays = self._contact == Contact.STABLE
        wanted = np.where(waiting & ~stays, Contact.SETTLING, wanted)
        worse = wanted < self._contact
        self._worse_for = np.where(worse, self._worse_for + 1, 0)
        counts = ~worse | (self._worse_for * WINDOW_S >= q.react_s - 1e-9)
        self._contact = np.where(counts, wanted, self._contact).astype(np.uint8)

    def _report(self) -> QualityReport:
        now = self._metrics.astype(np.float32)
        return QualityReport(
            contact=self._contact.copy(),
            clip_ratio=now[_CLIP],
            bad_ratio=now[_BAD],
            flat=self._metrics[_FLAT] == 1.0,
            mains_ratio=now[_MAINS_RATIO],
            mains_uv=now[_MAINS_UV],
            drift_uv_per_s=now[_DRIFT],
            rms_uv=now[_RMS],
            lost_ratio=self._lost,
            windows=self._windows,
        )


def warm_up() -> None:
    """Load (or, once per machine, compile) the kernel, so that a session's first chunk is not late."""
    Quality().process(np.zeros((1, 1), np.float32), 4096.0)


def _tone_power(state: np.ndarray, turn: np.ndarray, n: int) -> np.ndarray:
    """Power of the tones that the Goertzel states hold after n samples. state: (tone, 2, channel), turn: 2 cos w."""
    last, before = state[:, 0], state[:, 1]
    bins = last**2 + before**2 - turn[:, None] * last * before
    power: np.ndarray = (2.0 * bins / (float(n) * n)).sum(axis=0)
    return power


def _clear(sums: np.ndarray, goertzel: np.ndarray) -> None:
    """Begin a window; the level that is subtracted stays."""
    sums[:_LEVEL] = 0.0
    sums[_MIN], sums[_MAX] = np.inf, -np.inf
    goertzel[:] = 0.0


@kernel
def _accumulate(data: np.ndarray, sums: np.ndarray, goertzel: np.ndarray, turn: np.ndarray, rail_uv: float) -> None:
    """Add samples to the window. data: (time, channel) float32; sums: (12, channel); goertzel: (tone, 2, channel)."""
    for t in range(data.shape[0]):
        for c in range(data.shape[1]):
            x = np.float64(data[t, c])
            good = abs(x) < np.inf
            if good:
                _track_extremes(x, sums, c, rail_uv)
                if np.isnan(sums[_LEVEL, c]):
                    sums[_LEVEL, c] = x
                x -= sums[_LEVEL, c]  # the electrode's offset would leak into the mains bins
                sums[_COUNT, c] += 1.0
                sums[_SUM, c] += x
                sums[_SQUARES, c] += x * x
            else:
                x = np.float64(0.0)
            for k in range(turn.shape[0]):
                y = x + turn[k] * goertzel[k, 0, c] - goertzel[k, 1, c]
                goertzel[k, 1, c] = goertzel[k, 0, c]
                goertzel[k, 0, c] = y


@kernel
def _track_extremes(x: float, sums: np.ndarray, c: int, rail_uv: float) -> None:
    """Minimum, maximum, and the longest run of equal samples at each of them."""
    if abs(x) >= rail_uv:
        sums[_RAILED, c] += 1.0
    if x > sums[_MAX, c]:
        sums[_MAX, c], sums[_RUN_MAX, c], sums[_BEST_MAX, c] = x, 0.0, 0.0
    if x < sums[_MIN, c]:
        sums[_MIN, c], sums[_RUN_MIN, c], sums[_BEST_MIN, c] = x, 0.0, 0.0
    sums[_RUN_MAX, c] = sums[_RUN_MAX, c] + 1.0 if x == sums[_MAX, c] else 0.0
    sums[_RUN_MIN, c] = sums[_RUN_MIN, c] + 1.0 if x == sums[_MIN, c] else 0.0
    sums[_BEST_MAX, c] = max(sums[_BEST_MAX, c], sums[_RUN_MAX, c])
    sums[_BEST_MIN, c] = max(sums[_BEST_MIN, c], sums[_RUN_MIN, c])
