"""The causal EMG envelope: one pass over the samples, all filters fused, bit-equal for any chunking (FACTS 1.3).

    >>> envelope = Envelope(PRESETS["standard"])
    >>> bars_uv = envelope.process(raw_uv, rate_hz=4096.0)[-1]

The kernel is written without fast-math and with the channel as the innermost axis: every channel does the same
additions in the same order whether it sits in a vector lane or not, so neither the cut of the stream, nor the number
of channels, nor the machine's vector width changes a bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import signal

from engines.emg.chain import (
    PRESETS,
    EnvelopeSettings,
    chain_id,
    front_sections,
    lowpass_sections,
    preset,
    rms_window_samples,
)
from engines.emg.jena import JENA_CHAIN_ID, jena_offline
from engines.errors import BadInput
from engines.kernels import inlined, kernel

__all__ = [
    "JENA_CHAIN_ID",
    "PRESETS",
    "Envelope",
    "EnvelopeSettings",
    "chain_id",
    "group_delay_ms",
    "jena_offline",
    "preset",
    "warm_up",
]

LIMIT_UV = 1e7
"""A sample beyond +-10 V is no electrode voltage: it is treated like NaN."""

MAX_HOLD_S = 0.05
"""The last good value stands in for bad samples this long; after more, the channel's filters start anew."""

_LANES = 8  # channels are padded to whole vectors; the padding carries zeros
_TINY = 1e-20  # added before each section: keeps decaying states out of the denormal range (2.4 x slower, measured)


