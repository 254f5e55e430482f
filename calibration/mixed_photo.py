"""One photo from many: a person who does not exist, with everybody's hair and clothes and nobody's.

Every photo is cut out of its wall, moved by a similarity to the mean shape and bent to it, triangle by triangle.

Inside the face the pixels are averaged, and what an average loses, pores and lashes, is laid over it as a patchwork:
every few pixels somebody else's.  Outside, where people's hair and clothes do not line up, the person is where most
people are (the mirror images count too), which leaves one clean outline instead of many faint ones, and has the middle
of their colours there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial import Delaunay

from engines.errors import BadInput
from engines.face.matte import cut_out

SIDE = 640  # px of the photo's sides
FACE_PX = 250.0  # from the top of the forehead to the chin
CENTRE_PX = (320.0, 318.0)
MESH = 468  # MediaPipe's landmarks without the irises

_OUTER_CORNERS = (33, 263)  # of the eyes: the person's right, left
_CM_HIGH = 17.3  # a face between its highest and lowest landmark, roughly: for the matte
_TOP, _CHIN = 10, 152  # landmarks
_DETAIL_PX = 2.5  # what is finer than this (sigma) counts as pores, lashes and hairs
_PATCH_PX = 6.0  # sigma of the patchwork
_MOST = (0.5, 0.75)  # share of people, over which the new person begins
_SURE = 0.6  # cover at which a pixel has the person's colour
_MIDDLE = (0.4, 0.6)  # of the sorted colours
_HAIR = 0.6, 20.0  # share of the hair's detail, and the largest, grey levels
_SOFT_WALL_PX = 8.0

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]  # (point, 2) as (x, y) px


@dataclass(frozen=True)
class MixedPhoto:
    """photo: (640, 640, 3) uint8 BGR.  landmarks_px: (478, 2), MediaPipe's order, (x, y) in it."""

    photo: Picture
    landmarks_px: Points


def mix_photos(photos: Sequence[Picture], landmarks_px: Sequence[npt.NDArray[np.floating]]) -> MixedPhoto:
    """Mix people's photos in equal parts.

    photos: (height, width, 3) uint8 BGR each, five or more, before an even wall, of people of similar hair and
    complexion.  landmarks_px: (478, 2) each, (x, y) in the photo.
    Raises BadInput for fewer: somebody could be recognised.
    """
    if len(photos) < 5:
        raise BadInput(f"mix five people or more, so that nobody is recognisable; found {len(photos)}")
    own = [np.asarray(points, np.float64) for points in landmarks_px]
    mean = mean_shape(own)
    moves = [similarity(points, mean) for points in own]
    moved = [points @ move[:, :2].T + move[:, 2] for points, move in zip(own, moves, strict=True)]
    bend = Bend.to_shape(mean[:MESH])
    inside = _soft_hull(mean)
    layers = []
    for picture, points, shape, move in zip(photos, own, moved, moves, strict=True):
        places = bend.places(shape[:MESH], move)
        layers.append(_Layers(*(bent(layer, places).astype(np.float32) for layer in _layers(picture, points))))
    photo = inside * _face(layers) + (1 - inside) * _around(layers, mean)
    return MixedPhoto(np.clip(np.rint(photo), 0, 255).astype(np.uint8), mean)


class _Layers(NamedTuple):
    """One photo taken apart, each (height, width, 3): everything; the person alone; 255 = person; the wall alone."""

    photo: npt.NDArray[Any]
    person: npt.NDArray[Any]
    cover: npt.NDArray[Any]
    wall: npt.NDArray[Any]


def _layers(photo: Picture, landmarks_px: Points) -> _Layers:
    scale = np.ptp(landmarks_px[:, 1]) / _CM_HIGH
    middle = landmarks_px[[_TOP, _CHIN]].mean(0) - (0, 1.5 * scale)
    matte = cut_out(photo, middle, float(landmarks_px[_CHIN, 1]), float(scale))
    return _Layers(photo, matte.cutout, np.repeat(matte.cover[:, :, None], 3, axis=2), matte.wall)


def mean_shape(shapes: Sequence[Points]) -> Points:
    """The mean of shapes freed of place, size and tilt: eyes level, FACE_PX high, in the photo's middle."""
    mean = shapes[0]
    for _ in range(3):
        moves = [similarity(shape, mean) for shape in shapes]
        mean = np.mean([shape @ m[:, :2].T + m[:, 2] for shape, m in zip(shapes, moves, strict=True)], axis=0)
    right, left = mean[list(_OUTER_CORNERS)]
    tilt = np.arctan2(left[1] - right[1], left[0] - right[0])
    cos, sin = np.cos(tilt), np.sin(tilt)
    level = (mean - mean.mean(0)) @ np.array([[cos, -sin], [sin, cos]])
    return np.asarray(level * (FACE_PX / np.ptp(level[:, 1])) + CENTRE_PX)


def similarity(source: Points, target: Points) -> npt.NDArray[np.float64]:
    """(2, 3): the turn, scale and shift that brings source nearest to target (least squares); both (point, 2)."""
    a, b = ((points - points.mean(0)) @ (1, 1j) for points in (source, target))
    turn = np.vdot(a, b) / np.vdot(a, a).real
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([matrix, target.mean(0) - matrix @ source.mean(0)])


