"""A page of a synthetic cohort to look at: people x tasks, four pictures each and the EMG of the clip below.

Each picture shows the moment of strongest effort.  The geometry is not taken from the renderer but drawn from what is
written down as truth, so that a glance shows whether both agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from calibration.cohort import CREDITS, Cohort
from calibration.cohort_plan import ClipPlan, Participant
from calibration.cohort_signals import Signals
from calibration.cohort_sources import Sources
from calibration.cohort_stage import FaceStage, Shot
from calibration.data.mmm_layout import FPS, SIZE_PX
from engines.emg.montage import FRIDLUND
from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPE_INDEX
from engines.face.mesh import FaceModel, expression_from_arkit52
from engines.face.raster import Raster
from engines.face.raster_grey import render_grey

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Colour = tuple[int, int, int]  # BGR

MOST_PEOPLE, MOST_TASKS = 4, 6
_SHOWN_FIRST = (
    *("Forehead-Raise", "Eye-Tight", "Smile-Open", "Lip-Pucker", "Nose-Wrinkler", "surprised"),
    *("Depress-Lip", "Snarl", "happy", "disgusted", "sad", "angry", "fearful", "Smile-Closed", "Cheeks-Blow"),
    *("Eye-Gentle", "Face-At-Rest"),
)
_TILE, _GAP = 150, 3  # px
_LEFT, _TOP, _BETWEEN, _MARGIN = 178, 118, 26, 24
_CELL = 2 * _TILE + _GAP
_ROW = 15  # px of one muscle's envelope
_FULL_PERCENT = 80.0  # of a muscle's full activation: as high as a curve gets
_HIGHEST = 1.45 * _ROW
_INK: Colour = (48, 40, 36)
_SOFT: Colour = (130, 122, 118)
_PAPER: Colour = (252, 250, 249)
_RIGHT: Colour = (168, 98, 30)
_LEFT_SIDE: Colour = (46, 118, 226)
_RULE: Colour = (224, 219, 216)
_SPOILT: Colour = (196, 236, 250)
_LIDS = [BLENDSHAPE_INDEX["eyeBlinkLeft"], BLENDSHAPE_INDEX["eyeBlinkRight"]]


@dataclass(frozen=True)
class Cell:
    """What is drawn for one person and task.  percent: (frame, 22) envelope in % of full activation.

    intact: (frame, 22), False where an artefact is.  apex: the frame of the pictures.
    """

    clean: Picture
    covered: Picture
    mask: Picture
    geometry: Picture
    percent: Floats
    intact: npt.NDArray[np.bool_]
    apex: int


def draw_contact_sheet(cohort: Cohort, sources: Sources, path: Path) -> None:
    """Draw the first people at up to six tasks, with electrodes on, and write the picture (0600).

    path: .png or .jpg.  Raises BadInput when it cannot be written.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise BadInput(f"the contact sheet cannot be written to {path}: give a file in a folder that exists")
    people = cohort.people[:MOST_PEOPLE]
    tasks = [name for name in _SHOWN_FIRST if name in cohort.settings.tasks][:MOST_TASKS]
    tasks.sort(key=cohort.settings.tasks.index)
    stage = FaceStage(cohort.settings, sources)
    face = FaceModel.load(sources.face_model)
    cells = [[_cell(cohort, stage, face, _plan(cohort, person, task)) for task in tasks] for person in people]
    sheet = lay_out(people, tasks, cells, _title(cohort))
    quality = [cv2.IMWRITE_JPEG_QUALITY, 88] if path.suffix == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 9]
    _, content = cv2.imencode(path.suffix, sheet, quality)
    try:
        path.unlink(missing_ok=True)
        path.touch(0o600)
        path.write_bytes(content.tobytes())
    except OSError as error:
        raise BadInput(f"the contact sheet cannot be written to {path} ({error.strerror})") from None


def _title(cohort: Cohort) -> str:
    settings = cohort.settings
    return f"{settings.participants} people, {settings.sessions} sessions, seed {settings.seed}"


def _plan(cohort: Cohort, person: Participant, task: str) -> ClipPlan:
    """The first clip of that task with electrodes on."""
    return next(
        plan
        for plan in cohort.clips
        if plan.recording.participant == person and plan.recording.electrodes and plan.id.task == task
    )


