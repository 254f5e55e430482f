"""Rest and reference of one person, measured on the running envelope.

Nothing here touches a clock or a file: the stage feeds chunks, and gets a calibration or a refusal in one sentence.
"""

import numpy as np

from engines.emg.measures import (
    GATE_REST_SD,
    GATE_UV,
    REFERENCE_REPETITIONS,
    REFERENCE_WINDOW_S,
    Calibration,
    reference_mvc,
    rest_statistics,
)
from engines.emg.montage import Montage
from engines.emg.quality import Contact
from engines.errors import BadInput
from rt.message import Chunk

SHORTEST_S, LONGEST_S = 1.0, 60.0
SETTLING_S = 0.5  # after the filters began anew the envelope still swings
_LEAST_GOOD = 0.9  # share of samples that are numbers, per channel


class Refused(Exception):
    """Why there is no calibration, as one sentence for the person at the page."""


class Collection:
    """The envelope of the next `seconds`, in memory that is there from the start."""

    def __init__(self, seconds: float, rate_hz: float, montage: Montage) -> None:
        if not SHORTEST_S <= seconds <= LONGEST_S:
            raise Refused(f"calibrating takes {SHORTEST_S:g} to {LONGEST_S:g} s, not {seconds:g} s")
        self.rate_hz = rate_hz
        self._montage = montage
        self._rows = np.empty((round(seconds * rate_hz), len(montage)), np.float32)
        self._filled = 0
        self._off = np.zeros(len(montage), bool)

    @property
    def begun(self) -> bool:
        """Whether anything has come."""
        return self._filled > 0

    @property
    def full(self) -> bool:
        """Whether enough has come."""
        return self._filled == len(self._rows)

    def take(self, chunk: Chunk, contact: np.ndarray) -> None:
        """Add a chunk of envelope. Raises Refused when the signal broke off since the last one."""
        if chunk.gap_s > 0 and self.begun:
            raise Refused("the EMG signal was interrupted while calibrating: please repeat")
        count = min(len(chunk.data), len(self._rows) - self._filled)
        self._rows[self._filled : self._filled + count] = chunk.data[:count]
        self._filled += count
        self._off |= contact == Contact.OFF

    def envelope_uv(self) -> np.ndarray:
        """(time, channel) float32 microvolt. Raises Refused when it is not fit to calibrate with."""
        if self._off.any():
            names = self._names(self._off)
            raise Refused(f"no contact at {names} while calibrating: fix these electrodes and repeat")
        good = np.isfinite(self._rows[: self._filled]).mean(axis=0) if self._filled else np.zeros(len(self._montage))
        if not self.full or (good < _LEAST_GOOD).any():
            where = f" at {self._names(good < _LEAST_GOOD)}" if self.full else ""
            seconds = self._filled / self.rate_hz
            raise Refused(f"too few samples came{where} in {seconds:.1f} s of calibrating: check the amplifier, repeat")
        return self._rows

    def _names(self, columns: np.ndarray) -> str:
        return ", ".join(self._montage.labels[i] for i in np.flatnonzero(columns))


def at_rest(envelope_uv: np.ndarray, chain: str, montage: Montage) -> Calibration:
    """A new calibration that knows rest only. envelope_uv: (time, channel) while the person rests."""
    try:
        rest = rest_statistics(envelope_uv)
    except BadInput as error:
        raise Refused(str(error)) from error
    nothing = (0.0,) * len(montage)
    return Calibration(chain, montage.labels, _plain(rest.mean_uv), _plain(rest.sd_uv), nothing, "")


def with_reference(
    calibration: Calibration, envelope_uv: np.ndarray, rate_hz: float, date: str
) -> tuple[Calibration, tuple[str, ...]]:
    """The calibration with 100 %MVC taken from a maximal contraction, and the labels of the channels that got one.

    envelope_uv: (time, channel).  A channel's reference is its largest 500 ms mean, and only ever rises until rest is
    measured again: muscle after muscle can be done.  A channel that stays below the asymmetry's gate (5 SD of rest,
    2 microvolt) did not contract and keeps what it had, so that noise never becomes 100 %.
    Raises Refused when no channel contracted.
    """
    if len(envelope_uv) < round(REFERENCE_WINDOW_S * rate_hz):
        raise Refused("the contraction was too short: please repeat")
    # One contraction stands for all three that the offline reference asks for.
    strongest = reference_mvc((envelope_uv,) * REFERENCE_REPETITIONS, rate_hz)
    rest, spread = np.array(calibration.rest_mean_uv), np.array(calibration.rest_sd_uv)
    contracted = strongest - rest >= np.maximum(GATE_REST_SD * spread, GATE_UV)  # False for NaN
    if not contracted.any():
        raise Refused("no muscle rose clearly above rest: please repeat with the strongest contraction")
    before = np.array(calibration.reference_uv)
    reference = np.where(contracted, np.fmax(before, strongest), before)
    labels = tuple(label for label, is_in in zip(calibration.labels, contracted, strict=True) if is_in)
    kind = f"strongest 500 ms of a maximal contraction, live, {date}"
    result = Calibration(
        calibration.chain_id,
        calibration.labels,
        calibration.rest_mean_uv,
        calibration.rest_sd_uv,
        _plain(reference),
        kind,
    )
    return result, labels


def _plain(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