@dataclass(frozen=True)
class Bend:
    """The piecewise-affine map of one target shape: for every pixel, its triangle and the weights in it."""

    corners: npt.NDArray[np.intp]  # (pixel, 3)
    weights: npt.NDArray[np.float64]  # (pixel, 3)

    @classmethod
    def to_shape(cls, shape_px: Points) -> "Bend":
        """Triangulate the shape with the photo's border: (point, 2) px."""
        triangles = Delaunay(np.vstack([shape_px, _border()]))
        y, x = np.mgrid[:SIDE, :SIDE]
        pixels = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)
        which = np.maximum(triangles.find_simplex(pixels), 0)
        affine = triangles.transform[which]  # (pixel, 3, 2): two barycentric rows and the origin
        two = np.einsum("pij,pj->pi", affine[:, :2], pixels - affine[:, 2])
        return cls(triangles.simplices[which], np.column_stack([two, 1 - two.sum(1)]))

    def places(self, shape_px: Points, moved_from_photo: npt.NDArray[np.float64]) -> Floats:
        """Where in a photo, whose face lies at shape_px once moved, each target pixel looks: (640, 640, 2) px."""
        points = np.vstack([shape_px, _border()])
        source = (points[self.corners] * self.weights[:, :, None]).sum(1)
        back = cv2.invertAffineTransform(moved_from_photo)
        return np.asarray((source @ back[:, :2].T + back[:, 2]).reshape(SIDE, SIDE, 2), np.float32)


def bent(photo: Picture, places: Floats) -> Picture:
    """A photo, or anything as large, as `Bend.places` says: (640, 640, 3) uint8."""
    found = cv2.remap(photo, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, dtype=np.uint8)


def _border() -> Points:
    along = np.linspace(0, SIDE - 1, 9)
    rows = [(a, b) for a in along for b in (0, SIDE - 1)]
    return np.array(rows + [(a, b) for b in along[1:-1] for a in (0, SIDE - 1)], dtype=np.float64)


def _soft_hull(shape_px: Points) -> Floats:
    hull = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.rint(shape_px).astype(np.int32)), 255)
    soft = cv2.GaussianBlur(cv2.erode(hull, np.ones((21, 21), np.uint8)), (0, 0), 10)
    return np.asarray(soft[:, :, None] / np.float32(255), dtype=np.float32)


def _face(people: Sequence[_Layers]) -> Floats:
    """The mean, and fine detail that is somebody else's every few pixels: (height, width, 3)."""
    photos = np.stack([layers.photo for layers in people])
    mean = photos.mean(0)
    return np.asarray(mean + _patchwork([photo - mean for photo in photos]))


def _around(people: Sequence[_Layers], shape_px: Points) -> Floats:
    """Hair, clothes and wall: (height, width, 3).  Detail only in the hair: clothes have other edges in every photo."""
    person, covers, wall = (_and_mirrored([layers[k] for layers in people]) for k in (1, 2, 3))
    cover = covers[:, :, :, :1] / np.float32(255)
    weight = cover**4
    mean = (person * weight).sum(0) / np.maximum(weight.sum(0), 1e-3)
    ordered = np.sort(np.where(cover > _SURE, person, mean), axis=0)
    low, high = (int(len(ordered) * share) for share in _MIDDLE)
    clothes = ordered[low : high + 1].mean(0)
    hair = np.clip((shape_px[13, 1] - np.arange(SIDE)) / (shape_px[13, 1] - shape_px[4, 1]), 0, 1)[:, None, None]
    own = _patchwork([(layers.person - mean) * (layers.cover / 255) ** 2 for layers in people])
    colour = hair * (mean + _HAIR[0] * np.clip(own, -_HAIR[1], _HAIR[1])) + (1 - hair) * clothes
    share = np.clip((cover.mean(0) - _MOST[0]) / (_MOST[1] - _MOST[0]), 0, 1)
    alpha = cv2.GaussianBlur(share * share * (3 - 2 * share), (0, 0), 0.8)[:, :, None]
    return np.asarray(alpha * colour + (1 - alpha) * cv2.GaussianBlur(np.median(wall, axis=0), (0, 0), _SOFT_WALL_PX))


def _and_mirrored(pictures: Sequence[Floats]) -> Floats:
    stack = np.stack(pictures)
    return np.concatenate([stack, stack[:, :, ::-1]])


def _patchwork(differences: Sequence[Floats]) -> Floats:
    """Fine detail of several differences from a mean, mostly one or two people's at a place: (height, width, 3)."""
    rng = np.random.default_rng(0)
    size = (SIDE, SIDE)
    fields = [cv2.GaussianBlur(rng.standard_normal(size, np.float32), (0, 0), _PATCH_PX) for _ in differences]
    rough = np.exp(3 * np.stack(fields) / np.std(fields))
    shares = rough / np.sqrt((rough**2).sum(0))  # squares add up to 1, so that detail keeps its strength
    detail = np.zeros((*size, 3), np.float32)
    for different, share in zip(differences, shares, strict=True):
        detail += share[:, :, None] * (different - cv2.GaussianBlur(different, (0, 0), _DETAIL_PX))
    return detail
