"""`myomirror evaluate` for EMG2Exp and Exp2EMG: the paper's Table 2, per muscle, and what it does not measure.

    myomirror evaluate ROWS/*/fold_? --data DIR          one row per folder of folds, each fold on its own people

A bundle is judged on the people whom it held out; where none of them is in the data, on everybody there.  Each number
is made for one person and one muscle (or parameter) over all frames that no artefact spoilt; a row shows mean and
standard deviation over those.  Everything is in percent of the participant's maximum, as the paper normalises (of the
parameter's unit for EMG2Exp), whatever the network itself was taught with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from calibration.data.emg_pairs import Pairs, open_pairs
from calibration.data.emg_signals import Floats
from calibration.data.mmm_layout import FPS
from calibration.emg_bundles import TaughtBy
from calibration.emg_rows import EmgRows
from calibration.emg_scale import participant_maximum, scales_of
from calibration.evaluation import Request
from calibration.metrics.emg import contractions, onset_delay_s, slope, smape, spearman, squared_error
from engines.assembly import assemble
from engines.bundle import Metric, read_bundle
from engines.emg.emg_bundle import SYSTEM, EmgBundle, check_station
from engines.emg.montage import FRIDLUND
from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPES
from engines.networks.emg_mlp import EmgMlp
from engines.shipped import bundle_folder

MEASURES: dict[str, tuple[str, str, int]] = {
    "mse": ("MSE ↓", "%²", 2),
    "rms": ("RMS ↓", "%", 2),
    "smape": ("SMAPE ↓", "%", 1),
    "spearman": ("Spearman ↑", "1", 3),
    "slope": ("peak slope →1", "1", 2),
    "onset": ("onset delay →0", "ms", 0),
}
"""Measure -> (column, unit, digits)."""

CAPTION = (
    "Mean ± standard deviation over people and muscles, on people that were held out; errors in percent of the "
    "participant's maximum. SMAPE: eps 0.1 % of it, no frame left out but those that an artefact spoilt. Spearman is "
    "undefined where truth or prediction never moves. Peak slope: predicted on true peaks through the origin; onset: "
    "where half of the own peak is passed."
)
_LEAST = 1e-6  # a parameter that never moves more is constant
_ROWS_AT_ONCE = 65536


@dataclass(frozen=True)
class Scores:
    """(person, output) float64 per measure, NaN where undefined.  outputs: their names."""

    people: tuple[str, ...]
    outputs: tuple[str, ...]
    values: Mapping[str, np.ndarray]

    def mean(self, measure: str) -> float:
        """Over everything that is defined; NaN when nothing is."""
        return _mean(self.values[measure])

    def undefined(self) -> float:
        """Share of outputs that move in truth, but never in the prediction."""
        moving = np.isfinite(self.values["rms"])
        return float((moving & ~np.isfinite(self.values["spearman"])).sum() / max(moving.sum(), 1))


def evaluate(request: Request, console: Console) -> dict[str, Any]:
    """Print the tables, return the report.  Raises BadInput, BundleError and ChainMismatch."""
    rows: dict[str, list[Scores]] = {}
    about: dict[str, Any] = {}
    opened: dict[tuple[str, str], Pairs] = {}
    for path in request.everything:
        name, fold = _row_of(path)
        bundle = read_bundle(bundle_folder(path))
        said = TaughtBy.of(bundle, str(path))
        key = (said.method, said.chain)
        if key not in opened:
            opened[key] = open_pairs(request.data, *key)
        pairs = opened[key]
        known = EmgBundle.of(bundle.manifest.sizes)
        check_station(bundle.manifest, pairs.chain_id, FRIDLUND.name, pairs.profile)
        unseen = [pid for pid in said.held_out if pid in pairs.people]
        network: Any = assemble(bundle)
        scores = score(network.network, known, pairs.select(unseen or pairs.people), said.calibration_repetitions)
        rows.setdefault(f"{name}, {known.direction}", []).append(scores)
        about[str(path)] = {
            "row": name,
            "fold": fold,
            "people": list(scores.people),
            "held_out": bool(unseen),
            "method": said.method,
            "chain": said.chain,
            "trained_on": bundle.manifest.training.data,
        }
    joined = {name: _joined(parts) for name, parts in rows.items()}
    _show(console, joined, next(iter(opened.values())))
    strangers = [path for path, one in about.items() if not one["held_out"]]
    notes = [f"{path} held nobody out who is in this data: judged on everybody there" for path in strangers]
    for note in notes:
        console.print(f"Note: {note}.", style="dim", highlight=False)
    return {
        "system": SYSTEM,
        "data": {"folder": str(request.data), "synthetic": all(pairs.synthetic for pairs in opened.values())},
        "rows": {name: _report(scores) for name, scores in joined.items()},
        "bundles": about,
        "notes": notes,
    }


def score(network: EmgMlp, bundle: EmgBundle, pairs: Pairs, repetitions: int) -> Scores:
    """Judge a network on everybody in `pairs`.  repetitions: see calibration/emg_scale.py."""
    scales = scales_of(pairs, bundle.normalisation, repetitions)
    names = FRIDLUND.labels if bundle.direction == "exp2emg" else parameter_names(bundle)
    values = {measure: np.full((len(pairs.people), len(names)), math.nan) for measure in MEASURES}
    for row, pid in enumerate(pairs.people):
        own = pairs.select([pid])
        rows = EmgRows.of(own, scales, bundle)
        found, truth = predicted(network, bundle, rows), rows.wanted
        if bundle.direction == "exp2emg":
            largest = np.float32(participant_maximum(own.clips))
            found = np.asarray(scales[pid].microvolt(found) / largest)
            truth = np.concatenate([clip.envelope_uv / largest for clip in own.clips])
        for column in range(len(names)):
            for measure, value in _of_one(found[:, column], truth[:, column], rows, column).items():
                values[measure][row, column] = value
    return Scores(pairs.people, names, values)


@torch.no_grad()
def predicted(network: EmgMlp, bundle: EmgBundle, rows: EmgRows) -> Floats:
    """What an engine would say of every row, in the outputs' normalised unit and within their range.  (R, outputs)."""
    every = np.arange(len(rows.given))
    _, (spec, *_) = bundle.specs(network.sizes.uncertainty)
    pieces = []
    for begin in range(0, len(every), _ROWS_AT_ONCE):
        given = torch.from_numpy(rows.inputs(every[begin : begin + _ROWS_AT_ONCE]))
        pieces.append(torch.clamp(network.estimate(network(given)).value, *spec.range).numpy())
    found: Floats = np.concatenate(pieces)
    return found


