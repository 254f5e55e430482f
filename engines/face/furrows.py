"""Furrows that skin throws when a muscle pulls: drawn once per person, faded in by the movement that makes them.

Two pictures over the photo: furrows of what raises (forehead, fold beside the mouth, crow's feet) and of what pulls
together (between the brows, bridge of the nose, chin).  How much of each a vertex shows is its group's window times
that group's activation in this frame.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from engines.face.arrays import Floats, Indices, Picture
from engines.face.furrow_windows import GROUPS
from engines.face.mesh import LANDMARKS_68
from engines.face.skin import FURROW_MIDDLE
from engines.kernels import kernel

Doubles = npt.NDArray[np.float64]

_FINE = 3  # drawn so much larger
# which expressions make which furrows, and how much at weight 1
CAUSES: dict[str, dict[str, float]] = {
    "forehead": {"browInnerUp": 0.6, "browOuterUp": 0.6},
    "fold": {"mouthSmile": 0.75, "noseSneer": 0.45, "mouthUpperUp": 0.3, "cheekSquint": 0.3, "mouthDimple": 0.4},
    "crow": {"eyeSquint": 0.45, "cheekSquint": 0.7, "mouthSmile": 0.35},
    "frown": {"browDown": 0.9},
    "bridge": {"noseSneer": 1.0, "browDown": 0.15},
    "chin": {"mouthShrugLower": 0.9, "mouthPucker": 0.15, "mouthFrown": 0.3},
}


def draw_furrows(face_px: Floats, scale: float, shape: tuple[int, ...], depth: float, seed: int) -> Picture:
    """Draw a person's furrows over the photo.

    face_px: (V, 3), the face at rest in the photo.  scale: px per cm.  shape: the photo's.  depth: 0..1.5, how deep
    this skin folds.  seed: no two foreheads alike.  Returns (H, W, 2) uint8, FURROW_MIDDLE = no change.
    """
    rng = np.random.default_rng(seed)
    marks = face_px[list(LANDMARKS_68), :2].astype(np.float64)
    height = np.zeros((2, shape[0] * _FINE, shape[1] * _FINE), np.float32)
    drawn = _Pencil(height, scale, rng)
    _forehead(drawn, marks, scale)
    _folds(drawn, marks, scale)
    _crows(drawn, marks, scale)
    _frowns(drawn, marks, scale)
    _bridge_and_chin(drawn, marks, scale)
    small = np.stack([cv2.resize(layer, (shape[1], shape[0]), interpolation=cv2.INTER_AREA) for layer in height], -1)
    return np.asarray(np.clip(np.rint(FURROW_MIDDLE + 128 * depth * small), 0, 255), np.uint8)


class _Pencil:
    """Draws grooves: dark in the middle, a brighter ridge beside it, thinning out towards the ends."""

    def __init__(self, height: Floats, scale: float, rng: np.random.Generator) -> None:
        self._height, self._scale, self.rng = height, scale, rng

    def groove(self, layer: int, line: Doubles, deep: float, wide_cm: float, wander_cm: float = 0.06) -> None:
        """line: (n, 2) photo px, a smooth curve through them.  deep: 0..1."""
        t = np.linspace(0, len(line) - 1, 60)
        points = np.stack([_smooth(line[:, axis], t) for axis in (0, 1)], 1)
        wobble = np.interp(np.linspace(0, 1, 60), np.linspace(0, 1, 7), self.rng.normal(0, wander_cm, 7)) * self._scale
        along = np.gradient(points, axis=0)
        across = np.stack([-along[:, 1], along[:, 0]], 1)
        across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6)
        points = points + across * wobble[:, None]
        taper = np.sin(np.pi * np.clip(np.linspace(0.02, 0.98, 60), 0, 1)) ** 0.6
        self._stroke(layer, points, -deep * taper, wide_cm)
        for sign in (-1, 1):
            self._stroke(
                layer, points + sign * across * 1.7 * wide_cm * self._scale, 0.33 * deep * taper, 1.3 * wide_cm
            )

    def fold(self, layer: int, line: Doubles, deep: float, wide_cm: float, outwards: Doubles) -> None:
        """A soft step: shade under a cushion of skin that lies on the line's outer side."""
        t = np.linspace(0, len(line) - 1, 60)
        points = np.stack([_smooth(line[:, axis], t) for axis in (0, 1)], 1)
        taper = np.sin(np.pi * np.linspace(0.04, 0.96, 60)) ** 0.8
        self._stroke(layer, points, -deep * taper, wide_cm)
        self._stroke(layer, points, -0.6 * deep * taper, 0.4 * wide_cm)
        self._stroke(layer, points + outwards * wide_cm * self._scale, 0.30 * deep * taper, 1.3 * wide_cm)

    def _stroke(self, layer: int, points: Doubles, value: Doubles, wide_cm: float) -> None:
        sigma = max(wide_cm * self._scale * _FINE / 2, 0.8)
        low = np.floor(points.min(0) * _FINE - 4 * sigma).astype(int)
        high = np.ceil(points.max(0) * _FINE + 4 * sigma).astype(int)
        low, high = np.maximum(low, 0), np.minimum(high, self._height.shape[:0:-1])
        if (high <= low).any():
            return
        part = np.zeros((high[1] - low[1], high[0] - low[0]), np.float32)
        ends = np.rint((points * _FINE - low) * 16).astype(int)
        for k in range(len(points) - 1):
            cv2.line(part, tuple(map(int, ends[k])), tuple(map(int, ends[k + 1])), float(value[k]), 1, cv2.LINE_AA, 4)
        part = cv2.GaussianBlur(part, (0, 0), sigma) * np.float32(sigma * 2.5)
        self._height[layer, low[1] : high[1], low[0] : high[0]] += part


