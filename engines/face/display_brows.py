"""Brows for the page's 3D face: a thin strip each on the skin over the eye, that moves with it.

The face model has none, and without them neither a raised nor a knitted brow can be read.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engines.face.mesh import LANDMARKS_68, FaceModel
from engines.face.skin_surface import Places, surface_of

Rows = npt.NDArray[np.int64]

STEPS, ACROSS = 15, 5  # places along a brow and across it
_HALF_CM = ((0.0, 0.20), (0.1, 0.34), (0.5, 0.36), (0.8, 0.24), (1.0, 0.08))  # half its height, from the inner end on
_RAISED_CM = 0.05


def brows(model: FaceModel) -> tuple[Places, npt.NDArray[np.float32], Rows]:
    """Both brows on a whole model: where they lie on the skin (n places), their points (n, 3) cm, triangles (m, 3)."""
    surface = surface_of(model)
    points = []
    for inner, step in ((22, 1), (21, -1)):
        corners = model.neutral[[LANDMARKS_68[inner + step * k] for k in range(5)]].astype(np.float64)
        along = np.linspace(0, 1, STEPS)
        middle = np.stack([np.interp(along * 4, range(5), axis) for axis in _rounded(corners).T], 1)
        half = np.interp(along, [at for at, _ in _HALF_CM], [cm for _, cm in _HALF_CM])
        across = np.linspace(-1, 1, ACROSS)
        grid = np.repeat(middle[:, None], ACROSS, axis=1)
        grid[..., 1] += half[:, None] * across
        points.append(grid.reshape(-1, 3))
    every = np.concatenate(points)
    places = surface.nearest(every, every * [1, 0, 1])
    raised = places.points + _RAISED_CM * places.normals
    return places, raised.astype(np.float32), np.concatenate([_strip(0, False), _strip(STEPS * ACROSS, True)])


def _rounded(corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The same line, its inner corners eased."""
    eased = corners.copy()
    eased[1:-1] = 0.5 * corners[1:-1] + 0.25 * (corners[:-2] + corners[2:])
    return eased


def _strip(first: int, turned: bool) -> Rows:
    """Triangles of a grid of places, counter-clockwise seen from outside where x grows along it."""
    k = first + np.arange(STEPS * ACROSS).reshape(STEPS, ACROSS)
    a, b, c, d = k[:-1, :-1], k[1:, :-1], k[1:, 1:], k[:-1, 1:]
    found = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return found[:, ::-1] if turned else found
