"""Movements of faces seen from the front and with the head turned, as arrays in a folder: what eMotion-GAN learns from.

    motion.json                      what it is, who is in which split, where every pair comes from
    before.npy, after.npy            (N, size, size, 3) uint8 BGR: two moments of a face from the front
    posed.npy                        the same: the second moment with the head turned
    flow_front.npy                   (N, flow, flow, 2) float16 px of the flow: Farneback from `before` to `after`
    flow_posed.npy                   the same with the turning head, as a camera sees it
    flow_still.npy                   ours: the turning head's, brought back to rest first (engines/face/rigid_flow.py)
    flow_true.npy                    how the skin moved, as the renderer knows; 0 beside the face
    face.npy, trust.npy              (N, flow, flow) uint8, 255 x: face in `before`; skin seen in `posed`
    expression.npy, pose.npy         (N, 52) 0..1; (N, 6): yaw, pitch, roll in degrees, right and up in cm, zoom
    landmarks_px.npy                 (N, 2, 478, 2), px, as MediaPipe finds them at rest and in `posed`

All pictures of a pair share one crop, laid around the face at rest, so that a head's movement is a movement in it.  The
arrays are memory-mapped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from calibration.data.face_set import Split
from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPES
from engines.face.landmarks import COUNT
from rt.recording.disk import write_atomically

ABOUT = "motion.json"
NEUTRAL_APEX, FRAME_TO_FRAME = "neutral-apex", "frame-to-frame"
TURNS = ("yaw", "pitch", "roll", "diagonal", "none", "translation")  # the paper's six
NO_EMOTION = -1  # a movement that is none of engines.networks.recogniser.EMOTIONS
FOLDS = 10  # the paper's


class MotionPair(NamedTuple):
    """One pair; the arrays as the folder holds them."""

    before: npt.NDArray[np.uint8]
    after: npt.NDArray[np.uint8]
    posed: npt.NDArray[np.uint8]
    flow_front: npt.NDArray[np.floating]
    flow_posed: npt.NDArray[np.floating]
    flow_still: npt.NDArray[np.floating]
    flow_true: npt.NDArray[np.floating]
    face: npt.NDArray[np.uint8]
    trust: npt.NDArray[np.uint8]
    expression: npt.NDArray[np.float32]
    pose: npt.NDArray[np.float32]
    landmarks_px: npt.NDArray[np.float32]


def shapes(size: int, flow: int) -> dict[str, tuple[tuple[int, ...], type]]:
    """Shape and type of one row of each array.  size, flow: px."""
    picture, field, plane = (size, size, 3), (flow, flow, 2), (flow, flow)
    return {
        **{name: (picture, np.uint8) for name in ("before", "after", "posed")},
        **{name: (field, np.float16) for name in ("flow_front", "flow_posed", "flow_still", "flow_true")},
        **{name: (plane, np.uint8) for name in ("face", "trust")},
        "expression": ((len(BLENDSHAPES),), np.float32),
        "pose": ((6,), np.float32),
        "landmarks_px": ((2, COUNT, 2), np.float32),
    }


@dataclass(frozen=True)
class MotionRow:
    """Where a pair comes from.  emotion: a number of EMOTIONS, -1 for none.  moment_s: in the person's performance."""

    person: str
    clip: str
    task: str
    emotion: int
    kind: str
    turn: str
    moment_s: float
    split: Split


