"""Whoever gives faces another expression, and which edits they are asked for when they are measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch

from calibration.expression_classes import classes_of
from calibration.expression_faces import LabelledFaces
from calibration.planes import pictures_of, planes_of
from calibration.recipe import chance
from engines.errors import BadInput
from engines.face.action_units import STRONGEST, labels_from_arkit52
from engines.networks.cascade_editor import CascadeEditor
from engines.spec import Engine

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SITTING, PERSON, NOBODY = "sitting", "person", ""  # what the wanted picture is of: the same moment, the same person
_AT_ONCE = 16


class Editor(Protocol):
    """Somebody who edits."""

    @property
    def name(self) -> str:
        """For tables."""
        ...

    def edit(self, faces: Picture, source: Floats, target: Floats) -> Picture:
        """Give faces another expression.

        faces: (N, size, size, 3) uint8 BGR.  source, target: (N, 52) blendshapes, what they show and what they shall.
        Returns faces' shape.
        """
        ...


class ByNetwork:
    """A network that is being trained."""

    def __init__(self, editor: CascadeEditor, name: str = "editor") -> None:
        self.name, self._editor = name, editor

    @torch.no_grad()
    def edit(self, faces: Picture, source: Floats, target: Floats) -> Picture:
        """See `Editor`."""
        device, profile = next(self._editor.parameters()).device, self._editor.sizes.profile
        labels = [torch.from_numpy(labels_from_arkit52(each, profile)).to(device) for each in (source, target)]
        found = []
        for first in range(0, len(faces), _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            planes = planes_of(list(faces[some])).to(device)
            found.append(pictures_of(self._editor(planes, labels[0][some], labels[1][some]).face))
        return np.concatenate(found)


class ByEngine:
    """A bundle, as it runs."""

    def __init__(self, engine: Engine, profile: str, name: str) -> None:
        """engine: of an expression editor.  profile: of its labels."""
        self.name, self._engine, self._profile = name, engine, profile

    def edit(self, faces: Picture, source: Floats, target: Floats) -> Picture:
        """See `Editor`."""
        strongest = np.float32(STRONGEST if self._profile == "facs17" else 1.0)
        labels = [labels_from_arkit52(each, self._profile) * strongest for each in (source, target)]
        found = np.empty_like(faces)
        for place, face in enumerate(faces):
            given = {"face": np.ascontiguousarray(face), "source": labels[0][place], "target": labels[1][place]}
            asked = {spec.name: given[spec.name] for spec in self._engine.inputs}
            found[place] = self._engine.run(asked)["face"]
        return found


class Edits(NamedTuple):
    """What is asked for, N times."""

    faces: Picture  # (N, size, size, 3)
    source: Floats  # (N, 52)
    target: Floats  # (N, 52)
    classes: npt.NDArray[np.int64]  # (N,) the wanted expression's place in EXPRESSIONS, -1 for none of them
    truth: Picture  # (N, size, size, 3): whom the target was read off
    of: tuple[str, ...]  # what the truth is of: SITTING, PERSON or NOBODY
    people: tuple[str, ...]


def choose_edits(labelled: LabelledFaces, size: int, most: int, seed: int) -> Edits:
    """At most so many edits, evenly over the expressions that the faces know by name.

    What a face shall show is what another picture shows: of the same sitting where there is one, else of the same
    person, else of somebody.  Without two named expressions any other picture will do.  Raises BadInput for a set of
    fewer than two faces.
    """
    classes = classes_of(labelled.blendshapes)
    named = np.flatnonzero(classes >= 0)
    by_class = len(np.unique(classes[named])) >= 2
    pool = named if by_class else np.arange(len(labelled))
    if len(pool) < 2:
        raise BadInput(f"{labelled.faces.folder} has too few faces to edit one into another: make a larger set")
    draw = chance(seed, "edits")
    sources = draw.permutation(pool)[:most]
    there = np.unique(classes[pool])
    people, targets, found_of = np.array(labelled.people), [], []
    for number, place in enumerate(sources):
        others = pool[pool != place]
        if by_class:
            free = there[there != classes[place]]
            others = others[classes[others] == free[number % len(free)]]
        same = [others[labelled.sitting[others] == labelled.sitting[place]], others[people[others] == people[place]]]
        of, among = next(
            ((word, some) for word, some in zip((SITTING, PERSON), same, strict=True) if len(some)), (NOBODY, others)
        )
        targets.append(int(among[draw.integers(len(among))]))
        found_of.append(of)
    return Edits(
        _pictures(labelled, sources, size),
        labelled.blendshapes[sources],
        labelled.blendshapes[targets],
        classes[targets],
        _pictures(labelled, targets, size),
        tuple(found_of),
        tuple(people[sources].tolist()),
    )


def _pictures(labelled: LabelledFaces, places: Sequence[int] | npt.NDArray[np.int64], size: int) -> Picture:
    return np.stack([labelled.picture(int(place), size) for place in places])
