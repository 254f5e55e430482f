"""Reads recordings in MMM's layout: the public one-person data set and the synthetic cohorts, with the same code.

    recordings = Recordings.open(folder)
    for clip in recordings.select(electrodes=True, split="train"):
        for picture in clip.pictures(): ...
        envelope_uv = clip.emg_uv()                 # (frame, 22), FRIDLUND order

Everything is matched by name: channels, columns, people ("07" is not "7"). A folder that lacks files, has columns
that nobody knows or runs at another rate is refused with one sentence.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.data.clip_video import Picture, VideoFacts, read_pictures, video_facts
from calibration.data.mmm_layout import (
    COHORT,
    FPS,
    INDEX,
    INDEX_COLUMNS,
    INDEXED_FOLDERS,
    METHODS,
    PARAMETER_INDEX,
    ClipId,
    Folder,
    column_groups,
)
from calibration.data.truth import Truth, read_truth
from engines.emg.montage import FRIDLUND
from engines.errors import BadInput, UnknownChannel

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """One task of one recording. What it does not have raises BadInput when asked for; `has` tells beforehand."""

    id: ClipId
    folder: Path
    files: Mapping[Folder, Path] = field(default_factory=dict)  # as the index names them
    parameter_files: Mapping[str, Path] = field(default_factory=dict)

    def file(self, folder: Folder) -> Path:
        """The clip's file in one of the folders; it need not exist."""
        return self.files.get(folder, self.folder / self.id.path(folder))

    def has(self, folder: Folder) -> bool:
        """Whether the clip has that file."""
        return self.file(folder).is_file()

    @cached_property
    def video(self) -> VideoFacts:
        """Frames, rate and size of the video.  Raises BadInput for another rate than 30 per second."""
        facts = video_facts(self.file("video"))
        if abs(facts.fps - FPS) > 0.01:
            raise BadInput(
                f"{self.file('video')} runs at {facts.fps:g} frames per second, and the EMG rows go with {FPS}: "
                f"convert the video to {FPS} first"
            )
        return facts

    def pictures(self, folder: Folder = "video") -> Iterator[Picture]:
        """Its pictures: (height, width, 3) uint8 BGR; "mask": (height, width) uint8, 0 free .. 255 covered."""
        return read_pictures(self._there(folder), "mask" if folder == "mask" else "picture")

    def emg_uv(self) -> Floats:
        """The jena_offline envelope: (frame, 22) float32 microvolt >= 0, FRIDLUND order, row i = frame i.

        Slightly negative values (ringing of MMM's resampling) become 0.
        Raises BadInput when columns are missing, doubled or unknown, or the rows do not go with the video's frames.
        """
        path = self._there("emg")
        names, values = _table(path)
        labels = names[1:] if names and names[0] in ("", "Unnamed: 0", "frame") else names
        values = values[:, len(names) - len(labels) :]
        try:
            order = FRIDLUND.index_of(labels)
        except UnknownChannel as error:
            raise BadInput(f"{path} does not hold the 22 Fridlund channels: {str(error).partition('. ')[0]}") from None
        return np.maximum(self._one_per_frame(path, values[:, order]), 0.0)

    def parameters(self, method: str) -> dict[str, Floats]:
        """Expression parameters of one method, by group, each (frame, columns) float32.

        method: "SMIRK" or "EIFER" (identity 300, expression 50, eyelid 2, jaw 3, pose 3, camera 3), "MediaPipe" or
        "Truth" (blendshapes 52, in the order of engines/face/blendshapes.py), or one of OURS in
        calibration/data/mmm_layout.py (blendshapes 52, identity 100, pose 3, camera 3).
        Raises BadInput for a method that the clip does not have, unknown columns, or rows that do not go with frames.
        """
        known = METHODS.get(method)
        path = self.parameter_files.get(method)
        if known is None or path is None:
            found = ", ".join(sorted(set(self.parameter_files) & METHODS.keys())) or "none"
            raise BadInput(f"{self.id} has no parameters of {method!r}: it has {found}")
        names, values = _table(self._checked(path))
        values = self._one_per_frame(path, values)
        try:
            groups = column_groups(method, names)
        except BadInput as error:
            raise BadInput(f"{path}: {error}") from None
        return {name: values[:, columns] for name, columns in groups.items()}

    def truth(self) -> Truth:
        """What a synthetic clip was made from.  Raises BadInput for recordings of real people."""
        return read_truth(self._there("truth"))

    def _there(self, folder: Folder) -> Path:
        return self._checked(self.file(folder))

    def _checked(self, path: Path) -> Path:
        if not path.is_file():
            raise BadInput(f"{self.id} has no {path.relative_to(self.folder)}")
        return path

    def _one_per_frame(self, path: Path, values: Floats) -> Floats:
        frames = self.video.frames
        if len(values) != frames:
            rate = len(values) / max(frames, 1) * FPS
            raise BadInput(
                f"{path} has {len(values)} rows for a video of {frames} frames ({rate:.4g} per second instead of "
                f"{FPS}): it must have one row per frame"
            )
        return values


