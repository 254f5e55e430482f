"""How well a predicted course follows the true one, for one person and one muscle (or expression parameter).

All take (frame,) arrays of the same length.  SMAPE and Spearman as in FACTS 1.5; slope and onset are ours, for what
the paper names as its failures: peaks that are too low and onsets that come late.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from engines.emg.repetitions import find_repetitions
from engines.errors import BadInput

Course = npt.NDArray[np.floating]

SMAPE_EPS = 1e-3
"""In units of the scale that the values are in: a thousandth of the person's maximum."""

PEAK_SHARE = 0.2
"""A contraction counts from this share of the person's own range on."""

_AROUND_S = 0.3  # a predicted peak may come so much earlier or later
_MISSED = 0.1  # a predicted peak below this share of the true one has no onset


class Contraction(NamedTuple):
    """One true contraction and what was predicted of it, each above its own lower end."""

    peak: float
    predicted_peak: float
    delay_s: float  # of the predicted onset behind the true one; NaN when it was missed


def squared_error(predicted: Course, true: Course) -> float:
    """Mean squared error."""
    return float(np.mean(np.square(_same(predicted, true).astype(np.float64))))


def smape(predicted: Course, true: Course, eps: float = SMAPE_EPS) -> float:
    """mean 100 |p - t| / ((|p| + |t|) / 2 + eps), 0..200 %.  No frame is left out; eps keeps rest from deciding."""
    half = (np.abs(predicted.astype(np.float64)) + np.abs(true)) / 2 + eps
    return float(np.mean(100.0 * np.abs(_same(predicted, true)) / half))


def spearman(predicted: Course, true: Course) -> float:
    """Rank correlation over frames, ties shared; NaN when either does not move."""
    _same(predicted, true)
    if np.ptp(predicted) == 0 or np.ptp(true) == 0:
        return math.nan
    return float(np.corrcoef(rankdata(predicted), rankdata(true))[0, 1])


def contractions(predicted: Sequence[Course], true: Sequence[Course], fps: float) -> list[Contraction]:
    """All contractions of one muscle of one person.  predicted, true: one course per clip.

    They are found in the truth (engines/emg/repetitions.py) between the person's 5th percentile and maximum, and count
    from PEAK_SHARE of it on.  Both courses are counted from their own 5th percentile.  An onset is where half of the
    own peak is passed for the first time.
    """
    everything = np.concatenate(true)
    low, high = float(np.percentile(everything, 5)), float(everything.max())
    if not high > low:
        return []
    calm = float(np.percentile(np.concatenate(predicted), 5))
    found = []
    for guess, truth in zip(predicted, true, strict=True):
        for start, end, peak in find_repetitions(truth, fps, low, high):
            if peak - low >= PEAK_SHARE * (high - low):
                found.append(_compared(guess - calm, truth - low, start, end, fps))
    return found


def slope(found: Sequence[Contraction]) -> float:
    """Of predicted on true peaks, through the origin: sum(p t) / sum(t t); 1 is right.  NaN without contractions."""
    total = sum(one.peak**2 for one in found)
    return sum(one.peak * one.predicted_peak for one in found) / total if total else math.nan


def onset_delay_s(found: Sequence[Contraction]) -> float:
    """Median over the contractions that were not missed; above 0 is late.  NaN when there are none."""
    known = [one.delay_s for one in found if math.isfinite(one.delay_s)]
    return float(np.median(known)) if known else math.nan


def _compared(guess: Course, truth: Course, start: int, end: int, fps: float) -> Contraction:
    reach = round(_AROUND_S * fps)
    window = slice(max(start - reach, 0), end + reach)
    peak, predicted = float(truth[start : end + 1].max()), float(guess[window].max())
    if predicted < _MISSED * peak:
        return Contraction(peak, predicted, math.nan)
    delay = _half_way(guess[window], predicted) - _half_way(truth[window], peak)
    return Contraction(peak, predicted, delay / fps)


def _half_way(course: Course, peak: float) -> float:
    """Where half of the peak is passed for the first time, in frames, between two of them by straight line."""
    after = int(np.argmax(course >= peak / 2))
    if after == 0:
        return 0.0
    below, above = float(course[after - 1]), float(course[after])
    return after - 1 + (peak / 2 - below) / (above - below)


def _same(predicted: Course, true: Course) -> Course:
    if predicted.shape != true.shape or predicted.ndim != 1 or not predicted.size:
        raise BadInput(f"two courses of one length, (frame,), are compared; found {predicted.shape} and {true.shape}")
    difference: Course = predicted - true
    return difference
