"""What the synthetic person needs to know about the face model: which triangles are skin, how lids and lips lie.

Found from the model itself, once: its regions, its displacements and how its triangles hang together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra

from engines.face.furrow_windows import Windows, windows
from engines.face.landmarks import FaceLandmarks
from engines.face.mesh import LANDMARKS_68, FaceModel
from engines.face.movement import Movement

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int32]

NARROW = 6706  # the model's first vertices are its narrow face: no ears, no neck, no scalp
SIDES = ("left", "right")  # the person's own, in this order everywhere
_LETTER = {"left": "L", "right": "R"}
_LID_EDGE_STEPS = 3  # mesh edges from the skin's inner end behind the lid to where the lid ends for the viewer
_FALLS_CM = 0.05  # a vertex that goes down so far in a blink is upper lid
_COLUMN_CM = 0.07
_LASH_SHARE = 0.9
_CALM = 0.85
_EYE_CM = (2.3, 1.7)  # half the size of what is drawn finely around an eye
_LIPS_CM = (4.0, 4.2)
_MOUTH_PARTS = ("mouth_socket", "gums_and_tongue", "teeth")


@dataclass(frozen=True)
class Anatomy:
    """Derived facts of one face model; make it once per model and share it between people."""

    model: FaceModel

    @cached_property
    def skin(self) -> Indices:
        """(F, 3): triangles of the narrow face."""
        inside = (self.model.triangles < NARROW).all(1)
        return np.ascontiguousarray(self.model.triangles[inside])

    @cached_property
    def mouth(self) -> Indices:
        """(F, 3): triangles of socket, gums, tongue and teeth."""
        ranges = [self.model.regions[name] for name in _MOUTH_PARTS]
        inside = (self.model.triangles >= ranges[0][0]).all(1) & (self.model.triangles < ranges[-1][1]).all(1)
        return np.ascontiguousarray(self.model.triangles[inside])

    @cached_property
    def edge_cm(self) -> Floats:
        """(NARROW,): way over the skin to the narrow face's outer border, cm."""
        skin, neutral = self.skin, self.model.neutral
        pairs = np.concatenate([skin[:, [0, 1]], skin[:, [1, 2]], skin[:, [2, 0]]])
        rings = _open_rings(pairs)
        outer = max(rings, key=lambda ring: float(np.ptp(neutral[ring], axis=0).sum()))
        length = np.linalg.norm(neutral[pairs[:, 0]] - neutral[pairs[:, 1]], axis=1)
        graph = csr_matrix((length, (pairs[:, 0], pairs[:, 1])), (NARROW, NARROW))
        return np.asarray(dijkstra(graph, directed=False, indices=outer, min_only=True), np.float32)

    @cached_property
    def neighbours(self) -> tuple[Indices, Indices]:
        """Each narrow vertex's neighbours as compressed rows: (NARROW + 1,) starts, (E,) vertices."""
        skin = self.skin
        pairs = np.concatenate([skin[:, [0, 1]], skin[:, [1, 2]], skin[:, [2, 0]]])
        both = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)
        starts = np.searchsorted(both[:, 0], np.arange(NARROW + 1))
        return starts.astype(np.int32), np.ascontiguousarray(both[:, 1]).astype(np.int32)

    @cached_property
    def lid(self) -> Floats:
        """(2, NARROW): for left and right, how far each vertex goes down with the upper lid, 0..1."""
        drops = [-self._delta(f"eyeBlink_{_LETTER[side]}")[:NARROW, 1] for side in SIDES]
        return np.stack([np.clip(drop / drop.max(), 0, 1) for drop in drops]).astype(np.float32)

    @cached_property
    def blink_drop_cm(self) -> Floats:
        """(2, NARROW): the model's own way down of each vertex in a full blink; the lower lid's is negative."""
        return np.stack([-self._delta(f"eyeBlink_{_LETTER[side]}")[:NARROW, 1] for side in SIDES]).astype(np.float32)

    @cached_property
    def rings(self) -> tuple[Indices, Indices, Indices]:
        """Left eye, right eye, mouth: vertices of the border where the skin ends, counter-clockwise for the viewer."""
        centres = [self.model.neutral[slice(*self.model.regions[f"eyeball_{side}"])].mean(0) for side in SIDES]
        centres.append(self.model.neutral[list(LANDMARKS_68[60:])].mean(0))
        rings = _open_rings(_edges(self.skin))
        middles = np.stack([self.model.neutral[ring].mean(0) for ring in rings])
        nearest = [rings[int(np.argmin(np.linalg.norm(middles - centre, axis=1)))] for centre in centres]
        left, right, mouth = (_around(self.model.neutral, ring) for ring in nearest)
        return left, right, mouth

    @property
    def eye_rings(self) -> tuple[Indices, Indices]:
        """The eyes' of `rings`."""
        return self.rings[:2]

    @cached_property
    def margins(self) -> tuple[tuple[Indices, Indices], ...]:
        """For left and right: vertices of the upper and of the lower lid's edge, each from the picture's left on.

        They are what bounds the eye's opening seen from the front, not the skin that turns in behind it.
        """
        return tuple(self._margin(index) for index in range(2))

    @cached_property
    def landmarks(self) -> FaceLandmarks:
        """Where MediaPipe's landmarks lie on this model."""
        return FaceLandmarks.load().on(self.model)

    @cached_property
    def movement(self) -> Movement:
        """The model's displacements, only where there are any."""
        return Movement.of(self.model)

    @cached_property
    def movement_rows(self) -> tuple[Indices, Indices]:
        """starts and vertex of `movement`."""
        return self.movement.starts, self.movement.vertex

    @cached_property
    def lip_outline(self) -> Indices:
        """Vertices around the lips."""
        return np.asarray(LANDMARKS_68[48:60], np.int32)

    @cached_property
    def furrows(self) -> Windows:
        """Where on the mesh furrows may show."""
        return windows(self.model.neutral[:NARROW], self.model.neutral[list(LANDMARKS_68)])

    @cached_property
    def lid_share(self) -> Floats:
        """(2, NARROW): how far each vertex shows the painted shut lid when its eye is shut, 0..1."""
        found = np.zeros((2, NARROW), np.float32)
        for side in range(2):
            found[side] = np.clip((self.lid[side] - 0.03) / 0.12, 0, 1)
            found[side] = np.maximum(found[side], _LASH_SHARE * self._lash_zone(side))
        return found

    @cached_property
    def shade_trust(self) -> Floats:
        """(NARROW,): how far the shade of moved skin follows the mesh, 0..1.

        The model's fold over the eye is deeper than a photo's: unfolded by a blink, it would light up.
        """
        lid = np.maximum(self.lid[0], self.lid[1])
        return np.asarray(1 - _CALM * np.clip(lid / 0.02, 0, 1), np.float32)

    @cached_property
    def falling(self) -> tuple[tuple[Indices, Floats], ...]:
        """For left and right: vertices of the upper lid, and how far each goes along with the lid's edge, 0..1."""
        found = []
        for side in range(2):
            upper, _ = self.margins[side]
            vertex = np.flatnonzero(self.lid[side] > 0.01)
            x = self.model.neutral[vertex, 0]
            at_edge = np.interp(x, self.model.neutral[upper, 0], self.lid[side][upper])
            share = np.clip(self.lid[side][vertex] / np.maximum(at_edge, 0.05), 0, 1)
            found.append((vertex.astype(np.int32), share.astype(np.float32)))
        return tuple(found)

    @cached_property
    def teeth(self) -> list[Indices]:
        """The vertices of each tooth."""
        first, last = self.model.regions["teeth"]
        own = (
            self.model.triangles[(self.model.triangles >= first).all(1) & (self.model.triangles < last).all(1)] - first
        )
        pairs = _edges(own)
        graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (last - first, last - first))
        count, label = connected_components(graph, directed=False)
        return [np.flatnonzero(label == tooth).astype(np.int32) + first for tooth in range(count)]

    def _lash_zone(self, side: int) -> Floats:
        """Skin right under the lower lid's edge, over which shut lashes hang."""
        points, (_, lower) = self.model.neutral[:NARROW], self.margins[side]
        under = np.interp(points[:, 0], points[lower, 0], points[lower, 1], left=np.nan, right=np.nan) - points[:, 1]
        inside = np.isfinite(under) & (under > -0.25) & (under < 0.45) & (points[:, 2] > 5)
        return np.where(inside, np.clip((0.45 - under) / 0.2, 0, 1), 0).astype(np.float32)

    @cached_property
    def lower_lid(self) -> npt.NDArray[np.bool_]:
        """(2, NARROW): skin that shows the painted lashes only, when the eye is nearly shut."""
        return np.stack([(self.lid[side] < 0.03) & (self.lid_share[side] > 0) for side in range(2)])

    @cached_property
    def inner(self) -> Floats:
        """(NARROW,): 1 in the middle of the face, where the mesh hides everything; 0 towards its sides."""
        x = np.abs(self.model.neutral[:NARROW, 0])
        return np.clip((5.2 - x) / 1.2, 0, 1).astype(np.float32)

    @cached_property
    def eyes(self) -> tuple[Detail, Detail]:
        """For left and right: the skin around the eye, and a cap that closes its opening from behind."""
        return self._eye(0), self._eye(1)

    def _eye(self, side: int) -> Detail:
        ring = self.eye_rings[side]
        points = self.model.neutral
        middle = points[ring].mean(0)
        near = np.abs(points[:NARROW, :2] - middle[:2]) < _EYE_CM
        near = near.all(1) & (points[:NARROW, 2] > middle[2] - 4)
        skin = self.skin_numbers(near)
        cap = np.stack([np.full(len(ring) - 2, ring[0]), ring[1:-1], ring[2:]], 1)
        return _detail(self.skin, skin, cap)

    @cached_property
    def lips(self) -> Detail:
        """The skin around the mouth, and the mouth's inside."""
        points = self.model.neutral[:NARROW]
        middle = points[list(LANDMARKS_68[60:])].mean(0)
        near = (np.abs(points[:, :2] - middle[:2]) < _LIPS_CM).all(1) & (points[:, 2] > middle[2] - 6)
        return _detail(self.skin, self.skin_numbers(near), self.mouth)

    def skin_numbers(self, chosen: npt.NDArray[np.bool_]) -> Indices:
        """Which of `skin` have all their corners chosen; chosen: (NARROW,)."""
        return np.flatnonzero(chosen[self.skin].all(1)).astype(np.int32)

    def _margin(self, side: int) -> tuple[Indices, Indices]:
        points = self.model.neutral
        ring = self.eye_rings[side]
        steps = np.full(NARROW, False)
        steps[ring] = True
        starts, others = self.neighbours
        for _ in range(_LID_EDGE_STEPS):
            for vertex in np.flatnonzero(steps):
                steps[others[starts[vertex] : starts[vertex + 1]]] = True
        near = np.flatnonzero(steps)
        falls = self.blink_drop_cm[side][near] > _FALLS_CM
        upper, lower = near[falls], near[~falls]
        found: tuple[list[int], list[int]] = ([], [])
        for x in np.linspace(points[ring, 0].min(), points[ring, 0].max(), 31)[1:-1]:
            for vertices, sign, line in ((upper, 1, found[0]), (lower, -1, found[1])):
                column = vertices[np.abs(points[vertices, 0] - x) < _COLUMN_CM]
                if len(column):
                    line.append(int(column[np.argmin(sign * points[column, 1])]))
        return _by_x(points, found[0]), _by_x(points, found[1])

    def _delta(self, name: str) -> Floats:
        return np.asarray(self.model.expression[self.model.expression_index(name)], np.float32)


