"""The outside of the face model as a surface to put things on: nearest points, directions along it, how a patch bends.

Everything found here is a fixed mixture of vertices, so it follows any identity, expression, pose and camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from engines.errors import BadInput
from engines.face.arrays import Floats, Indices
from engines.face.mesh import FaceModel

Doubles = npt.NDArray[np.float64]

_CANDIDATES, _MORE_CANDIDATES = 24, 1500  # triangles looked at for each place
_PATCH_CM = 0.55  # spread of the vertices that say how the skin bends at a place
_PATCH_VERTICES = 20
_STIFF = 0.02  # keeps a patch from bending more than its vertices can tell


@dataclass(frozen=True)
class Places:
    """Points of the surface.

    corners: (n, 3) int32 vertices.  weights: (n, 3) float32, 0..1, sum 1.  points: (n, 3), cm, on the neutral face.
    normals: (n, 3), unit, out of the head.
    """

    corners: Indices
    weights: Floats
    points: Doubles
    normals: Doubles

    def on(self, vertices: npt.NDArray[np.floating]) -> Doubles:
        """(n, C): the same places on a moved or projected mesh, vertices (V, C)."""
        return np.asarray(np.einsum("nk,nkc->nc", self.weights, vertices[self.corners]))


@dataclass(frozen=True)
class SkinSurface:
    """The outer skin of a face model, face, ears, scalp and neck; make it once per model."""

    model: FaceModel

    @cached_property
    def triangles(self) -> Indices:
        """(F, 3): triangles of the skin.  Raises BadInput when the model lacks a region."""
        missing = {"face", "head_and_neck"} - set(self.model.regions)
        if missing:
            raise BadInput(f"electrodes need a whole head, and this face model lacks {' and '.join(sorted(missing))}")
        regions = [self.model.regions[name] for name in ("face", "head_and_neck")]
        inside = np.zeros(len(self.model.neutral), bool)
        for first, last in regions:
            inside[first:last] = True
        return np.ascontiguousarray(self.model.triangles[inside[self.model.triangles].all(1)])

    @cached_property
    def normals(self) -> Doubles:
        """(V, 3): unit normals of the neutral face."""
        return self.model.normals(self.model.neutral).astype(np.float64)

    @cached_property
    def _broad_normals(self) -> Doubles:
        """(V, 3): the same evened out over what a tape covers, creases left out; not of unit length."""
        rows, tree = self._vertices
        found = self.normals.copy()
        near = tree.query(self.model.neutral[rows], _PATCH_VERTICES)[1]
        around = self.normals[rows[near]]
        agree = np.einsum("nkx,nx->nk", around, self.normals[rows]) > 0.3
        found[rows] = (around * agree[..., None]).sum(1)
        return found

    @cached_property
    def _corners(self) -> Doubles:
        return self.model.neutral[self.triangles].astype(np.float64)

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self._corners.mean(1))

    @cached_property
    def _vertices(self) -> tuple[Indices, cKDTree]:
        rows = np.unique(self.triangles).astype(np.int32)
        return rows, cKDTree(self.model.neutral[rows])

    def nearest(self, points: npt.ArrayLike, outwards: npt.ArrayLike | None = None) -> Places:
        """The places of the surface that are nearest to points in space.

        points: (n, 3), cm, in the neutral model's space.  outwards: (n, 3), roughly the normals wanted: skin that
        faces away from them (inside of lips and nose, the other side of an ear) is left out.
        """
        wanted = np.asarray(points, np.float64).reshape(-1, 3)
        if outwards is None:
            return self.places(*self._among(wanted, None, _CANDIDATES)[:2])
        ways = np.asarray(outwards, np.float64).reshape(-1, 3)
        corners, weights, fits = self._among(wanted, ways, _CANDIDATES)
        if not fits.all():  # deep inside: look further around
            corners[~fits], weights[~fits], _ = self._among(wanted[~fits], ways[~fits], _MORE_CANDIDATES)
        return self.places(corners, weights)

    def _among(
        self, wanted: Doubles, outwards: Doubles | None, count: int
    ) -> tuple[Indices, Doubles, npt.NDArray[np.bool_]]:
        """The nearest among the `count` triangles around each place: corners, weights, whether it faces outwards."""
        _, found = self._tree.query(wanted, count)
        sides = self._corners[found]
        shares = _nearest_in_triangle(wanted[:, None], sides)
        distance = np.linalg.norm(np.einsum("nck,nckx->ncx", shares, sides) - wanted[:, None], axis=2)
        rows = np.arange(len(wanted))
        away = np.zeros(distance.shape, bool)
        if outwards is not None:
            across = np.cross(sides[:, :, 1] - sides[:, :, 0], sides[:, :, 2] - sides[:, :, 0])
            away = np.einsum("ncx,nx->nc", across, outwards) <= 0
        best = np.argmin(distance + 100.0 * away, axis=1)
        return self.triangles[found[rows, best]], shares[rows, best], ~away[rows, best]

    def places(self, corners: npt.ArrayLike, weights: npt.ArrayLike) -> Places:
        """Places from corners (n, 3) and weights (n, 3)."""
        rows, shares = np.asarray(corners, np.int32), np.asarray(weights, np.float64)
        normal = np.einsum("nk,nkx->nx", shares, self._broad_normals[rows])
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        points = np.einsum("nk,nkx->nx", shares, self.model.neutral[rows].astype(np.float64))
        return Places(rows, shares.astype(np.float32), points, normal)

    def patches(self, places: Places) -> tuple[Indices, Floats]:
        """How the skin bends around places: a quadratic surface each, as a mixture of vertices.

        Returns vertices (n, k) int32 and shares (n, 6, k) float32: shares[i] @ mesh[vertices[i]] are the factors of
        1, u, v, u^2, uv and v^2, where u runs to the person's left and v up along the skin, in cm.  The place itself
        (u = v = 0) is met exactly.
        """
        rows, tree = self._vertices
        count = _PATCH_VERTICES
        vertices = np.zeros((len(places.points), count + 3), np.int32)
        shares = np.zeros((len(places.points), 6, count + 3), np.float32)
        for i, (point, normal) in enumerate(zip(places.points, places.normals, strict=True)):
            near = rows[tree.query(point, 3 * count)[1]]
            near = near[self.normals[near] @ normal > 0.5][:count]
            left, up = tangents(normal)
            offset = self.model.neutral[near].astype(np.float64) - point
            u, v = offset @ left, offset @ up
            weight = np.exp(-0.5 * (offset**2).sum(1) / _PATCH_CM**2)
            form = np.stack([u, v, u * u, u * v, v * v], 1)
            normal_matrix = form.T @ (form * weight[:, None]) + np.diag([0, 0, 1, 1, 1]) * _STIFF
            solved = np.linalg.solve(normal_matrix, (form * weight[:, None]).T)  # (5, near)
            n = len(near)
            vertices[i, :n], vertices[i, count:] = near, places.corners[i]
            shares[i, 1:, :n] = solved
            shares[i, 1:, count:] = -solved.sum(1)[:, None] * places.weights[i]
            shares[i, 0, count:] = places.weights[i]
        return vertices, shares


_KNOWN: dict[int, SkinSurface] = {}


def surface_of(model: FaceModel) -> SkinSurface:
    """The surface of a model, derived once (0.2 s) and kept with it."""
    found = _KNOWN.get(id(model))
    if found is None or found.model is not model:
        found = _KNOWN[id(model)] = SkinSurface(model)
    return found


def tangents(normal: npt.ArrayLike) -> tuple[Doubles, Doubles]:
    """Unit vectors along the skin where it has this normal (3,): to the person's left, and up."""
    out = np.asarray(normal, np.float64)
    axis = np.array([1.0, 0.0, 0.0]) if abs(out[0]) < 0.95 else np.array([0.0, 0.0, -np.sign(out[0])])
    left = axis - (axis @ out) * out
    left /= np.linalg.norm(left)
    return left, np.cross(out, left)


