"""The colours of the page's 3D face: matte clay, with lips, brows and lids just dark enough to read an expression.

They are a choice, and nobody's: one even tone, no texture.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from engines.face.display_brows import ACROSS, STEPS
from engines.face.mesh import AREAS, LANDMARKS_68, FaceModel

Colours = npt.NDArray[np.uint8]
Doubles = npt.NDArray[np.float64]

# sRGB under full light
_BROWS, _BROW_EDGE = (134, 104, 89), (196, 166, 148)
_SKIN, _LIPS = (222, 186, 164), (190, 122, 112)
_LASHES = (96, 72, 62)
_TEETH, _GUMS, _SOCKET = (238, 232, 220), (178, 104, 100), (84, 42, 40)
_WHITE, _LIMBUS, _IRIS_RIM, _IRIS, _PUPIL = (
    (238, 235, 230),
    (150, 138, 126),
    (58, 66, 62),
    (104, 122, 112),
    (18, 18, 18),
)
_PUPIL_DEG, _IRIS_DEG, _REACH_DEG = 11.0, 26.5, 82.0
_LASH_CM = 0.09
_HOLLOW_CM, _HOLLOW_POINTS = 1.0, 40  # what may stand around a point and keep light from it
_DEEP_CM = 4.5  # behind the front teeth where all is dark


def skin_colours(model: FaceModel) -> Colours:
    """(V, 3) uint8 sRGB for every vertex of a whole model; what is no skin has the skin's colour too."""
    points = model.neutral.astype(np.float64)
    marks = points[list(LANDMARKS_68)]
    colour = np.tile(np.array(_SKIN, np.float64), (len(points), 1))
    skin = slice(0, model.regions["head_and_neck"][1])
    moving = np.arange(len(points)) < AREAS["narrow_face"][1]
    for tone, share in ((_LIPS, 0.75 * _lips(points, marks)), (_LASHES, 0.8 * _lashes(points, marks))):
        mixed = (share * moving)[:, None]
        colour += mixed * (np.array(tone) - colour)
    normals = model.normals(model.neutral).astype(np.float64)
    colour[skin] *= (1 - _hollow(points[skin], normals[skin]))[:, None] ** np.array([0.85, 1.0, 1.05])  # warm shadows
    return np.rint(colour).astype(np.uint8)


def mouth_colours(model: FaceModel) -> Colours:
    """(V, 3) uint8 sRGB for every vertex of a whole model, of what lies behind lips and lids: darker further in."""
    points = model.neutral.astype(np.float64)
    colour = np.tile(np.array(_SOCKET, np.float64), (len(points), 1))
    for region, tone in (("gums_and_tongue", _GUMS), ("teeth", _TEETH)):
        colour[slice(*model.regions[region])] = tone
    first, last = model.regions["teeth"]
    deep = np.clip((points[first:last, 2].max() - points[:, 2]) / _DEEP_CM, 0, 1)
    mouth = points[:, 1] < 0  # eye sockets are above
    colour *= np.where(mouth, 1 - 0.85 * deep**0.8, 0.9)[:, None]
    return np.rint(colour).astype(np.uint8)


def brow_colours() -> Colours:
    """(n, 3) uint8 sRGB for both strips of engines/face/display_brows.py, paler at their edges and ends."""
    colour = np.tile(np.array(_BROWS, np.uint8), (2, STEPS, ACROSS, 1))
    for edge in (colour[:, :, 0], colour[:, :, -1], colour[:, 0], colour[:, -1]):
        edge[...] = _BROW_EDGE
    return colour.reshape(-1, 3)


def eye_rings() -> tuple[Doubles, Colours]:
    """Rings of an eyeball from the pupil's middle outwards: angles (n,) radians, and their colours (n, 3)."""
    rings = (
        (0.01, _PUPIL), (_PUPIL_DEG - 1, _PUPIL), (_PUPIL_DEG, _IRIS), (0.6 * _IRIS_DEG + 3, _IRIS),
        (_IRIS_DEG - 2.5, _IRIS_RIM), (_IRIS_DEG, _IRIS_RIM), (_IRIS_DEG + 1.5, _LIMBUS), (_IRIS_DEG + 4, _WHITE),
        (52, _WHITE), (_REACH_DEG, _WHITE),
    )  # fmt: skip
    return np.radians([angle for angle, _ in rings]), np.array([tone for _, tone in rings], np.uint8)


def distance_to_line(points: Doubles, line: Doubles) -> Doubles:
    """(n,): how far points (n, k) are from a line through corners (m, k)."""
    found = np.full(len(points), np.inf)
    for start, end in itertools.pairwise(line):
        way = end - start
        along = np.clip((points - start) @ way / (way @ way), 0, 1)
        found = np.minimum(found, np.linalg.norm(points - start - along[:, None] * way, axis=1))
    return found


def _hollow(points: Doubles, normals: Doubles) -> Doubles:
    """(n,) 0..0.8: how much of its light a point of the skin loses to what stands around it."""
    near, row = cKDTree(points).query(points, _HOLLOW_POINTS)
    way = (points[row] - points[:, None]) / np.maximum(near, 1e-6)[..., None]
    above = np.clip(np.einsum("nkx,nx->nk", way, normals), 0, 1) * (near < _HOLLOW_CM)
    return np.asarray(np.clip(1.6 * (above**2).mean(1) ** 0.75 - 0.02, 0, 0.8))


def _lips(points: Doubles, marks: Doubles) -> Doubles:
    """(V,) 0..1: inside the lips' outline, seen from the front, soft at its border."""
    outline = marks[48:60, :2]
    inside = _inside(points[:, :2], outline)
    border = distance_to_line(points[:, :2], np.concatenate([outline, outline[:1]]))
    near = (np.abs(points[:, 2] - marks[48:60, 2].mean()) < 2.6).astype(np.float64)
    return np.asarray(near * np.clip(np.where(inside, 0.5 + border / 0.25, 0.5 - border / 0.25), 0, 1))


def _lashes(points: Doubles, marks: Doubles) -> Doubles:
    """(V,) 0..1: at the edge of the upper lid."""
    found = np.zeros(len(points))
    for corners in ((36, 37, 38, 39), (42, 43, 44, 45)):
        line = marks[list(corners)]
        middle = np.clip(1 - np.abs(points[:, 0] - line[:, 0].mean()) / (0.6 * np.ptp(line[:, 0])), 0, 1) ** 0.3
        found = np.maximum(found, middle * np.clip(1.6 - distance_to_line(points, line) / _LASH_CM, 0, 1))
    return found


def _inside(points: Doubles, outline: Doubles) -> npt.NDArray[np.bool_]:
    """(n,): whether points (n, 2) lie in a polygon (m, 2), by the even-odd rule."""
    found = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        crosses = (y0 > points[:, 1]) != (y1 > points[:, 1])
        with np.errstate(divide="ignore", invalid="ignore"):
            found ^= crosses & (points[:, 0] < (x1 - x0) * (points[:, 1] - y0) / (y1 - y0) + x0)
    return found
