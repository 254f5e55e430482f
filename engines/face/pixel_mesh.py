"""A face's expression changed in shape and skin: landmarks move, and a pixel map works in the frame of the mean shape.

Pixel-RR asks that a pixel of the neutral face lies where the same skin lies in the target; a moving mouth breaks that.
Here each landmark's way is learned beside the map of Akram and Khan 2020, Eq. 3, which is learned where shapes agree:

    landmarks + way -> new triangles; in each, the neutral picture is fetched, and gain and bias from the mean frame

One pass over the picture, one bilinear look into each.  The fit is calibration/recipes/pixel_dense.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.bundle import read_bundle
from engines.errors import BadInput, BundleError
from engines.face.arrays import Floats, Indices, Picture, check_array, check_indices, check_out, frozen
from engines.kernels import kernel

SYSTEM = "pixel_mesh"
MESH = 468  # MediaPipe's landmarks on the skin; the irises stay out
LANDMARKS = 478
CENTRE, RIM = 6, 1.30  # the rim: the face's oval, so much further from the landmark between the eyes; it does not move
SEAM = 0.28  # of the mean face's width: over this the one side goes over into the other

# MediaPipe's face oval, in order around the face
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150,
    136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
POINTS = MESH + len(OVAL)
# Upper and lower lids, corner to corner: first the person's right eye, then the left one
_UPPER_LIDS = (246, 161, 160, 159, 158, 157, 173, 466, 388, 387, 386, 385, 384, 398)
_LOWER_LIDS = (7, 163, 144, 145, 153, 154, 155, 249, 390, 373, 374, 380, 381, 382)
_SHUT = 0.35  # of the opening: eyes that close further than this are to be shut on everybody
_NOSE_LINE = (10, 9, 8, 168, 6, 197, 195, 5, 4, 1, 2)


def with_rim(landmarks: npt.NDArray[np.floating]) -> Floats:
    """Add the rim around the face.  landmarks: (468 or more, 2).  Returns (504, 2) float32 in the same unit."""
    centre = landmarks[CENTRE]
    rim = centre + RIM * (landmarks[list(OVAL)] - centre)
    return np.concatenate([landmarks[:MESH], rim]).astype(np.float32)


def mesh_of(landmarks: npt.NDArray[np.floating]) -> Indices:
    """Triangles over a face and its rim: Delaunay's of a mean shape, (468 or more, 2).  Returns (T, 3) int32."""
    from scipy.spatial import Delaunay

    return np.ascontiguousarray(Delaunay(with_rim(landmarks)).simplices, np.int32)


def redraw(picture: Picture, source_px: Floats, goal_px: Floats, triangles: Indices) -> Picture:
    """A copy of the picture in which the points have moved and what is between them with them.

    picture: (size, size, 3) uint8, contiguous.  source_px, goal_px: (504, 2), from where to where, px of it.
    triangles: (T, 3) int32 rows of the points.  What no triangle covers stays.
    Raises BadInput when an array does not fit.
    """
    check_array(picture, "picture", np.uint8, (len(picture), len(picture), 3))
    check_array(triangles, "triangles", np.int32, (None, 3))
    check_indices(triangles, min(len(source_px), len(goal_px)))
    source, goal = (np.ascontiguousarray(points, np.float32) for points in (source_px, goal_px))
    out = picture.copy()
    nothing, nowhere = np.zeros((2, 2, 6), np.float32), np.zeros((2, 2), np.float32)
    _paint(frozen(picture), goal, source, np.zeros_like(goal), frozen(triangles), frozen(nothing), nowhere, out)
    return out


