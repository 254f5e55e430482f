"""The 3D face of the page: as much of the face model as is seen from the front, small enough for any browser.

Made on this machine, once per session, from the model that its user has (engines/face/face_bin.py is the file); nothing
of it is ever stored.  What can never be seen is left out, and the rest thinned (engines/face/thinning.py), least of all
around lids, lips and brows.  Eyeballs are spheres of our own, with an iris, in the model's places.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engines.emg.heat_scale import FULL_PERCENT, heat_scale
from engines.emg.heatmap import heat_matrix
from engines.emg.montage import FRIDLUND, Montage
from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPES
from engines.face.display_brows import brows
from engines.face.display_colours import brow_colours, distance_to_line, eye_rings, mouth_colours, skin_colours
from engines.face.face_bin import EYE, MOUTH, SKIN, TOOTH, FaceBin
from engines.face.mesh import AREAS, LANDMARKS_68, FaceModel, expression_from_arkit52
from engines.face.skin_surface import Places, surface_of
from engines.face.thinning import thin

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

# Parts that hang together (from one region to another), and how many triangles they are thinned to
_MOST = {
    ("face", "head_and_neck"): 10000, ("mouth_socket",): 500, ("eye_socket_left",): 200, ("eye_socket_right",): 200,
    ("gums_and_tongue",): 1500, ("teeth",): 3200,
}  # fmt: skip
# What the thinning looks at, so that folds keep their vertices
_POSES: tuple[dict[str, float], ...] = (
    {},
    {"mouthSmile_L": 1, "mouthSmile_R": 1, "cheekSquint_L": 1, "cheekSquint_R": 1, "browInnerUp_L": 1,
     "browInnerUp_R": 1, "eyeBlink_L": 1, "eyeBlink_R": 1},
    {"noseSneer_L": 1, "noseSneer_R": 1, "browDown_L": 1, "browDown_R": 1, "mouthPucker": 1, "jawOpen": 0.5},
)  # fmt: skip
# Lines of Multi-PIE's landmarks, how far around them and how much an error counts there
_FINE = (
    (range(17, 22), 0.7, 30.0), (range(22, 27), 0.7, 30.0), ((36, 37, 38, 39, 40, 41, 36), 0.5, 100.0),
    ((42, 43, 44, 45, 46, 47, 42), 0.5, 100.0), ((*range(48, 60), 48), 0.4, 60.0), ((*range(60, 68), 60), 0.5, 60.0),
)  # fmt: skip
_NEAR_CM = 7.5
_LONGEST_CM = 1.0  # where the heat map is painted
_SMALL_CM = 0.004  # displacements below that are left out
_EYE_SEGMENTS = 22
_EYE_CM = 1.46  # radius that meets the lids


def face_geometry(model: FaceModel, montage: Montage = FRIDLUND) -> FaceBin:
    """The page's face.

    model: a whole one, for example `FaceModel.load`'s or somebody's (`model.person`).  montage: whose channels the heat
    map shows.  Raises BadInput when the model lacks a part or a channel's place is not known.
    """
    wanted = [name for names in _MOST for name in names] + ["eyeball_left", "eyeball_right"]
    missing = [name for name in wanted if name not in model.regions]
    if missing:
        raise BadInput(f"the page's face needs a whole model, and this one lacks {', '.join(missing)}")
    triangles = _thinned(model)
    rows = np.unique(triangles)  # ascending: skin is first in the model, too
    skin = int(np.searchsorted(rows, model.regions["head_and_neck"][1]))
    new = np.zeros(len(model.neutral), np.int64)
    new[rows] = np.arange(len(rows))
    places, brow_points, brow_triangles = brows(model)
    eye_points, eye_tints, eye_triangles, eyes = _eyes(model, len(rows) + len(brow_points))
    points = np.concatenate([model.neutral[rows], brow_points, eye_points])
    unit_cm = float(np.abs(points).max()) / 32767
    shapes, moved, moves = _displacements(model, rows, places)
    heat = heat_matrix(surface_of(model), model.neutral[rows[:skin]], montage)
    return FaceBin(
        unit_cm=unit_cm,
        full_percent=FULL_PERCENT,
        skin=skin,
        positions=np.rint(points / unit_cm).astype(np.int16),
        colours=np.concatenate([_colours(model, rows), _painted(brow_colours()), eye_tints]),
        triangles=np.concatenate([new[triangles], brow_triangles + len(rows), eye_triangles]).astype(np.uint16),
        eyes=eyes,
        shapes=shapes,
        moved=moved,
        moves=moves,
        heat=np.floor(heat * 255).astype(np.uint8),  # rounded down: rows' sums stay at most 255
        scale=heat_scale(),
    )


def _thinned(model: FaceModel) -> Rows:
    """The triangles that are left of each part, and of these what a viewer in front may ever see."""
    poses = np.stack([model.vertices([], model.weights(pose)) for pose in _POSES])
    cost = _cost(model)
    longest = np.where(np.arange(len(model.neutral)) < AREAS["narrow_face"][1], _LONGEST_CM, np.inf)
    found = []
    for names, most in _MOST.items():
        first, last = model.regions[names[0]][0], model.regions[names[-1]][1]
        part = model.triangles[_between(model.triangles, first, last).all(1)].astype(np.int64)
        if names == ("teeth",):
            part = part[_near(model, part)]
        left = first + thin(poses[:, first:last], part - first, cost[first:last], most, longest[first:last])
        found.append(left[_seen(model, left)])
    return np.concatenate(found)


def _seen(model: FaceModel, triangles: Rows) -> npt.NDArray[np.bool_]:
    """(F,): whether a triangle can come to face the viewer: what moves, and what does not look away."""
    corner = model.neutral[triangles].astype(np.float64)
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    moving = _between(triangles, 0, AREAS["narrow_face"][1]).all(1)
    inside = _between(triangles, model.regions["mouth_socket"][0], model.regions["teeth"][1]).all(1)
    socket = _between(triangles, *model.regions["mouth_socket"]).all(1)
    within_reach = _near(model, triangles) | ~inside | socket
    return np.asarray(moving | (normal[:, 2] > np.where(inside, -0.5, -0.25)) & within_reach)


def _near(model: FaceModel, triangles: Rows) -> npt.NDArray[np.bool_]:
    """(F,): not a back tooth or the tongue's root."""
    return np.asarray(model.neutral[triangles, 2].max(1) > _NEAR_CM)