def _nearest_in_triangle(points: Doubles, triangles: Doubles) -> Doubles:
    """Barycentric weights (..., 3) of the nearest point in triangles (..., 3, 3) to points (..., 3).

    Projection where it falls inside, else the best of the three sides.
    """
    a, b, c = triangles[..., 0, :], triangles[..., 1, :], triangles[..., 2, :]
    ab, ac, ap = b - a, c - a, points - a
    d00, d01, d11 = (ab * ab).sum(-1), (ab * ac).sum(-1), (ac * ac).sum(-1)
    d20, d21 = (ap * ab).sum(-1), (ap * ac).sum(-1)
    area = np.maximum(d00 * d11 - d01 * d01, 1e-18)
    wb, wc = (d11 * d20 - d01 * d21) / area, (d00 * d21 - d01 * d20) / area
    inside = np.stack([1 - wb - wc, wb, wc], -1)
    options = [inside]
    for first, second in ((0, 1), (1, 2), (2, 0)):
        side = triangles[..., second, :] - triangles[..., first, :]
        along = ((points - triangles[..., first, :]) * side).sum(-1) / np.maximum((side * side).sum(-1), 1e-18)
        along = np.clip(along, 0, 1)
        share = np.zeros_like(inside)
        share[..., first], share[..., second] = 1 - along, along
        options.append(share)
    every = np.stack(options, -2)  # (..., 4, 3)
    spots = np.einsum("...ok,...kx->...ox", every, triangles)
    distance = np.linalg.norm(spots - points[..., None, :], axis=-1)
    distance[..., 0] = np.where((inside >= 0).all(-1), distance[..., 0], np.inf)
    best = np.argmin(distance, axis=-1)
    return np.asarray(np.take_along_axis(every, best[..., None, None], -2)[..., 0, :])
