"""The papers' offline EMG chain, for parity with their numbers and for MMM recordings only (FACTS 1.2).

Live it would be 266 ms late and shows a 100 ms burst at 45 % of its RMS: the causal `envelope` is what runs.
"""

from __future__ import annotations

import numpy as np
from scipy import signal

from engines.emg.chain import short_hash
from engines.errors import BadInput

OUTPUT_RATE_HZ = 30.0
_NOTCH_HZ, _NOTCH_Q = 50.0, 2.0
_BAND_HZ = (10.0, 500.0)
_TAPS = 129
_WINDOW_S = 0.5  # 2048 samples at 4096 Hz

JENA_CHAIN_ID = short_hash(
    {"chain": "jena_offline", "version": 1, "notch": (_NOTCH_HZ, _NOTCH_Q), "band_hz": _BAND_HZ, "taps": _TAPS}
    | {"window_s": _WINDOW_S, "output_rate_hz": OUTPUT_RATE_HZ}
)
"""Chain id of every envelope that `jena_offline` makes; the output rate is always 30 Hz."""


def jena_offline(raw_uv: np.ndarray, rate_hz: float) -> np.ndarray:
    """Envelope of a whole recording at 30 Hz, as in the MMM documentation.

    raw_uv: (time, channel) microvolt, bipolar (pairing is linear and may be done before); NaN counts as 0.
    rate_hz: 4096 in the papers; must be above 1000.  Returns (round(30 * seconds), channel) float32, >= 0.

    Mean removal, NaN -> 0, 50 Hz notch Q = 2, 129-tap Hamming FIR 10-500 Hz with its 64 samples of delay taken
    out, centred RMS over 500 ms, Fourier resampling; its ringing below zero at the ends is clamped.
    The documentation leaves open whether notch and FIR run in one direction: here the notch runs forward only and the
    FIR, symmetric, once and centred (run twice, the gain at DC would be -7 dB instead of the reported -3.5).
    Raises BadInput when the recording is not (time, channel), too slow, or shorter than one window.
    """
    if raw_uv.ndim != 2 or raw_uv.shape[1] == 0:
        raise BadInput(f"EMG must be (time, channel) with at least one channel, got shape {raw_uv.shape}")
    window = round(_WINDOW_S * rate_hz)
    if rate_hz <= 2 * _BAND_HZ[1] or len(raw_uv) < window:
        raise BadInput(
            f"jena_offline needs more than 1000 Hz and {_WINDOW_S} s, got {len(raw_uv)} samples at {rate_hz} Hz"
        )
    raw = raw_uv.astype(np.float64)
    bipolar = np.nan_to_num(raw - np.nanmean(raw, axis=0))
    b, a = signal.iirnotch(_NOTCH_HZ, _NOTCH_Q, rate_hz)
    taps = signal.firwin(_TAPS, _BAND_HZ, pass_zero=False, window="hamming", fs=rate_hz)
    band = signal.oaconvolve(signal.lfilter(b, a, bipolar, axis=0), taps[:, None], mode="same", axes=0)
    rms = np.sqrt(np.maximum(_centred_mean(band * band, window), 0.0))
    resampled = signal.resample(rms, round(len(raw) / rate_hz * OUTPUT_RATE_HZ), axis=0)
    clamped: np.ndarray = np.maximum(resampled, 0.0).astype(np.float32)
    return clamped


def _centred_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean over `window` rows around each row, zeros beyond both ends. values: (time, channel)."""
    before = window // 2
    padded = np.pad(values, ((before + 1, window - before - 1), (0, 0)))
    total = np.cumsum(padded, axis=0)
    mean: np.ndarray = (total[window:] - total[:-window]) / window
    return mean
