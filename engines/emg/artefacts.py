"""What goes wrong in a recording, as data: knocked electrodes, gel that settles, leads that come off, lost packets.

Each artefact is a small frozen record with its own truth (which channels, from when, for how long), so that whoever
writes a recording can write down what is wrong with it. `Faults` turns them into rows that one kernel applies to a
block; like everything in the simulator, a row's effect on sample n depends on n alone. The sizes are a choice: what
makes each of them visible to `quality.py` without being absurd.

Blinks are no artefact here: the burst in orbicularis oculi is real EMG (performance.py), and the slow potential of lids
and eyeballs at the forehead belongs to every blink (simulator.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from engines.emg.montage import Montage
from engines.errors import BadInput
from engines.kernels import kernel

LeadOffKind = Literal["rail", "flat", "hum"]

HUM_UV = 2000.0
"""RMS of the mains on an electrode that hangs in the air; quality.py calls an open input from 500 on."""


@dataclass(frozen=True)
class Motion:
    """An electrode or cable is knocked: the potential swings, damped, at a few hertz. Empty channels means all."""

    at_s: float
    duration_s: float = 0.6
    channels: tuple[str, ...] = ()
    amplitude_uv: float = 2000.0  # of the first swing, about
    swing_hz: float = 4.0


@dataclass(frozen=True)
class Settling:
    """Fresh gel: the level slides towards its place, exponentially. Empty channels means all."""

    at_s: float = 0.0
    channels: tuple[str, ...] = ()
    amplitude_uv: float = 20_000.0
    time_s: float = 4.0


@dataclass(frozen=True)
class LeadOff:
    """A lead is off: the input sits at the range's end, is shorted (flat), or hangs in the air and hums."""

    at_s: float
    duration_s: float
    channel: str
    kind: LeadOffKind = "rail"


@dataclass(frozen=True)
class Loss:
    """Packets are lost: these samples never arrive, on any channel."""

    at_s: float
    duration_s: float


Artefact = Motion | Settling | LeadOff | Loss


class Gap(NamedTuple):
    """A range of samples that never arrives."""

    first: int
    samples: int


@dataclass(frozen=True)
class Mishaps:
    """How often things go wrong; all a choice. Raises BadInput for negative or infinite numbers."""

    motions_per_min: float = 1.0
    lead_offs_per_min: float = 0.02
    losses_per_min: float = 0.1
    settling_share: float = 0.1  # of the channels, at the beginning

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < 1000:
                raise BadInput(f"mishaps: {name} must be 0 or more, got {value}")


def draw_artefacts(
    duration_s: float, montage: Montage, seed: int, mishaps: Mishaps | None = None
) -> tuple[Artefact, ...]:
    """A session's bad luck, in the order of time.

    A motion takes a few neighbouring channels and is mostly small (log-normal around 1.2 mV), now and then several
    millivolts.  Raises BadInput for a duration that is not positive or a negative seed.
    """
    if not 0 < duration_s < 1e6 or seed < 0:
        raise BadInput(f"artefacts need a duration and a seed >= 0, got {duration_s} s and {seed}")
    mishaps = mishaps or Mishaps()
    rng = np.random.default_rng([0xA27E, seed])
    minutes = duration_s / 60.0
    found: list[Artefact] = []
    for _ in range(rng.poisson(mishaps.motions_per_min * minutes)):
        amplitude = float(np.clip(1200.0 * np.exp(0.9 * rng.standard_normal()), 50.0, 8000.0))
        length, swing = float(rng.uniform(0.3, 1.2)), float(rng.uniform(2.0, 7.0))
        near = _neighbours(montage, int(rng.integers(len(montage))), int(rng.integers(1, 5)))
        found.append(Motion(float(rng.uniform(0, duration_s)), length, near, round(amplitude, 1), round(swing, 2)))
    for _ in range(rng.poisson(mishaps.lead_offs_per_min * minutes)):
        kind = get_args(LeadOffKind)[int(rng.integers(3))]
        channel = montage.labels[int(rng.integers(len(montage)))]
        found.append(LeadOff(float(rng.uniform(0, duration_s)), float(rng.uniform(2, 20)), channel, kind))
    found += [
        Loss(float(rng.uniform(0, duration_s)), float(rng.uniform(0.02, 0.4)))
        for _ in range(rng.poisson(mishaps.losses_per_min * minutes))
    ]
    settling = tuple(label for label in montage.labels if rng.random() < mishaps.settling_share)
    if settling:
        found.append(Settling(0.0, settling, float(rng.uniform(500, 2500)), float(rng.uniform(2, 8))))
    return tuple(sorted(found, key=lambda artefact: artefact.at_s))


def as_record(artefact: Artefact) -> dict[str, object]:
    """An artefact for a JSON file: its fields and its kind."""
    return {"artefact": type(artefact).__name__, **asdict(artefact)}


def _neighbours(montage: Montage, column: int, count: int) -> tuple[str, ...]:
    sites = np.array([channel.site_xy for channel in montage.channels])
    nearest = np.argsort(np.hypot(*(sites - sites[column]).T), kind="stable")[:count]
    return tuple(montage.labels[i] for i in sorted(nearest))


# Columns of a fault's row. What the numbers mean depends on the kind.
_KIND, _COLUMN, _BEGIN, _END, _SIZE, _TIME, _TURN, _PHASE = range(8)
_SWING, _SLIDE, _RAIL, _FLAT, _HUM = range(5)
_LEAD_OFF = {"rail": _RAIL, "flat": _FLAT, "hum": _HUM}


