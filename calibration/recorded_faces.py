"""Faces cut out of recordings in MMM's layout, so that real recordings and cohorts teach like any other set.

A cohort that filmed every moment without electrodes too gives pairs with their truth.  Of real recordings, faces with
electrodes and faces without are two sets of the same people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from calibration.data.face_set import SPLITS, FaceRow, FaceSetWriter, Split
from calibration.data.mmm import Clip, Recordings
from calibration.restoration_clips import Follower, crop_of
from engines.errors import BadInput

Affine = npt.NDArray[np.float64]
EVERY = 5  # frames: neighbours are near-twins


class _Place(NamedTuple):
    """Where the face lies in a frame of a clip."""

    frame: int
    crop_from_frame: Affine


def face_set_of(
    recordings: Recordings,
    out: Path,
    size: int,
    landmarker: Path,
    every: int | None = None,
    done: Callable[[], None] = lambda: None,
) -> None:
    """Cut every n-th face of all clips into a new set.

    size: px of a crop.  landmarker: MediaPipe's model.  every: EVERY when not given.  done: called after each clip.
    Faces that cannot be followed are left out.  Raises BadInput when a kind of clip is missing, no face is found, or
    the folder is not empty.
    """
    covered, clean = (recordings.select(electrodes=electrodes) for electrodes in (True, False))
    paired = bool(covered) and all(clip.has("video_noelec") and clip.has("mask") for clip in covered)
    if not covered or not (clean or paired):
        kind = "with" if not covered else "without"
        raise BadInput(f"{recordings.folder} has no clips {kind} electrodes: both kinds are learned from")
    clips = covered if paired else (*covered, *clean)
    places = {}
    for clip in clips:
        places[clip.id] = list(_places(clip, size, landmarker, every or EVERY))
        done()
    with_electrodes = sum(len(places[clip.id]) for clip in covered)
    without = with_electrodes if paired else sum(len(places[clip.id]) for clip in clean)
    if not (with_electrodes and without):
        kind = "without" if with_electrodes else "with"
        raise BadInput(f"no face was found in the clips of {recordings.folder} {kind} electrodes")
    about = {
        "synthetic": recordings.synthetic,
        "origin": str(recordings.about.get("origin", "recordings in MMM's layout, the user's own")),
        "licence": str(recordings.about.get("licence", "the recordings' own")),
        "seed": int(recordings.about.get("settings", {}).get("seed", 0)),
    }
    split_of = _splits(recordings)
    with FaceSetWriter(out, size, with_electrodes, without, paired, about) as faces:
        for clip in clips:
            source = "cohort" if recordings.synthetic else "mmm"
            for place, pictures in _cut(clip, places[clip.id], size, paired):
                row = FaceRow(clip.id.pid, source, str(clip.id), place.frame, split_of.get(clip.id.pid, "train"))
                if paired:
                    faces.add(row, pictures[0], pictures[1], pictures[2])
                elif clip.id.electrodes:
                    faces.add(row, pictures[0], None)
                else:
                    faces.add(row, None, pictures[0])


def _places(clip: Clip, size: int, landmarker: Path, every: int) -> Iterator[_Place]:
    """Faces are followed through all frames, as live, and every n-th place is kept."""
    with Follower(size, landmarker) as follower:
        for number, frame in enumerate(clip.pictures("video")):
            place = follower.find(frame, number)
            if place is not None and number % every == 0:
                yield _Place(number, place[0])


def _cut(
    clip: Clip, places: Sequence[_Place], size: int, paired: bool
) -> Iterator[tuple[_Place, list[npt.NDArray[np.uint8]]]]:
    wanted = {place.frame: place for place in places}
    films = [clip.pictures("video")]
    if paired:
        films += [clip.pictures("video_noelec"), clip.pictures("mask")]
    for number, frames in enumerate(zip(*films, strict=True)):
        if place := wanted.get(number):
            yield place, [crop_of(frame, place.crop_from_frame, size) for frame in frames]


def _splits(recordings: Recordings) -> dict[str, Split]:
    """Person -> split, as far as it was written down."""
    written = recordings.about.get("splits", {})
    return {person: split for split in SPLITS for person in written.get(split, ())}
