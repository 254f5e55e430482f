"""Thinning: fewer triangles, the same surface, nothing moved, nothing torn."""

import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.thinning import thin


def sheet(side=24, height=None):
    """A square grid over 0..1 with a height z = height(x, y)."""
    x, y = np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side), indexing="ij")
    z = np.zeros_like(x) if height is None else height(x, y)
    k = np.arange(side * side).reshape(side, side)
    a, b, c, d = k[:-1, :-1], k[1:, :-1], k[1:, 1:], k[:-1, 1:]
    triangles = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return np.stack([x, y, z], -1).reshape(-1, 3), triangles


def area(points, triangles):
    a, b, c = (points[triangles[:, k]] for k in range(3))
    return np.cross(b - a, c - a) / 2


def edge_counts(triangles):
    sides = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    return np.unique(sides, axis=0, return_counts=True)[1]


def test_a_flat_sheet_keeps_its_outline_and_area_with_few_triangles():
    points, triangles = sheet()
    left = thin(points[None], triangles, np.ones(len(points)), 150)
    assert len(left) <= 200
    assert area(points, left)[:, 2].min() > 0  # nothing turned over
    assert area(points, left)[:, 2].sum() == pytest.approx(1)
    assert edge_counts(left).max() == 2  # nothing torn or doubled
    assert (edge_counts(left) == 1).sum() == (edge_counts(triangles) == 1).sum()


def test_vertices_stay_where_the_surface_bends():
    points, triangles = sheet(height=lambda x, y: np.where(x < 0.5, 0, 0.3 * np.sin(14 * x) * np.cos(11 * y)))
    left = thin(points[None], triangles, np.ones(len(points)), 500)
    kept = np.unique(left)
    inner = kept[(np.abs(points[kept, :2] - 0.5) < 0.45).all(1)]
    assert (points[inner, 0] > 0.5).sum() > 4 * (points[inner, 0] < 0.45).sum()


def test_a_fold_of_another_pose_counts_too():
    flat, triangles = sheet()
    folded, _ = sheet(height=lambda x, y: 0.2 * np.exp(-(((x - 0.7) / 0.1) ** 2)) * np.cos(14 * y))
    shares = []
    for poses in ([flat], [flat, folded]):
        kept = np.unique(thin(np.stack(poses), triangles, np.ones(len(flat)), 400))
        inner = flat[kept][(np.abs(flat[kept, :2] - 0.5) < 0.45).all(1), 0]
        shares.append((np.abs(inner - 0.7) < 0.2).mean())
    assert shares[1] > 0.7 > 1.2 * shares[0]


def test_what_must_stay_stays_and_sides_keep_their_limit():
    points, triangles = sheet()
    cost = np.ones(len(points))
    cost[[100, 200, 333]] = np.inf
    left = thin(points[None], triangles, cost, 100, 0.15)
    assert {100, 200, 333} <= set(left.ravel().tolist())
    sides = points[np.roll(left, 1, axis=1)] - points[left]
    assert np.linalg.norm(sides, axis=2).max() <= 0.15
    assert len(thin(points[None], triangles, np.full(len(points), np.inf), 10)) == len(triangles)


def test_sizes_that_do_not_fit_are_refused():
    points, triangles = sheet(4)
    with pytest.raises(BadInput, match="do not fit"):
        thin(points, triangles, np.ones(len(points)), 10)