class Faults:
    """Artefacts made ready for one stream of samples.

    rate_hz: the true rate.  Raises BadInput for negative times or lengths, UnknownChannel for other channels.
    """

    def __init__(
        self, artefacts: Sequence[Artefact], montage: Montage, rate_hz: float, mains_hz: float, seed: int
    ) -> None:
        rng = np.random.default_rng([0xFA17, seed])
        rows: list[list[float]] = []
        gaps: list[Gap] = []
        for artefact in artefacts:
            _check(artefact)
            begin = math.ceil(artefact.at_s * rate_hz)
            if isinstance(artefact, Loss):
                gaps.append(Gap(begin, max(1, round(artefact.duration_s * rate_hz))))
            elif isinstance(artefact, LeadOff):
                end = begin + round(artefact.duration_s * rate_hz)
                turn, sign = mains_hz / rate_hz, float(rng.choice((-1.0, 1.0)))
                column = montage.column(artefact.channel)
                rows.append([_LEAD_OFF[artefact.kind], column, begin, end, sign, 0.0, turn, rng.random()])
            else:
                rows += _swings(artefact, montage, begin, rate_hz, rng)
        rows.sort(key=lambda row: row[_KIND])  # lead-off comes last and covers everything
        self._rows = np.array(rows, dtype=np.float64).reshape(len(rows), 8)
        self.gaps = _merged(gaps)
        """What never arrives, in order, without overlaps."""

    def apply(self, first: int, range_uv: float, out: np.ndarray) -> None:
        """Put the faults into samples first .. first + len(out) - 1. out: (time, channel) float32, changed."""
        _apply(self._rows, first, range_uv, out)

    def arrived(self, first: int, count: int) -> list[Gap]:
        """The pieces of first .. first + count - 1 that are not lost, in order."""
        pieces, place, end = [], first, first + count
        for gap in self.gaps:
            if gap.first >= end:
                break
            if gap.first > place:
                pieces.append(Gap(place, gap.first - place))
            place = max(place, gap.first + gap.samples)
        if place < end:
            pieces.append(Gap(place, end - place))
        return pieces


def _check(artefact: Artefact) -> None:
    for name, value in vars(artefact).items():
        if isinstance(value, float | int) and not 0 <= value < 1e9:
            raise BadInput(f"{type(artefact).__name__}: {name} must be 0 or more, got {value}")
    if isinstance(artefact, LeadOff) and artefact.kind not in _LEAD_OFF:
        raise BadInput(f"a lead is off as {', '.join(_LEAD_OFF)}, not {artefact.kind!r}")


def _swings(
    artefact: Motion | Settling, montage: Montage, begin: int, rate_hz: float, rng: np.random.Generator
) -> list[list[float]]:
    """One row per channel; neighbours are knocked together, but not equally."""
    rows = []
    for label in artefact.channels or montage.labels:
        size = artefact.amplitude_uv * float(rng.uniform(0.5, 1.0)) * float(rng.choice((-1.0, 1.0)))
        if isinstance(artefact, Motion):
            time, length = artefact.duration_s / 3.0 * rate_hz, artefact.duration_s * rate_hz
            turn = artefact.swing_hz / rate_hz
            row = [_SWING, montage.column(label), begin, begin + 2.0 * length, size, time, turn, 0.1 * rng.random()]
        else:
            time = artefact.time_s * rate_hz
            row = [_SLIDE, montage.column(label), begin, begin + 12.0 * time, size, time, 0.0, 0.0]
        rows.append([float(value) for value in row])
    return rows


def _merged(gaps: list[Gap]) -> tuple[Gap, ...]:
    merged: list[Gap] = []
    for gap in sorted(gaps):
        if merged and gap.first <= merged[-1].first + merged[-1].samples:
            last = merged.pop()
            gap = Gap(last.first, max(last.first + last.samples, gap.first + gap.samples) - last.first)
        merged.append(gap)
    return tuple(merged)


@kernel
def _apply(rows: np.ndarray, first: int, range_uv: float, out: np.ndarray) -> None:
    """rows: (fault, 8) float64; out: (time, channel) float32."""
    for k in range(rows.shape[0]):
        begin = max(int(rows[k, _BEGIN]), first)
        end = min(int(rows[k, _END]), first + out.shape[0])
        kind, c, size = int(rows[k, _KIND]), int(rows[k, _COLUMN]), rows[k, _SIZE]
        for n in range(begin, end):
            since = n - rows[k, _BEGIN]
            if kind == _SWING:
                turn = 2.0 * math.pi * (rows[k, _PHASE] + rows[k, _TURN] * since)
                rise = min(since / (0.1 * rows[k, _TIME]), 1.0)
                out[n - first, c] += size * rise * math.exp(-since / rows[k, _TIME]) * math.cos(turn)
            elif kind == _SLIDE:
                out[n - first, c] += size * math.exp(-since / rows[k, _TIME])
            elif kind == _RAIL:
                out[n - first, c] = size * range_uv
            elif kind == _FLAT:
                out[n - first, c] = 0.0
            else:
                hum = math.sin(2.0 * math.pi * ((rows[k, _TURN] * n + rows[k, _PHASE]) % 1.0))
                out[n - first, c] = out[n - first, c] + size * math.sqrt(2.0) * HUM_UV * hum
