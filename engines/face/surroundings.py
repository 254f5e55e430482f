"""What is around the face in the photo - hair, ears, neck, wall - and how it moves along with the face.

A grid of nodes over the photo carries displacements.  Nodes under the face's mesh take them from the mesh; the others
take the smoothest continuation of what the mesh does at its border that dies out over `_DIES_OUT_CM` (a screened
Laplace equation, solved once per person for a unit step at every border node).  So a chin that goes down pushes the
neck together, and no second outline stays behind.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, identity
from scipy.sparse.linalg import splu

from engines.face.arrays import Floats, Indices, Picture
from engines.kernels import kernel

SPACING_PX = 8  # of the nodes, in the photo
MARGIN_NODES = 12  # nodes beyond the photo's border on each side: the head may turn there
_DIES_OUT_CM = 4.5
_BEHIND_CM = 2.5  # a head's outline lies so far behind its middle (which is 1 cm before the model's origin)
_HAIR_CM = 3.0  # thickness from which hair is round
_SMOOTH_NODES = 1.5
_STEPS = 6  # of the fixed-point inversion; each shrinks the error by the displacement's slope (< 0.5)
LATTICE_PX = 8  # output pixels between two exact source positions


@dataclass(frozen=True)
class Surroundings:
    """Nodes of one person's photo.  Node (row, column) lies at (origin + column x SPACING_PX, same with row).

    shape: (rows, columns).  triangles: (F, 3) int32 over nodes, where the person is.  place: (N, 3) float32, photo px
    and depth in px.  follow: (N,) float32, 0..1, how far a node moves with the head.  inside: (I,) int32 nodes under
    the mesh; corner: (I, 3) int32 and weight: (I, 3) float32, their triangle's vertices and barycentrics.  rim: (K,)
    int32, which of `inside` border on the outside.  outside: (M,) int32 nodes; spread: (M, K) float32, how much of
    each rim node's displacement they take.
    """

    origin_px: float
    shape: tuple[int, int]
    triangles: Indices
    place: Floats
    follow: Floats
    inside: Indices
    corner: Indices
    weight: Floats
    rim: Indices
    outside: Indices
    spread: Floats


def lay_out(
    photo_shape: tuple[int, ...],
    projected: Floats,
    triangles: Indices,
    seen: tuple[Indices, Floats],
    scale: float,
    middle_px: tuple[float, float, float],
    cover: Picture,
) -> Surroundings:
    """Build the nodes of a photo.

    projected: (V, 3), the face at rest in the photo.  triangles: of the skin.  seen: triangle and barycentrics per
    photo pixel as `Raster` gives them.  scale: px per cm.  middle_px: the head's middle (x, y, z_px) in the photo.
    cover: (H, W), 255 = person.
    """
    rows, columns = (int(np.ceil(n / SPACING_PX)) + 1 + 2 * MARGIN_NODES for n in photo_shape[:2])
    origin = -float(MARGIN_NODES * SPACING_PX)
    y, x = (origin + SPACING_PX * np.arange(n, dtype=np.float64) for n in (rows, columns))
    grid_y, grid_x = (axis.ravel() for axis in np.meshgrid(y, x, indexing="ij"))
    hit = _hits(grid_x, grid_y, seen[0])
    inside, outside = np.flatnonzero(hit >= 0), np.flatnonzero(hit < 0)
    rim, spread = _spread((rows, columns), hit >= 0, _DIES_OUT_CM * scale / SPACING_PX)
    corner = triangles[hit[inside]]
    weight = seen[1][grid_y[inside].astype(int), grid_x[inside].astype(int)]
    person = _at_nodes(cover, grid_x, grid_y)
    depth = np.zeros(rows * columns)
    depth[inside] = (projected[corner, 2] * weight).sum(1)
    base = middle_px[2] - _BEHIND_CM * scale
    over = depth[inside][rim] - base
    front, thick = _roundness(cover, seen[0] >= 0, grid_x[outside], grid_y[outside], scale)
    carried = spread @ over
    bent = front * carried / np.maximum(spread.sum(1), 1e-9)
    depth[outside] = base + carried + thick * (bent - carried)
    smooth = cv2.GaussianBlur(depth.reshape(rows, columns), (0, 0), _SMOOTH_NODES).ravel()
    depth[outside] = smooth[outside]
    return Surroundings(
        origin,
        (rows, columns),
        _of_person(_two_per_cell(rows, columns), person),
        np.stack([grid_x, grid_y, depth], 1).astype(np.float32),
        _follow(grid_x, grid_y, float(projected[triangles, 1].max()), scale, middle_px).astype(np.float32),
        inside.astype(np.int32),
        np.ascontiguousarray(corner),
        np.ascontiguousarray(weight),
        rim.astype(np.int32),
        outside.astype(np.int32),
        np.ascontiguousarray(spread, np.float32),
    )


def _two_per_cell(rows: int, columns: int) -> Indices:
    """Triangles between neighbouring nodes, fronts to the viewer (y down)."""
    number = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (part.ravel() for part in (number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]))
    return np.ascontiguousarray(np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)]), np.int32)


def _of_person(triangles: Indices, person: npt.NDArray[np.float64]) -> Indices:
    """Triangles that show some of the person: the wall is no part of the shell."""
    return np.ascontiguousarray(triangles[(person[triangles] > 0.02).any(1)])


def _at_nodes(cover: Picture, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    rows, columns = (np.clip(axis, 0, n - 1).astype(int) for axis, n in zip((y, x), cover.shape, strict=True))
    return np.asarray(cover[rows, columns] / 255.0)


def _roundness(
    cover: Picture,
    face: npt.NDArray[np.bool_],
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    scale: float,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """How hair bends back, for points around the face.

    First, 1 at the face's border to 0 at the person's outline, as a quarter of a circle; second, 0..1, whether there is
    enough hair for that: an ear or a jaw's shadow has no roundness.
    """
    to_face = cv2.distanceTransform((~face).astype(np.uint8), cv2.DIST_L2, 5)
    to_wall = cv2.distanceTransform((cover > 127).astype(np.uint8), cv2.DIST_L2, 5)
    band = to_face + to_wall
    front = np.sqrt(np.clip(1 - (to_face / np.maximum(band, 1)) ** 2, 0, 1))
    rows = np.clip(y, 0, cover.shape[0] - 1).astype(int)
    columns = np.clip(x, 0, cover.shape[1] - 1).astype(int)
    return front[rows, columns], _soft(band[rows, columns] / (_HAIR_CM * scale) - 0.4)


def _hits(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], triangle: Indices) -> npt.NDArray[np.int64]:
    height, width = triangle.shape
    within = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    found = np.full(len(x), -1, np.int64)
    found[within] = triangle[y[within].astype(int), x[within].astype(int)]
    return found


def _spread(
    shape: tuple[int, int], known: npt.NDArray[np.bool_], reach: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Which known nodes touch unknown ones, and (M, K) weights of the unknown ones' screened continuation."""
    rows, columns = shape
    number = np.arange(rows * columns).reshape(shape)
    pairs = np.concatenate(
        [
            np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()], 1),
            np.stack([number[:-1].ravel(), number[1:].ravel()], 1),
        ]
    )
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    near = csr_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (number.size, number.size))
    unknown = np.flatnonzero(~known)
    inside = np.flatnonzero(known)
    touches = np.asarray(near[inside][:, unknown].sum(1)).ravel() > 0
    rim = np.flatnonzero(touches)
    degree = np.asarray(near[unknown].sum(1)).ravel() + reach**-2
    system = (identity(len(unknown)).multiply(degree[:, None]) - near[unknown][:, unknown]).tocsc()
    given = near[unknown][:, inside[rim]].toarray()
    return rim, np.asarray(splu(system).solve(given))