def _forehead(pencil: _Pencil, marks: Doubles, scale: float) -> None:
    """Four lines over the brows, each in pieces that bend with the brows."""
    brows = marks[17:27]
    x0, x1 = brows[0, 0] + 0.6 * scale, brows[-1, 0] - 0.6 * scale
    for number, above in enumerate((1.35, 2.1, 2.9, 3.65)):
        cuts = np.sort(pencil.rng.uniform(0.25, 0.75, 1))
        for a, b in zip([0.0, *cuts], [*cuts, 1.0], strict=True):
            a, b = a + 0.04 * pencil.rng.random(), b - 0.04 * pencil.rng.random()
            x = x0 + (x1 - x0) * np.linspace(a, b, 6)
            y = np.interp(x, brows[:, 0], brows[:, 1])
            line = np.stack([x, y.mean() + 0.45 * (y - y.mean()) - above * scale], 1)
            pencil.groove(0, line, (0.28, 0.30, 0.24, 0.14)[number] * pencil.rng.uniform(0.7, 1.1), 0.13, 0.07)


def _folds(pencil: _Pencil, marks: Doubles, scale: float) -> None:
    """From the nose's wing around the mouth's corner."""
    for wing, corner, sign in ((35, 54, 1), (31, 48, -1)):
        start = marks[wing] + np.array([sign * 0.75, -0.30]) * scale
        end = marks[corner] + np.array([sign * 0.70, 0.25]) * scale
        bend = 0.45 * start + 0.55 * end + np.array([sign * 0.22, -0.05]) * scale
        pencil.fold(0, np.stack([start, bend, end]), 0.22, 0.38, np.array([sign * 0.85, -0.5]))


def _crows(pencil: _Pencil, marks: Doubles, scale: float) -> None:
    """Three rays from each eye's outer corner, and one under the eye."""
    for corner, inner, sign in ((45, 42, 1), (36, 39, -1)):
        for angle in (-0.35, 0.05, 0.42):
            way = np.array([sign * np.cos(angle), np.sin(angle)]) * scale
            line = marks[corner] + np.outer([0.55, 0.9, 1.25, 1.55], way) + [[0, 0.04 * scale * k] for k in range(4)]
            pencil.groove(0, line, 0.20 * pencil.rng.uniform(0.7, 1.2), 0.08, 0.03)
        under = marks[[inner, corner]] + np.array([[sign * 0.2, 0.75], [sign * 0.1, 0.62]]) * scale
        line = np.stack([under[0], under.mean(0) + np.array([0, 0.18 * scale]), under[1]])
        pencil.groove(0, line, 0.10, 0.11, 0.02)


