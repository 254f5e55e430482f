"""Which muscle and which side each EMG channel is. Channels carry names, never positions.

Three public orders of the same 22 Fridlund channels exist (FACTS 1.1), so nothing in this project may count
columns: a stream's labels are mapped to the montage here, by name, once, and a label that does not fit is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from engines.errors import BadInput, UnknownChannel

Side = Literal["right", "left", "midline"]

# Muscle -> (even = left channel number, x, y of the left site). FACTS 1.1: face plane -100..100, x to the person's
# left, y up; the right site is the mirror image and has the odd number below.
_FRIDLUND: dict[str, tuple[int, float, float]] = {
    "medial_frontalis": (2, 10, 65),
    "lateral_frontalis": (4, 32, 60),
    "corrugator_supercilii": (6, 22, 52),
    "depressor_supercilii": (8, 9, 49),
    "levator_labii_superioris": (10, 28, -12),
    "orbicularis_oris": (12, 21, -52),
    "depressor_anguli_oris": (14, 26, -69),
    "mentalis": (16, 6, -65),
    "orbicularis_oculi": (18, 42, 10),
    "zygomaticus": (20, 53, -23),
    "masseter": (22, 70, -50),
}
_KURAMOTO: dict[int, tuple[float, float]] = {
    2: (20, 66),
    4: (32, 56),
    6: (44, 13),
    8: (25, -9),
    10: (20, -67),
    14: (63, 40),
    16: (59, 6),
    18: (72, -50),
}
# Other spellings of a muscle in public files (MMM tables mix English, Latin and German), already normalised.
_SPELLINGS: dict[str, tuple[str, ...]] = {
    "medial_frontalis": ("medialerfrontalis", "medialisfrontalis", "frontalismedialis", "frontalismedial"),
    "lateral_frontalis": ("lateralerfrontalis", "lateralisfrontalis", "frontalislateralis", "frontalislateral"),
    "corrugator_supercilii": ("corrugator",),
    "depressor_supercilii": ("depressorsuperciliiprocerus", "procerus"),
    "levator_labii_superioris": ("levatorlabii", "levatorlabiisup"),
    "orbicularis_oris": (),
    "depressor_anguli_oris": ("depressorangoris", "depressorangulioris", "depressoranguli"),
    "mentalis": (),
    "orbicularis_oculi": (),
    "zygomaticus": ("zygomaticusmajor", "zygomaticusmaj"),
    "masseter": (),
}


@dataclass(frozen=True)
class Channel:
    """One EMG channel. `side` is the person's own; `pair` is equal for the two sides of one muscle (-1: midline).

    site_xy: (x, y) in the face plane, -100..100, x to the person's left, y up (FACTS 1.1).
    """

    label: str
    muscle: str
    side: Side
    pair: int
    site_xy: tuple[float, float]

    @property
    def name(self) -> str:
        """Readable unique name, for example `zygomaticus_right`."""
        return f"{self.muscle}_{self.side}"

    @property
    def uv(self) -> tuple[float, float]:
        """Position in MediaPipe's canonical UV square, 0..1, v from the top: u = (x+100)/200, v = (100-y)/200."""
        x, y = self.site_xy
        return (x + 100.0) / 200.0, (100.0 - y) / 200.0


