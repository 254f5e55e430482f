"""Turning the eyeballs.

The model's eyeLook expressions move lids and skin but not the eyeballs, so these are turned here: about their own
centre, by 30 degrees at weight 1.  The angle is a choice; the upper lid's way in eyeLookDown, 0.77 cm on a ball of
1.5 cm, makes 29 degrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.face.arrays import Floats
from engines.kernels import kernel

FULL_TURN_RAD = float(np.radians(30.0))
_DIRECTIONS = ("eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeLookDown")


@dataclass(frozen=True)
class Eye:
    """One eyeball of a face model.

    first, last: its vertices.  look: rows of the expressions In, Out, Up, Down.  outward: +1 for the person's left
    eye, whose outside is at larger x, -1 for the right one.  offset_cm: (3,) float32, from the mean of its vertices to
    the centre of its ball.
    """

    first: int
    last: int
    look: tuple[int, int, int, int]
    outward: float
    offset_cm: Floats

    def turn_rad(self, expression: npt.NDArray[np.floating]) -> tuple[float, float]:
        """(towards larger x, up), radians, for expression weights (E,)."""
        inner, outer, up, down = (float(expression[row]) for row in self.look)
        return self.outward * FULL_TURN_RAD * (outer - inner), FULL_TURN_RAD * (up - down)


def eyes_of(neutral: Floats, regions: dict[str, tuple[int, int]], names: Sequence[str]) -> tuple[Eye, ...]:
    """The eyeballs that this model has: both, one or none."""
    found = []
    for side, letter, outward in (("left", "L", 1.0), ("right", "R", -1.0)):
        first, last = regions.get(f"eyeball_{side}", (0, 0))
        rows = [names.index(f"{name}_{letter}") for name in _DIRECTIONS if f"{name}_{letter}" in names]
        if last > first and len(rows) == len(_DIRECTIONS):
            offset = _ball_centre(neutral[first:last]) - neutral[first:last].mean(0)
            found.append(Eye(first, last, (rows[0], rows[1], rows[2], rows[3]), outward, offset.astype(np.float32)))
    return tuple(found)


def rotation(aside_rad: float, up_rad: float) -> Floats:
    """(3, 3) float32 that turns the direction (0, 0, 1) towards +x and then up."""
    ca, sa, cu, su = np.cos(aside_rad), np.sin(aside_rad), np.cos(up_rad), np.sin(up_rad)
    aside = np.array([[ca, 0, sa], [0, 1, 0], [-sa, 0, ca]])
    up = np.array([[1, 0, 0], [0, cu, su], [0, -su, cu]])
    return np.asarray(aside @ up, np.float32)


def turn_eyes(eyes: Sequence[Eye], expression: npt.NDArray[np.floating], vertices: Floats) -> None:
    """Turn the eyeballs of `vertices` (V, 3) in place."""
    for eye in eyes:
        aside, up = eye.turn_rad(expression)
        if aside or up:
            _turn(vertices, eye.first, eye.last, eye.offset_cm, rotation(aside, up))


def warm_up() -> None:
    """Compile (or load) the kernel: call it before time matters."""
    eye = Eye(0, 1, (0, 0, 0, 0), 1.0, np.zeros(3, np.float32))
    _turn(np.zeros((1, 3), np.float32), eye.first, eye.last, eye.offset_cm, rotation(0.1, 0.1))


def _ball_centre(points: Floats) -> npt.NDArray[np.float64]:
    """Centre of the sphere that fits best, by linear least squares."""
    exact = points.astype(np.float64)
    system = np.column_stack([2 * exact, np.ones(len(exact))])
    return np.asarray(np.linalg.lstsq(system, (exact**2).sum(1), rcond=None)[0][:3])


@kernel
def _turn(vertices: Floats, first: int, last: int, offset: Floats, matrix: Floats) -> None:
    centre = np.zeros(3)
    for i in range(first, last):
        for axis in range(3):
            centre[axis] += vertices[i, axis]
    for axis in range(3):
        centre[axis] = centre[axis] / (last - first) + offset[axis]
    for i in range(first, last):
        x, y, z = vertices[i, 0] - centre[0], vertices[i, 1] - centre[1], vertices[i, 2] - centre[2]
        for axis in range(3):
            vertices[i, axis] = matrix[axis, 0] * x + matrix[axis, 1] * y + matrix[axis, 2] * z + centre[axis]