def _cost(model: FaceModel) -> npt.NDArray[np.float64]:
    """(V,): what an error at a vertex counts; lids, lips and brows move finely, and are painted."""
    points = model.neutral.astype(np.float64)
    marks = points[list(LANDMARKS_68)]
    found = np.ones(len(points))
    for numbers, near_cm, worth in _FINE:
        near = distance_to_line(points, marks[list(numbers)]) < near_cm
        found[near] = np.maximum(found[near], worth)
    return found


def _displacements(
    model: FaceModel, rows: Rows, places: Places
) -> tuple[Floats, npt.NDArray[np.uint16], npt.NDArray[np.int16]]:
    """`shapes`, `moved` and `moves` of the file, for the 52 blendshapes: vertices `rows`, then places on the skin."""
    shapes = np.zeros((len(BLENDSHAPES), 3), np.float32)
    moved, moves, first = [], [], 0
    for shape, weights in enumerate(expression_from_arkit52(np.eye(len(BLENDSHAPES)))):
        whole = np.einsum("e,evx->vx", weights[weights != 0], model.expression[weights != 0])
        way = np.concatenate([whole[rows], places.on(whole)])
        there = np.flatnonzero(np.linalg.norm(way, axis=1) > _SMALL_CM)
        unit = max(float(np.abs(way).max()), 1e-6) / 32767 if len(there) else 1.0
        shapes[shape] = unit, first, len(there)
        moved.append(there.astype(np.uint16))
        moves.append(np.rint(way[there] / unit).astype(np.int16))
        first += len(there)
    return shapes, np.concatenate(moved), np.concatenate(moves)


def _colours(model: FaceModel, rows: Rows) -> npt.NDArray[np.uint8]:
    """(n, 4): colour and material of the model's vertices."""
    found = np.zeros((len(rows), 4), np.uint8)
    skin = rows < model.regions["head_and_neck"][1]
    found[skin, :3] = skin_colours(model)[rows[skin]]
    found[skin, 3] = SKIN
    found[~skin, :3] = mouth_colours(model)[rows[~skin]]
    found[~skin, 3] = np.where(_within(model, rows[~skin], "teeth"), TOOTH, MOUTH)
    return found


def _painted(colours: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """(n, 4): with the material of what takes no part in the heat map."""
    return np.column_stack([colours, np.full(len(colours), MOUTH, np.uint8)])


def _eyes(model: FaceModel, first: int) -> tuple[Floats, npt.NDArray[np.uint8], Rows, Floats]:
    """Both eyeballs' front: points, colours, triangles (numbered from `first` on) and `eyes` of the file."""
    angles, tints = eye_rings()
    around = np.linspace(0, 2 * np.pi, _EYE_SEGMENTS, endpoint=False)
    ring = np.stack([np.cos(around), np.sin(around)], 1)
    unit = np.concatenate([np.column_stack([np.sin(a) * ring, np.full(len(ring), np.cos(a))]) for a in angles])
    here = np.arange(_EYE_SEGMENTS)
    after = np.roll(here, -1)
    strips = []
    for k in range(len(angles) - 1):
        a, b = k * _EYE_SEGMENTS, (k + 1) * _EYE_SEGMENTS
        strips += [np.column_stack([a + here, b + here, b + after]), np.column_stack([a + here, b + after, a + after])]
    triangles = np.concatenate(strips)
    colour = np.column_stack([np.repeat(tints, _EYE_SEGMENTS, axis=0), np.full(len(unit), EYE)]).astype(np.uint8)
    points, table = [], np.zeros((len(model.eyes), 6), np.float32)
    for k, eye in enumerate(model.eyes):
        centre = model.neutral[eye.first : eye.last].mean(0) + eye.offset_cm
        points.append(centre + _EYE_CM * unit)
        table[k] = first + k * len(unit), len(unit), *centre, eye.outward
    every = np.concatenate([triangles + first + k * len(unit) for k in range(len(model.eyes))])
    return np.concatenate(points).astype(np.float32), np.tile(colour, (len(model.eyes), 1)), every, table


def _within(model: FaceModel, rows: Rows, region: str) -> npt.NDArray[np.bool_]:
    return _between(rows, *model.regions[region])


def _between(rows: npt.NDArray[np.integer], first: int, last: int) -> npt.NDArray[np.bool_]:
    return np.asarray((rows >= first) & (rows < last))