@dataclass(frozen=True)
class Recordings:
    """A folder of clips. about: cohort.json of a synthetic cohort, empty for real recordings."""

    folder: Path
    clips: tuple[Clip, ...]
    about: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Recordings:
        """Read the indices and see that the files they name are there; no video or table is opened.

        Raises BadInput for a folder that is not MMM's, an unfinished cohort, or files that are missing.
        """
        about = _about(folder)
        rows = _index(folder / INDEX, INDEX_COLUMNS)
        parameters = _parameter_files(folder)
        clips = tuple(_clip(folder, row, parameters.get(row["index"], {})) for row in rows)
        _refuse_missing(folder, clips)
        return cls(folder, clips, about)

    @property
    def synthetic(self) -> bool:
        """Whether nobody was recorded: what is made from it must say so."""
        return bool(self.about)

    @property
    def people(self) -> tuple[str, ...]:
        """The participants, sorted."""
        return tuple(sorted({clip.id.pid for clip in self.clips}))

    def people_of(self, split: str) -> tuple[str, ...]:
        """The participants of a split that was written down ("train", "validation", "test", "fold_0" ...).

        Raises BadInput for an unknown one, and for recordings without splits.
        """
        splits: dict[str, list[str]] = self.about.get("splits", {})
        if split not in splits:
            known = f"it has {', '.join(splits)}" if splits else "it has none, name people instead"
            raise BadInput(f"{self.folder} has no split {split!r}: {known}")
        return tuple(splits[split])

    def select(
        self,
        people: Sequence[str] | None = None,
        split: str | None = None,
        tasks: Sequence[str] | None = None,
        electrodes: bool | None = None,
    ) -> tuple[Clip, ...]:
        """Clips of these people or this split, tasks (names of FACTS 1.6) and recordings; None takes all.

        Raises BadInput for a person, split or task that no clip has.
        """
        wanted = self.people_of(split) if split is not None else people
        for chosen, there, what in (
            (wanted, {clip.id.pid for clip in self.clips}, "person"),
            (tasks, {clip.id.task for clip in self.clips}, "task"),
        ):
            if chosen is not None and (absent := sorted(set(chosen) - there)):
                raise BadInput(f"{self.folder} has no {what} {absent[0]!r}: it has {', '.join(sorted(there))}")
        return tuple(
            clip
            for clip in self.clips
            if (wanted is None or clip.id.pid in wanted)
            and (tasks is None or clip.id.task in tasks)
            and (electrodes is None or clip.id.electrodes == electrodes)
        )

    def without_electrodes(self, clip: Clip) -> Clip | None:
        """The same task of the same person and block, recorded without electrodes; None when there is none.

        Exercises are matched by their place in the recording, because MMM names three of them differently there;
        emotions come in random order and are matched by how often that emotion came before.
        """
        others = [c for c in self.clips if (c.id.pid, c.id.rec) == (clip.id.pid, f"{clip.id.block}N")]
        if clip.id.mode == "schaede":
            return next((c for c in others if (c.id.mode, c.id.seq) == ("schaede", clip.id.seq)), None)
        own = [c for c in self.clips if c.id.session == clip.id.session]
        turn = _of_task(own, clip.id.task).index(clip)
        same = _of_task(others, clip.id.task)
        return same[turn] if turn < len(same) else None


