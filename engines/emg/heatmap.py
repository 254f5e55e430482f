"""The facial heat map: where on the skin each channel's muscle lies, as one matrix.

A channel is drawn along its muscle's course, which runs through its electrodes (engines/face/electrode_sites.py).  With
d the distance in space from a point of the skin to the course of channel c, and w the muscle's width,

    g_c = exp(-(d / w)^2 / 2)              how much the point belongs to the channel, 0 beyond about 2.5 w
    M_c = g_c g_c^3 / sum of all g^3       the nearer muscle has it: courses that meet do not add up

so a row's sum is never above its largest g, nor that above 1: the map never shows more than the largest channel does,
and at a channel's electrodes mostly that channel.  Courses and widths are read off the drawings of the placement
guidelines (Fridlund and Cacioppo 1986) by eye: the map shows where a channel measures, not how far a muscle reaches.
A site of the Kuramoto scheme, which names no muscle, is a round spot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from engines.emg.montage import KURAMOTO, Channel, Montage
from engines.errors import BadInput
from engines.face.electrode_sites import electrodes_of, sites
from engines.face.mesh import LANDMARKS_68
from engines.face.skin_surface import SkinSurface

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

_STEP_CM = 0.15  # between the points that stand for a course
_SPOT_CM = 0.9  # width of a site without a muscle
_SHARPNESS = 3
_FAINT = 0.04  # less than that is nothing


@dataclass(frozen=True)
class _Course:
    """A muscle's course on the person's left.

    points: in order; a number is one of Multi-PIE's 68 landmarks, "a" and "b" are the channel's electrodes.  before_cm,
    after_cm: how far it goes on straight beyond its ends.  swell: landmarks lie that much further out than the opening
    that they surround.
    """

    points: tuple[int | str, ...]
    width_cm: float
    before_cm: float = 0.0
    after_cm: float = 0.0
    swell: float = 1.0


_COURSES = {
    "medial_frontalis": _Course(("a", "b"), 0.85, 0.7, 1.6),
    "lateral_frontalis": _Course(("a", "b"), 0.95, 0.6, 1.6),
    "corrugator_supercilii": _Course(("a", "b"), 0.55, 0.7, 0.8),
    "depressor_supercilii": _Course(("a", "b"), 0.55, 0.9, 0.1),
    "levator_labii_superioris": _Course(("a", "b"), 0.7, 1.0, 0.8),
    "orbicularis_oris": _Course((51, 53, 54, "b", "a", 57), 0.7, swell=1.12),
    "depressor_anguli_oris": _Course((54, "b", "a"), 0.6, -0.9, 0.5),
    "mentalis": _Course(("a", "b"), 0.65, 0.2, 0.4),
    "orbicularis_oculi": _Course((42, 43, 44, 45, "b", "a", 47, 42), 0.65, swell=1.4),
    "zygomaticus": _Course((54, "a", "b"), 0.9, -0.7, 1.6),
    "masseter": _Course(("a", "b"), 0.95, 0.6, 1.6),
}


def heat_matrix(surface: SkinSurface, points: npt.ArrayLike, montage: Montage) -> Floats:
    """How much of each channel shows at points of the skin.

    points: (n, 3) cm, on the neutral face of the surface's model.  montage: FRIDLUND, KURAMOTO or a part.
    Returns (n, channel) float32, 0..1, rows' sums at most 1.
    Raises BadInput when points are not (n, 3) or a channel's place on the face is not known.
    """
    return shared(nearness(surface, points, montage))


def nearness(surface: SkinSurface, points: npt.ArrayLike, montage: Montage) -> Doubles:
    """g of the formula above, (n, channel), 0..1: of each channel by itself.  As `heat_matrix` otherwise."""
    wanted = np.asarray(points, np.float64)
    if wanted.ndim != 2 or wanted.shape[1] != 3:
        raise BadInput(f"points of the skin must be (n, 3), found {wanted.shape}")
    near = np.zeros((len(wanted), len(montage)))
    for column, channel in enumerate(montage.channels):
        course, width_cm = course_of(surface, channel)
        distance = cKDTree(course).query(wanted, distance_upper_bound=3 * width_cm)[0]
        near[:, column] = np.exp(-0.5 * (distance / width_cm) ** 2)  # inf: too far, 0
    return np.asarray(np.maximum(near - _FAINT, 0) / (1 - _FAINT))


def shared(near: npt.ArrayLike) -> Floats:
    """M of the formula above from g, both (n, channel): channels that meet share a point."""
    own = np.asarray(near, np.float64)
    power = own**_SHARPNESS
    total = power.sum(1, keepdims=True)
    return np.asarray(own * power / np.where(total > 0, total, 1), np.float32)


def heat(matrix: Floats, percent_mvc: npt.ArrayLike) -> Floats:
    """Activity at every point: matrix (n, channel) times %MVC (channel,); NaN (not calibrated) shows as rest.

    Returns (n,) float32, %MVC, not negative.  Raises BadInput when the channels do not fit.
    """
    values = np.asarray(percent_mvc, np.float32)
    if values.shape != matrix.shape[1:]:
        raise BadInput(f"this heat map is for {matrix.shape[1]} channels, found values of shape {values.shape}")
    return np.asarray(matrix @ np.maximum(np.nan_to_num(values), 0), np.float32)


def course_of(surface: SkinSurface, channel: Channel) -> tuple[Doubles, float]:
    """A channel's course: (n, 3) cm points on the neutral face, at most 2 mm apart, and its width in cm.

    Raises BadInput when the channel's place on the face is not known.
    """
    montage = Montage("one", (channel,))
    own = sites(surface, electrodes_of([montage])).points
    course = _COURSES.get(channel.muscle)
    if course is None or channel.label in KURAMOTO.labels:
        return own, _SPOT_CM
    corners = _corners(surface, channel, course, own)
    ends = np.linalg.norm(np.diff(corners, axis=0), axis=1)
    along = np.concatenate([[0], np.cumsum(ends)])
    fine = np.linspace(0, along[-1], int(np.ceil(along[-1] / _STEP_CM)) + 1)
    line = np.stack([np.interp(fine, along, axis) for axis in corners.T], 1)
    return surface.nearest(line, line * [1, 0, 1]).points, course.width_cm


def _corners(surface: SkinSurface, channel: Channel, course: _Course, own: Doubles) -> Doubles:
    """(k, 3): the course's points on this side of this face, and its ends."""
    numbers = [point for point in course.points if isinstance(point, int)]
    placed = dict(zip("ab", own, strict=True))
    if numbers:
        opening = range(42, 48) if channel.muscle == "orbicularis_oculi" else range(48, 60)
        middle = _landmarks(surface, channel, list(opening)).mean(0)
        found = _landmarks(surface, channel, numbers)
        swollen = middle + (found - middle) * course.swell
        placed |= dict(zip(numbers, swollen, strict=True))  # type: ignore[arg-type]
    corners = np.stack([placed[point] for point in course.points])  # type: ignore[index]
    for end, inner, way_cm in ((0, 1, course.before_cm), (-1, -2, course.after_cm)):
        outwards = corners[end] - corners[inner]
        corners[end] += outwards / np.linalg.norm(outwards) * way_cm
    return corners


def _landmarks(surface: SkinSurface, channel: Channel, numbers: list[int]) -> Doubles:
    """(k, 3): Multi-PIE's landmarks, those of the other side for a channel on the right."""
    chosen = [_MIRRORED[number] if channel.side == "right" else number for number in numbers]
    rows = surface.model.rows_of([LANDMARKS_68[number] for number in chosen])
    return surface.model.neutral[rows].astype(np.float64)


# Where Multi-PIE's left eye and mouth have their mirror images
_MIRRORED = {
    42: 39, 43: 38, 44: 37, 45: 36, 46: 41, 47: 40, 48: 54, 49: 53, 50: 52, 51: 51, 52: 50, 53: 49, 54: 48, 55: 59,
    56: 58, 57: 57, 58: 56, 59: 55,
}  # fmt: skip
