"""The faces that electrode removal is measured on: from a set of stills, or from the clips of a cohort.

Stills: the middle of a stored crop, as training cuts it, or the whole crop made smaller, as a live crop of 1.4 face
boxes looks.  Clips are always cut as live does it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from calibration.colour_shift import ColourShift, shifted
from calibration.data.face_set import FaceSet
from calibration.folds import folds_of
from calibration.metrics.expression import ExpressionReader
from calibration.regions import face_oval, regions_of
from calibration.restoration import Sample
from engines.errors import BadInput

Picture = npt.NDArray[np.uint8]
Cut = Literal["middle", "whole"]

_ROOM = 1.125  # stored crops are so much larger than what training cuts from them


def check_size(faces: FaceSet, size: int, name: str) -> None:
    """Raise BadInput when a bundle's pictures are larger than the set's: enlarged ones would flatter nobody."""
    if faces.size < size:
        raise BadInput(
            f"the bundle {name} works on {size} px and the faces in {faces.folder} are {faces.size} px: make a set of "
            f"{round(_ROOM * size)} px with myomirror simulate faces --size {round(_ROOM * size)}"
        )


def cut_out(picture: Picture, size: int, cut: Cut) -> Picture:
    """(size, size, ...) of a stored crop, which must not be smaller."""
    stored = picture.shape[0]
    if cut == "whole":
        return _shrunk(picture, size)
    wide = min(stored, round(_ROOM * size))
    first = (wide - size) // 2
    return np.ascontiguousarray(_shrunk(picture, wide)[first : first + size, first : first + size])


def _shrunk(picture: Picture, size: int) -> Picture:
    if picture.shape[0] == size:
        return picture
    return np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def spread(count: int, most: int) -> list[int]:
    """At most `most` of the numbers below count, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist() if count else []


def still_samples(faces: FaceSet, size: int, cut: Cut, most: int, reader: ExpressionReader | None) -> Iterator[Sample]:
    """Samples of a paired set's part, at most so many.  Raises BadInput for a set without truth."""
    if faces.mask is None:
        raise BadInput(f"{faces.folder} holds recordings of people: nobody knows what is behind their electrodes")
    folds = folds_of(faces.covered_rows)
    for i in spread(len(faces.covered_rows), most):
        row, place = faces.covered_rows[i], faces.covered_at[i]
        stored = faces.covered[place], faces.clean[faces.clean_at[i]], faces.mask[place]
        covered, clean, mask = (cut_out(np.ascontiguousarray(array), size, cut) for array in stored)
        yield sample_of((row.person, row.split, folds[row.person]), (covered, clean, mask), reader)


def sample_of(
    who: tuple[str, str, int],
    pictures: tuple[Picture, Picture, Picture],
    reader: ExpressionReader | None,
    truth: npt.NDArray[np.floating] | None = None,
) -> Sample:
    """A sample with its regions.  who: person, split, fold.  pictures: with electrodes, without, mask."""
    covered, clean, mask = pictures
    reading = reader.read(clean) if reader is not None else None
    shape = clean.shape[0], clean.shape[1]
    face = face_oval(shape, reading.landmarks_px if reading is not None else None)
    return Sample(*who, covered, clean, mask, regions_of(covered, clean, mask, face), reading, truth)


def before_other_cameras(samples: Sequence[Sample], seed: int, reader: ExpressionReader | None) -> Iterator[Sample]:
    """The same samples with altered colours; their regions stay, because compression would count as shadow."""
    for number, sample in enumerate(samples):
        covered, clean = shifted(sample.covered, sample.clean, ColourShift.draw(seed, number))
        reading = reader.read(clean) if reader is not None else None
        yield sample._replace(covered=covered, clean=clean, reading=reading)