def _of_task(clips: Sequence[Clip], task: str) -> list[Clip]:
    return sorted((c for c in clips if c.id.mode == "emotion" and c.id.task == task), key=lambda c: c.id.seq)


def _about(folder: Path) -> dict[str, Any]:
    path = folder / COHORT
    if not path.is_file():
        return {}
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise BadInput(f"{path} is no JSON: make the cohort again") from None
    if not isinstance(about, dict) or not about.get("complete"):
        raise BadInput(f"the cohort in {folder} is not finished: run the command that makes it again, it goes on")
    return about


def _index(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of an index. Columns that are not ours are left alone."""
    if not path.is_file():
        raise BadInput(
            f"{path.parent} is no folder of MMM recordings: it has no {path.name}; give the folder that holds it "
            "beside emg/ and video/"
        )
    with path.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines)
        rows = [{name: text or "" for name, text in row.items() if name is not None} for row in reader]
    if missing := [name for name in columns if name not in (reader.fieldnames or ())]:
        found = ", ".join(reader.fieldnames or ()) or "nothing"
        raise BadInput(f"{path} has no column {', '.join(missing)}; found {found}")
    if not rows:
        raise BadInput(f"{path} names no clips: unpack the data set again")
    return rows


def _parameter_files(folder: Path) -> dict[str, dict[str, Path]]:
    """Clip id -> method -> file, from MMM_3DMM.csv, which a data set without parameters does not have."""
    path = folder / PARAMETER_INDEX
    if not path.is_file():
        return {}
    methods = {name.lower(): name for name in METHODS}
    found = {}
    for row in _index(path, ("index",)):
        named = {methods[column.lower()]: text for column, text in row.items() if text and column.lower() in methods}
        found[row["index"]] = {method: _inside(folder, text, path) for method, text in named.items()}
    return found


def _clip(folder: Path, row: Mapping[str, str], parameter_files: Mapping[str, Path]) -> Clip:
    path = folder / INDEX
    clip = ClipId.parse(row["index"])
    if (clip.pid, clip.rec, clip.mode) != (row["pid"], row["rec"], row["mode"]):
        raise BadInput(
            f"{path}: clip {clip} stands in a row of {row['pid']}_{row['rec']}_{row['mode']}: write `pid` as text"
        )
    files = {name: _inside(folder, row[name], path) for name in INDEXED_FOLDERS if row[name]}
    return Clip(clip, folder, files, parameter_files)


def _inside(folder: Path, text: str, named_by: Path) -> Path:
    path = folder / text
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BadInput(f"{named_by} names {text!r}, which is outside the folder")
    return path


def _refuse_missing(folder: Path, clips: Sequence[Clip]) -> None:
    named = [path for clip in clips for path in (*clip.files.values(), *clip.parameter_files.values())]
    if absent := [path for path in named if not path.is_file()]:
        raise BadInput(
            f"{len(absent)} of the {len(named)} files that the indices of {folder} name are missing, first "
            f"{absent[0].relative_to(folder)}: unpack or make the data set again"
        )


def _table(path: Path) -> tuple[list[str], Floats]:
    """Header and rows of a CSV file of numbers, packed or not."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", newline="", encoding="utf-8-sig") as lines:
            header, rows = lines.readline().rstrip("\r\n"), lines.readlines()
        if not header or not rows:
            raise ValueError("it is empty")
        names = next(csv.reader([header]))
        values = np.loadtxt(rows, np.float32, delimiter=",", ndmin=2)
    except (ValueError, EOFError, gzip.BadGzipFile) as error:
        raise BadInput(f"{path} is no table of numbers ({error}): unpack or make it again") from None
    if values.shape[1] != len(names):
        raise BadInput(f"{path} has {values.shape[1]} numbers in a row under {len(names)} names")
    return names, values
