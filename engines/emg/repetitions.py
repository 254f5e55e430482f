"""Counting contractions in an envelope: threshold with hysteresis and two shortest times (FACTS 1.5).

A contraction begins where the envelope has been at or above the on level for `min_on_s` without a break, and ends where
it has been below the off level for `min_off_s` without a break. Asking for the whole time above *on* matters: a twitch
of 80 ms just over 10 % stays above *off* for 70 ms in a 6 Hz envelope, but above *on* for less than 50.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from engines.errors import BadInput
from engines.kernels import kernel


@dataclass(frozen=True)
class RepetitionSettings:
    """When a contraction begins and ends. Raises BadInput when the levels or times make no sense."""

    on_fraction: float = 0.10  # of the range, low to high: at or above, it begins
    off_fraction: float = 0.06  # below, it ends
    min_on_s: float = 0.05  # a shorter burst is no contraction
    min_off_s: float = 0.15  # a shorter pause does not end one

    def __post_init__(self) -> None:
        if not 0 < self.off_fraction < self.on_fraction < 1:
            raise BadInput(
                f"repetitions need 0 < off < on < 1 of the range, got {self.off_fraction} and {self.on_fraction}"
            )
        if not (0 <= self.min_on_s < 60 and 0 <= self.min_off_s < 60):
            raise BadInput(f"shortest times must be 0 to 60 s, got {self.min_on_s} and {self.min_off_s}")


class Repetition(NamedTuple):
    """One finished contraction. Samples count from the counter's first; end is the first sample below the off level."""

    start: int
    end: int
    peak_uv: float


# The counter's memory, one float64 each. _IDLE: waiting, _RISING: at or above on, not yet for min_on,
# _ACTIVE: a contraction, _FALLING: below off, not yet for min_off.
_PHASE, _INDEX, _START, _END, _PEAK, _BEGUN = range(6)
_IDLE, _RISING, _ACTIVE, _FALLING = 0.0, 1.0, 2.0, 3.0


class RepetitionCounter:
    """Streaming counter for one muscle; any chunking gives the same repetitions.

    low_uv, high_uv: the range, for example rest and reference of the calibration.
    Raises BadInput when the range is empty or the rate is not positive.
    """

    def __init__(
        self, rate_hz: float, low_uv: float, high_uv: float, settings: RepetitionSettings | None = None
    ) -> None:
        settings = settings or RepetitionSettings()
        if not (math.isfinite(low_uv) and math.isfinite(high_uv) and high_uv > low_uv and rate_hz > 0):
            raise BadInput(
                f"repetitions need low < high and a rate, got {low_uv} to {high_uv} microvolt at {rate_hz} Hz"
            )
        self._on = low_uv + settings.on_fraction * (high_uv - low_uv)
        self._off = low_uv + settings.off_fraction * (high_uv - low_uv)
        self._min_on = max(1, round(settings.min_on_s * rate_hz))
        self._min_off = max(1, round(settings.min_off_s * rate_hz))
        self._state = np.zeros(6)

    @property
    def count(self) -> int:
        """Contractions that have begun (after min_on_s), also one that goes on."""
        return int(self._state[_BEGUN])

    @property
    def active(self) -> bool:
        """True while a contraction goes on (a pause shorter than min_off_s included)."""
        return bool(self._state[_PHASE] >= _ACTIVE)

    def process(self, envelope_uv: np.ndarray) -> list[Repetition]:
        """Feed one chunk.

        envelope_uv: (time,) microvolt, may be empty; NaN neither begins nor ends anything.
        Returns the contractions that ended in it.  Raises BadInput when it is not one-dimensional.
        """
        if envelope_uv.ndim != 1:
            raise BadInput(f"repetitions are counted on one muscle, (time,); got shape {envelope_uv.shape}")
        found = np.empty((len(envelope_uv) // self._min_off + 1, 3))
        values = np.ascontiguousarray(envelope_uv, dtype=np.float32)
        n = _count(values, self._state, self._on, self._off, self._min_on, self._min_off, found)
        return [Repetition(int(start), int(end), float(peak)) for start, end, peak in found[:n]]

    def finish(self) -> list[Repetition]:
        """The recording ends here: returns the contraction that goes on, if any, ending at the last sample."""
        s = self._state
        if not self.active:
            return []
        end = s[_END] if s[_PHASE] == _FALLING else s[_INDEX]
        s[_PHASE] = _IDLE
        return [Repetition(int(s[_START]), int(end), float(s[_PEAK]))]


def find_repetitions(
    envelope_uv: np.ndarray,
    rate_hz: float,
    low_uv: float | None = None,
    high_uv: float | None = None,
    settings: RepetitionSettings | None = None,
) -> list[Repetition]:
    """Contractions of a whole recording of one muscle.

    envelope_uv: (time,) microvolt.  low_uv, high_uv: the range; when absent, the recording's own minimum and maximum
    (without NaN).  One that still goes on at the end counts, up to the last sample.
    Raises BadInput for an empty recording or an empty range.
    """
    if envelope_uv.ndim != 1 or not np.isfinite(envelope_uv).any():
        raise BadInput(f"repetitions need a recording of one muscle, (time,); got shape {envelope_uv.shape}")
    low = float(np.nanmin(envelope_uv)) if low_uv is None else low_uv
    high = float(np.nanmax(envelope_uv)) if high_uv is None else high_uv
    counter = RepetitionCounter(rate_hz, low, high, settings)
    return counter.process(envelope_uv) + counter.finish()


@kernel
def _count(
    values: np.ndarray,
    state: np.ndarray,
    on: float,
    off: float,
    min_on: int,
    min_off: int,
    found: np.ndarray,
) -> int:
    """Walk through values, (time,) float32. Writes (start, end, peak) rows to found, returns how many."""
    phase, index, start, end, peak, begun = state
    n = 0
    for value in values:
        if phase == _IDLE and value >= on:
            phase, start, peak = _RISING, index, value
        elif phase == _RISING and value < on:
            phase = _IDLE
        elif phase == _ACTIVE and value < off:
            phase, end = _FALLING, index
        elif phase == _FALLING and value >= off:
            phase = _ACTIVE
        if phase != _IDLE and value > peak:
            peak = np.float64(value)
        if phase == _RISING and index - start + 1 >= min_on:
            phase = _ACTIVE
            begun += 1.0
        elif phase == _FALLING and index - end + 1 >= min_off:
            found[n, 0], found[n, 1], found[n, 2] = start, end, peak
            n += 1
            phase = _IDLE
        index += 1.0
    state[_PHASE], state[_INDEX], state[_START] = phase, index, start
    state[_END], state[_PEAK], state[_BEGUN] = end, peak, begun
    return n