@dataclass(frozen=True)
class Montage:
    """An ordered set of channels; the order of every array with a channel axis inside this project."""

    name: str
    channels: tuple[Channel, ...]
    reference: Channel | None = None  # the common electrode of a monopolar scheme; never a column

    def __len__(self) -> int:
        return len(self.channels)

    @property
    def labels(self) -> tuple[str, ...]:
        """Channel labels in montage order, for example ("F1", ..., "F22")."""
        return tuple(channel.label for channel in self.channels)

    @cached_property
    def _column_by_spelling(self) -> dict[str, int]:
        return {text: i for i, channel in enumerate(self.channels) for text in _spellings(channel)}

    def column(self, label: str) -> int:
        """Column of one channel, named by label ("F19"), MMM name ("Zygomaticus_r") or "zygomaticus_right".

        Raises UnknownChannel, naming the channels that exist.
        """
        found = self._column_by_spelling.get(_normal(label))
        if found is None:
            raise UnknownChannel(f"the montage {self.name} has no channel {label!r}; it has {_listed(self.labels)}")
        return found

    def index_of(self, labels: Sequence[str], mapping: Mapping[str, str] | None = None) -> np.ndarray:
        """Columns of a stream that make the montage: `stream[:, index]` is in montage order.

        labels: the stream's channel labels, in stream order.  mapping: {stream label: montage label}; when given,
        stream channels that it does not name are ignored (trigger, battery), else every label must be understood.
        Returns (channel,) int64.  Raises UnknownChannel when a channel is missing, doubled or not understood; the
        sentence lists what was found.
        """
        if mapping is not None:
            absent = [label for label in mapping if label not in labels]
            if absent:
                raise UnknownChannel(f"the stream has no channel {_listed(absent)}; it has {_listed(labels)}")
        index = np.full(len(self.channels), -1, dtype=np.int64)
        unknown: list[str] = []
        for position, label in enumerate(labels):
            if mapping is not None and label not in mapping:
                continue
            wanted = mapping[label] if mapping is not None else label
            column = self._column_by_spelling.get(_normal(wanted))
            if column is None:
                unknown.append(wanted)
            elif index[column] >= 0:
                raise UnknownChannel(
                    f"channel {self.channels[column].label} comes twice, as {labels[index[column]]!r} and {label!r}; "
                    "keep one of them in the channel mapping"
                )
            else:
                index[column] = position
        self._refuse(labels, unknown, [c.label for c, i in zip(self.channels, index, strict=True) if i < 0])
        return index

    def _refuse(self, found: Sequence[str], unknown: Sequence[str], missing: Sequence[str]) -> None:
        if not unknown and not missing:
            return
        problems = [f"missing {_listed(missing)}"] if missing else []
        problems += [f"not understood {_listed(unknown)}"] if unknown else []
        raise UnknownChannel(
            f"the EMG stream does not fit the montage {self.name}: {'; '.join(problems)}; found {_listed(found)}. "
            "Name the channels in the station's mapping or use a subset"
        )

    def subset(self, labels: Sequence[str]) -> Montage:
        """The montage of only these channels, in the order given. Raises UnknownChannel, also for a doubled one."""
        columns = [self.column(label) for label in labels]
        if len(set(columns)) != len(columns) or not columns:
            raise UnknownChannel(f"a subset needs each channel once, got {_listed(labels)}")
        return Montage(self.name, tuple(self.channels[i] for i in columns), self.reference)

    def pairs(self) -> tuple[tuple[str, int, int], ...]:
        """(muscle, right column, left column) of every muscle of which both sides are there."""
        by_side = {(c.muscle, c.side): i for i, c in enumerate(self.channels)}
        muscles = dict.fromkeys(c.muscle for c in self.channels if c.side != "midline")
        return tuple(
            (m, by_side[m, "right"], by_side[m, "left"])
            for m in muscles
            if (m, "right") in by_side and (m, "left") in by_side
        )


def _normal(text: str) -> str:
    """Letters and digits only, lower case: `Depressor Ang. Oris_l` -> `depressorangorisl`."""
    return re.sub(r"[^0-9a-z]", "", text.lower())


def _spellings(channel: Channel) -> set[str]:
    """Every normalised text that means this channel."""
    stems = {_normal(channel.muscle), *_SPELLINGS.get(channel.muscle, ())}
    sides = {"right": ("r", "right"), "left": ("l", "left"), "midline": ("midline",)}[channel.side]
    named = {stem + side for stem in stems for side in sides} | {side + stem for stem in stems for side in sides}
    return named | {_normal(channel.label), "emg" + _normal(channel.label)}


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels) if labels else "nothing"


def _mirrored(letter: str, number: int, muscle: str, pair: int, x: float, y: float) -> tuple[Channel, Channel]:
    """Right (odd number, x mirrored) and left channel of one pair."""
    right = Channel(f"{letter}{number - 1}", muscle, "right", pair, (float(-x), float(y)))
    return right, Channel(f"{letter}{number}", muscle, "left", pair, (float(x), float(y)))


def _fridlund() -> Montage:
    rows = enumerate(_FRIDLUND.items())
    return Montage("fridlund", tuple(c for i, (m, (n, x, y)) in rows for c in _mirrored("F", n, m, i, x, y)))


def _kuramoto() -> Montage:
    rows = enumerate(_KURAMOTO.items())
    sides = tuple(c for i, (n, (x, y)) in rows for c in _mirrored("K", n, f"site_{n - 1}_{n}", i, x, y))
    midline = tuple(Channel(f"K{n}", f"site_{n}", "midline", -1, (0.0, y)) for n, y in ((19, 47.0), (20, -26.0)))
    return Montage("kuramoto", sides + midline, Channel("K24", "site_24", "midline", -1, (0.0, 26.0)))


FRIDLUND = _fridlund()
"""22 bipolar channels F1..F22; odd = the person's right, even = left (FACTS 1.1, order 1)."""

KURAMOTO = _kuramoto()
"""18 monopolar sites K1..K20 without K11 and K12, against the reference K24 (FACTS 1.1). Sites, not muscles."""

MONTAGES = {montage.name: montage for montage in (FRIDLUND, KURAMOTO)}
"""All that there are, by name."""


def montage_called(name: str, channels: Sequence[str] = ()) -> Montage:
    """The montage of that name, in column order, or the part of it with these channels.

    Raises BadInput, naming those that exist, and UnknownChannel.
    """
    if name not in MONTAGES:
        raise BadInput(f"there is no montage {name!r}; known: {', '.join(MONTAGES)}")
    return MONTAGES[name].subset(channels) if channels else MONTAGES[name]


def montage_of(labels: Sequence[str]) -> Montage | None:
    """The montage that knows all these channels; None when none does."""
    for montage in MONTAGES.values():
        try:
            montage.subset(labels)
        except UnknownChannel:
            continue
        return montage
    return None
