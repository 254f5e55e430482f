"""Fewer triangles for the same face: vertices are taken away where their absence is seen least.

Garland and Heckbert's quadric error (1997) with half-edge collapses: a vertex moves onto a neighbour and is gone, so
what stays are the model's own vertices, with the model's own displacements.  The error is summed over several poses,
so a fold that only a smile makes keeps its vertices.  Many collapse at once: those whose error is the smallest among
their neighbours, which never touch the same triangle.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix

from engines.errors import BadInput

Rows = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]

_MOST_ROUNDS = 60
_AT_LEAST = 30  # vertices that may be looked at in a round
_TRIES = 2  # neighbours that a vertex looks at
_TURN = 0.3  # cosine by which a triangle may turn in one collapse
_SLIVER = 0.02  # area over squared longest side, below which a triangle may not come to be


def thin(
    poses: npt.ArrayLike, triangles: npt.ArrayLike, cost: npt.ArrayLike, most: int, longest: npt.ArrayLike = np.inf
) -> Rows:
    """The triangles (n, 3) that are left; vertices keep their numbers.

    poses: (P, V, 3), the same vertices in each.  triangles: (F, 3).  cost: (V,) what an error at a vertex counts, inf:
    it must stay.  The surface's borders stay as they are.  most: triangles wanted; more are left when no other can go.
    longest: one number or (V,); no side at a vertex grows beyond it in the first pose (what is painted on vertices
    needs them near each other).
    Raises BadInput when sizes do not fit.
    """
    place, corner = np.asarray(poses, np.float64), np.asarray(triangles, np.int64)
    weight = np.asarray(cost, np.float64)
    fits = place.ndim == 3 and place.shape[1:] == (len(weight), 3) and corner.ndim == 2 and corner.shape[1] == 3
    if not fits:
        raise BadInput(
            f"poses (P, V, 3), triangles (F, 3) and cost (V,) do not fit: {place.shape}, {corner.shape}, {weight.shape}"
        )
    limit = np.broadcast_to(np.asarray(longest, np.float64), weight.shape)
    quadric = np.stack([_quadrics(pose, corner) for pose in place])
    looked_at = _AT_LEAST
    for _ in range(_MOST_ROUNDS):
        spare = (len(corner) - most) // 2  # each collapse takes two triangles along
        if spare <= 0:
            break
        target = _collapses(place, corner, quadric, weight, spare, limit, looked_at)
        going = np.flatnonzero(target != np.arange(len(target)))
        if len(going) == 0:
            if looked_at > len(weight):
                break
            looked_at *= 4  # the cheapest cannot go: look further
        for form in quadric:
            np.add.at(form, target[going], form[going])
        corner = target[corner]
        corner = corner[_whole(corner)]
    return corner


def _collapses(
    place: Doubles, corner: Rows, quadric: Doubles, weight: Doubles, spare: int, limit: Doubles, looked_at: int
) -> Rows:
    """(V,): where each vertex goes in this round; most stay."""
    start, end, common = _edges(corner, len(weight))
    locked = ~np.isfinite(weight)
    locked[start[common != 2]] = True  # borders, and where the surface is no surface
    free = ~locked[start]
    way, to = start[free], end[free]
    error = np.zeros(len(way))
    for pose, form in zip(place, quadric, strict=True):
        error += _error(form[way], pose[to])
    error = error * weight[way] + 1e-9 * ((place[0, way] - place[0, to]) ** 2).sum(1)  # in a plane: the shortest
    for _ in range(_TRIES):
        best, goal = _cheapest(way, to, error, len(weight), spare // 2 + looked_at)
        spoilt = np.any([_spoils(pose, corner, goal) for pose in place], axis=0)
        spoilt |= _stretches(place[0], corner, goal, limit)
        error[spoilt[way] & (goal[way] == to)] = np.inf  # then another neighbour
    best[spoilt] = np.inf
    rank = np.empty(len(weight), np.int64)
    rank[np.lexsort((_shuffled(len(weight)), best))] = np.arange(len(weight))
    lowest = np.full(len(weight), len(weight))
    np.minimum.at(lowest, start, rank[end])
    chosen = np.flatnonzero((rank < lowest) & np.isfinite(best))
    chosen = chosen[np.argsort(rank[chosen])][:spare]
    target = np.arange(len(weight))
    target[chosen] = goal[chosen]
    return target


def _cheapest(way: Rows, to: Rows, error: Doubles, count: int, most: int) -> tuple[Doubles, Rows]:
    """(V,) the smallest error of a vertex's edges, and (V,) where that edge leads.

    Of at most so many vertices, the cheapest of all: what is the best around may yet cost much.  The others have inf.
    """
    best, goal = np.full(count, np.inf), np.arange(count)
    order = np.lexsort((error, way))
    first = order[np.diff(way[order], prepend=-1) > 0]
    first = first[np.argsort(error[first], kind="stable")][:most]
    best[way[first]], goal[way[first]] = error[first], to[first]
    return best, goal


def _shuffled(count: int) -> Rows:
    """(count,): who goes first among equals; without it, a flat grid would lose one vertex at a time."""
    return np.arange(count) * 2654435761 % 2**32  # Knuth's multiplicative hash


def _spoils(place: Doubles, corner: Rows, goal: Rows) -> npt.NDArray[np.bool_]:
    """(V,): whether a triangle would turn over or become a sliver, should this vertex alone go to its goal."""
    found = np.zeros(len(place), bool)
    for k in range(3):
        old = corner[goal[corner[:, k]] != corner[:, k]]
        moved = old.copy()
        moved[:, k] = goal[old[:, k]]
        before, after = _normals(place, old), _normals(place, moved)
        length = np.linalg.norm(after, axis=1)
        sides = place[np.roll(moved, 1, axis=1)] - place[moved]
        bad = (before * after).sum(1) < _TURN * np.linalg.norm(before, axis=1) * length
        bad |= length < _SLIVER * (sides**2).sum(2).max(1)
        found[old[bad & _whole(moved), k]] = True
    return found


def _stretches(place: Doubles, corner: Rows, goal: Rows, limit: Doubles) -> npt.NDArray[np.bool_]:
    """(V,): whether a side would grow beyond what its ends allow, should this vertex alone go to its goal."""
    found = np.zeros(len(place), bool)
    for k in range(3):
        old = corner[goal[corner[:, k]] != corner[:, k]]
        other, new = old[:, [(k + 1) % 3, (k + 2) % 3]], goal[old[:, k, None]]
        side = np.linalg.norm(place[other] - place[new], axis=2)
        bad = side > np.minimum(limit[other], limit[new])
        found[old[bad.any(1), k]] = True
    return found


def _edges(corner: Rows, count: int) -> tuple[Rows, Rows, Rows]:
    """Every edge in both directions, once each: from, to, and how many neighbours its ends share.

    On a closed surface that number is the number of triangles at the edge, 2; more means that a collapse would pinch.
    """
    pairs = np.concatenate([corner[:, [0, 1]], corner[:, [1, 2]], corner[:, [2, 0]]])
    key = np.unique(np.concatenate([pairs[:, 0] * count + pairs[:, 1], pairs[:, 1] * count + pairs[:, 0]]))
    both = np.stack([key // count, key % count], 1)
    joined = coo_matrix((np.ones(len(both), np.int64), both.T), (count, count)).tocsr()
    shared = (joined @ joined).multiply(joined).tocsr()
    at_edge = coo_matrix((np.ones(len(pairs), np.int64), pairs.T), (count, count)).tocsr()
    at_edge = at_edge + at_edge.T
    start, end = both.T
    common = np.asarray(shared[start, end]).ravel()
    faces = np.asarray(at_edge[start, end]).ravel()
    return start, end, np.where(faces == 2, common, 0)


def _quadrics(place: Doubles, corner: Rows) -> Doubles:
    """(V, 4, 4): the sum of squared distances to the planes of a vertex's triangles, weighted by their areas."""
    normal = _normals(place, corner)
    area = np.maximum(np.linalg.norm(normal, axis=1), 1e-12)
    plane = np.column_stack([normal, -(normal * place[corner[:, 0]]).sum(1)]) / area[:, None]
    each = plane[:, :, None] * plane[:, None, :] * area[:, None, None]
    found = np.zeros((len(place), 4, 4))
    for k in range(3):
        np.add.at(found, corner[:, k], each)
    return found


def _error(quadric: Doubles, place: Doubles) -> Doubles:
    at = np.column_stack([place, np.ones(len(place))])
    found: Doubles = np.maximum(np.einsum("ni,nij,nj->n", at, quadric, at), 0)
    return found


def _normals(place: Doubles, corner: Rows) -> Doubles:
    a, b, c = (place[corner[:, k]] for k in range(3))
    normal: Doubles = np.cross(b - a, c - a)
    return normal


def _whole(corner: Rows) -> npt.NDArray[np.bool_]:
    return np.asarray((corner != np.roll(corner, 1, axis=1)).all(1))