def _frowns(pencil: _Pencil, marks: Doubles, scale: float) -> None:
    """The lines between the brows, leaning outwards above."""
    for inner, sign in ((22, 1), (21, -1)):
        foot = marks[27] + np.array([sign * 0.62, -0.15]) * scale
        top = np.array([marks[27, 0] + sign * 0.80 * scale, marks[inner, 1] - 0.75 * scale])
        line = np.stack([foot, (foot + top) / 2 - [sign * 0.06 * scale, 0], top])
        pencil.groove(1, line, 0.36 * pencil.rng.uniform(0.75, 1.1), 0.13, 0.03)
        bulge = np.stack([marks[inner] + np.array([sign * d, -0.62 - 0.25 * d]) * scale for d in (0.0, 0.6, 1.2)])
        pencil.groove(1, bulge, 0.14, 0.16, 0.02)


def _bridge_and_chin(pencil: _Pencil, marks: Doubles, scale: float) -> None:
    """Slanting lines on the nose's sides, and the chin's uneven cushion."""
    for sign in (1, -1):
        for down in (0.15, 0.55, 0.95):
            start = marks[27] + np.array([sign * 0.25, down]) * scale
            line = start + np.outer([0, 0.45, 0.9], np.array([sign * 0.75, 0.55]) * scale)
            pencil.groove(1, line, 0.24 * pencil.rng.uniform(0.7, 1.1), 0.10, 0.02)
    middle = (marks[57] + marks[8]) / 2
    bow = np.stack([middle + np.array([x, -0.55 - 0.35 * np.cos(x)]) * scale for x in (-1.2, -0.6, 0, 0.6, 1.2)])
    pencil.groove(1, bow, 0.26, 0.15, 0.02)
    for _ in range(14):
        spot = middle + pencil.rng.normal(0, [0.55, 0.4]) * scale
        pencil.groove(1, np.stack([spot, spot + pencil.rng.normal(0, 0.22, 2) * scale]), 0.22, 0.10, 0.0)


def activations(expression: Floats, index: dict[str, int], out: Floats) -> None:
    """(groups,) out: each group's activation from 52 ARKit weights."""
    for number, group in enumerate(GROUPS):
        kind, _, side = group.partition("_")
        total = 0.0
        for name, weight in CAUSES[kind].items():
            for full in (name, f"{name}{side.capitalize()}") if side else (name, f"{name}Left", f"{name}Right"):
                if full in index:
                    share = 0.5 if not side and full != name else 1.0
                    total += share * weight * float(expression[index[full]])
        out[number] = min(total, 1.3)


@kernel
def spread_activations(
    starts: Indices,
    vertex: Indices,
    share: Floats,
    activation: Floats,
    raising: int,
    moving: Floats,
    columns: tuple[int, int],
) -> None:
    """Each vertex' amounts of both furrow pictures: moving[:, columns]."""
    moving[:, columns[0]] = 0
    moving[:, columns[1]] = 0
    for g in range(activation.shape[0]):
        if activation[g] <= 0:
            continue
        column = columns[0] if g < raising else columns[1]
        for n in range(starts[g], starts[g + 1]):
            moving[vertex[n], column] += share[n] * activation[g]


def _smooth(values: Doubles, t: Doubles) -> Doubles:
    """A curve through a few values: quadratic Lagrange over each neighbourhood, averaged."""
    degree = min(len(values) - 1, 3)
    return np.asarray(np.polynomial.Polynomial.fit(np.arange(len(values)), values, degree)(t))
