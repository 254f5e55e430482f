"""A page to look at: EIFER's Figures 4, 5 and 37.  The same faces, how they are read, what becomes of the pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np
import torch

from calibration.face_readers import EncoderReader, Said, half_sides, read_landmarker
from calibration.metrics.expression import ExpressionReader
from calibration.reading_scores import MEDIAPIPE, FaceSurfaces, Restore, rendered
from calibration.true_faces import Picture, TrueFace
from engines.face.crop_geometry import CropGeometry
from engines.face.mesh import MEDIAPIPE_68

PEOPLE = 6
TILE = 176  # px
_GAP, _TOP, _MARGIN = 6, 44, 20
_INK, _SOFT, _PAPER = (48, 40, 36), (130, 122, 118), (252, 250, 249)
_TRUTH, _FOUND = (90, 200, 60), (40, 60, 235)  # BGR: green, red

Column = tuple[str, str, Callable[[TrueFace], Picture]]  # two lines above it, and what it shows


def draw_sheet(
    faces: Sequence[TrueFace],
    encoders: Sequence[EncoderReader],
    restorers: Mapping[str, Restore],
    pictures: Mapping[str, Callable[[TrueFace], Picture]],
    reader: ExpressionReader | None,
    surfaces: FaceSurfaces,
    geometry: CropGeometry,
) -> Picture:
    """(height, width, 3) uint8 BGR: one row per face.  pictures: EIFER's reconstructions.  geometry: of TILE px.

    Columns: the pictures; the true surface and what each encoder sees of it in each picture; the landmarks under
    electrodes.
    """
    shown: list[Column] = [
        ("without", "electrodes", lambda face: face.clean),
        ("with", "electrodes", lambda face: face.covered),
    ]
    kinds: dict[str, Callable[[TrueFace], Picture]] = {"without": shown[0][2], "with": shown[1][2]}
    for name, restore in restorers.items():
        kinds[name] = _restoring(restore)
        shown.append(("restored", name, kinds[name]))
    shown += [("reconstructed", name, picture) for name, picture in pictures.items()]
    shown.append(("surface", "truth", lambda face: _true_surface(face, surfaces, geometry)))
    for encoder in encoders:
        for kind, picture in kinds.items():
            word = kind if kind in restorers else f"{kind} electrodes"
            shown.append((encoder.name, word, _surface(encoder, picture, geometry)))
    if reader is not None:
        shown.append(("landmarks", MEDIAPIPE, _marked(lambda picture: read_landmarker(reader, picture))))
    shown += [("landmarks", encoder.name, _marked(encoder.read)) for encoder in encoders]
    return _drawn(faces, shown)


def _restoring(restore: Restore) -> Callable[[TrueFace], Picture]:
    return lambda face: restore(face.covered)


def _true_surface(face: TrueFace, surfaces: FaceSurfaces, geometry: CropGeometry) -> Picture:
    place, zoom = face.crop_from_model, TILE / len(face.covered)
    vertices = (face.rest_cm + surfaces.moved_cm(face.expression)).astype(np.float64)
    projected = vertices @ place[:, :3].T + place[:, 3]
    projected[:, :2] = (projected[:, :2] + 0.5) * zoom - 0.5
    return rendered(geometry, projected * np.array([1, 1, zoom]))


def _surface(
    encoder: EncoderReader, picture: Callable[[TrueFace], Picture], geometry: CropGeometry
) -> Callable[[TrueFace], Picture]:
    def show(face: TrueFace) -> Picture:
        with torch.no_grad():
            placed = geometry.place(*encoder.read(picture(face)).given())
        return rendered(geometry, placed.projected[0].numpy())

    return show


def _marked(read: Callable[[Picture], Said | None]) -> Callable[[TrueFace], Picture]:
    """The face under electrodes with 68 landmarks: green where they are, red where the reader says."""

    def show(face: TrueFace) -> Picture:
        out = _tile(face.covered)
        said = read(face.covered)
        truth = half_sides(face.landmarks_px, len(face.covered))
        for marks, colour in ((truth, _TRUTH), (None if said is None else said.landmarks, _FOUND)):
            for x, y in [] if marks is None else (marks[list(MEDIAPIPE_68)] + 1) * TILE / 2 - 0.5:
                centre = round(16 * float(x)), round(16 * float(y))
                cv2.circle(out, centre, 24, colour, cv2.FILLED, cv2.LINE_AA, 4)
        return out

    return show


def _tile(picture: Picture) -> Picture:
    way = cv2.INTER_AREA if len(picture) > TILE else cv2.INTER_CUBIC
    return np.array(cv2.resize(picture, (TILE, TILE), interpolation=way), np.uint8)


def _drawn(faces: Sequence[TrueFace], columns: Sequence[Column]) -> Picture:
    width = 2 * _MARGIN + len(columns) * (TILE + _GAP) - _GAP
    sheet = np.full((2 * _MARGIN + _TOP + len(faces) * (TILE + _GAP) - _GAP, width, 3), _PAPER, np.uint8)
    for place, (first, second, show) in enumerate(columns):
        left = _MARGIN + place * (TILE + _GAP)
        cv2.putText(sheet, first, (left, _MARGIN + 14), _INK, cv2.FontFace("sans"), 14, 600)
        cv2.putText(sheet, second, (left, _MARGIN + 34), _SOFT, cv2.FontFace("sans"), 13, 400)
        for row, face in enumerate(faces):
            top = _MARGIN + _TOP + row * (TILE + _GAP)
            sheet[top : top + TILE, left : left + TILE] = _tile(show(face))
    return sheet
