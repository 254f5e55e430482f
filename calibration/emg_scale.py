"""What 1 is: microvolt of one person -> the numbers that an EMG network sees, and back.

"maximum"      microvolt / the largest value of that participant over all channels, as EIFER does (supplement C.1).
               Rest stays where it is: a median of 7 of 1800 microvolt is 0.4 % (FACTS 2).
"calibration"  each channel by itself, %MVC / 100 (FACTS 1.5): rest from Face-At-Rest, reference from the first k
               repetitions of every exercise, as a guided calibration has them: a gain for every person and muscle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from calibration.data.emg_pairs import Pairs
from calibration.data.emg_signals import Floats, Rows
from calibration.data.mmm_layout import FPS
from engines.emg.emg_bundle import NORMALISATIONS
from engines.emg.measures import GATE_UV, REFERENCE_WINDOW_S
from engines.errors import BadInput

REPETITIONS = 3
"""In each exercise's clip (FACTS 1.6)."""

_REST = "Face-At-Rest"
_MOST = 3.0  # whoever beats the reference so far had a bad one (an electrode was off): a therapist would repeat it


class Scale(NamedTuple):
    """Of one person.  Both (22,) float64 microvolt, FRIDLUND order."""

    rest_uv: npt.NDArray[np.float64]
    span_uv: npt.NDArray[np.float64]  # what 1 is, above rest

    def normalised(self, envelope_uv: Floats) -> Floats:
        """max(E - rest, 0) / span.  (..., 22) float32."""
        above = np.maximum(envelope_uv - self.rest_uv, 0.0) / self.span_uv
        return above.astype(np.float32)

    def microvolt(self, values: Floats) -> Floats:
        """The way back; what was below rest comes back as rest."""
        return (values * self.span_uv + self.rest_uv).astype(np.float32)


def scales_of(pairs: Pairs, normalisation: str, repetitions: int = 1) -> dict[str, Scale]:
    """Everybody's scale.  repetitions: how many of each exercise a calibration uses, 1..3.

    Raises BadInput for another word, and for a person who has nothing to be calibrated with.
    """
    if normalisation not in NORMALISATIONS or not 1 <= repetitions <= REPETITIONS:
        raise BadInput(
            f"muscles are normalised by {' or '.join(NORMALISATIONS)}, with 1 to {REPETITIONS} repetitions; found "
            f"{normalisation!r}, {repetitions}"
        )
    return {pid: _scale(pairs.select([pid]).clips, pid, normalisation, repetitions) for pid in pairs.people}


def participant_maximum(clips: Sequence[Rows]) -> float:
    """The largest value of a participant that no artefact made, microvolt; 0 when there is none."""
    return max((float(clip.envelope_uv[clip.intact].max(initial=0.0)) for clip in clips), default=0.0)


def _scale(clips: Sequence[Rows], pid: str, normalisation: str, repetitions: int) -> Scale:
    largest = participant_maximum(clips)
    if not largest > 0:
        raise BadInput(f"{pid} has no EMG above 0: check the envelopes")
    channels = clips[0].envelope_uv.shape[1]
    if normalisation == "maximum":
        return Scale(np.zeros(channels), np.full(channels, largest))
    exercises = [clip for clip in clips if clip.id.mode == "schaede" and clip.id.task != _REST]
    if not exercises:
        raise BadInput(f"{pid} has no exercise to be calibrated with: use normalisation=maximum")
    rest_uv = _rest(clips)
    references = np.stack([_reference(clip, repetitions) for clip in exercises])
    reference_uv = np.where(np.isfinite(references), references, 0.0).max(axis=0)
    strong_uv = (_quantile(clips, 99.5) - rest_uv) / _MOST
    return Scale(rest_uv, np.max([reference_uv - rest_uv, strong_uv, np.full(channels, GATE_UV)], axis=0))


def _rest(clips: Sequence[Rows]) -> npt.NDArray[np.float64]:
    """Median of Face-At-Rest; where there is none that is good, the quietest tenth of everything; (22,)."""
    resting = [_good(clip) for clip in clips if clip.id.task == _REST]
    rest_uv = _quantile(clips, 10)
    for channel in range(len(rest_uv)):
        calm = np.concatenate([np.empty(0), *(clip[:, channel] for clip in resting)])
        calm = calm[np.isfinite(calm)]
        if calm.size:
            rest_uv[channel] = np.median(calm)
    return rest_uv


def _quantile(clips: Sequence[Rows], percent: float) -> npt.NDArray[np.float64]:
    """Of everything good, per channel; 0 where nothing is.  (22,)."""
    every = np.concatenate([_good(clip) for clip in clips])
    columns = (column[np.isfinite(column)] for column in every.T)
    return np.array([np.percentile(column, percent) if column.size else 0.0 for column in columns])


def _reference(clip: Rows, repetitions: int) -> npt.NDArray[np.float64]:
    """Mean of the largest 500 ms mean over each channel's first good repetitions; (22,), NaN where none is good."""
    window = round(REFERENCE_WINDOW_S * FPS)
    parts = [part for part in np.array_split(_good(clip), REPETITIONS) if len(part) >= window]
    reference_uv = np.full(clip.envelope_uv.shape[1], np.nan)
    if not parts:
        return reference_uv
    for channel, largest in enumerate(np.stack([_largest_mean(part, window) for part in parts]).T):
        good = largest[np.isfinite(largest)][:repetitions]
        if good.size:
            reference_uv[channel] = good.mean()
    return reference_uv


def _largest_mean(values: npt.NDArray[np.float64], window: int) -> npt.NDArray[np.float64]:
    means = np.lib.stride_tricks.sliding_window_view(values, window, axis=0).mean(axis=-1)
    good = np.where(np.isfinite(means), means, -np.inf).max(axis=0)
    found: npt.NDArray[np.float64] = np.where(np.isfinite(good), good, np.nan)
    return found


def _good(clip: Rows) -> npt.NDArray[np.float64]:
    return np.where(clip.intact, clip.envelope_uv, np.nan).astype(np.float64)