def measured(network: EmgMlp, bundle: EmgBundle, pairs: Pairs, repetitions: int, on: str) -> dict[str, Metric]:
    """For a manifest: each measure's mean.  on: says in words who that is."""
    scores = score(network, bundle, pairs, repetitions)
    found = {measure: scores.mean(measure) for measure in MEASURES}
    return {
        measure: Metric(round(value, 4), MEASURES[measure][1], on)
        for measure, value in found.items()
        if math.isfinite(value)
    }


def parameter_names(bundle: EmgBundle) -> tuple[str, ...]:
    """What the parameters of a profile are called."""
    if bundle.profile.name == "arkit52":
        return BLENDSHAPES
    groups = (("expression", 50), ("eyelid", 2), ("jaw", 3))
    return tuple(f"{group}_{i}" for group, count in groups for i in range(count))


def _of_one(found: Floats, truth: Floats, rows: EmgRows, column: int) -> dict[str, float]:
    """All measures of one output of one person; nothing where the truth is constant."""
    good = rows.weight[:, column] > 0
    if not good.any() or np.ptp(truth[good]) < _LEAST:
        return {}
    error = squared_error(found[good], truth[good])
    clips = [clip.intact for clip in rows.clips] if rows.wanted.shape[1] == len(FRIDLUND) else None
    pairs = zip(rows.by_clip(found), rows.by_clip(truth), strict=True)
    whole = [pair for i, pair in enumerate(pairs) if clips is None or clips[i][:, column].all()]
    peaks = contractions([pair[0] for pair in whole], [pair[1] for pair in whole], FPS) if whole else []
    return {
        "mse": 1e4 * error,
        "rms": 100 * math.sqrt(error),
        "smape": smape(found[good], truth[good]),
        "spearman": spearman(found[good], truth[good]),
        "slope": slope(peaks),
        "onset": 1000 * onset_delay_s(peaks),
    }