@dataclass(frozen=True, eq=False)
class MotionSet:
    """A set, or a part of one: rows[i] lies at at[i] of the arrays.

    people: person -> the photos that their face is made from.
    """

    folder: Path
    size: int
    flow: int
    synthetic: bool
    origin: str
    licence: str
    seed: int
    people: Mapping[str, tuple[str, ...]]
    rows: tuple[MotionRow, ...]
    at: npt.NDArray[np.int64]

    @classmethod
    def open(cls, folder: Path) -> MotionSet:
        """Open a folder that MotionSetWriter wrote.  Raises BadInput in one sentence when it is none or is damaged."""
        path = folder / ABOUT
        if not path.is_file():
            raise BadInput(f"{folder} holds no movements, it has no {ABOUT}: make them with myomirror simulate motion")
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            rows = tuple(MotionRow(*row) for row in about["rows"])
            names = ("size", "flow", "synthetic", "origin", "licence", "seed")
            facts = {name: about[name] for name in names}
            people = {str(name): tuple(photos) for name, photos in about["people"].items()}
            found = cls(folder, **facts, people=people, rows=rows, at=np.arange(len(rows)))
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path} does not describe movements of faces ({error}): make it again") from None
        for name in shapes(found.size, found.flow):
            found.array(name)
        return found

    @cached_property
    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {}

    def array(self, name: str) -> npt.NDArray[Any]:
        """One array of the whole set, memory-mapped: its row at[i] belongs to rows[i].  Raises BadInput."""
        if name not in self._arrays:
            shape, dtype = shapes(self.size, self.flow)[name]
            path = self.folder / f"{name}.npy"
            try:
                array = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError, EOFError) as error:
                raise BadInput(f"{path} is missing or cut short ({error}): make the set again") from None
            if array.dtype != dtype or array.shape[1:] != shape or len(array) <= int(self.at.max(initial=-1)):
                raise BadInput(f"{path} holds {array.dtype} {array.shape}, its {ABOUT} says other: make it again")
            self._arrays[name] = array
        return self._arrays[name]

    def of(self, name: str, place: int) -> npt.NDArray[Any]:
        """One array's row for rows[place]."""
        return np.asarray(self.array(name)[self.at[place]])

    @property
    def who(self) -> tuple[str, ...]:
        """Everybody in this part, sorted."""
        return tuple(sorted({row.person for row in self.rows}))

    def select(
        self,
        split: Split | None = None,
        people: Sequence[str] | None = None,
        kind: str | None = None,
        emotions: bool = False,
    ) -> MotionSet:
        """The part that fits everything given, nothing copied.  emotions: only rows that show one.

        Raises BadInput for somebody unknown or when nothing is left.
        """
        if absent := sorted(set(people or ()) - set(self.who)):
            raise BadInput(f"{self.folder} has no person {absent[0]!r}: it has {', '.join(self.who)}")
        kept = [
            i
            for i, row in enumerate(self.rows)
            if split in (None, row.split)
            and (people is None or row.person in people)
            and kind in (None, row.kind)
            and not (emotions and row.emotion == NO_EMOTION)
        ]
        if not kept:
            words = ", ".join(str(word) for word in (split, kind, *(people or ())) if word)
            raise BadInput(f"{self.folder} has no movements of {words or 'this kind'}: make a larger set")
        return self._part(kept)

    def fold(self, number: int) -> tuple[MotionSet, MotionSet]:
        """Who teaches and who is held out in one of ten folds.

        The people are dealt out by name.  Whoever shares a photo with somebody held out neither teaches nor is tested.
        Raises BadInput for another number or too few people.
        """
        if not 0 <= number < FOLDS:
            raise BadInput(f"a fold is 0..{FOLDS - 1}, found {number}")
        alone = [name for name in self.who if len(self.people[name]) == 1]
        if len(alone) < FOLDS:
            raise BadInput(f"ten folds need ten people whose face is of one photo, {self.folder} has {len(alone)}")
        held_out = alone[number::FOLDS]
        theirs = {photo for name in held_out for photo in self.people[name]}
        teaching = [name for name in self.who if not theirs & set(self.people[name])]
        return self.select(people=teaching), self.select(people=held_out)

    def spread(self, most: int) -> MotionSet:
        """At most so many rows, evenly over this part."""
        if len(self.rows) <= most:
            return self
        return self._part(np.linspace(0, len(self.rows) - 1, most).round().astype(int).tolist())

    def _part(self, places: Sequence[int]) -> MotionSet:
        return replace(self, rows=tuple(self.rows[i] for i in places), at=self.at[list(places)])


class MotionSetWriter:
    """Writes a new set, pair by pair; it exists when the last line has run without an error."""

    def __init__(self, folder: Path, size: int, flow: int, count: int, about: Mapping[str, Any]) -> None:
        """count: how many pairs there will be.  about: synthetic, origin, licence, seed, people, and what else.

        Raises BadInput when the folder holds something already.
        """
        if folder.exists() and any(folder.iterdir()):
            raise BadInput(f"{folder} is not empty: give a folder that is new")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder, self._about = folder, {**about, "size": size, "flow": flow}
        self._rows: list[MotionRow] = []
        self._arrays = {
            name: _room(folder / f"{name}.npy", (count, *shape), dtype)
            for name, (shape, dtype) in shapes(size, flow).items()
        }

    def add(self, row: MotionRow, pair: MotionPair) -> None:
        """Add a pair.  Raises BadInput when there are more than announced or a shape does not fit."""
        place = len(self._rows)
        for name, values in pair._asdict().items():
            array = self._arrays[name]
            if place >= len(array) or values.shape != array.shape[1:]:
                raise BadInput(f"row {place} of {len(array)} does not fit: {name} is {values.shape}")
            array[place] = values
        self._rows.append(row)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            return
        for array in self._arrays.values():
            if len(array) != len(self._rows):
                raise BadInput(f"{len(array)} pairs were announced, {len(self._rows)} came")
            array.flush()
        names = [field.name for field in fields(MotionRow)]
        rows = [[asdict(row)[name] for name in names] for row in self._rows]
        write_atomically(self._folder / ABOUT, (json.dumps({**self._about, "rows": rows}) + "\n").encode())


def _room(path: Path, shape: tuple[int, ...], dtype: type) -> np.memmap[Any, Any]:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