def _follow(
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    chin: float,
    scale: float,
    middle_px: tuple[float, float, float],
) -> npt.NDArray[np.float64]:
    """1 on the head and its hair, 0 on the shoulders and the far wall."""
    down = _soft((y - chin) / (9.0 * scale))
    away = _soft((np.hypot(x - middle_px[0], 0.8 * (y - middle_px[1])) / scale - 14.0) / 12.0)
    return np.asarray((1 - down) * (1 - away))


def _soft(share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    t = np.clip(share, 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


@kernel
def move_nodes(
    place: Floats,
    follow: Floats,
    inside: Indices,
    corner: Indices,
    weight: Floats,
    rim: Indices,
    movement: Floats,
    turn: Floats,
    shade: Floats,
    far_shade: np.float32,
    at_rim: Floats,
    out: Floats,
) -> None:
    """Displacements of all nodes by the head's pose, of the nodes under the mesh by the expression too.

    movement: (V, 3) px, the expression's part, posed.  turn: (3, 4): photo px and z_px after the pose from before.
    shade: (V,) light relative to the photo's.  at_rim: (K, 3) out, what `spread` takes further: dx, dy, shade less
    far_shade.  out: (N, 3): dx, dy px, shade less far_shade.
    """
    for n in range(place.shape[0]):
        x, y, z, m = place[n, 0], place[n, 1], place[n, 2], follow[n]
        out[n, 0] = m * (turn[0, 0] * x + turn[0, 1] * y + turn[0, 2] * z + turn[0, 3] - x)
        out[n, 1] = m * (turn[1, 0] * x + turn[1, 1] * y + turn[1, 2] * z + turn[1, 3] - y)
        out[n, 2] = 0
    for i in range(inside.shape[0]):
        n = inside[i]
        dx = dy = ds = np.float32(0)
        for k in range(3):
            dx += weight[i, k] * movement[corner[i, k], 0]
            dy += weight[i, k] * movement[corner[i, k], 1]
            ds += weight[i, k] * (shade[corner[i, k]] - far_shade)
        out[n, 0] += dx
        out[n, 1] += dy
        out[n, 2] += ds
    for k in range(rim.shape[0]):
        i = rim[k]
        for c in range(3):
            at_rim[k, c] = 0
        for j in range(3):
            at_rim[k, 0] += weight[i, j] * movement[corner[i, j], 0]
            at_rim[k, 1] += weight[i, j] * movement[corner[i, j], 1]
            at_rim[k, 2] += weight[i, j] * (shade[corner[i, j]] - far_shade)


@kernel
def add_outside(outside: Indices, spread_rows: Floats, out: Floats) -> None:
    """out[outside] += spread_rows, (M, 3)."""
    for m in range(outside.shape[0]):
        for c in range(3):
            out[outside[m], c] += spread_rows[m, c]


@kernel
def invert(
    displacement: Floats, columns: int, rows: int, origin: np.float32, photo_from_out: Floats, lattice: Floats
) -> None:
    """For every LATTICE_PX-th output pixel the photo position that comes to lie there, and the shade
    (less far_shade).

    photo_from_out: (2, 3), without displacement.  lattice: (h, w, 3) out: x px, y px, shade.
    """
    one = np.float32(1.0 / SPACING_PX)
    for j in range(lattice.shape[0]):
        for i in range(lattice.shape[1]):
            px, py = np.float32(i * LATTICE_PX), np.float32(j * LATTICE_PX)
            gx = photo_from_out[0, 0] * px + photo_from_out[0, 1] * py + photo_from_out[0, 2]
            gy = photo_from_out[1, 0] * px + photo_from_out[1, 1] * py + photo_from_out[1, 2]
            x, y, shade = gx, gy, np.float32(1)
            for _ in range(_STEPS):
                u = min(max((x - origin) * one, np.float32(0)), np.float32(columns - 1.001))
                v = min(max((y - origin) * one, np.float32(0)), np.float32(rows - 1.001))
                a, b = int(u), int(v)
                fu, fv = u - np.float32(a), v - np.float32(b)
                top, low = b * columns + a, (b + 1) * columns + a
                w00, w01 = (1 - fu) * (1 - fv), fu * (1 - fv)
                w10, w11 = (1 - fu) * fv, fu * fv
                dx = w00 * displacement[top, 0] + w01 * displacement[top + 1, 0]
                dx += w10 * displacement[low, 0] + w11 * displacement[low + 1, 0]
                dy = w00 * displacement[top, 1] + w01 * displacement[top + 1, 1]
                dy += w10 * displacement[low, 1] + w11 * displacement[low + 1, 1]
                shade = w00 * displacement[top, 2] + w01 * displacement[top + 1, 2]
                shade += w10 * displacement[low, 2] + w11 * displacement[low + 1, 2]
                x, y = gx - dx, gy - dy
            lattice[j, i, 0], lattice[j, i, 1], lattice[j, i, 2] = x, y, shade


@kernel
def paint(photo: Picture, cover: Picture, lattice: Floats, far_shade: np.float32, out: Picture) -> None:
    """Fill the picture from the photo through the lattice; the photo's border goes on outside it.

    cover: (H, W), 255 = person: the lattice's shade falls on that (not on soft edges, which hold wall), the wall
    behind has far_shade.
    """
    height, width = photo.shape[:2]
    right, bottom = np.float32(width - 1.001), np.float32(height - 1.001)
    one = np.float32(1.0 / LATTICE_PX)
    for y in range(out.shape[0]):
        j, fy = y // LATTICE_PX, np.float32(y % LATTICE_PX) * one
        for i in range((out.shape[1] + LATTICE_PX - 1) // LATTICE_PX):
            x0 = lattice[j, i, 0] + fy * (lattice[j + 1, i, 0] - lattice[j, i, 0])
            x1 = lattice[j, i + 1, 0] + fy * (lattice[j + 1, i + 1, 0] - lattice[j, i + 1, 0])
            y0 = lattice[j, i, 1] + fy * (lattice[j + 1, i, 1] - lattice[j, i, 1])
            y1 = lattice[j, i + 1, 1] + fy * (lattice[j + 1, i + 1, 1] - lattice[j, i + 1, 1])
            s0 = lattice[j, i, 2] + fy * (lattice[j + 1, i, 2] - lattice[j, i, 2])
            s1 = lattice[j, i + 1, 2] + fy * (lattice[j + 1, i + 1, 2] - lattice[j, i + 1, 2])
            for k in range(min(LATTICE_PX, out.shape[1] - i * LATTICE_PX)):
                f = np.float32(k) * one
                u = min(max(x0 + f * (x1 - x0), np.float32(0)), right)
                v = min(max(y0 + f * (y1 - y0), np.float32(0)), bottom)
                shade = s0 + f * (s1 - s0)
                a, b = int(u), int(v)
                fu, fv = int((u - np.float32(a)) * 128), int((v - np.float32(b)) * 128)
                inner = np.float32(max(2 * int(cover[b, a]) - 255, 0)) * np.float32(1 / 255)
                gain = int((far_shade + shade * inner) * 256)
                x = i * LATTICE_PX + k
                for c in range(3):
                    above = photo[b, a, c] * (128 - fu) + photo[b, a + 1, c] * fu
                    below = photo[b + 1, a, c] * (128 - fu) + photo[b + 1, a + 1, c] * fu
                    value = ((above * (128 - fv) + below * fv) * gain + (1 << 21)) >> 22
                    out[y, x, c] = min(value, 255)
