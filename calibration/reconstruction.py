"""EIFER's Table 1: what becomes of the picture, between two limits.

N-N, the upper limit of methods that know other moments only: the person without electrodes at the most similar other
moment.  N-S, the lower one: the picture with electrodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from calibration.metrics.features import features
from calibration.planes import resized
from calibration.regions import face_oval, regions_of
from calibration.restoration import WITHOUT, Row, Sample, Scores, measure, table_of
from calibration.true_faces import Picture, TrueFace

N_N, N_S = "N-N", "N-S"

Remake = Callable[[TrueFace], Picture]  # a face without its electrodes, at any size


def score_pictures(
    faces: Sequence[TrueFace], ways: Mapping[str, Remake], size: int, done: Callable[[], None] = lambda: None
) -> dict[str, Row]:
    """Rows by way, the limits first.

    size: px at which everything is compared; nothing is enlarged to it but what a network made smaller.  done: called
    after every face.
    """
    found = {name: Scores() for name in (WITHOUT, N_N, N_S, *ways)}
    others = most_similar(faces)
    for face, other in zip(faces, others, strict=True):
        sample = _sample(face, size)
        found[WITHOUT].add(face.person, {}, features(sample.clean))
        pictures = {N_S: face.covered, **{name: way(face) for name, way in ways.items()}}
        if other is not None:
            pictures[N_N] = faces[other].clean
        for name, picture in pictures.items():
            shown = resized(picture, size)
            found[name].add(face.person, measure(shown, sample, None), features(shown))
        done()
    return {name: row for name, row in table_of(found).items() if name != WITHOUT and row}


def most_similar(faces: Sequence[TrueFace]) -> list[int | None]:
    """For each face the place of the same person's other moment with the nearest expression; None without any."""
    expressions = np.stack([face.expression for face in faces])
    found: list[int | None] = []
    for place, face in enumerate(faces):
        others = [i for i, other in enumerate(faces) if other.person == face.person and i != place]
        away = np.abs(expressions[others] - face.expression).sum(1) if others else np.zeros(0)
        found.append(others[int(away.argmin())] if others else None)
    return found


def _sample(face: TrueFace, size: int) -> Sample:
    covered, clean, mask = (resized(picture, size) for picture in (face.covered, face.clean, face.mask))
    marks = (face.landmarks_px + 0.5) * size / len(face.covered) - 0.5
    oval = face_oval((size, size), marks)
    return Sample(face.person, "test", 0, covered, clean, mask, regions_of(covered, clean, mask, oval))
