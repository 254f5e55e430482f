"""The report's charts: one per muscle, right and left, drawn as inline SVG."""

import html
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from engines.emg.montage import FRIDLUND, KURAMOTO, Montage
from engines.errors import UnknownChannel
from rt.recording.gapless import Layout, lay_out
from rt.recording.recorded import recorded_chunks
from rt.recording.streams import ENVELOPE

_BINS = 600  # points per curve: more than a printed page resolves
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 560, 130, 44, 20, 8


class Curves(NamedTuple):
    """What the charts show. values: (bin, channel) largest envelope in each bin, NaN where there is none."""

    layout: Layout
    values: np.ndarray
    seconds: float


def read_curves(signals: Path) -> Curves | None:
    """The envelope in bins, each with its largest value, so that no short contraction is lost."""
    layout = lay_out(signals, ENVELOPE)
    if layout is None or layout.samples == 0:
        return None
    values = np.full((_BINS, len(layout.labels)), np.nan, np.float32)
    per_bin = layout.samples / _BINS
    for chunk, (_, _, first) in zip(recorded_chunks(signals, ENVELOPE), layout.places, strict=True):
        bins = ((first + np.arange(len(chunk.data))) / per_bin).astype(np.int64).clip(0, _BINS - 1)
        starts = np.flatnonzero(np.diff(bins, prepend=-1))
        peaks = np.fmax.reduceat(chunk.data, starts, axis=0)
        values[bins[starts]] = np.fmax(values[bins[starts]], peaks)
    return Curves(layout, values, layout.samples / layout.rate_hz)


def draw_charts(curves: Curves | None) -> str:
    """The section with a chart per muscle, as HTML."""
    if curves is None:
        return "<section><h2>Envelopes</h2><p class=soft>The recording holds no envelopes.</p></section>"
    charts = "".join(
        _chart(title, [(name, curves.values[:, column]) for name, column in sides], curves)
        for title, sides in _rows(curves.layout.labels)
    )
    return (
        "<section><h2>Envelopes <small>microvolt over time; largest value in each step</small></h2>"
        '<p class=legend><span><svg width="34" height="10"><path class="right" d="M2 5H32"/></svg> right side</span>'
        '<span><svg width="34" height="10"><path class="left" d="M2 5H32"/></svg> left side</span>'
        '<span><svg width="34" height="10"><rect class="gap" width="34" height="10"/></svg> missing</span></p>'
        f"<div class=charts>{charts}</div></section>"
    )


def _rows(labels: Sequence[str]) -> list[tuple[str, list[tuple[str, int]]]]:
    """(muscle, [(side, column), ...]) in the order of the montage; unknown channels stand alone."""
    montage = _montage_of(labels)
    if montage is None:
        return [(label, [("right", column)]) for column, label in enumerate(labels)]
    rows: dict[str, list[tuple[str, int]]] = {}
    for column, label in enumerate(labels):
        channel = montage.channels[montage.column(label)]
        side = "left" if channel.side == "left" else "right"
        rows.setdefault(channel.muscle.replace("_", " "), []).append((side, column))
    return list(rows.items())


def _montage_of(labels: Sequence[str]) -> Montage | None:
    for montage in (FRIDLUND, KURAMOTO):
        try:
            montage.subset(labels)
        except UnknownChannel:
            continue
        return montage
    return None


def _chart(title: str, sides: list[tuple[str, np.ndarray]], curves: Curves) -> str:
    peak = max((float(np.nanmax(values)) for _, values in sides if not np.isnan(values).all()), default=0.0)
    top = _round_up(max(peak, 1.0))
    plot_w, plot_h = _WIDTH - _LEFT - 6, _HEIGHT - _TOP - _BOTTOM
    gaps = "".join(
        f'<rect class="gap" x="{_LEFT + plot_w * sample / curves.layout.samples:.1f}" y="{_TOP}" '
        f'width="{max(plot_w * filled / curves.layout.samples, 1.5):.1f}" height="{plot_h}"/>'
        for sample, filled, _ in curves.layout.gaps
    )
    grid = "".join(
        f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - 6}"/>'
        f'<text x="{_LEFT - 6}" y="{y + 3.5:.1f}" class="y">{value:g}</text>'
        for value, y in ((top * part, _TOP + plot_h * (1 - part)) for part in (0.0, 0.5, 1.0))
    )
    ticks = "".join(
        f'<text x="{_LEFT + plot_w * t / curves.seconds:.1f}" y="{_HEIGHT - 5}" class="x">{clock_text(t)}</text>'
        for t in _ticks(curves.seconds)
    )
    lines = "".join(f'<path class="{side}" d="{_path(values, top, plot_w, plot_h)}"/>' for side, values in sides)
    told = ", ".join(f"{side} up to {np.nanmax(v):.0f} µV" for side, v in sides if not np.isnan(v).all()) or "no data"
    return (
        f'<figure><figcaption>{html.escape(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{html.escape(title)}: {told}">{grid}{gaps}{lines}{ticks}</svg></figure>'
    )


def _path(values: np.ndarray, top: float, plot_w: float, plot_h: float) -> str:
    """A polyline that lifts the pen where there is nothing."""
    parts, drawing = [], False
    for index, value in enumerate(values.tolist()):
        if math.isnan(value):
            drawing = False
            continue
        x, y = _LEFT + plot_w * (index + 0.5) / len(values), _TOP + plot_h * (1 - min(value / top, 1.0))
        parts.append(f"{'L' if drawing else 'M'}{x:.1f} {y:.1f}")
        drawing = True
    return "".join(parts)


def clock_text(seconds: float, digits: int = 0) -> str:
    """Minutes and seconds, e.g. `3:07`."""
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:0{3 + digits if digits else 2}.{digits}f}"


def _ticks(seconds: float) -> list[float]:
    """Four to eight round times."""
    step = next((s for s in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800) if seconds / s <= 8), 3600)
    return [t for t in np.arange(0, seconds, step).tolist() if t < seconds * 0.97]


def _round_up(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= value)