@dataclass(frozen=True, eq=False)
class PixelMesh:
    """One expression's map for faces with landmarks, in crops of any size.

    Places are shares of the crop's side: x = (pixel x + 0.5) / side.
    frame: (504, 2) float32, the mean shape that the planes lie in.  triangles: (T, 3) int32, rows of frame.
    way: (504, 2) float32, the mean movement of the points; the rim's is 0.  basis, ways: (K, 936), (K, 1008) float32,
    how the movement depends on the neutral shape: way + sum over k of ((shape - rest) . basis[k]) ways[k]; K may be 0.
    Lids that shut on the mean face shut on everybody.
    rest: (936,) float32, the mean neutral shape of the 468 landmarks, x y x y ...
    gain, bias: (side, side, 3) float32: gain - 1 of Eq. 3, and bias in grey levels; 0 outside the face.
    expression: what a neutral face becomes.
    Raises BadInput when an array does not fit, is not finite or a movement is longer than half a crop.
    """

    frame: Floats
    triangles: Indices
    way: Floats
    rest: Floats
    basis: Floats
    ways: Floats
    gain: Floats
    bias: Floats
    expression: str

    def __post_init__(self) -> None:
        side, modes = len(self.gain), len(self.basis)
        shapes: dict[str, tuple[int, ...]] = {
            "frame": (POINTS, 2),
            "way": (POINTS, 2),
            "rest": (2 * MESH,),
            "basis": (modes, 2 * MESH),
            "ways": (modes, 2 * POINTS),
            "gain": (side, side, 3),
            "bias": (side, side, 3),
        }
        for name, shape in shapes.items():
            array = getattr(self, name)
            check_array(array, f"pixel mesh's {name}", np.float32, shape)
            if not np.isfinite(array).all():
                raise BadInput(f"the pixel mesh's {name} is not finite: fit it again")
        check_array(self.triangles, "pixel mesh's triangles", np.int32, (None, 3))
        check_indices(self.triangles, POINTS)
        if np.abs(self.way).max() > 0.5:
            raise BadInput("a point of the pixel mesh moves by more than half a crop: fit it again")

    @property
    def side(self) -> int:
        """Side of the planes, px; the crop may be of another size."""
        return len(self.gain)

    @cached_property
    def planes(self) -> Floats:
        """(side, side, 6) float32: gain - 1, then bias, beside each other for the kernel."""
        return np.ascontiguousarray(np.concatenate([self.gain, self.bias], axis=2))

    @cached_property
    def left_share(self) -> Floats:
        """(504,) float32: 1 on the person's left (the picture's right), 0 on the right, a smooth step at the middle."""
        return share_of_left(self.frame, self.frame)

    @cached_property
    def left_plane(self) -> Floats:
        """(side, side) float32: the same for the planes' pixels."""
        axis = (np.arange(self.side) + 0.5) / self.side
        pixels = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
        return share_of_left(self.frame, pixels).reshape(self.side, self.side)

    @property
    def shuts_eyes(self) -> bool:
        """Whether the expression closes an eye."""
        return bool((self._lid_ratio < _SHUT).any())

    def moved(self, landmarks: npt.NDArray[np.floating]) -> tuple[Floats, Floats]:
        """Where a neutral face's points are, and their way to the expression.

        landmarks: (478, 2) or (468, 2), shares of the crop's side.  Returns (504, 2) float32 twice.
        """
        points = with_rim(landmarks)
        way = self.way
        if len(self.basis):
            share = self.basis @ (points[:MESH].ravel() - self.rest)
            way = way + (share @ self.ways).reshape(POINTS, 2)
        return points, self._closing(points, way)

    @cached_property
    def _lid_ratio(self) -> Floats:
        """(14,) float32: how much of the eye's opening the mean face keeps, at each pair of lid points; 1 at most."""
        rest = self.rest.reshape(MESH, 2)
        before, after = (shape[list(_UPPER_LIDS), 1] - shape[list(_LOWER_LIDS), 1] for shape in (rest, self.frame))
        return np.asarray(np.clip(after / np.minimum(before, -1e-4), 0, 1), np.float32)

    def _closing(self, points: Floats, way: Floats) -> Floats:
        """An eye that closes keeps a share of its own opening, lest a wide one stay ajar: the upper lid makes it up."""
        upper, lower = list(_UPPER_LIDS), list(_LOWER_LIDS)
        gap = points[upper] - points[lower]
        after = gap + way[upper] - way[lower]
        missing = self._lid_ratio[:, None] * gap - after
        way = way.copy()
        way[upper] += np.where(self._lid_ratio[:, None] < _SHUT, missing, 0)
        return way


