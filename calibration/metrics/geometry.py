"""How far one face's surface is from another's, in millimetres, whatever place, turn and size a picture cannot tell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput

MM = 10.0  # per cm, the models' unit


def aligned_mm(found_cm: npt.NDArray[np.floating], truth_cm: npt.NDArray[np.floating]) -> float:
    """Mean distance of corresponding points after the similarity that fits best (Umeyama 1991, Eq. 40-42), mm.

    found_cm, truth_cm: (points, 3), 3 or more.  One picture says nothing about a face's distance, and so about its
    size.  Raises BadInput when the shapes do not fit.
    """
    _check(found_cm, truth_cm)
    if len(found_cm) < 3:
        raise BadInput(f"surfaces are aligned by 3 points or more, found {len(found_cm)}")
    found, truth = (points - points.mean(0) for points in (found_cm.astype(np.float64), truth_cm.astype(np.float64)))
    left, stretch, right = np.linalg.svd(truth.T @ found)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])  # a turn, no mirror
    size = (stretch * signs).sum() / max(float((found**2).sum()), 1e-12)
    turn = left * signs @ right
    return MM * float(np.linalg.norm(size * found @ turn.T - truth, axis=1).mean())


def apart_mm(found_cm: npt.NDArray[np.floating], truth_cm: npt.NDArray[np.floating]) -> float:
    """Mean distance of corresponding points where they are, mm.  (points, 3) each.  Raises BadInput."""
    _check(found_cm, truth_cm)
    return MM * float(np.linalg.norm(found_cm.astype(np.float64) - truth_cm, axis=1).mean())


def unsteadiness_mm(shapes_cm: npt.NDArray[np.floating]) -> float:
    """How much one person's face at rest differs from picture to picture: rms distance from their mean, mm.

    shapes_cm: (pictures, points, 3).  0 for a single picture.  Raises BadInput for another shape.
    """
    if shapes_cm.ndim != 3 or shapes_cm.shape[2] != 3 or not shapes_cm.size:
        raise BadInput(f"a person's shapes are (pictures, points, 3), found {shapes_cm.shape}")
    around = shapes_cm.astype(np.float64) - shapes_cm.mean(0, dtype=np.float64)
    return MM * float(np.sqrt((around**2).sum(2).mean()))


def _check(found_cm: npt.NDArray[np.floating], truth_cm: npt.NDArray[np.floating]) -> None:
    if found_cm.ndim != 2 or found_cm.shape[1] != 3 or found_cm.shape != truth_cm.shape:
        raise BadInput(f"surfaces are compared point by point, (points, 3), found {found_cm.shape}, {truth_cm.shape}")
