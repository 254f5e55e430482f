"""How well faces are read: EIFER's Figure 4 and section E.2 as numbers, against the truth.

Every reader looks at the same faces: without electrodes, under them, and where electrodes were removed from the
picture before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from calibration.face_readers import EncoderReader, Said, half_sides, read_landmarker
from calibration.metrics.expression import ExpressionReader, expression_error
from calibration.metrics.geometry import aligned_mm, apart_mm, unsteadiness_mm
from calibration.restoration import Number, Row, over_people
from calibration.true_faces import Picture, TrueFace
from engines.face.anatomy import NARROW
from engines.face.crop_geometry import CropGeometry, Geometry
from engines.face.landmarks import COUNT, IRISES, OVAL
from engines.face.mesh import FaceModel, expression_from_arkit52

Floats = npt.NDArray[np.float32]
Restore = Callable[[Picture], Picture]  # a crop of any size without its electrodes, at the network's own size

MEDIAPIPE = "MediaPipe"
CLEAN, COVERED = "without electrodes", "under electrodes"
MEASURES = ("expression", "expression_mm", "geometry_mm", "landmarks", "landmarks_same", "face_found")
STEADINESS = "identity_mm"
# The oval slides along the silhouette as the head turns: MediaPipe and a face model mean different points there
_INNER = np.setdiff1d(np.arange(COUNT - len(IRISES)), OVAL)


def restored(name: str) -> str:
    """The word for faces whose electrodes a bundle has removed."""
    return f"restored by {name}"


@dataclass
class Readings:
    """What one reader says about one kind of pictures, moment by moment; nan where nothing can be said."""

    people: list[str] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)
    shapes: dict[str, list[Floats]] = field(default_factory=dict)  # person -> (modes,) each

    def row(self, surfaces: FaceSurfaces) -> Row:
        """The table's row."""
        found = {name: number for name, values in self.values.items() if (number := over_people(values, self.people))}
        own = {person: shapes for person, shapes in self.shapes.items() if len(shapes) > 1}
        if own:
            each = {person: surfaces.unsteadiness_mm(shapes) for person, shapes in own.items()}
            sd = float(np.std(list(each.values()), ddof=1)) if len(each) > 1 else None
            count = sum(map(len, own.values()))
            found[STEADINESS] = Number(float(np.mean(list(each.values()))), sd, count)
        return found


class FaceSurfaces:
    """The narrow face's surface from numbers.  model: ICT-FaceKit, whole."""

    def __init__(self, model: FaceModel) -> None:
        self._neutral = model.neutral[:NARROW]
        self._identity = model.identity[:, :NARROW]
        self._expression = model.expression[:, :NARROW]

    def moved_cm(self, expression: npt.NDArray[np.floating]) -> Floats:
        """(V, 3): how an expression moves the face.  expression: (52,)."""
        return np.asarray(np.tensordot(expression_from_arkit52(expression), self._expression, 1), np.float32)

    def rest_cm(self, shape: npt.NDArray[np.floating]) -> Floats:
        """(V, 3): somebody's face at rest.  shape: (modes,)."""
        return np.asarray(self._neutral + np.tensordot(shape, self._identity[: len(shape)], 1), np.float32)

    def unsteadiness_mm(self, shapes: Sequence[Floats]) -> float:
        """Of one person's shapes, picture by picture."""
        return unsteadiness_mm(np.stack([self.rest_cm(shape) for shape in shapes]))


def score_readings(
    faces: Sequence[TrueFace],
    encoders: Sequence[EncoderReader],
    restorers: Mapping[str, Restore],
    reader: ExpressionReader | None,
    surfaces: FaceSurfaces,
    done: Callable[[], None] = lambda: None,
) -> dict[str, dict[str, Row]]:
    """Kind of pictures -> reader -> row.  restorers: by name.  reader: MediaPipe, or None.  done: after every face.

    expression: mean absolute error of 51 blendshapes, 0..1; expression_mm: of what they move, mean over the face;
    geometry_mm: of the whole surface, aligned; landmarks: mean distance without the face's oval in % of the crop's
    side, landmarks_same: the same where MediaPipe finds this very face; face_found: share; identity_mm: how unsteady a
    person's shape is.
    """
    kinds = [CLEAN, COVERED, *map(restored, restorers)]
    names = [encoder.name for encoder in encoders] + ([MEDIAPIPE] if reader is not None else [])
    found = {kind: {name: Readings() for name in names} for kind in kinds}
    for face in faces:
        pictures = {CLEAN: face.clean, COVERED: face.covered}
        pictures |= {restored(name): restore(face.covered) for name, restore in restorers.items()}
        for kind, picture in pictures.items():
            said: dict[str, Said | None] = {encoder.name: encoder.read(picture) for encoder in encoders}
            if reader is not None:
                said[MEDIAPIPE] = read_landmarker(reader, picture)
            same = said.get(MEDIAPIPE) is not None
            for name, one in said.items():
                _add(found[kind][name], face, one, surfaces, same)
        done()
    return {kind: {name: readings.row(surfaces) for name, readings in rows.items()} for kind, rows in found.items()}


def _add(readings: Readings, face: TrueFace, said: Said | None, surfaces: FaceSurfaces, same: bool) -> None:
    values = dict.fromkeys(MEASURES, math.nan)
    values["face_found"] = float(said is not None)
    if said is not None:
        values |= _measured(face, said, surfaces)
        if same:
            values["landmarks_same"] = values["landmarks"]
        if said.shape.size:
            readings.shapes.setdefault(face.person, []).append(said.shape)
    readings.people.append(face.person)
    for name, value in values.items():
        readings.values.setdefault(name, []).append(value)


def _measured(face: TrueFace, said: Said, surfaces: FaceSurfaces) -> dict[str, float]:
    wanted = half_sides(face.landmarks_px, len(face.covered))
    moved, truth = surfaces.moved_cm(said.expression), surfaces.moved_cm(face.expression)
    found = {
        "expression": expression_error(said.expression, face.expression),
        "expression_mm": apart_mm(moved, truth),
        "landmarks": float(50 * np.linalg.norm((said.landmarks - wanted)[_INNER], axis=1).mean()),
    }
    if said.shape.size:
        found["geometry_mm"] = aligned_mm(surfaces.rest_cm(said.shape) + moved, face.rest_cm + truth)
    return found


def rendered(geometry: CropGeometry, projected_px: npt.NDArray[np.floating]) -> Picture:
    """(size, size, 3) uint8: a grey face on white.  projected_px: (V, 3), as `placed` gives it, in the geometry's."""
    with torch.no_grad():
        points = torch.from_numpy(np.ascontiguousarray(projected_px, np.float32))[None]
        grey = geometry.render(Geometry(points, points[:, :0, :2]))[0, 0].numpy()
    shade = np.where(geometry.seen >= 0, np.rint(255 * grey), 255).astype(np.uint8)
    return np.repeat(shade[:, :, None], 3, 2)