def share_of_left(frame: Floats, places: npt.NDArray[np.floating]) -> Floats:
    """How far places (n, 2) of the mean frame belong to the person's left: (n,) float32, 0..1.

    The border between the sides is the straight line that fits the frame's forehead, nose and lip best.
    """
    line = frame[list(_NOSE_LINE)].astype(np.float64)
    slope, at_0 = np.polyfit(line[:, 1], line[:, 0], 1)
    width = np.ptp(frame[list(OVAL), 0])
    t = np.clip((places[:, 0] - (slope * places[:, 1] + at_0)) / (SEAM * width) + 0.5, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


class MeshPainter:
    """Owns the room for one crop size: nothing is allocated per pixel.  Not for use from two threads at once."""

    def __init__(self, pixel_mesh: PixelMesh, size: int) -> None:
        """size: the crop's side, px, 16..2048.  Raises BadInput beyond that.  Compiles the kernel."""
        if not 16 <= size <= 2048:
            raise BadInput(f"a crop must be 16..2048 px, found {size}")
        self.pixel_mesh, self.size = pixel_mesh, size
        self._strength = np.zeros((pixel_mesh.side, pixel_mesh.side), np.float32)
        self._scaled = np.zeros((3, POINTS, 2), np.float32)
        self._amounts = (-1.0, -1.0)
        face = np.zeros((size, size, 3), np.uint8)
        self.paint(face, pixel_mesh.rest.reshape(MESH, 2) * size - 0.5, 1.0, 1.0, np.empty_like(face))

    def paint(
        self, face: Picture, landmarks_px: npt.NDArray[np.floating], left: float, right: float, out: Picture
    ) -> Picture:
        """Give the face the expression.

        face: (size, size, 3) uint8 BGR, [0, 255], contiguous, may be read-only.  landmarks_px: (478, 2) or (468, 2),
        (x, y) in px of the crop.  left, right: 0 (as it is) to 1 (the whole expression) on the person's own sides.
        out: as face, filled in place and returned; not face itself.  Outside the rim, and with both amounts 0, it is
        the face bit for bit.
        Raises BadInput when something does not fit.
        """
        check_array(face, "face", np.uint8, (self.size, self.size, 3))
        check_out(out, np.uint8, (self.size, self.size, 3))
        if np.may_share_memory(face, out):
            raise BadInput("out must not be the face: what is painted is fetched from it")
        if landmarks_px.shape not in ((LANDMARKS, 2), (MESH, 2)) or not np.isfinite(landmarks_px).all():
            raise BadInput(f"landmarks must be finite and ({LANDMARKS}, 2), found {landmarks_px.shape}")
        for amount in (left, right):
            if not 0.0 <= amount <= 1.0:
                raise BadInput(f"the amounts must lie in 0..1, found left {left}, right {right}")
        np.copyto(out, face)
        if left == right == 0:
            return out
        mesh = self.pixel_mesh
        if self._amounts != (left, right):
            np.multiply(mesh.left_plane, np.float32(left - right), out=self._strength)
            self._strength += np.float32(right)
            self._amounts = left, right
        points, way = mesh.moved((landmarks_px + 0.5) / self.size)
        part = np.float32(right) + np.float32(left - right) * mesh.left_share
        neutral, target, frame = self._scaled
        neutral[:] = points * np.float32(self.size) - np.float32(0.5)
        target[:] = (points + part[:, None] * way) * np.float32(self.size) - np.float32(0.5)
        frame[:] = mesh.frame * np.float32(mesh.side) - np.float32(0.5)
        _paint(
            *(frozen(face), target, neutral, frame, frozen(mesh.triangles)),
            *(frozen(mesh.planes), self._strength, out),
        )
        return out


def load_pixel_mesh(bundle_dir: Path) -> PixelMesh:
    """Read a map from a bundle.  Raises BundleError when it is damaged, of another system or its arrays do not fit."""
    bundle = read_bundle(bundle_dir, system=SYSTEM)
    arrays = bundle.arrays
    floats = ("frame", "way", "rest", "basis", "ways", "gain", "bias")
    try:
        return PixelMesh(
            triangles=np.ascontiguousarray(arrays["triangles"], np.int32),
            expression=str(bundle.manifest.sizes["expression"]),
            **{name: np.ascontiguousarray(arrays[name], np.float32) for name in floats},
        )
    except (KeyError, BadInput) as error:
        raise BundleError(f"{bundle_dir} is no usable pixel mesh ({error}): write it again") from error


@kernel
def _affine(corners: Floats, values: Floats, triangle: Indices, out: npt.NDArray[np.float64]) -> None:
    """out (2, 3): values = out @ (x, y, 1) over one triangle of corners; it must not be empty."""
    a, b, c = triangle[0], triangle[1], triangle[2]
    bx, by = corners[b, 0] - corners[a, 0], corners[b, 1] - corners[a, 1]
    cx, cy = corners[c, 0] - corners[a, 0], corners[c, 1] - corners[a, 1]
    area = bx * cy - by * cx
    for k in range(2):
        b_step, c_step = values[b, k] - values[a, k], values[c, k] - values[a, k]
        out[k, 0] = (b_step * cy - c_step * by) / area
        out[k, 1] = (c_step * bx - b_step * cx) / area
        out[k, 2] = values[a, k] - out[k, 0] * corners[a, 0] - out[k, 1] * corners[a, 1]


@kernel
def _span(y: float, target: Floats, triangle: Indices) -> tuple[float, float]:
    """Where row y crosses a triangle: x from, x to; empty when from > to."""
    low, high = np.inf, -np.inf
    for k in range(3):
        i, j = triangle[k], triangle[(k + 1) % 3]
        y0, y1 = target[i, 1], target[j, 1]
        if y0 == y1:
            if y == y0:
                low, high = min(low, target[i, 0], target[j, 0]), max(high, target[i, 0], target[j, 0])
        elif min(y0, y1) <= y <= max(y0, y1):
            x = target[i, 0] + (target[j, 0] - target[i, 0]) * (y - y0) / (y1 - y0)
            low, high = min(low, x), max(high, x)
    return low, high


@kernel
def _paint(
    face: Picture,
    target: Floats,
    neutral: Floats,
    frame: Floats,
    triangles: Indices,
    planes: Floats,
    strength: Floats,
    out: Picture,
) -> None:
    size, side = face.shape[0], planes.shape[0]
    most, last = np.float32(size - 1.001), np.float32(side - 1.001)
    zero, one, half = np.float32(0), np.float32(1), np.float32(0.5)
    from_, to = np.empty((2, 3)), np.empty((2, 3))
    for number in range(triangles.shape[0]):
        triangle = triangles[number]
        a, b, c = triangle[0], triangle[1], triangle[2]
        area = (target[b, 0] - target[a, 0]) * (target[c, 1] - target[a, 1])
        area -= (target[b, 1] - target[a, 1]) * (target[c, 0] - target[a, 0])
        if abs(area) < 1e-4:
            continue
        _affine(target, neutral, triangle, from_)
        _affine(target, frame, triangle, to)
        ys = (target[a, 1], target[b, 1], target[c, 1])
        for y in range(max(0, int(np.ceil(min(ys)))), min(size - 1, int(np.floor(max(ys)))) + 1):
            low, high = _span(float(y), target, triangle)
            x_from, x_to = max(0, int(np.ceil(low))), min(size - 1, int(np.floor(high)))
            for x in range(x_from, x_to + 1):
                u = min(max(np.float32(from_[0, 0] * x + from_[0, 1] * y + from_[0, 2]), zero), most)
                v = min(max(np.float32(from_[1, 0] * x + from_[1, 1] * y + from_[1, 2]), zero), most)
                p = min(max(np.float32(to[0, 0] * x + to[0, 1] * y + to[0, 2]), zero), last)
                q = min(max(np.float32(to[1, 0] * x + to[1, 1] * y + to[1, 2]), zero), last)
                i, j, k, m = int(v), int(u), int(q), int(p)
                fy, fx, gy, gx = v - np.float32(i), u - np.float32(j), q - np.float32(k), p - np.float32(m)
                f00, f01, f10, f11 = (one - fy) * (one - fx), (one - fy) * fx, fy * (one - fx), fy * fx
                g00, g01, g10, g11 = (one - gy) * (one - gx), (one - gy) * gx, gy * (one - gx), gy * gx
                part = strength[k, m]
                for z in range(3):
                    grey = f00 * np.float32(face[i, j, z]) + f01 * np.float32(face[i, j + 1, z])
                    grey += f10 * np.float32(face[i + 1, j, z]) + f11 * np.float32(face[i + 1, j + 1, z])
                    gain = g00 * planes[k, m, z] + g01 * planes[k, m + 1, z]
                    gain += g10 * planes[k + 1, m, z] + g11 * planes[k + 1, m + 1, z]
                    bias = g00 * planes[k, m, z + 3] + g01 * planes[k, m + 1, z + 3]
                    bias += g10 * planes[k + 1, m, z + 3] + g11 * planes[k + 1, m + 1, z + 3]
                    value = grey + part * (gain * grey + bias)
                    out[y, x, z] = np.uint8(min(max(value + half, zero), np.float32(255)))
