"""Aligned faces to learn from, under electrodes and without, as arrays in a folder.

    faces.json       what it is, where every picture comes from, who is in which split
    covered.npy      (N, size, size, 3) uint8 BGR: domain A of MC-CycleGAN, with electrodes
    clean.npy        (M, size, size, 3) uint8 BGR: domain B, without
    mask.npy         (N, size, size) uint8, 255 x how far electrodes cover a pixel; made sets only
    expression.npy, identity.npy, pose.npy, landmarks_px.npy
                     (M, ...) float32, the truth about clean[i]; sets whose faces.json names truth_modes only

In a made set clean[i] is the very moment of covered[i] without electrodes.  Of real recordings nobody knows that: there
the two are only the same people.  The arrays are memory-mapped: a set may be larger than the memory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from calibration.face_truth import Truth, unknown
from engines.errors import BadInput
from rt.recording.disk import write_atomically

Picture = npt.NDArray[np.uint8]
Split = Literal["train", "validation", "test"]

ABOUT = "faces.json"
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class FaceRow:
    """Where a picture comes from.  frame: its number in the clip."""

    person: str
    source: str  # "london": a photo; "cohort": a synthetic person; "mmm": a recording of somebody
    clip: str
    frame: int
    split: Split


@dataclass(frozen=True, eq=False)
class FaceSet:
    """A set, or the part of one that `select` chose: rows are numbers of the arrays' first axis."""

    folder: Path
    size: int
    paired: bool
    synthetic: bool
    origin: str
    licence: str
    seed: int
    covered_rows: tuple[FaceRow, ...]
    clean_rows: tuple[FaceRow, ...]
    covered_at: npt.NDArray[np.int64]
    clean_at: npt.NDArray[np.int64]
    truth_modes: int = 0  # identity weights of the truth; 0: nothing is known

    @classmethod
    def open(cls, folder: Path) -> FaceSet:
        """Open a folder that FaceSetWriter wrote.  Raises BadInput in one sentence when it is none or is damaged."""
        path = folder / ABOUT
        if not path.is_file():
            raise BadInput(f"{folder} is no set of faces, it has no {ABOUT}: make one with myomirror simulate faces")
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            covered, clean = (tuple(FaceRow(*row) for row in about[kind]) for kind in ("covered", "clean"))
            facts = {name: about[name] for name in ("size", "paired", "synthetic", "origin", "licence", "seed")}
            found = cls(
                folder,
                **facts,
                covered_rows=covered,
                clean_rows=clean,
                covered_at=np.arange(len(covered)),
                clean_at=np.arange(len(clean)),
                truth_modes=int(about.get("truth_modes", 0)),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path} does not describe a set of faces ({error}): make it again") from None
        found._check()
        return found

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody in it, sorted."""
        return tuple(sorted({row.person for row in (*self.covered_rows, *self.clean_rows)}))

    @cached_property
    def covered(self) -> Picture:
        """(N, size, size, 3) of the whole set: row covered_at[i] is the i-th picture of this part."""
        return self._mapped("covered")

    @cached_property
    def clean(self) -> Picture:
        """(M, size, size, 3) of the whole set."""
        return self._mapped("clean")

    @cached_property
    def mask(self) -> Picture | None:
        """(N, size, size) of the whole set, beside `covered`; None when nobody knows."""
        return self._mapped("mask") if self.paired else None

    @cached_property
    def truth(self) -> Truth | None:
        """Of the whole set, beside `clean`, each with a first axis of M; NaN where nobody knows, None without any."""
        if not self.truth_modes:
            return None
        return Truth(*(self._mapped(name, shape, np.float32) for name, shape in self._truth_shapes().items()))

    def select(self, split: Split | None = None, people: Sequence[str] | None = None) -> FaceSet:
        """The part with this split and these people, nothing copied.  Raises BadInput when nothing is left."""
        if absent := sorted(set(people or ()) - set(self.people)):
            raise BadInput(f"{self.folder} has no person {absent[0]!r}: it has {', '.join(self.people)}")

        def kept(rows: Sequence[FaceRow]) -> list[int]:
            return [
                i
                for i, row in enumerate(rows)
                if split in (None, row.split) and (people is None or row.person in people)
            ]

        covered, clean = kept(self.covered_rows), kept(self.clean_rows)
        if not covered or not clean:
            raise BadInput(
                f"{self.folder} has {len(covered)} faces with electrodes and {len(clean)} without of "
                f"{split or 'any split'}{', people ' + ', '.join(people) if people else ''}: both are needed"
            )
        return replace(
            self,
            covered_rows=tuple(self.covered_rows[i] for i in covered),
            clean_rows=tuple(self.clean_rows[i] for i in clean),
            covered_at=self.covered_at[covered],
            clean_at=self.clean_at[clean],
        )

    def _check(self) -> None:
        shape = (self.size, self.size, 3)
        for name, count in (("covered", len(self.covered_rows)), ("clean", len(self.clean_rows))):
            self._mapped(name, (count, *shape))
        if self.paired:
            self._mapped("mask", (len(self.covered_rows), *shape[:2]))
        if self.truth_modes:
            for name, wanted in self._truth_shapes().items():
                self._mapped(name, (len(self.clean_rows), *wanted[1:]), np.float32)

    def _truth_shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: (len(self.clean), *one.shape) for name, one in unknown(self.truth_modes)._asdict().items()}

    def _mapped(self, name: str, shape: tuple[int, ...] | None = None, dtype: type = np.uint8) -> npt.NDArray[Any]:
        path = self.folder / f"{name}.npy"
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise BadInput(f"{path} is missing or cut short ({error}): make the set again") from None
        if array.dtype != dtype or (shape is not None and array.shape != shape):
            said = f"{np.dtype(dtype)} {shape}"
            raise BadInput(f"{path} holds {array.dtype} {array.shape}, its {ABOUT} says {said}: make it again")
        return np.asanyarray(array)


class FaceSetWriter:
    """Writes a new set, picture by picture; it exists when the last line has run without an error.

    with FaceSetWriter(folder, 144, covered=100, clean=100, paired=True, about=...) as faces:
        faces.add(row, covered, clean, mask)
    """

    def __init__(
        self,
        folder: Path,
        size: int,
        covered: int,
        clean: int,
        paired: bool,
        about: dict[str, Any],
        truth_modes: int = 0,
    ) -> None:
        """covered, clean: how many pictures there will be at most.  about: synthetic, origin, licence, seed.

        truth_modes: identity weights of the truth that comes with every clean picture; 0: it comes with none.

        Raises BadInput when the folder holds something already.
        """
        if folder.exists() and any(folder.iterdir()):
            raise BadInput(f"{folder} is not empty: give a folder that is new")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder, self._paired, self._about = folder, paired, {**about, "size": size, "paired": paired}
        self._rows: dict[str, list[FaceRow]] = {"covered": [], "clean": []}
        shapes: dict[str, tuple[int, ...]] = {"covered": (covered, size, size, 3), "clean": (clean, size, size, 3)}
        if paired:
            shapes["mask"] = (covered, size, size)
        self._arrays = {name: _room(folder / f"{name}.npy", shape) for name, shape in shapes.items()}
        self._truth: dict[str, np.memmap[Any, Any]] = {}
        if truth_modes:
            self._about["truth_modes"] = truth_modes
            self._truth = {
                name: _room(folder / f"{name}.npy", (clean, *one.shape), np.float32)
                for name, one in unknown(truth_modes)._asdict().items()
            }

    def add(
        self,
        row: FaceRow,
        covered: Picture | None,
        clean: Picture | None,
        mask: Picture | None = None,
        truth: Truth | None = None,
    ) -> None:
        """Add a picture to one domain or both; in a paired set always to both, with the mask.

        truth: about the clean picture, where the set has truths.  Raises BadInput when something is missing or too
        much.
        """
        if (truth is not None) != bool(self._truth and clean is not None):
            raise BadInput("a truth comes with every clean picture of a set with truths, and with nothing else")
        if self._paired and (covered is None or clean is None or mask is None):
            raise BadInput("a paired set needs the picture with electrodes, without them, and the mask")
        if mask is not None and self._paired:
            self._arrays["mask"][len(self._rows["covered"])] = mask
        for name, array in self._truth.items():
            if truth is not None:
                array[len(self._rows["clean"])] = getattr(truth, name)
        for name, picture in (("covered", covered), ("clean", clean)):
            if picture is not None:
                self._arrays[name][len(self._rows[name])] = picture
                self._rows[name].append(row)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            return
        for name, array in self._arrays.items():
            if len(array) != len(self._rows.get(name, self._rows["covered"])):
                raise BadInput(f"{len(array)} pictures were announced as {name}, {len(self._rows[name])} came")
            array.flush()
        for array in self._truth.values():
            array.flush()
        names = [field.name for field in fields(FaceRow)]
        rows = {kind: [[asdict(row)[name] for name in names] for row in rows] for kind, rows in self._rows.items()}
        write_atomically(self._folder / ABOUT, (json.dumps({**self._about, **rows}) + "\n").encode())


def _room(path: Path, shape: tuple[int, ...], dtype: type = np.uint8) -> np.memmap[Any, Any]:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
