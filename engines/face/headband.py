"""The edge of an electrode cap: a band of stretchy cloth over the hairline, from above one ear to above the other."""

from __future__ import annotations

import math

import numpy as np

from engines.face.arrays import Floats, Indices, Picture, frozen
from engines.face.electrode_style import ElectrodeStyle
from engines.face.follow import Followers
from engines.face.raster import Raster
from engines.face.skin_light import shade_of
from engines.face.skin_surface import SkinSurface
from engines.face.tapes import GRAIN_SIDE, cover_of, dim
from engines.kernels import kernel

_AROUND_DEG = 88.0  # to each side, from the middle of the forehead
_COLUMNS = 49
_SHADOW_CM, _SPARE_CM = 0.45, 0.2  # rows below the band's lower border, and above its upper one
_ROWS = 9
_AXIS_CM = np.array([0.0, 0.0, 1.0])  # the skull's axis; y is set by the row
_LIFTS_CM = (0.2, 0.4)  # above the forehead, and above the hair at the sides
_ON_HEAD_CM = 0.6  # skin that is so much nearer hides the band
_TUCKED_CM = 1.3  # its ends get lost in hair
_STRONGEST = 0.45  # of its shadow


class Headband:
    """One session's band.  Its points follow the head; it is drawn after everything that lies under it."""

    def __init__(self, surface: SkinSurface, style: ElectrodeStyle, rng: np.random.Generator) -> None:
        """style: its cap must not be None."""
        assert style.cap is not None
        self._width_cm = min(style.cap_cm, 3.2)
        front = rng.uniform(9.2, 10.4)
        self._build(surface, float(front), float(rng.uniform(1.4, 2.6)))
        self._colour = frozen(np.array(style.cap, np.float32) / 236)
        rib_cm = float(rng.choice([0.0, rng.uniform(0.12, 0.3)]))
        numbers = [self._width_cm, rib_cm, rng.uniform(0.04, 0.14), rng.uniform(0.02, 0.06), rng.uniform(0.1, 0.22), 0]
        numbers[5] = 8.0 * math.radians(_AROUND_DEG) - _TUCKED_CM
        self._numbers = frozen(np.array(numbers, np.float32))
        self._raster: Raster | None = None

    def _build(self, surface: SkinSurface, front_cm: float, falls_cm: float) -> None:
        """front_cm: height of the lower border over the brows' middle.  falls_cm: how much lower it is at the sides."""
        angle = np.radians(np.linspace(-_AROUND_DEG, _AROUND_DEG, _COLUMNS))
        across = np.linspace(-_SHADOW_CM, self._width_cm + _SPARE_CM, _ROWS)
        turn, height = np.meshgrid(angle, across)
        low = front_cm - falls_cm * (1 - np.cos(turn)) / 1.2
        way = np.stack([np.sin(turn), np.zeros_like(turn), np.cos(turn)], -1).reshape(-1, 3)
        # a band lies at right angles to the skull, so its upper border leans back
        points = _AXIS_CM + 12.0 * way
        points[:, 1] = (low + height).ravel()
        for _ in range(6):  # slide in along the ray from the axis until the skin is met
            place = surface.nearest(points, way)
            radius = ((place.points - _AXIS_CM) * way).sum(1)
            points[:, [0, 2]] = (_AXIS_CM + (radius[:, None] + 0.05) * way)[:, [0, 2]]
        place = surface.nearest(points, way)
        side = (np.abs(np.degrees(turn)).ravel() / 75).clip(0, 1)[:, None]
        lift = _LIFTS_CM[0] + side * (_LIFTS_CM[1] - _LIFTS_CM[0])
        self._points = Followers.of(place, place.points + lift * place.normals, np.zeros(len(points)))
        step = 2 * math.radians(_AROUND_DEG) / (_COLUMNS - 1) * 8.0
        along = np.tile((np.arange(_COLUMNS) - (_COLUMNS - 1) / 2) * step, _ROWS)
        self._place = frozen(np.stack([along, height.ravel()], 1).astype(np.float32))
        corner = (np.arange(_ROWS - 1)[:, None] * _COLUMNS + np.arange(_COLUMNS - 1)).ravel()
        quads = np.stack([corner, corner + 1, corner + _COLUMNS + 1, corner + _COLUMNS], 1)
        # seen from the front, the person's left (growing column) is on the right and rows go up
        triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
        self._triangles = frozen(np.ascontiguousarray(triangles, np.int32))
        self._px, self._facing = np.zeros((len(points), 3), np.float32), np.zeros(len(points), np.float32)
        self._normals = np.zeros((len(points), 3), np.float32)

    def draw(
        self,
        picture: Picture,
        projected: Floats,
        matrix: Floats,
        scale: float,
        light: Floats,
        white: Floats,
        grain: Floats,
        depth: Floats,
        mask: Picture,
        lost: Picture,
    ) -> None:
        """Draw the band and its shadow.  Arguments as in engines/face/tapes.py; matrix: of HeadFrame."""
        if self._raster is None or self._raster.depth.shape != depth.shape:
            self._raster = Raster(*depth.shape)
        self._points.follow(projected, matrix, scale, self._px, self._facing)
        self._raster.clear()
        self._raster.draw(self._px, self._triangles)
        _grid_normals(self._px, _ROWS, _COLUMNS, self._normals)
        rows, columns = depth.shape
        low, high = self._px[:, :2].min(0), self._px[:, :2].max(0)
        box = (max(int(low[1]), 0), min(int(high[1]) + 2, rows), max(int(low[0]), 0), min(int(high[0]) + 2, columns))
        _lay_band(
            *(self._raster.triangle, self._raster.barycentric, self._raster.depth, box, self._triangles),
            *(self._place, self._normals, self._numbers, self._colour, np.float32(scale)),
            *(light, white, grain, depth, picture, mask, lost),
        )