@dataclass
class _ChainState:
    """What the filters remember between chunks. P = channels padded, S = sections; one row per section."""

    coefficients: np.ndarray  # (S, 5) float64: b0, b1, b2, a1, a2
    first: np.ndarray  # (S, 2) float64: steady state for a constant input of 1
    front: int  # how many of the S sections come before the rectifier
    z1: np.ndarray  # (S, P) float64, direct form II transposed
    z2: np.ndarray  # (S, P)
    row: np.ndarray  # (P,) scratch
    held: np.ndarray  # (P,) last good sample, microvolt
    bad_run: np.ndarray  # (P,) int64, bad samples in a row; above max_hold = start at the next good one
    max_hold: int
    ring: np.ndarray  # (window + 1, P) squares and suffix sums of the sliding RMS; (1, P) when there is none
    prefix: np.ndarray  # (P,) sum of squares since the window's block began
    position: np.ndarray  # (1,) int64, place in that block

    @classmethod
    def fresh(cls, settings: EnvelopeSettings, rate_hz: float, channels: int) -> _ChainState:
        front = front_sections(settings, rate_hz)
        sos = np.vstack([front, lowpass_sections(settings, rate_hz)])
        first = np.zeros((len(sos), 2))
        first[: len(front)] = signal.sosfilt_zi(front)  # behind the rectifier, rest is zero
        padded = -(-channels // _LANES) * _LANES
        max_hold = round(MAX_HOLD_S * rate_hz)
        bad_run = np.zeros(padded, np.int64)
        bad_run[:channels] = max_hold + 1
        return cls(
            coefficients=np.ascontiguousarray(sos[:, [0, 1, 2, 4, 5]]),
            first=first,
            front=len(front),
            z1=np.zeros((len(sos), padded)),
            z2=np.zeros((len(sos), padded)),
            row=np.zeros(padded),
            held=np.zeros(padded),
            bad_run=bad_run,
            max_hold=max_hold,
            ring=np.zeros((rms_window_samples(settings, rate_hz) + 1, padded)),
            prefix=np.zeros(padded),
            position=np.zeros(1, np.int64),
        )


class Envelope:
    """A stage's heart: raw EMG in, envelope out. Owns its filter state; rebuilds it when rate or channels change."""

    def __init__(self, settings: EnvelopeSettings) -> None:
        self.settings = settings
        self._key: tuple[float, int] | None = None
        self._state: _ChainState | None = None

    def process(
        self, data: np.ndarray, rate_hz: float, restart: bool = False, out: np.ndarray | None = None
    ) -> np.ndarray:
        """Envelope of one chunk.

        data: (time, channel) microvolt, float32 (others are converted), may be empty, is not changed.
        rate_hz: the stream's nominal rate.  restart: True on the first chunk after a gap, forgets the past.
        out: (time, channel) float32, C-contiguous, written and returned; allocated when absent.
        Returns (time, channel) float32 microvolt, never negative: mean rectified value, or RMS with an RMS window.
        NaN where the input is NaN, infinite or beyond LIMIT_UV; the filters bridge MAX_HOLD_S with the last good
        value and otherwise start anew, so a channel recovers by itself and never touches another.
        Raises BadInput for wrong shapes, no channels, or a rate that is too low for the band.
        """
        if data.ndim != 2 or data.shape[1] == 0:
            raise BadInput(f"EMG must be (time, channel) with at least one channel, got shape {data.shape}")
        data = np.require(data, np.float32, ["C", "W"])  # read-only ones would have Numba compile anew
        if out is None:
            out = np.empty_like(data)
        elif out.shape != data.shape or out.dtype != np.float32 or not out.flags.c_contiguous:
            raise BadInput(f"out must be contiguous float32 of shape {data.shape}, got {out.dtype} {out.shape}")
        state = self._state_for(float(rate_hz), data.shape[1], restart)
        _envelope(
            data,
            state.coefficients,
            state.first,
            state.front,
            state.z1,
            state.z2,
            state.row,
            state.held,
            state.bad_run,
            state.max_hold,
            state.ring,
            state.prefix,
            state.position,
            out,
        )
        return out

    def _state_for(self, rate_hz: float, channels: int, restart: bool) -> _ChainState:
        if restart or self._state is None or self._key != (rate_hz, channels):
            self._state = _ChainState.fresh(self.settings, rate_hz, channels)
            self._key = (rate_hz, channels)
        return self._state


def warm_up() -> None:
    """Load (or, once per machine, compile) the kernel, so that a session's first chunk is not late."""
    Envelope(PRESETS["standard"]).process(np.zeros((1, 1), np.float32), 4096.0)


def group_delay_ms(settings: EnvelopeSettings, rate_hz: float) -> float:
    """Delay of the whole chain from muscle to envelope, measured on the running chain.

    A carrier between two mains harmonics (2.5 x mains; the middle of the EMG spectrum) swells by 10 % in a Gaussian
    of 50 ms; the delay is the distance of the swelling's centroid in the envelope from its centroid in the carrier.
    For a low-pass this is its group delay for slow movements, for an RMS window W it is W / 2, both plus the
    band-pass.  Returns milliseconds.
    """
    t = np.arange(round(4.0 * rate_hz)) / rate_hz
    carrier = 100.0 * np.sin(2 * np.pi * 2.5 * (settings.mains_hz or 50.0) * t)
    swelling = 0.1 * np.exp(-0.5 * ((t - 2.0) / 0.05) ** 2)
    pair = np.stack([carrier, carrier * (1 + swelling)], axis=1).astype(np.float32)
    plain, swollen = Envelope(settings).process(pair, rate_hz).T.astype(np.float64)
    late = (t > 1.0) & (t < 3.5)  # the start of the carrier has died away, the swelling is inside
    response = (swollen - plain)[late]
    return float(1000.0 * ((response * t[late]).sum() / response.sum() - 2.0))


@kernel
def _settle_row(
    data: np.ndarray,
    t: int,
    first: np.ndarray,
    z1: np.ndarray,
    z2: np.ndarray,
    row: np.ndarray,
    bad_run: np.ndarray,
    max_hold: int,
    ring: np.ndarray,
    prefix: np.ndarray,
) -> int:
    """Count each channel's bad samples; start it in its steady state at the first good sample after too many.

    Returns how many channels are bad in row t. Runs only while something is bad or has not begun.
    """
    bad = 0
    for c in range(data.shape[1]):
        if not abs(data[t, c]) <= LIMIT_UV:
            bad_run[c] += 1
            bad += 1
            continue
        if bad_run[c] > max_hold:
            for s in range(z1.shape[0]):
                z1[s, c] = first[s, 0] * row[c]
                z2[s, c] = first[s, 1] * row[c]
            ring[:, c] = 0.0
            prefix[c] = 0.0
        bad_run[c] = 0
    return bad


@kernel
def _envelope(
    data: np.ndarray,
    coefficients: np.ndarray,
    first: np.ndarray,
    front: int,
    z1: np.ndarray,
    z2: np.ndarray,
    row: np.ndarray,
    held: np.ndarray,
    bad_run: np.ndarray,
    max_hold: int,
    ring: np.ndarray,
    prefix: np.ndarray,
    position: np.ndarray,
    out: np.ndarray,
) -> None:
    """data, out: (time, channel) float32; the rest as in _ChainState. Trusted: the door has checked the shapes.

    The inner loops index whole arrays instead of slices of them, and add z2 before subtracting a1 y: both shorten
    the wait of one sample for the one before (17 -> 7 us per 137 x 22 block, measured).
    """
    channels, padded, window, place = data.shape[1], row.shape[0], ring.shape[0] - 1, position[0]
    bad = 0
    for c in range(padded):
        bad += bad_run[c] > 0
    for t in range(data.shape[0]):
        for c in range(channels):
            value = np.float64(data[t, c])
            good = abs(value) <= LIMIT_UV  # False for NaN
            value = value if good else held[c]
            held[c] = value
            row[c] = value
            bad += not good
        if bad > 0:
            bad = _settle_row(data, t, first, z1, z2, row, bad_run, max_hold, ring, prefix)
        for s in range(coefficients.shape[0]):
            b0, b1, b2 = coefficients[s, 0], coefficients[s, 1], coefficients[s, 2]
            a1, a2 = coefficients[s, 3], coefficients[s, 4]
            if s == front:
                for c in range(padded):
                    row[c] = abs(row[c])
            for c in range(padded):
                x = row[c] + _TINY
                y = b0 * x + z1[s, c]
                z1[s, c] = (b1 * x + z2[s, c]) - a1 * y
                z2[s, c] = b2 * x - a2 * y
                row[c] = y
        if window > 0:
            place = _slide_rms(row, ring, prefix, place)
        for c in range(channels):
            out[t, c] = max(row[c], 0.0)  # a 2nd-order low-pass undershoots by 4 %
        if bad > 0:
            for c in range(channels):
                if bad_run[c] > 0:
                    out[t, c] = np.nan
    position[0] = place


@inlined
def _slide_rms(row: np.ndarray, ring: np.ndarray, prefix: np.ndarray, place: int) -> int:
    """Replace row by the RMS of its last `window` values, and return the next place.

    A running sum that adds the new square and subtracts the old one drifts. Here the stream falls into blocks of
    `window` samples; the sum is (suffix sum of the block before) + (prefix sum of this one): additions only, each
    square in at most two sums, nothing carried on for longer than two blocks, no matter how long the session.
    """
    window = ring.shape[0] - 1
    for c in range(row.shape[0]):
        square = row[c] * row[c]
        prefix[c] += square
        row[c] = math.sqrt((prefix[c] + ring[place + 1, c]) / window)
        ring[place, c] = square
    if place + 1 < window:
        return place + 1
    for i in range(window - 2, -1, -1):
        for c in range(row.shape[0]):
            ring[i, c] += ring[i + 1, c]
    prefix[:] = 0.0
    return 0
