"""A recorded signal laid out on one axis without holes: missing time takes its place, clock steps take none."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rt.recording.recorded import recorded_chunks, stream_columns

LONGEST_FILL_S = 900.0  # longer gaps are clock steps or breaks: told, not filled


@dataclass
class Layout:
    """One stream as a gapless signal.

    samples: its length, gaps included. peak_uv: (channel,) largest magnitude, at least 1. missing: values that were
    NaN or infinite. places: (t0, t_last, first sample) of every chunk. gaps: (first sample, samples filled, seconds).
    """

    labels: tuple[str, ...]
    rate_hz: float
    samples: int = 0
    peak_uv: np.ndarray = field(default_factory=lambda: np.empty(0))
    missing: int = 0
    places: list[tuple[float, float, int]] = field(default_factory=list)
    gaps: list[tuple[int, int, float]] = field(default_factory=list)

    def onsets_s(self, stamps: Sequence[float] | np.ndarray) -> list[float]:
        """Where stamps lie in the gapless signal, seconds: after the newest chunk that began before."""
        begins, ends, firsts = (np.array(column) for column in zip(*self.places, strict=True))
        # A clock that jumped back puts two chunks at one time, and the later one counts: the last that began before t
        # is the last from which on anything began before t
        earliest = np.minimum.accumulate(begins[::-1])[::-1]
        t = np.asarray(stamps, np.float64)
        place = np.maximum(np.searchsorted(earliest, t, "right") - 1, 0)
        within_s = np.minimum(t, ends[place] + 1) - begins[place]
        onsets = firsts[place] / self.rate_hz + within_s
        found: list[float] = np.clip(onsets, 0.0, self.samples / self.rate_hz).tolist()
        return found


def lay_out(signals: Path, stream: str) -> Layout | None:
    """Go through a regular stream ('emg', 'envelope') once; None when the recording has none of it."""
    labels = stream_columns(signals, stream)
    layout: Layout | None = None
    for chunk in recorded_chunks(signals, stream):
        if layout is None:
            layout = Layout(labels or (), chunk.rate_hz, peak_uv=np.ones(chunk.data.shape[1]))
        if chunk.gap_s > 0 and layout.samples:
            filled = round(chunk.gap_s * layout.rate_hz) if chunk.gap_s <= LONGEST_FILL_S else 0
            layout.gaps.append((layout.samples, filled, chunk.gap_s))
            layout.samples += filled
        finite = np.nan_to_num(chunk.data, nan=0.0, posinf=0.0, neginf=0.0)
        layout.missing += int(np.count_nonzero(~np.isfinite(chunk.data)))
        layout.peak_uv = np.maximum(layout.peak_uv, np.abs(finite).max(0))
        layout.places.append((chunk.t0, chunk.t_last, layout.samples))
        layout.samples += len(chunk.data)
    return layout
