"""Where on the mesh which furrows may show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.face.arrays import Floats, Indices

Doubles = npt.NDArray[np.float64]

RAISING = ("forehead_left", "forehead_right", "fold_left", "fold_right", "crow_left", "crow_right")
PULLING = ("frown_left", "frown_right", "bridge_left", "bridge_right", "chin")
GROUPS = RAISING + PULLING


@dataclass(frozen=True)
class Windows:
    """Where on the mesh each group's furrows may show.

    starts: (groups + 1,) int32, vertex: (N,) int32, share: (N,) float32 in 0..1.
    """

    starts: Indices
    vertex: Indices
    share: Floats


def windows(face: Floats, landmarks: Floats) -> Windows:
    """Soft windows on the model's own face.  face: (NARROW, 3), landmarks: (68, 3), cm, Multi-PIE's order."""
    points, marks = face.astype(np.float64), landmarks.astype(np.float64)
    starts, vertex, share = [0], [], []
    for group in GROUPS:
        found = _window(group, points, marks)
        chosen = np.flatnonzero(found > 0.01)
        vertex.append(chosen)
        share.append(found[chosen])
        starts.append(starts[-1] + len(chosen))
    return Windows(
        np.array(starts, np.int32), np.concatenate(vertex).astype(np.int32), np.concatenate(share).astype(np.float32)
    )


def _window(group: str, points: Doubles, marks: Doubles) -> Doubles:
    kind, _, side = group.partition("_")
    x, y = points[:, 0], points[:, 1]
    own = np.ones(len(points)) if not side else 1 / (1 + np.exp(-(x if side == "left" else -x) / 0.35))
    brow_y, mouth_y, chin_y = marks[17:27, 1].mean(), marks[48:60, 1].mean(), marks[8, 1]
    front = np.clip((points[:, 2] - 3) / 2, 0, 1)
    inside: dict[str, Callable[[], Doubles]] = {
        "forehead": lambda: _soft((y - brow_y - 0.2) / 0.8),
        "fold": lambda: (
            _soft((brow_y - 2.6 - y) / 0.6) * _soft((y - chin_y - 1.5) / 1.0) * _soft((np.abs(x) - 1.0) / 0.6)
        ),
        "crow": lambda: _soft((np.abs(x) - 4.0) / 0.5) * _soft(1.8 - np.abs(y - marks[36:48, 1].mean()) / 1.4),
        "frown": lambda: _soft((2.4 - np.abs(x)) / 0.8) * _soft((y - marks[27, 1] + 0.3) / 0.4),
        "bridge": lambda: (
            _soft((2.0 - np.abs(x)) / 0.5) * _soft((marks[27, 1] + 0.4 - y) / 0.4) * _soft((y - marks[30, 1]) / 0.8)
        ),
        "chin": lambda: _soft((2.2 - np.abs(x)) / 0.7) * _soft((mouth_y - 0.9 - y) / 0.5),
    }
    return np.asarray(inside[kind]() * own * front)


def _soft(share: Doubles) -> Doubles:
    t = np.clip(share, 0, 1)
    return np.asarray(t * t * (3 - 2 * t))