def _cell(cohort: Cohort, stage: FaceStage, face: FaceModel, plan: ClipPlan) -> Cell:
    signals = Signals(cohort.settings, plan.recording)
    frames = plan.frames(cohort.settings.seconds)
    performed = signals.performed(plan.place, frames)
    film = stage.film(plan)
    shown = film.gazing(performed.expression.astype(np.float32))
    apex = apex_of(shown, performed.intent)
    shot = film.shot(apex, shown[apex])
    emg = signals.clip_emg(plan.place, frames)
    return Cell(
        shot.clean.copy(),
        shot.clean.copy() if shot.covered is None else shot.covered.copy(),
        np.zeros((SIZE_PX, SIZE_PX), np.uint8) if shot.mask is None else shot.mask.copy(),
        _geometry(face, stage.neutral(plan.recording.participant), shown[apex], shot),
        (100 * emg.envelope_uv / signals.emg.full_uv).astype(np.float32),
        emg.intact,
        apex,
    )


def apex_of(expression: Floats, intent: npt.NDArray[np.floating]) -> int:
    """The frame of strongest effort, of those with the lids as they mostly are then: blinks come in between.

    expression: (frame, 52).  intent: (frame, 22).
    """
    effort = intent.sum(axis=1)
    strong = np.flatnonzero(effort >= 0.9 * effort.max())
    lids = expression[strong][:, _LIDS].mean(axis=1)
    usual = strong[np.argsort(np.abs(lids - np.median(lids)), kind="stable")[: (len(strong) + 1) // 2]]
    return int(usual[np.argmax(effort[usual])])


def _geometry(face: FaceModel, neutral: Floats, expression: npt.NDArray[np.floating], shot: Shot) -> Picture:
    """The papers' grey render of the truth: face at rest, expression and camera, nothing else."""
    person = replace(face, neutral=neutral).part("face")
    vertices = person.vertices([], expression_from_arkit52(expression))
    projected = vertices @ shot.camera[:, :3].T + shot.camera[:, 3]
    return render_grey(Raster(SIZE_PX, SIZE_PX), np.ascontiguousarray(projected, np.float32), person.triangles)


def lay_out(
    people: Sequence[Participant], tasks: Sequence[str], cells: Sequence[Sequence[Cell]], title: str
) -> Picture:
    """Put everything in its place: (height, width, 3) uint8 BGR.  cells: one row per person, one cell per task."""
    below = _ROW * len(FRIDLUND.pairs()) + 34
    band = _CELL + below + _BETWEEN
    width = _LEFT + len(tasks) * (_CELL + _BETWEEN) - _BETWEEN + _MARGIN
    height = _TOP + len(people) * band + 40
    sheet = np.full((height, width, 3), _PAPER, np.uint8)
    _text(sheet, "Synthetic cohort", (_MARGIN, 46), 27, _INK, 700)
    _text(sheet, f"{title}. Nobody was recorded. Every clip has its truth.", (_MARGIN, 72), 15, _SOFT)
    _legend(sheet, width)
    for column, task in enumerate(tasks):
        _text(sheet, task, (_LEFT + column * (_CELL + _BETWEEN), _TOP - 10), 17, _INK, 600)
    for row, (person, drawn) in enumerate(zip(people, cells, strict=True)):
        top = _TOP + row * band
        _describe(sheet, person, top)
        for column, cell in enumerate(drawn):
            left = _LEFT + column * (_CELL + _BETWEEN)
            _pictures(sheet, cell, top, left)
            _envelopes(sheet, cell, top + _CELL + 14, left)
    _text(sheet, "; ".join(CREDITS), (_MARGIN, height - 16), 12, _SOFT)
    return sheet


def _legend(sheet: Picture, width: int) -> None:
    """What the four pictures and the two colours are, at the right of the title."""
    left = width - _MARGIN - 452
    for number, (line, column) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        words = ("without electrodes", "with electrodes", "what they cover", "geometry (truth)")[number]
        x, y = left + column * 150, 26 + line * 24
        cv2.rectangle(sheet, (x, y), (x + 140, y + 20), _RULE, 1, cv2.LINE_AA)
        _text(sheet, words, (x + 8, y + 15), 13, _SOFT)
    for line, words in enumerate(("right side", "left side", "artefact")):
        x, y = left + 322, 28 + line * 20
        if line == 1:
            cv2.line(sheet, (x, y + 3), (x + 24, y + 3), _LEFT_SIDE, 2, cv2.LINE_AA)
        else:
            cv2.rectangle(sheet, (x, y - 3), (x + 24, y + 9), _SPOILT if line else _pale(_RIGHT), cv2.FILLED)
        if line == 0:
            cv2.line(sheet, (x, y - 3), (x + 24, y - 3), _RIGHT, 2, cv2.LINE_AA)
        _text(sheet, words, (x + 34, y + 8), 13, _SOFT)


def _describe(sheet: Picture, person: Participant, top: int) -> None:
    made_of = "one photo" if len(person.photos) == 1 else f"{len(person.photos)} photos mixed"
    lines = [f"{person.condition}{', ' + person.side if person.side else ''}", made_of, f"split: {person.split}"]
    _text(sheet, person.pid, (_MARGIN, top + 24), 24, _INK, 700)
    for number, line in enumerate(lines):
        _text(sheet, line, (_MARGIN, top + 50 + 20 * number), 14, _SOFT)
    first = top + _CELL + 14
    for number, (muscle, _, _) in enumerate(FRIDLUND.pairs()):
        name = muscle.replace("_", " ").replace("supercilii", "superc.").replace("superioris", "sup.")
        _text(sheet, name, (_MARGIN, first + _ROW * (number + 1) + 1), 11, _SOFT)
    _text(sheet, "EMG envelopes", (_MARGIN, first - 6), 12, _INK, 600)


def _pictures(sheet: Picture, cell: Cell, top: int, left: int) -> None:
    grey = [cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) for picture in (cell.mask, cell.geometry)]
    for number, picture in enumerate((cell.clean, cell.covered, *grey)):
        y = top + (number // 2) * (_TILE + _GAP)
        x = left + (number % 2) * (_TILE + _GAP)
        small = cv2.resize(picture, (_TILE, _TILE), interpolation=cv2.INTER_AREA)
        sheet[y : y + _TILE, x : x + _TILE] = small


def _envelopes(sheet: Picture, cell: Cell, top: int, left: int) -> None:
    """One row per muscle: the right side as a filled curve, the left one as a line; a mark at the picture's moment."""
    frames = len(cell.percent)
    bottom = top + _ROW * len(FRIDLUND.pairs())
    x = left + np.linspace(0, _CELL - 1, frames)
    at = round(float(x[cell.apex]))
    for number, (_, right, left_side) in enumerate(FRIDLUND.pairs()):
        base = top + _ROW * (number + 1)
        spoilt = ~(cell.intact[:, right] & cell.intact[:, left_side])
        sheet[base - _ROW + 1 : base, left + np.flatnonzero(np.repeat(spoilt, 2)) * (_CELL - 1) // (2 * frames)] = (
            _SPOILT
        )
        cv2.line(sheet, (left, base), (left + _CELL - 1, base), _RULE, 1)
        rise = np.minimum(cell.percent * (_HIGHEST / _FULL_PERCENT), _HIGHEST)
        outline = np.column_stack([x, base - rise[:, right]])
        area = np.vstack([outline, [[x[-1], base], [x[0], base]]])
        cv2.fillPoly(sheet, [_fixed(area)], _pale(_RIGHT), cv2.LINE_AA, 4)
        cv2.polylines(sheet, [_fixed(outline)], False, _RIGHT, 1, cv2.LINE_AA, 4)
        line = np.column_stack([x, base - rise[:, left_side]])
        cv2.polylines(sheet, [_fixed(line)], False, _LEFT_SIDE, 1, cv2.LINE_AA, 4)
    cv2.line(sheet, (at, top - 2), (at, bottom + 4), _INK, 1, cv2.LINE_AA)
    _text(sheet, f"{frames / FPS:g} s", (left + _CELL - 34, bottom + 15), 11, _SOFT)


def _fixed(points: npt.NDArray[np.floating]) -> npt.NDArray[np.int32]:
    """Points for OpenCV in sixteenths of a pixel."""
    return np.asarray(np.rint(points * 16), np.int32)


def _pale(colour: Colour) -> Colour:
    blue, green, red = (255 - (255 - value) // 3 for value in colour)
    return blue, green, red


def _text(sheet: Picture, words: str, at: tuple[int, int], size: int, colour: Colour, weight: int = 400) -> None:
    cv2.putText(sheet, words, at, colour, cv2.FontFace("sans"), size, weight)
