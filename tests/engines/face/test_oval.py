"""The face's oval in the crop, against a point-in-polygon test for every pixel."""

import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.oval import FACE_OVAL, oval_weights


def face_at(centre, radius, angle=0.0):
    """478 landmarks whose oval is a circle; the others lie in its middle."""
    landmarks = np.tile(np.asarray(centre, np.float32), (478, 1))
    turn = np.linspace(0, 2 * np.pi, len(FACE_OVAL), endpoint=False) + angle
    landmarks[FACE_OVAL] += radius * np.column_stack([np.sin(turn), -np.cos(turn)]).astype(np.float32)
    return landmarks


def inside(x, y, corners):
    """Even-odd rule, one edge at a time."""
    odd = False
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, 0), strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            odd = not odd
    return odd


def test_the_oval_is_full_inside_and_nothing_outside():
    landmarks = face_at((300, 200), 80, angle=0.3)
    crop_from_frame = np.array([[0.5, 0.1, -100.0], [-0.1, 0.5, 0.0]], np.float32)
    weights = oval_weights(landmarks, crop_from_frame, np.full((128, 128), 7, np.uint8))
    corners = landmarks[FACE_OVAL] @ crop_from_frame[:, :2].T + crop_from_frame[:, 2]
    centre, radius = corners.mean(0), np.linalg.norm(corners - corners.mean(0), axis=1).min()
    for y in range(0, 128, 3):
        for x in range(0, 128, 3):
            margin = np.hypot(x - centre[0], y - centre[1]) - radius
            if abs(margin) > 7:  # beyond the fade
                assert weights[y, x] == (255 if inside(x, y, corners) else 0)
    values = np.unique(weights)
    assert ((values > 0) & (values < 255)).sum() > 3  # there is a fade


def test_a_face_outside_the_crop_weighs_nothing():
    weights = oval_weights(face_at((5000, 5000), 80), np.eye(2, 3), np.empty((64, 64), np.uint8))
    assert (weights == 0).all()


@pytest.mark.parametrize("bad", ["nan", "shape", "matrix", "buffer"])
def test_what_does_not_fit_is_refused(bad):
    landmarks, matrix, out = face_at((30, 30), 10), np.eye(2, 3), np.empty((64, 64), np.uint8)
    if bad == "nan":
        landmarks[10] = np.nan
    elif bad == "shape":
        landmarks = landmarks[:68]
    elif bad == "matrix":
        matrix = np.eye(3)
    else:
        out = out.astype(np.float32)
    with pytest.raises(BadInput):
        oval_weights(landmarks, matrix, out)
