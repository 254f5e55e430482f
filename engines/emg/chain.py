"""The EMG chain on paper: settings, presets, filter design and the chain id. The arithmetic is in `envelope`.

Source: FACTS 1.3; the band after van Boxtel 2001 (15-25 Hz to 400-500 Hz holds for all facial muscles).
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from typing import Any

import numpy as np
from scipy import signal

from engines.errors import BadInput

# Goes up when the same settings begin to give other numbers, so that old calibrations are refused.
_CHAIN_VERSION = 1


@dataclass(frozen=True)
class EnvelopeSettings:
    """One causal EMG chain: band-pass, mains notches, then rectify + low-pass, or a sliding RMS.

    Group delay of the whole chain at 4096 Hz, muscle to envelope, as `group_delay_ms` measures it:

        fast      8 Hz low-pass     30.0 ms
        standard  6 Hz low-pass     39.4 ms
        calm      250 ms RMS       126.8 ms

    The name is a label for people; only the other fields make the chain id.
    Raises BadInput when the fields contradict each other.
    """

    name: str = "standard"
    band_hz: tuple[float, float] = (20.0, 450.0)
    band_order: int = 2  # per edge: 12 dB per octave on both sides
    mains_hz: float | None = 50.0  # 50, 60, or None for no notch
    mains_harmonics: int = 3  # notches at mains_hz x 1, 2, ... this many
    notch_q: float = 30.0
    lowpass_hz: float | None = 6.0  # 2nd-order Butterworth on the rectified signal ...
    rms_window_s: float | None = None  # ... or a sliding RMS; exactly one of the two

    def __post_init__(self) -> None:
        low, high = self.band_hz
        if not 0 < low < high:
            raise BadInput(f"the EMG band must be 0 < low < high, got {low} to {high} Hz")
        if not 1 <= self.band_order <= 4:
            raise BadInput(f"the band-pass order must be 1 to 4, got {self.band_order}")
        if self.mains_hz not in (None, 50.0, 60.0):
            raise BadInput(f"mains_hz must be 50, 60 or none, got {self.mains_hz}")
        if not 1 <= self.mains_harmonics <= 8 or not self.notch_q >= 1:
            raise BadInput(
                "the mains notch needs 1 to 8 harmonics and Q of at least 1, "
                f"got {self.mains_harmonics} and {self.notch_q}"
            )
        if (self.lowpass_hz is None) == (self.rms_window_s is None):
            raise BadInput("give either lowpass_hz or rms_window_s, and not both")
        if self.lowpass_hz is not None and not 0.5 <= self.lowpass_hz <= 20:
            raise BadInput(f"the envelope's low-pass must be 0.5 to 20 Hz, got {self.lowpass_hz}")
        if self.rms_window_s is not None and not 0.01 <= self.rms_window_s <= 2:
            raise BadInput(f"the RMS window must be 0.01 to 2 s, got {self.rms_window_s}")


PRESETS: dict[str, EnvelopeSettings] = {
    "fast": EnvelopeSettings("fast", lowpass_hz=8.0),
    "standard": EnvelopeSettings("standard", lowpass_hz=6.0),
    "calm": EnvelopeSettings("calm", lowpass_hz=None, rms_window_s=0.25),
}
"""The live presets of FACTS 1.3, for 50 Hz mains."""


def preset(name: str, mains_hz: float | None = 50.0) -> EnvelopeSettings:
    """A live preset for this country's mains. Raises BadInput, naming the nearest preset."""
    if name not in PRESETS:
        near = get_close_matches(name, PRESETS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise BadInput(f"there is no live envelope preset {name!r}, only {', '.join(PRESETS)}{hint}")
    return replace(PRESETS[name], mains_hz=mains_hz)


def chain_id(settings: EnvelopeSettings, rate_hz: float) -> str:
    """Short hash of everything that changes the envelope's numbers; the same on every machine and in every run.

    rate_hz: the stream's nominal rate (a measured one would give every session its own id).
    Returns 12 hexadecimal digits.
    """
    fields = asdict(settings)
    del fields["name"]
    return short_hash({"chain": "causal", "version": _CHAIN_VERSION, "rate_hz": float(rate_hz), **fields})


def short_hash(content: dict[str, Any]) -> str:
    """12 hexadecimal digits of SHA-256 over canonical JSON; whole numbers and floats of one value agree."""
    text = json.dumps(_as_floats(content), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _as_floats(value: Any) -> Any:
    """8 and 8.0 are one setting: every number becomes a float before hashing."""
    if isinstance(value, dict):
        return {key: _as_floats(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_floats(item) for item in value]
    return float(value) if isinstance(value, int | float) else value


def front_sections(settings: EnvelopeSettings, rate_hz: float) -> np.ndarray:
    """Band-pass and mains notches as second-order sections.

    Returns (section, 6) float64, scipy's `sos` layout. Harmonics above the band are left out: nothing is there.
    Raises BadInput when the rate is too low for the band.
    """
    if not math.isfinite(rate_hz) or rate_hz <= 2.05 * settings.band_hz[1]:
        raise BadInput(
            f"a sampling rate of {rate_hz:g} Hz is too low for the band up to {settings.band_hz[1]:g} Hz; "
            f"use an amplifier rate above {2.05 * settings.band_hz[1]:.0f} Hz or a narrower band"
        )
    band = signal.butter(settings.band_order, settings.band_hz, "bandpass", fs=rate_hz, output="sos")
    return np.vstack([band, *(_notch(f, settings.notch_q, rate_hz) for f in mains_harmonics_hz(settings))]).astype(
        np.float64
    )


def mains_harmonics_hz(settings: EnvelopeSettings) -> list[float]:
    """Frequencies that are notched out, in Hz, ascending; empty without mains."""
    if settings.mains_hz is None:
        return []
    every = [settings.mains_hz * k for k in range(1, settings.mains_harmonics + 1)]
    return [f for f in every if f < settings.band_hz[1]]


def lowpass_sections(settings: EnvelopeSettings, rate_hz: float) -> np.ndarray:
    """The envelope's low-pass as (1, 6) float64 sections; (0, 6) when the envelope is a sliding RMS."""
    if settings.lowpass_hz is None:
        return np.zeros((0, 6))
    sos: np.ndarray = signal.butter(2, settings.lowpass_hz, "lowpass", fs=rate_hz, output="sos")
    return sos


def rms_window_samples(settings: EnvelopeSettings, rate_hz: float) -> int:
    """Length of the sliding RMS in samples; 0 when the envelope is a low-pass."""
    return 0 if settings.rms_window_s is None else max(1, round(settings.rms_window_s * rate_hz))


def _notch(frequency_hz: float, q: float, rate_hz: float) -> np.ndarray:
    b, a = signal.iirnotch(frequency_hz, q, rate_hz)
    return np.concatenate([b, a]).reshape(1, 6)