@kernel
def _grid_normals(points: Floats, rows: int, columns: int, out: Floats) -> None:
    """Unit normals of a grid of points (row by row), x right, y up, z to the viewer."""
    for r in range(rows):
        for c in range(columns):
            left, right = r * columns + max(c - 1, 0), r * columns + min(c + 1, columns - 1)
            lower, upper = max(r - 1, 0) * columns + c, min(r + 1, rows - 1) * columns + c
            ax, ay, az = (
                points[right, 0] - points[left, 0],
                points[left, 1] - points[right, 1],
                points[right, 2] - points[left, 2],
            )
            bx, by, bz = (
                points[upper, 0] - points[lower, 0],
                points[lower, 1] - points[upper, 1],
                points[upper, 2] - points[lower, 2],
            )
            x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
            length = max(math.sqrt(x * x + y * y + z * z), 1e-6)
            i = r * columns + c
            out[i, 0], out[i, 1], out[i, 2] = x / length, y / length, z / length


@kernel
def _lay_band(
    triangle: Indices,
    barycentric: Floats,
    own_depth: Floats,
    box: tuple[int, int, int, int],
    triangles: Indices,
    place: Floats,
    normals: Floats,
    numbers: Floats,
    colour: Floats,
    scale: float,
    light: Floats,
    white: Floats,
    grain: Floats,
    depth: Floats,
    picture: Picture,
    mask: Picture,
    lost: Picture,
) -> None:
    """numbers: width cm, ribs' distance cm (0 = none), their strength, the weave's strength, the hem's width cm, half
    its length in view cm."""
    one, none = np.float32(1), np.float32(0)
    width, rib_cm, rib, weave, hem = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    shown = min(max(rib_cm * scale / 2 - one, none), one)  # ribs finer than two pixels are not seen
    for y in range(box[0], box[1]):
        for x in range(box[2], box[3]):
            which = triangle[y, x]
            if which < 0 or depth[y, x] > own_depth[y, x] + np.float32(_ON_HEAD_CM) * scale:
                continue
            s = t = nx = ny = nz = none
            for k in range(3):
                share, corner = barycentric[y, x, k], triangles[which, k]
                s += share * place[corner, 0]
                t += share * place[corner, 1]
                nx += share * normals[corner, 0]
                ny += share * normals[corner, 1]
                nz += share * normals[corner, 2]
            seen = cover_of(nz + np.float32(0.02)) * min(max(one - (abs(s) - numbers[5]) / _TUCKED_CM, none), one)
            inside = min(t, width - t) * scale * max(math.sqrt(nx * nx + nz * nz), np.float32(0.2)) + np.float32(0.5)
            cover = min(max(inside, none), one) * seen
            if t < 0 and cover < 1:
                fade = one + t / np.float32(_SHADOW_CM)
                dim(np.float32(_STRONGEST) * fade * fade * seen * (one - cover), y, x, picture, lost)
            if cover <= 0:
                continue
            across = 2 * t / width - one
            bulge = across * across * across * np.float32(0.5)
            bright = shade_of(light, nx, ny + bulge * ny, nz) * (one - np.float32(0.28) * across**4)
            if rib_cm > 0:
                bright *= one + shown * rib * math.sin(np.float32(6.2832) * s / rib_cm)
            bright *= (
                one
                + weave * min(scale / 40, one) * grain[int(t * 30) & (GRAIN_SIDE - 1), int(s * 30) & (GRAIN_SIDE - 1)]
            )
            seam = (min(t, width - t) - hem) * 14
            bright *= one - np.float32(0.12) / (one + seam * seam)
            for k in range(3):
                value = white[k] * colour[k] * bright
                value = picture[y, x, k] + cover * (value - picture[y, x, k])
                picture[y, x, k] = np.uint8(min(max(value + np.float32(0.5), none), np.float32(255)))
            left = (255 - np.float32(mask[y, x])) * (one - cover)
            mask[y, x] = np.uint8(255 - left + np.float32(0.5))
