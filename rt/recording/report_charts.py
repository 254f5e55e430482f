"""The report's charts: curves over the session's time, drawn as inline SVG."""

import html
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

BINS = 600  # points per curve: more than a printed page resolves
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 560, 130, 44, 20, 8


class Axis(NamedTuple):
    """The time of all charts.  seconds: its length, above 0.  gaps: (begin, length), seconds without a signal."""

    seconds: float
    gaps: tuple[tuple[float, float], ...] = ()

    def bins(self, onsets_s: np.ndarray) -> np.ndarray:
        """(n,) int64: which point of a curve stands for a time."""
        return (onsets_s * (BINS / self.seconds)).astype(np.int64).clip(0, BINS - 1)


class Line(NamedTuple):
    """One curve.  kind: its class in the style: 'right', 'left', 'picture' or 'emg'.  values: (BINS,), NaN for none."""

    name: str
    kind: str
    values: np.ndarray


class Scale(NamedTuple):
    """The vertical axis, and its unit as it is told."""

    low: float
    high: float
    unit: str


def section(title: str, note: str, keys: Sequence[tuple[str, str]], charts: Sequence[str], words: str = "") -> str:
    """Charts under a heading.  keys: (class, what it stands for).  words: HTML below the legend."""
    legend = "".join(
        f'<span><svg width="34" height="10">{_key(kind)}</svg> {html.escape(name)}</span>' for kind, name in keys
    )
    return (
        f"<section><h2>{html.escape(title)} <small>{html.escape(note)}</small></h2>"
        f"<p class=legend>{legend}</p>{words}<div class=charts>{''.join(charts)}</div></section>"
    )


def _key(kind: str) -> str:
    if kind == "gap":
        return '<rect class="gap" width="34" height="10"/>'
    return f'<path class="{kind}" d="M2 5H32"/>'


def scale_from_zero(lines: Sequence[Line], unit: str, least: float = 1.0) -> Scale:
    """From 0 to a round number above everything."""
    peak = max((float(np.nanmax(line.values)) for line in lines if not np.isnan(line.values).all()), default=0.0)
    return Scale(0.0, _round_up(max(peak, least)), unit)


def draw_chart(title: str, lines: Sequence[Line], axis: Axis, scale: Scale) -> str:
    """One chart, as HTML."""
    plot_w, plot_h = _WIDTH - _LEFT - 6, _HEIGHT - _TOP - _BOTTOM
    gaps = "".join(
        f'<rect class="gap" x="{_LEFT + plot_w * begin / axis.seconds:.1f}" y="{_TOP}" '
        f'width="{max(plot_w * length / axis.seconds, 1.5):.1f}" height="{plot_h}"/>'
        for begin, length in axis.gaps
    )
    grid = "".join(
        f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - 6}"/>'
        f'<text x="{_LEFT - 6}" y="{y + 3.5:.1f}" class="y">{scale.low + (scale.high - scale.low) * part:g}</text>'
        for part, y in ((part, _TOP + plot_h * (1 - part)) for part in (0.0, 0.5, 1.0))
    )
    ticks = "".join(
        f'<text x="{_LEFT + plot_w * t / axis.seconds:.1f}" y="{_HEIGHT - 5}" class="x">{clock_text(t)}</text>'
        for t in _ticks(axis.seconds)
    )
    curves = "".join(f'<path class="{line.kind}" d="{_path(line.values, scale, plot_w, plot_h)}"/>' for line in lines)
    told = ", ".join(_told(line, scale) for line in lines if not np.isnan(line.values).all()) or "no data"
    return (
        f'<figure><figcaption>{html.escape(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{html.escape(title)}: {html.escape(told)}">{grid}{gaps}{curves}{ticks}</svg></figure>'
    )


def _told(line: Line, scale: Scale) -> str:
    if scale.low == 0:
        return f"{line.name} up to {np.nanmax(line.values):.0f} {scale.unit}"
    return f"{line.name} from {np.nanmin(line.values):.0f} to {np.nanmax(line.values):.0f} {scale.unit}"


def _path(values: np.ndarray, scale: Scale, plot_w: float, plot_h: float) -> str:
    """A polyline that lifts the pen where there is nothing."""
    parts, drawing = [], False
    for index, value in enumerate(values.tolist()):
        if math.isnan(value):
            drawing = False
            continue
        share = min(max((value - scale.low) / (scale.high - scale.low), 0.0), 1.0)
        x, y = _LEFT + plot_w * (index + 0.5) / len(values), _TOP + plot_h * (1 - share)
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
