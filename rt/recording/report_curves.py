"""What the report's charts show: envelopes, the face's asymmetry, and what networks guessed of the muscles."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from engines.emg.montage import montage_of
from rt.recording.gapless import Layout, lay_out
from rt.recording.recorded import Table, recorded_chunks, recorded_table
from rt.recording.report_charts import BINS, Axis, Line, Scale, draw_chart, scale_from_zero, section
from rt.recording.streams import ENVELOPE, ESTIMATED_MUSCLES, MOTION, MUSCLES

_SIDES = (("right", "right side"), ("left", "left side"))
_REGIONS = (  # of the motion stream, and the muscle that is measured there
    ("Brows", "brows_asymmetry", "lateral_frontalis"),
    ("Eyes", "eyes_asymmetry", "orbicularis_oculi"),
    ("Mouth", "mouth_asymmetry", "zygomaticus"),
)
_ESTIMATED = "_estimated_percent"
_HELD_S = 0.5  # a picture's word lasts so long, where none comes


class Curves(NamedTuple):
    """The envelopes.  values: (bin, channel) largest one in each bin, NaN where there is none."""

    layout: Layout
    values: np.ndarray
    axis: Axis


def read_curves(signals: Path) -> Curves | None:
    """The envelope in bins, each with its largest value, so that no short contraction is lost."""
    layout = lay_out(signals, ENVELOPE)
    if layout is None or layout.samples == 0:
        return None
    gaps = tuple((first / layout.rate_hz, filled / layout.rate_hz) for first, filled, _ in layout.gaps)
    axis = Axis(layout.samples / layout.rate_hz, gaps)
    values = np.full((BINS, len(layout.labels)), np.nan, np.float32)
    for chunk, (_, _, first) in zip(recorded_chunks(signals, ENVELOPE), layout.places, strict=True):
        _put(values, axis.bins((first + np.arange(len(chunk.data))) / layout.rate_hz), chunk.data, np.fmax)
    return Curves(layout, values, axis)


def draw_envelopes(curves: Curves | None) -> str:
    """A chart per muscle."""
    if curves is None:
        return "<section><h2>Envelopes</h2><p class=soft>The recording holds no envelopes.</p></section>"
    charts = []
    for muscle, sides in _by_muscle(curves.layout.labels):
        lines = [Line(side, side, curves.values[:, column]) for side, column in sides]
        charts.append(draw_chart(muscle, lines, curves.axis, scale_from_zero(lines, "\u00b5V")))
    keys = (*_SIDES, ("gap", "missing"))
    return section("Envelopes", "microvolt over time; largest value in each step", keys, charts)


def draw_asymmetry(signals: Path, curves: Curves | None) -> str:
    """How unevenly both sides move, region by region; nothing where the picture was not asked."""
    seen = recorded_table(signals, MOTION)
    if seen is None or not len(seen.stamps):
        return ""
    felt = recorded_table(signals, MUSCLES)
    axis = _axis(seen, curves)
    charts = []
    for region, column, muscle in _REGIONS:
        lines = [Line("from the picture", "picture", _mean(seen, column, axis, curves))]
        if felt is not None and f"{muscle}_asymmetry" in felt.columns:
            lines.append(Line("from the EMG", "emg", _mean(felt, f"{muscle}_asymmetry", axis, curves)))
        charts.append(draw_chart(region, lines, axis, Scale(-100.0, 100.0, "points")))
    keys = (("picture", "from the picture, the head's turn taken out"), ("emg", "from the EMG of that region"))
    note = "100 (right \u2212 left) / (right + left): above zero the right side is stronger"
    return section("Asymmetry", note, keys, charts)


def draw_estimates(signals: Path, curves: Curves | None) -> str:
    """What a network guessed the muscles to be doing; nothing where none was asked."""
    found = recorded_table(signals, ESTIMATED_MUSCLES)
    if found is None or not len(found.stamps):
        return ""
    labels = [column.removesuffix(_ESTIMATED) for column in found.columns if column.endswith(_ESTIMATED)]
    axis = _axis(found, curves)
    rows = [
        (muscle, [Line(side, side, _most(found, labels[at] + _ESTIMATED, axis, curves)) for side, at in sides])
        for muscle, sides in _by_muscle(labels)
    ]
    scale = scale_from_zero([line for _, lines in rows for line in lines], "per cent", 100.0)  # one for all: relative
    charts = [draw_chart(muscle, lines, axis, scale) for muscle, lines in rows]
    words = "<p class=notice>Guessed by a network from the picture; relative, and never measured.</p>"
    return section("Estimated muscles", "per cent over time; largest value in each step", _SIDES, charts, words)


def _axis(table: Table, curves: Curves | None) -> Axis:
    return curves.axis if curves else Axis(max(float(table.stamps.max() - table.stamps.min()), 1e-3))


def _mean(table: Table, column: str, axis: Axis, curves: Curves | None) -> np.ndarray:
    """(BINS,) the mean in each bin."""
    values = table.values[:, table.columns.index(column)].astype(np.float64)
    there, bins = np.isfinite(values), axis.bins(_onsets(table, curves))
    count = np.bincount(bins[there], minlength=BINS)
    total = np.bincount(bins[there], values[there], BINS)
    return _bridged(np.where(count > 0, total / np.maximum(count, 1), np.nan), bins, axis)


def _most(table: Table, column: str, axis: Axis, curves: Curves | None) -> np.ndarray:
    """(BINS,) the largest in each bin."""
    values, bins = np.full((BINS, 1), np.nan, np.float32), axis.bins(_onsets(table, curves))
    _put(values, bins, table.values[:, [table.columns.index(column)]], np.fmax)
    return _bridged(values[:, 0], bins, axis)


def _bridged(values: np.ndarray, bins: np.ndarray, axis: Axis) -> np.ndarray:
    """Bins that are empty only because pictures come more rarely hold what was last said, even if that was nothing."""
    asked = np.zeros(BINS, bool)
    asked[bins] = True
    last = np.maximum.accumulate(np.where(asked, np.arange(BINS), -1))
    near = (np.arange(BINS) - last) * (axis.seconds / BINS) <= _HELD_S
    return np.where((last >= 0) & near, values[last], np.nan)


def _onsets(table: Table, curves: Curves | None) -> np.ndarray:
    if curves is None:
        return np.asarray(table.stamps - table.stamps.min())
    return np.array(curves.layout.onsets_s(table.stamps))


def _put(into: np.ndarray, bins: np.ndarray, rows: np.ndarray, by: np.ufunc) -> None:
    """Rows into their bins; bins that stand together are reduced before, which is what makes it fast."""
    starts = np.flatnonzero(np.diff(bins, prepend=-1))
    by.at(into, bins[starts], by.reduceat(rows, starts, axis=0))


def _by_muscle(labels: Sequence[str]) -> list[tuple[str, list[tuple[str, int]]]]:
    """(muscle, [(side, column), ...]) in the order of the montage; unknown channels stand alone."""
    montage = montage_of(labels)
    if montage is None:
        return [(label, [("right", column)]) for column, label in enumerate(labels)]
    rows: dict[str, list[tuple[str, int]]] = {}
    for column, label in enumerate(labels):
        channel = montage.channels[montage.column(label)]
        side = "left" if channel.side == "left" else "right"
        rows.setdefault(channel.muscle.replace("_", " "), []).append((side, column))
    return list(rows.items())