def _row_of(path: Path) -> tuple[str, str]:
    """ROW/fold_3 -> ROW and fold_3; anything else is a row of its own."""
    if path.name.startswith("fold_") and path.parent.name:
        return path.parent.name, path.name
    return path.name, ""


def _joined(parts: Sequence[Scores]) -> Scores:
    if len({part.outputs for part in parts}) > 1:
        raise BadInput("the folds of one row have different outputs: evaluate rows of one profile together")
    values = {measure: np.concatenate([part.values[measure] for part in parts]) for measure in MEASURES}
    return Scores(tuple(pid for part in parts for pid in part.people), parts[0].outputs, values)


def _show(console: Console, rows: Mapping[str, Scores], pairs: Pairs) -> None:
    kind = "synthetic people, nobody was recorded" if pairs.synthetic else "recordings of people"
    console.print(f"Expression and muscle on {pairs.folder}: {kind}, EMG chain {pairs.chain}", highlight=False)
    table = Table(box=None, pad_edge=False)
    for name in ("", "people", *(column for column, _, _ in MEASURES.values()), "never moves"):
        table.add_column(name, justify="right" if name else "left", overflow="fold")
    for name, scores in rows.items():
        cells = (_cell(scores.values[measure], digits) for measure, (_, _, digits) in MEASURES.items())
        table.add_row(Text(name), str(len(scores.people)), *cells, f"{100 * scores.undefined():.0f} %")
    console.print(table, highlight=False)
    for measure in ("spearman", "slope"):
        _show_outputs(console, rows, measure)
    console.print(CAPTION, style="dim", highlight=False)


def _show_outputs(console: Console, rows: Mapping[str, Scores], measure: str) -> None:
    """One line per muscle, both sides together; one per parameter that ever moves."""
    column, _, digits = MEASURES[measure]
    for outputs in dict.fromkeys(scores.outputs for scores in rows.values()):
        own = {name: scores for name, scores in rows.items() if scores.outputs == outputs}
        table = Table(box=None, pad_edge=False)
        for name in (column, *own):
            table.add_column(Text(name), justify="left" if name == column else "right", overflow="fold")
        for label, columns in _lines(outputs).items():
            cells = [_cell(scores.values[measure][:, columns], digits) for scores in own.values()]
            if set(cells) != {"-"}:
                table.add_row(label, *cells)
        console.print()
        console.print(table, highlight=False)


def _lines(outputs: Sequence[str]) -> dict[str, list[int]]:
    if tuple(outputs) == FRIDLUND.labels:
        return {muscle.replace("_", " "): [right, left] for muscle, right, left in FRIDLUND.pairs()}
    return {name: [column] for column, name in enumerate(outputs)}


def _cell(values: np.ndarray, digits: int) -> str:
    known = values[np.isfinite(values)]
    if not known.size:
        return "-"
    return f"{known.mean():.{digits}f} ± {known.std():.{digits}f}"


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan


def _report(scores: Scores) -> dict[str, Any]:
    found: dict[str, Any] = {"people": len(scores.people), "never_moves": round(scores.undefined(), 4)}
    for measure, (_, unit, _) in MEASURES.items():
        values = scores.values[measure]
        known = values[np.isfinite(values)]
        found[measure] = {
            "mean": _plain(_mean(values)),
            "sd": float(known.std()) if known.size else None,
            "unit": unit,
            "per_output": {name: _plain(_mean(values[:, i])) for i, name in enumerate(scores.outputs)},
        }
    return found


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
