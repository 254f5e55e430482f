"""What the therapist reads: %MVC, signed asymmetry with its gate, synkinesis (FACTS 1.5).

A = max(E - E_rest, 0), E the live envelope in microvolt. Every measure is relative to one calibration, which was made
with one chain: another chain gives other peaks (7-18 %), so mixing is refused. No measure is "higher is better", and
none is a House-Brackmann or Sunnybrook grade.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engines.emg.montage import Montage
from engines.errors import BadInput, ChainMismatch

GATE_REST_SD = 5.0
GATE_UV = 2.0
"""Asymmetry is assessable when the stronger side reaches both 5 x its rest SD and 2 microvolt."""

ALARM_PERCENT = 30.0
"""Healthy people reach 11-17 % asymmetry: below this, no alarm."""

REFERENCE_WINDOW_S = 0.5
REFERENCE_REPETITIONS = 3


@dataclass(frozen=True)
class Calibration:
    """One person's rest and reference, in microvolt, for one chain; tuples in the order of `labels`.

    reference_kind says in words what 100 %MVC is, for example "maximal voluntary, 3 repetitions, 2025-03-04"; a
    channel without a reference has 0 there and its %MVC is NaN.
    """

    chain_id: str
    labels: tuple[str, ...]
    rest_mean_uv: tuple[float, ...]
    rest_sd_uv: tuple[float, ...]
    reference_uv: tuple[float, ...]
    reference_kind: str

    def __post_init__(self) -> None:
        for name in ("rest_mean_uv", "rest_sd_uv", "reference_uv"):
            values = getattr(self, name)
            if len(values) != len(self.labels) or not all(math.isfinite(v) and v >= 0 for v in values):
                raise BadInput(f"a calibration's {name} needs one finite number >= 0 per channel, got {values}")
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise BadInput(f"a calibration needs each channel once, got {self.labels}")

    def check_chain(self, chain_id: str) -> None:
        """Raises ChainMismatch unless this calibration was made with that chain."""
        if chain_id != self.chain_id:
            raise ChainMismatch(
                f"the calibration was made with EMG chain {self.chain_id}, this session runs {chain_id}; "
                "calibrate again or choose the preset of the calibration"
            )

    def for_labels(self, labels: Sequence[str]) -> Calibration:
        """The same calibration for these channels in this order. Raises BadInput when one is not calibrated."""
        missing = [label for label in labels if label not in self.labels]
        if missing:
            raise BadInput(f"the calibration has no channel {', '.join(missing)}; it has {', '.join(self.labels)}")
        order = [self.labels.index(label) for label in labels]

        def pick(values: tuple[float, ...]) -> tuple[float, ...]:
            return tuple(values[i] for i in order)

        return Calibration(
            chain_id=self.chain_id,
            labels=tuple(labels),
            rest_mean_uv=pick(self.rest_mean_uv),
            rest_sd_uv=pick(self.rest_sd_uv),
            reference_uv=pick(self.reference_uv),
            reference_kind=self.reference_kind,
        )

    def save(self, path: Path) -> None:
        """Write as JSON, readable by its owner only (0600), replacing an old file in one step."""
        draft = path.with_name(path.name + ".part")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(self), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)

    @classmethod
    def load(cls, path: Path, chain_id: str) -> Calibration:
        """Read what `save` wrote. chain_id: the chain that will run.

        Raises BadInput when the file is absent, no calibration, or has other keys; ChainMismatch for another chain.
        """
        try:
            content = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise BadInput(f"cannot read the calibration {path}: {error}; calibrate this person first") from error
        expected = {field.name for field in fields(cls)}
        if not isinstance(content, dict) or set(content) != expected:
            found = ", ".join(sorted(content)) if isinstance(content, dict) else type(content).__name__
            raise BadInput(f"{path} is no calibration: it needs exactly {', '.join(sorted(expected))}, has {found}")
        _check_types(path, content)
        fitting: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
        calibration = cls(**fitting)
        calibration.check_chain(chain_id)
        return calibration


def _check_types(path: Path, content: dict[str, object]) -> None:
    for key, value in content.items():
        if key in ("chain_id", "reference_kind"):
            fits = isinstance(value, str)
        else:
            items = value if isinstance(value, list) else [None]
            kinds = (str,) if key == "labels" else (int, float)
            fits = all(isinstance(item, kinds) and not isinstance(item, bool) for item in items)
        if not fits:
            raise BadInput(f"{path} is no calibration: {key} holds {value!r}")


class RestStatistics(NamedTuple):
    """Mean and SD of the envelope at rest; (channel,) float64 microvolt each."""

    mean_uv: np.ndarray
    sd_uv: np.ndarray


def rest_statistics(envelope_uv: np.ndarray) -> RestStatistics:
    """Rest level per channel.

    envelope_uv: (time, channel) while the person rests, without the chain's first half second; NaN is left out.
    Raises BadInput when it is empty or a channel has no good sample.
    """
    _check_envelope(envelope_uv)
    silent = np.isnan(envelope_uv).all(axis=0)
    if silent.any():
        raise BadInput(f"no good sample at rest in column {np.flatnonzero(silent).tolist()}; check its electrode")
    values = envelope_uv.astype(np.float64)
    return RestStatistics(np.nanmean(values, axis=0), np.nanstd(values, axis=0))


def reference_mvc(repetitions: Sequence[np.ndarray], rate_hz: float) -> np.ndarray:
    """E_ref: the largest 500 ms mean of each maximal repetition, averaged over the three strongest repetitions.

    repetitions: at least 3 arrays (time, channel), microvolt, live chain, each one maximal contraction of at least
    500 ms; when every muscle has its own task, call once per task and take that muscle's column. A window that holds
    a NaN does not count.  Returns (channel,) float64 microvolt; NaN for a channel with fewer than 3 usable ones.
    Raises BadInput for fewer than 3 repetitions or a shorter one.
    """
    window = round(REFERENCE_WINDOW_S * rate_hz)
    if len(repetitions) < REFERENCE_REPETITIONS:
        raise BadInput(f"a reference needs {REFERENCE_REPETITIONS} maximal repetitions, got {len(repetitions)}")
    for repetition in repetitions:
        _check_envelope(repetition)
        if len(repetition) < window:
            raise BadInput(
                f"a maximal repetition must last {REFERENCE_WINDOW_S} s, got {len(repetition) / rate_hz:.2f} s"
            )
    best = np.stack([_largest_mean(repetition, window) for repetition in repetitions])
    strongest = -np.sort(-best, axis=0)[:REFERENCE_REPETITIONS]  # NaN sorts last
    mean: np.ndarray = strongest.mean(axis=0)
    return mean


def _largest_mean(envelope_uv: np.ndarray, window: int) -> np.ndarray:
    """Largest mean over `window` rows without NaN, per channel; NaN when there is none."""
    bad = np.isnan(envelope_uv)
    start = np.zeros((1, envelope_uv.shape[1]))
    total = np.cumsum(np.vstack([start, np.where(bad, 0.0, envelope_uv)]), axis=0, dtype=np.float64)
    holes = np.cumsum(np.vstack([start, bad]), axis=0)
    means = (total[window:] - total[:-window]) / window
    usable = holes[window:] == holes[:-window]
    largest = np.where(usable, means, -np.inf).max(axis=0)
    result: np.ndarray = np.where(np.isfinite(largest), largest, np.nan)
    return result


def activity(envelope_uv: np.ndarray, calibration: Calibration) -> np.ndarray:
    """A = max(E - E_rest, 0). envelope_uv: (..., channel). Returns (..., channel) float64 microvolt; NaN stays NaN."""
    if envelope_uv.shape[-1:] != (len(calibration.labels),):
        raise BadInput(
            f"the envelope has shape {envelope_uv.shape}, the calibration {len(calibration.labels)} channels"
        )
    above: np.ndarray = np.maximum(envelope_uv - np.asarray(calibration.rest_mean_uv), 0.0)
    return above


def percent_mvc(envelope_uv: np.ndarray, calibration: Calibration) -> np.ndarray:
    """%MVC = 100 A / (E_ref - E_rest).

    envelope_uv: (..., channel) in the calibration's order.  Returns (..., channel) float64 >= 0, above 100 where the
    person beats the reference; NaN where the envelope is NaN or the reference is not above rest.
    """
    span = np.asarray(calibration.reference_uv) - np.asarray(calibration.rest_mean_uv)
    with np.errstate(divide="ignore", invalid="ignore"):
        percent: np.ndarray = 100.0 * activity(envelope_uv, calibration) / np.where(span > 0, span, np.nan)
    return percent


def signed_asymmetry(envelope_uv: np.ndarray, calibration: Calibration, montage: Montage) -> np.ndarray:
    """100 (A_R - A_L) / (A_R + A_L) per pair of the montage: positive = right stronger.

    envelope_uv: (..., channel) in the montage's order, which must be the calibration's.  Returns (..., pair) float64
    in [-100, 100], pairs as in `montage.pairs()`; NaN = not assessable: the stronger side is below 5 x its rest SD or
    2 microvolt (an inactive pair gave +-32 % of noise), or a side is NaN.
    Raises BadInput when montage and calibration name different channels.
    """
    if montage.labels != calibration.labels:
        raise BadInput("montage and calibration name different channels; use calibration.for_labels(montage.labels)")
    pairs = montage.pairs()
    right, left = [r for _, r, _ in pairs], [other for _, _, other in pairs]
    active = activity(envelope_uv, calibration)
    a_right, a_left = active[..., right], active[..., left]
    gate = np.maximum(GATE_REST_SD * np.asarray(calibration.rest_sd_uv), GATE_UV)
    stronger = np.where(a_right >= a_left, gate[right], gate[left])
    assessable = np.maximum(a_right, a_left) >= stronger
    with np.errstate(divide="ignore", invalid="ignore"):
        percent = 100.0 * (a_right - a_left) / (a_right + a_left)
    result: np.ndarray = np.where(assessable, percent, np.nan)
    return result


def synkinesis_index(percent_by_task: np.ndarray, trained: Sequence[int], floor_percent: float = 5.0) -> np.ndarray:
    """Involuntary share: 100 %MVC_b / %MVC_a of muscle b while task a trains muscle a.

    percent_by_task: (task, channel) %MVC, for example each task's mean over its contraction.  trained: the column
    that each task trains.  Returns (task, channel) float64, 100 in the trained column; a row is NaN when its trained
    muscle stays below floor_percent (nothing to compare with).
    To be shown beside the asymmetry: falling asymmetry with rising synkinesis is not improvement.
    Raises BadInput for shapes that do not fit.
    """
    if percent_by_task.ndim != 2 or len(trained) != len(percent_by_task):
        raise BadInput(f"one trained column per task: got {len(trained)} for shape {percent_by_task.shape}")
    if not all(0 <= column < percent_by_task.shape[1] for column in trained):
        raise BadInput(f"trained columns {list(trained)} are not all within 0..{percent_by_task.shape[1] - 1}")
    own = percent_by_task[np.arange(len(trained)), list(trained)].astype(np.float64)
    index: np.ndarray = 100.0 * percent_by_task / np.where(own >= floor_percent, own, np.nan)[:, None]
    return index


def _check_envelope(envelope_uv: np.ndarray) -> None:
    if envelope_uv.ndim != 2 or 0 in envelope_uv.shape:
        raise BadInput(f"an envelope must be (time, channel) and not empty, got shape {envelope_uv.shape}")
