"""What edited faces show, read off the pictures: their action units, and whether it is still the same person.

Identity: the face model is fitted to MediaPipe's landmarks of the input and of the edit, expression free, and the
identity parameters are compared, root mean square over modes, in standard deviations of people.  A fit to other
landmarks of the same person is never the same, so the true picture's distance stands beside, and another person's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from calibration.editing import NOBODY, Edits
from calibration.metrics.expression import ExpressionReader, Reading
from calibration.planes import Picture
from engines.errors import FaceLost
from engines.face.action_units import units_from_arkit52
from engines.face.fit import Fitter

Floats = npt.NDArray[np.float32]

UNITS, IDENTITY = "units", "identity"
TRUE_PICTURE, SOMEBODY_ELSE = "the true picture", "somebody else's"


class EditsRead:
    """Inputs and true pictures are read once, for all who edit."""

    def __init__(self, edits: Edits, reader: ExpressionReader, fitter: Fitter | None) -> None:
        """fitter: None where the face model is not there; identity is left out then."""
        self._edits, self._reader, self._fitter = edits, reader, fitter
        self._known = [place for place, of in enumerate(edits.of) if of != NOBODY]
        self._wanted = [self._read(edits.truth[place]) for place in self._known]
        self._before = [] if fitter is None else self._people([self._read(face) for face in edits.faces])

    def measure(self, made: Picture) -> dict[str, float]:
        """Measure -> value of what an editor made, (N, size, size, 3); without those of which no face was found.

        UNITS: mean absolute difference from the true pictures' action units, 0..5.  IDENTITY: distance to the inputs.
        """
        readings = [self._read(picture) for picture in made]
        away = [
            float(np.abs(units_from_arkit52(found.blendshapes) - units_from_arkit52(wanted.blendshapes)).mean())
            for found, wanted in zip((readings[place] for place in self._known), self._wanted, strict=True)
            if found is not None and wanted is not None
        ]
        said = {UNITS: float(np.mean(away))} if away else {}
        return said | (self._distance(self._before, self._people(readings)) if self._before else {})

    def to_compare(self) -> dict[str, dict[str, float]]:
        """Rows for the table: how far the true pictures are from the inputs, and other people."""
        if not self._before:
            return {}
        there = [self._before[place] for place in self._known]
        first = {person: place for place, person in reversed(list(enumerate(self._edits.people)))}
        people = [self._before[place] for place in first.values()]
        rows = {
            TRUE_PICTURE: self._distance(there, self._people(self._wanted)),
            SOMEBODY_ELSE: self._distance(people, people[1:] + people[:1]) if len(people) > 1 else {},
        }
        return {name: row for name, row in rows.items() if row}

    def _read(self, picture: Picture) -> Reading | None:
        return self._reader.read(np.ascontiguousarray(picture))

    def _people(self, readings: Sequence[Reading | None]) -> list[Floats | None]:
        return [None if reading is None else self._who(reading) for reading in readings]

    def _who(self, reading: Reading) -> Floats | None:
        assert self._fitter is not None
        try:
            return self._fitter.fit(reading.landmarks_px, self._edits.faces.shape[1:3]).identity
        except FaceLost:
            return None

    def _distance(self, before: Sequence[Floats | None], after: Sequence[Floats | None]) -> dict[str, float]:
        both = [(a, b) for a, b in zip(before, after, strict=True) if a is not None and b is not None]
        if not both:
            return {}
        return {IDENTITY: float(np.mean([np.sqrt(((a - b).astype(np.float64) ** 2).mean()) for a, b in both]))}
