"""A short causal history as a network's input: the values as they were 0, 33, 67 ... ms ago, newest first.

Training reads rows at a steady frame rate (`tap_rows`), a session whatever frames came (`TapHistory`): both take the
newest row that is at least that old, and before the first row the first one stands in.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

_LONGEST_GAP_S = 0.5  # after a longer pause, the past is forgotten
_EARLY_S = 0.004  # frames jitter: one that comes this much early still is the one that was meant


def tap_offsets(taps_ms: Sequence[int], fps: float) -> Indices:
    """How many rows back each tap lies.  taps_ms: rising from 0.  Returns (tap,) int64."""
    return np.ceil(np.asarray(taps_ms) * fps / 1000 - _EARLY_S * fps).astype(np.int64).clip(0)


def tap_rows(rows: Indices, first: Indices, offsets: Indices) -> Indices:
    """Which rows go in.

    rows: (N,) the moments.  first: (N,) the first row of the clip that each lies in.  offsets: (tap,) rows back.
    Returns (N, tap) int64.
    """
    found: Indices = np.maximum(rows[:, None] - offsets, first[:, None])
    return found


class TapHistory:
    """The last moments of a live signal.  Allocates nothing per call but a small record of each frame."""

    def __init__(self, taps_ms: Sequence[int], width: int) -> None:
        """taps_ms: as in the bundle.  width: values of one moment."""
        self._ages_s = np.asarray(taps_ms) / 1000.0
        self._width = width
        self._past: deque[tuple[float, Floats]] = deque()
        self._rows = np.zeros((len(taps_ms), width), np.float32)

    def push(self, t_s: float, values: npt.NDArray[np.floating]) -> Floats:
        """Add a moment and read the history.

        t_s: seconds, rising; going back in time or a pause of more than 0.5 s forgets the past.  values: (width,).
        Returns (tap, width) float32, newest first, or (width,) when there is one tap; valid until the next call.
        Raises BadInput when values do not fit.
        """
        if values.shape != (self._width,):
            raise BadInput(f"a moment has {self._width} values, found shape {values.shape}")
        if self._past and not 0 <= t_s - self._past[-1][0] <= _LONGEST_GAP_S:
            self._past.clear()
        self._past.append((t_s, values.astype(np.float32)))
        oldest = t_s - self._ages_s[-1] + _EARLY_S
        while len(self._past) > 1 and self._past[1][0] <= oldest:
            self._past.popleft()
        for row, age_s in enumerate(self._ages_s):
            self._rows[row] = self._at(t_s - age_s + _EARLY_S)
        return self._rows if len(self._ages_s) > 1 else self._rows[0]

    def _at(self, t_s: float) -> Floats:
        for taken_s, values in reversed(self._past):
            if taken_s <= t_s:
                return values
        return self._past[0][1]
