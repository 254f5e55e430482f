"""Points that go along with a head, or hang while it turns."""

import numpy as np
import pytest

from engines.face.camera import Camera, rotation_from_vector
from engines.face.follow import Followers, HeadFrame, smooth
from engines.face.skin_surface import SkinSurface

NECK = np.array([0.0, -7.0, -1.0])
POINTS = np.array([[2.0, 8.0, 11.0], [0.0, -2.0, 13.0], [6.5, -9.0, 5.0]])


def seen(model, turn, scale=14.0, expression=None):
    """A head that turns about its neck: (projected vertices, camera)."""
    rotation = rotation_from_vector(np.array(turn))
    at = np.array([300.0, 200.0]) + scale * (NECK - rotation @ NECK)[:2] * [1, -1]
    camera = Camera(scale, rotation, at)
    vertices = model.neutral if expression is None else model.vertices([], model.weights(expression))
    return camera.project(vertices), camera


@pytest.fixture(scope="module")
def frame(face_model):
    return HeadFrame(face_model)


def followed(model, frame, hang, turn, **more):
    places = SkinSurface(model).nearest(POINTS)
    projected, camera = seen(model, turn, **more)
    matrix = frame.matrix(projected)
    out, facing = np.zeros((3, 3), np.float32), np.zeros(3, np.float32)
    Followers.of(places, POINTS, np.full(3, hang)).follow(projected, matrix, HeadFrame.scale(matrix), out, facing)
    return out, facing, camera


@pytest.mark.parametrize("turn", [(0, 0, 0), (0.2, 0.5, -0.1)])
def test_what_is_fixed_goes_with_the_head(face_model, frame, turn):
    out, facing, camera = followed(face_model, frame, 0.0, turn)
    assert np.allclose(out, camera.project(POINTS), atol=0.05)
    normals = SkinSurface(face_model).nearest(POINTS)
    corners = face_model.neutral[normals.corners].astype(np.float64) @ camera.rotation.T
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert np.allclose(facing, across[:, 2] / np.linalg.norm(across, axis=1), atol=1e-3)


def test_what_hangs_stays_while_the_head_turns(face_model, frame):
    still, _, _ = followed(face_model, frame, 1.0, (0, 0, 0))
    turned, facing, _ = followed(face_model, frame, 1.0, (0.1, 0.6, 0.2))
    assert np.allclose(still[:, :2], turned[:, :2], atol=0.1)
    assert np.allclose(facing, 1)


def test_the_frame_is_the_camera_whatever_the_face_does(face_model, frame):
    projected, camera = seen(face_model, (0.1, -0.3, 0.05), expression={"jawOpen": 0.8, "mouthSmile_L": 1.0})
    matrix = frame.matrix(projected)
    assert np.allclose(matrix, camera.matrix, atol=0.05)
    assert HeadFrame.scale(matrix) == pytest.approx(14.0, rel=1e-3)


def test_points_on_the_chin_follow_the_jaw(face_model, frame):
    shut, _, _ = followed(face_model, frame, 0.0, (0, 0, 0))
    places = SkinSurface(face_model).nearest([[0.0, -6.5, 12.0]])
    out, facing = np.zeros((1, 3), np.float32), np.zeros(1, np.float32)
    ys = []
    for jaw in (0.0, 1.0):
        projected, _ = seen(face_model, (0, 0, 0), expression={"jawOpen": jaw})
        matrix = frame.matrix(projected)
        Followers.of(places, places.points, [0.0]).follow(projected, matrix, 14.0, out, facing)
        ys.append(out[0, 1])
    assert ys[1] > ys[0] + 10  # px
    assert shut[0, 1] < ys[0]


def test_smoothing_keeps_the_ends_and_evens_out():
    line = np.array([[0.0, 0, 0], [1, 1, 0], [2, -1, 0], [3, 1, 0], [4, 0, 0]])
    found = smooth(line, 10)
    assert np.array_equal(found[[0, -1]], line[[0, -1]])
    assert np.abs(found[:, 1]).max() < 0.3
