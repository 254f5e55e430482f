"""From a fitted face model to the face in the photo, to the pixel: the lids, lips and brows are bent to the landmarks.

A linear model with a weak-perspective camera leaves 1 to 3 px at 640 px.  That is enough to show: a lid that starts
a pixel too low carries a stripe of the white of the eye along when it closes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.interpolate import RBFInterpolator

from engines.face.anatomy import NARROW, SIDES, Anatomy
from engines.face.camera import Camera
from engines.face.landmarks import COUNT, OVAL
from engines.face.mesh import LANDMARKS_68

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int32]

IRISES = {"right": (468, 469, 470, 471, 472), "left": (473, 474, 475, 476, 477)}  # centre, then four on its border
# MediaPipe's lid contours from the picture's left to its right, and the lips' inner ones
_LIDS = {
    "left": (
        (362, 398, 384, 385, 386, 387, 388, 466, 263),
        (362, 382, 381, 380, 374, 373, 390, 249, 263),
    ),
    "right": (
        (33, 246, 161, 160, 159, 158, 157, 173, 133),
        (33, 7, 163, 144, 145, 153, 154, 155, 133),
    ),
}
_UPPER_LIP = (191, 80, 81, 82, 13, 312, 311, 310, 415, 11, 12, 302, 72, 268, 38)
_LOWER_LIP = (95, 88, 178, 87, 14, 317, 402, 318, 324, 16, 15, 86, 316)
_APART = 0.5  # the jaw is opened so far where "near" is asked: else the lips pull on each other
_LOWER_FALLS_CM = 1.0  # in a fully opened jaw: lower lip
_SLACK, _LID_SLACK = 0.02, 0.002  # how little a landmark that is 1 mm off, and a lid's line, must be met
_NOT_PULLING = {*OVAL, *range(468, COUNT), *(n for pair in _LIDS.values() for line in pair for n in line)}
_FADE_CM = 1.5  # over which bending fades out towards the narrow face's border


@dataclass(frozen=True)
class Attachment:
    """Where each of MediaPipe's landmarks sits on the mesh.

    vertex: (478,) int32.  offset_cm: (478, 3) float32 from that vertex, in the camera's axes of the face at rest
    (x right, y up, z 0).  The irises' ten are in the middle of their eye; gaze moves them.
    """

    vertex: Indices
    offset_cm: Floats


def bend_to_landmarks(anatomy: Anatomy, neutral: Floats, camera: Camera, landmarks_px: Doubles) -> Floats:
    """The person's face at rest, bent in the picture's plane so that it meets the landmarks.

    neutral: (V, 3) float32, cm, as fitted.  landmarks_px: (478, 2).  Returns (V, 3) float32.
    """
    apart = _opened(anatomy)
    field = _field(
        apart, *_pulls(anatomy, apart, neutral, camera, landmarks_px), np.flatnonzero(anatomy.edge_cm < 1e-6)
    )
    moved = np.zeros((len(neutral), 3))
    moved[:NARROW, :2] = field(apart[:NARROW]) * np.minimum(anatomy.edge_cm / _FADE_CM, 1)[:, None]
    lips = np.asarray(LANDMARKS_68[48:])
    first, last = anatomy.model.regions["mouth_socket"][0], anatomy.model.regions["teeth"][1]
    moved[first:last] = moved[lips].mean(0)
    for side, ring in zip(SIDES, anatomy.eye_rings, strict=True):
        for part in ("eye_socket", "eyeball"):
            moved[slice(*anatomy.model.regions[f"{part}_{side}"])] = moved[ring].mean(0)
    return np.asarray(neutral + moved @ camera.rotation, np.float32)  # rows: camera's axes back to the model's


def attach_landmarks(anatomy: Anatomy, neutral: Floats, camera: Camera, landmarks_px: Doubles) -> Attachment:
    """Tie every landmark to the vertex of the face at rest that it is nearest to, on its own lid and lip."""
    seen = camera.project(neutral)[:NARROW]
    falls = -anatomy.model.expression[anatomy.model.expression_index("jawOpen")][:NARROW, 1]
    lower = falls > _LOWER_FALLS_CM
    front = seen[:, 2] > np.median(seen[:, 2]) - 8 * camera.scale
    allowed = {number: front & lower for number in _LOWER_LIP} | {number: front & ~lower for number in _UPPER_LIP}
    for index, side in enumerate(SIDES):
        for line, margin in zip(_LIDS[side], anatomy.margins[index], strict=True):
            allowed |= dict.fromkeys(line, np.isin(np.arange(NARROW), margin))
    vertex = np.zeros(COUNT, np.int32)
    for number in range(COUNT):
        choice = np.flatnonzero(allowed.get(number, front))
        way = ((seen[choice, :2] - landmarks_px[number]) ** 2).sum(1)
        vertex[number] = choice[np.argmin(way - 0.02 * seen[choice, 2])]  # of two at one place the one in front
    for side in SIDES:
        first, last = anatomy.model.regions[f"eyeball_{side}"]
        vertex[list(IRISES[side])] = first + int(np.argmax(camera.project(neutral)[first:last, 2]))
    offset = np.zeros((COUNT, 3), np.float32)
    offset[:, :2] = (landmarks_px - camera.project(neutral)[vertex, :2]) / camera.scale * [1, -1]
    return Attachment(vertex, offset)


def _pulls(
    anatomy: Anatomy, apart: Doubles, neutral: Floats, camera: Camera, landmarks_px: Doubles
) -> tuple[Doubles, Doubles, Doubles]:
    """Where on the opened model how many cm (right, up) are missing, and how little each must be met."""
    seen = camera.project(neutral)[:, :2].astype(np.float64)
    table = anatomy.landmarks
    chosen = np.array([number for number in range(COUNT) if number not in _NOT_PULLING])
    places = [table.positions(apart)[chosen].astype(np.float64)]
    missing = [landmarks_px[chosen] - table.positions(seen)[chosen]]
    slack = [_SLACK * (table.sd_cm[chosen].astype(np.float64) / 0.1) ** 2]
    for index, side in enumerate(SIDES):
        for line, margin in zip(_LIDS[side], anatomy.margins[index], strict=True):
            places.append(apart[margin])
            missing.append(_along(landmarks_px[list(line)], seen[margin]) - seen[margin])
            slack.append(np.full(len(margin), _LID_SLACK))
    pull_cm = np.concatenate(missing) / camera.scale * np.array([1, -1])
    return np.concatenate(places), pull_cm, np.concatenate(slack)


def _field(
    apart: Doubles, place: Doubles, pull: Doubles, slack: Doubles, border: npt.NDArray[np.int64]
) -> RBFInterpolator:
    """The smooth bending: what pulls, and nothing at the narrow face's border.  Points at one place count once."""
    rim = apart[border[::3]]
    place, pull = np.concatenate([place, rim]), np.concatenate([pull, np.zeros((len(rim), 2))])
    slack = np.concatenate([slack, np.full(len(rim), _SLACK)])
    _, unique = np.unique(np.round(place, 2), axis=0, return_index=True)
    return RBFInterpolator(place[unique], pull[unique], kernel="thin_plate_spline", smoothing=slack[unique])


def _along(line: Doubles, points: Doubles) -> Doubles:
    """For points on the mesh's lid, ordered along it, the points at the same share of the photo's lid line."""
    steps = np.linspace(0, 1, len(line))
    fine = np.stack([np.interp(np.linspace(0, 1, 200), steps, line[:, axis]) for axis in (0, 1)], 1)
    share = (points[:, 0] - points[0, 0]) / (points[-1, 0] - points[0, 0])
    x = line[0, 0] + share * (line[-1, 0] - line[0, 0])
    return np.stack([x, np.interp(x, fine[:, 0], fine[:, 1])], 1)


def _opened(anatomy: Anatomy) -> Doubles:
    jaw = anatomy.model.expression[anatomy.model.expression_index("jawOpen")]
    return np.asarray(anatomy.model.neutral + _APART * jaw, np.float64)