@dataclass(frozen=True)
class Detail:
    """A part of the face that is drawn finely: skin first, then what lies behind its opening.

    vertices: (n,) int32 of the model.  local: (F, 3) int32, triangles over those.  whole: (F, 3) int32, the same over
    the model's vertices.  skin: how many of the triangles, from the first on, are skin.  behind: (m,) int32, which
    of `vertices` lie behind the opening and belong to no skin.
    """

    vertices: Indices
    local: Indices
    whole: Indices
    skin: int
    behind: Indices


def _detail(skin: Indices, chosen: Indices, behind: Indices) -> Detail:
    whole = np.ascontiguousarray(np.concatenate([skin[chosen], behind]), np.int32)
    vertices, local = np.unique(whole, return_inverse=True)
    local = local.reshape(whole.shape)
    hidden = np.flatnonzero(vertices >= NARROW).astype(np.int32)
    return Detail(vertices.astype(np.int32), np.ascontiguousarray(local, np.int32), whole, len(chosen), hidden)


_KNOWN: dict[int, Anatomy] = {}


def anatomy_of(model: FaceModel) -> Anatomy:
    """The anatomy of a model, derived once (0.3 s) and kept with it."""
    found = _KNOWN.get(id(model))
    if found is None or found.model is not model:
        found = _KNOWN[id(model)] = Anatomy(model)
    return found


def _by_x(points: Floats, vertices: list[int]) -> Indices:
    unique = np.unique(np.array(vertices, np.int32))
    return np.ascontiguousarray(unique[np.argsort(points[unique, 0])])


def _around(points: Floats, ring: Indices) -> Indices:
    middle = points[ring].mean(0)
    return np.asarray(ring[np.argsort(np.arctan2(points[ring, 1] - middle[1], points[ring, 0] - middle[0]))])


def _edges(triangles: Indices) -> Indices:
    return np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])


def _open_rings(pairs: Indices) -> list[Indices]:
    """Vertices of each closed border: edges that belong to one triangle only, by how they hang together."""
    ordered = np.sort(pairs, axis=1)
    unique, count = np.unique(ordered, axis=0, return_counts=True)
    border = unique[count == 1]
    size = int(pairs.max()) + 1
    graph = coo_matrix((np.ones(len(border)), (border[:, 0], border[:, 1])), (size, size))
    _, label = connected_components(graph, directed=False)
    vertices = np.unique(border)
    return [vertices[label[vertices] == which].astype(np.int32) for which in np.unique(label[vertices])]
