"""How well faces were given another expression: the columns of Tables 1, 2 and 3 of Cascade EF-GAN (Wu et al. 2020).

R      a classifier that learned from real training pictures, on real pictures of people never seen
G      the same classifier on their edited pictures: does the edit show what was wanted?
R + G  a classifier that learned from real and edited training pictures, on the real pictures: do edits teach?
PSNR   against the true picture of the same person with that expression
Frechet distance between edited and real pictures, on calibration/metrics/features.py; it is not FID
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from calibration.editing import PERSON, SITTING, ByNetwork, Editor, Edits, choose_edits
from calibration.editing_peers import Copied
from calibration.expression_classes import classes_of
from calibration.expression_classifier import ExpressionClassifier, Lesson
from calibration.expression_faces import LabelledFaces
from calibration.held_out import LEAST_ERROR
from calibration.metrics.features import NAME, features
from calibration.metrics.frechet import frechet_distance
from calibration.metrics.psnr import decibel, mean_squared_error
from calibration.planes import Picture
from engines.bundle import Metric
from engines.networks.cascade_editor import CascadeEditor

COLUMNS = {
    "accuracy_real": ("R", "%", 1),
    "accuracy_made": ("G ↑", "%", 1),
    "accuracy_both": ("R + G ↑", "%", 1),
    "psnr": ("PSNR ↑", "dB", 2),
    "frechet": ("Frechet ↓", "grey level squared", 1),
}
"""Measure -> (column, unit, digits)."""


@dataclass(frozen=True)
class Judging:
    """How it is measured.  steps: of a classifier; 0 measures without.  most: edits, and pictures beside them."""

    steps: int = 600
    most: int = 300
    seed: int = 0


class Exam(NamedTuple):
    """What all editors are asked, and who judges them."""

    size: int
    judging: Judging
    edits: Edits  # of people never seen
    real: Picture  # their pictures
    test: Lesson | None  # those whose expression has a name; None when nobody classifies
    lesson: Lesson | None  # named pictures of the training people
    to_teach: Edits | None  # edits of the training people, for R + G
    judge: ExpressionClassifier | None


def set_exam(train: LabelledFaces, unseen: LabelledFaces, size: int, judging: Judging) -> Exam:
    """Choose edits and train the judge.  Raises BadInput for sets that are too small.

    Nobody classifies where judging.steps is 0, or training and unseen people share fewer than two named expressions.
    """
    edits = choose_edits(unseen, size, judging.most, judging.seed)
    real = np.stack([unseen.picture(place, size) for place in _spread(len(unseen), judging.most)])
    lesson, test = _named(train, size), _named(unseen, size)
    if not judging.steps or lesson is None or test is None:
        return Exam(size, judging, edits, real, None, None, None, None)
    known = np.unique(lesson.classes)
    test = Lesson(test.pictures[np.isin(test.classes, known)], test.classes[np.isin(test.classes, known)])
    if len(np.unique(test.classes)) < 2:
        return Exam(size, judging, edits, real, None, None, None, None)
    to_teach = choose_edits(train, size, min(len(lesson.classes), 2 * judging.most), judging.seed + 1)
    judge = ExpressionClassifier(lesson, judging.steps, judging.seed)
    return Exam(size, judging, edits, real, test, lesson, to_teach, judge)


def score(editor: Editor, exam: Exam, made: Picture | None = None) -> dict[str, float]:
    """Measure -> value; measures that this exam has.  made: the exam's edits, where they were made already."""
    made = editor.edit(exam.edits.faces, exam.edits.source, exam.edits.target) if made is None else made
    found = {"frechet": frechet_distance(_features(made), _features(exam.real))}
    if truths := _truths(exam.edits):
        found["psnr"] = float(np.mean([_decibel(made[place], exam.edits.truth[place]) for place in truths[1]]))
    if exam.judge is None or exam.test is None or exam.lesson is None or exam.to_teach is None:
        return found
    named = np.isin(exam.edits.classes, exam.judge.known)
    found["accuracy_real"] = 100 * exam.judge.accuracy(exam.test)
    found["accuracy_made"] = 100 * exam.judge.accuracy(Lesson(made[named], exam.edits.classes[named]))
    teach = exam.to_teach
    more = Lesson(editor.edit(teach.faces, teach.source, teach.target), teach.classes)
    taught = ExpressionClassifier(exam.lesson.and_also(more), exam.judging.steps, exam.judging.seed)
    found["accuracy_both"] = 100 * taught.accuracy(exam.test)
    return found


def said_of_truth(edits: Edits) -> str:
    """In words, what PSNR compares with."""
    truths = _truths(edits)
    if truths is None:
        return "nobody's true picture is known"
    kind = {SITTING: "the same sitting", PERSON: "the same person in another pose and light"}[truths[0]]
    return f"{len(truths[1])} edits against {kind}"


def editing_metrics(
    editor: CascadeEditor, train: LabelledFaces, unseen: LabelledFaces, judging: Judging, on: str
) -> dict[str, Metric]:
    """What a manifest says of an editor.  unseen: who was held out.  on: says in words who that is."""
    exam = set_exam(train, unseen, editor.sizes.size, judging)
    words: dict[str, Callable[[], str]] = {
        "psnr": lambda: f"{on}, {said_of_truth(exam.edits)}",
        "frechet": lambda: f"{on}, {NAME}, {len(exam.edits.faces)} edits against {len(exam.real)} pictures",
    }
    metrics = {}
    for name, value in score(ByNetwork(editor), exam).items():
        said = words.get(name, lambda: f"{on}, seven expressions, a classifier trained by us")()
        metrics[name] = Metric(round(value, 3), COLUMNS[name][1], said)
    copied = score(Copied(), exam._replace(judge=None))
    if "psnr" in copied:
        metrics["psnr_copying_input"] = Metric(round(copied["psnr"], 3), "dB", words["psnr"]())
    return metrics


def _truths(edits: Edits) -> tuple[str, list[int]] | None:
    """What the best truths are of, and where they are."""
    for kind in (SITTING, PERSON):
        if places := [place for place, of in enumerate(edits.of) if of == kind]:
            return kind, places
    return None


def _named(labelled: LabelledFaces, size: int) -> Lesson | None:
    classes = classes_of(labelled.blendshapes)
    places = np.flatnonzero(classes >= 0)
    if len(np.unique(classes[places])) < 2:
        return None
    return Lesson(np.stack([labelled.picture(int(place), size) for place in places]), classes[places])


def _features(pictures: Picture) -> np.ndarray:
    return np.stack([features(picture) for picture in pictures])


def _decibel(found: Picture, truth: Picture) -> float:
    return decibel(max(mean_squared_error(found, truth), LEAST_ERROR))


def _spread(count: int, most: int) -> list[int]:
    places: list[int] = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()
    return places
