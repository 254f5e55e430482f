"""From `--data DIR` to the faces that a recipe learns from and the ones that it is measured on."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from calibration.cohort_plan import FOLDS
from calibration.data.face_set import ABOUT, FaceRow, FaceSet
from calibration.data.mmm import Recordings
from calibration.data.mmm_layout import INDEX
from calibration.distributed import Ranks
from calibration.folds import folds_of
from calibration.recorded_faces import face_set_of
from engines.errors import BadInput
from rt.assets import FACE_LANDMARKER, verify
from rt.errors import BadSettings

EVERYBODY = -1  # as a fold: nobody is left out but whom the set's own splits leave out
FOLD_BY_FOLD = {f"fold_{fold}": {"fold": fold} for fold in range(FOLDS)}  # the ablation that `evaluate --folds` reads


class Parts(NamedTuple):
    """What a training sees, and what it does not."""

    train: FaceSet
    held_out: FaceSet | None
    held_out_words: str  # for the manifest: who or what that is


def open_faces(folder: Path, work: Path, size: int, ranks: Ranks) -> FaceSet:
    """Open a folder of faces, or cut them out of recordings in MMM's layout, once, into the training's work folder.

    The one place where --data becomes a FaceSet.  size: px of the faces that are cut out.
    Raises BadInput when it is neither, MissingDevice without MediaPipe's model.
    """
    if (folder / ABOUT).is_file() or not (folder / INDEX).is_file():
        return FaceSet.open(folder)
    made = work / f"faces-{size}"
    if ranks.first and not (made / ABOUT).is_file():
        shutil.rmtree(made, ignore_errors=True)  # of a run that was interrupted
        face_set_of(Recordings.open(folder), made, size, verify(FACE_LANDMARKER))
    ranks.wait()
    return FaceSet.open(made)


def parts_of(faces: FaceSet, people: tuple[str, ...] = (), fraction: float = 1.0, fold: int = EVERYBODY) -> Parts:
    """Divide a set: by its own splits, for named people by time, or into one of six folds and the rest.

    people: when given, only their pictures, of any split, are learned from: fine-tuning is for those whom a network
    does not know.  fraction: the share of these that is learned from.  It is the beginning of the recordings, as
    neighbouring frames are near-twins; the rest is held out.  fold: 0..5, whose people are left out and everybody else,
    of any split, is learned from.
    Raises BadInput for somebody unknown, or when nothing is left to learn from; BadSettings for a fold that cannot be,
    or a fold of named people.
    """
    if fold != EVERYBODY:
        if not 0 <= fold < FOLDS:
            raise BadSettings(f"fold must be 0..{FOLDS - 1}, or {EVERYBODY} for the set's own splits; found {fold}")
        if people or fraction < 1:
            raise BadSettings("a fold leaves out people of the whole set: leave out --people and --fraction")
        return _without(faces, fold)
    if people or fraction < 1:
        chosen = faces.select(people=people) if people else faces.select("train")
        return _by_time(chosen, fraction)
    train = faces.select("train")
    try:
        held_out = faces.select("validation")
    except BadInput:
        return Parts(train, None, "")
    seen = len(set(held_out.people) & set(train.people))
    words = f"{_people(held_out)} held out" + (f", {seen} of them seen in training" if seen else "")
    return Parts(train, held_out, words)


def _without(faces: FaceSet, fold: int) -> Parts:
    """Everybody but a fold's people, and these."""
    folds = folds_of((*faces.covered_rows, *faces.clean_rows))
    others = tuple(sorted(person for person, where in folds.items() if where != fold))
    left_out = tuple(sorted(set(folds) - set(others)))
    if not (others and left_out):
        raise BadInput(
            f"fold {fold} of {faces.folder} has {len(left_out)} people, {len(others)} others: take more people"
        )
    held_out = faces.select(people=left_out)
    return Parts(faces.select(people=others), held_out, f"{_people(held_out)} held out, fold {fold} of {FOLDS}")


def _by_time(faces: FaceSet, fraction: float) -> Parts:
    covered, clean = _ordered(faces.covered_rows), _ordered(faces.clean_rows)
    cuts = [max(1, round(fraction * len(order))) for order in (covered, clean)]
    train = _rows(faces, covered[: cuts[0]], clean[: cuts[1]])
    if cuts[0] == len(covered) or cuts[1] == len(clean):
        return Parts(train, None, "")
    words = f"the last {100 * (1 - fraction):.0f} % of the recordings of {_people(faces)} it was trained on"
    return Parts(train, _rows(faces, covered[cuts[0] :], clean[cuts[1] :]), words)


def _ordered(rows: tuple[FaceRow, ...]) -> np.ndarray:
    """Places of the rows, sorted by clip and frame."""
    return np.asarray(sorted(range(len(rows)), key=lambda i: (rows[i].person, rows[i].clip, rows[i].frame)), np.int64)


def _rows(faces: FaceSet, covered: np.ndarray, clean: np.ndarray) -> FaceSet:
    return replace(
        faces,
        covered_rows=tuple(faces.covered_rows[i] for i in covered),
        clean_rows=tuple(faces.clean_rows[i] for i in clean),
        covered_at=faces.covered_at[covered],
        clean_at=faces.clean_at[clean],
    )


def _people(faces: FaceSet) -> str:
    count = len(faces.people)
    return "1 person" if count == 1 else f"{count} people"
