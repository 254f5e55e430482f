"""The control loop's envelope against `scipy.signal.sosfilt`: same chain, same block, same run (DESIGN 12).

python -m benchmarks.envelope_speed
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import signal

from engines.emg.chain import EnvelopeSettings, front_sections, lowpass_sections
from engines.emg.envelope import PRESETS, Envelope, warm_up

RATE_HZ = 4096.0
CHANNELS = 22
BLOCK = round(RATE_HZ / 30)  # 137 samples: one camera frame
REPEATS = 2000


def measure() -> list[dict[str, Any]]:
    """Median time per block, ours and SciPy's, taken in turns so that a busy machine is busy for both.

    Returns one row per low-pass preset: {"what", "ours_us", "ours_iqr_us", "peer", "peer_us", "peer_iqr_us", "ratio"},
    ratio = peer / ours.
    """
    warm_up()
    return [_measure_preset(PRESETS[name]) for name in ("fast", "standard")]


def _measure_preset(settings: EnvelopeSettings) -> dict[str, Any]:
    block = np.random.default_rng(1).normal(0.0, 50.0, (BLOCK, CHANNELS)).astype(np.float32)
    out = np.empty_like(block)
    envelope = Envelope(settings)
    peer = _SciPyChain(settings, block)
    difference = np.abs(envelope.process(block, RATE_HZ) - np.maximum(peer.process(), 0.0)).max()
    if difference > 1e-3:
        raise RuntimeError(f"the two chains differ by {difference} microvolt: not the same work, no comparison")
    ours_us, peer_us = _in_turns(lambda: envelope.process(block, RATE_HZ, out=out), peer.process)
    return {
        "what": f"envelope {settings.name}, {CHANNELS} channels, {BLOCK} samples",
        "ours_us": statistics.median(ours_us),
        "ours_iqr_us": _spread(ours_us),
        "peer": "scipy.signal.sosfilt",
        "peer_us": statistics.median(peer_us),
        "peer_iqr_us": _spread(peer_us),
        "ratio": statistics.median(peer_us) / statistics.median(ours_us),
    }


class _SciPyChain:
    """The same chain as a careful user of SciPy writes it: float64 beforehand, time on axis 0, state carried on."""

    def __init__(self, settings: EnvelopeSettings, block: np.ndarray) -> None:
        self._block = block.astype(np.float64)
        self._front = front_sections(settings, RATE_HZ)
        self._lowpass = lowpass_sections(settings, RATE_HZ)
        self._z_front = signal.sosfilt_zi(self._front)[:, :, None] * self._block[0]
        self._z_lowpass = np.zeros((1, 2, CHANNELS))

    def process(self) -> np.ndarray:
        band, self._z_front = signal.sosfilt(self._front, self._block, axis=0, zi=self._z_front)
        smooth: np.ndarray
        smooth, self._z_lowpass = signal.sosfilt(self._lowpass, np.abs(band), axis=0, zi=self._z_lowpass)
        return smooth


def _in_turns(ours: Callable[[], object], peer: Callable[[], object]) -> tuple[list[float], list[float]]:
    """REPEATS timings of each in microseconds, after 50 warm-up rounds."""
    taken: tuple[list[float], list[float]] = ([], [])
    for repeat in range(REPEATS + 50):
        for times, call in zip(taken, (ours, peer), strict=True):
            begin = time.perf_counter_ns()
            call()
            if repeat >= 50:
                times.append((time.perf_counter_ns() - begin) / 1000.0)
    return taken


def _spread(times: list[float]) -> float:
    """Interquartile range."""
    low, _, high = statistics.quantiles(times, n=4)
    return high - low


def main() -> None:
    """Print the rows."""
    for row in measure():
        print(
            f"{row['what']}: {row['ours_us']:.1f} us (IQR {row['ours_iqr_us']:.1f}), "
            f"{row['peer']} {row['peer_us']:.1f} us (IQR {row['peer_iqr_us']:.1f}), {row['ratio']:.1f} x faster"
        )


if __name__ == "__main__":
    main()
