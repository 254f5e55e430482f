"""The weak-perspective camera: where things are seen, which way is which, and what it refuses."""

import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.camera import Camera, rotation_from_vector

STRAIGHT = Camera(10.0, np.eye(3), np.array([100.0, 50.0]))


def test_pixels_grow_right_and_down_and_depth_towards_the_viewer():
    seen = STRAIGHT.project(np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32))
    np.testing.assert_allclose(seen, [[100, 50, 0], [110, 50, 0], [100, 40, 0], [100, 50, 10]])
    assert seen.dtype == np.float32


def test_project_is_the_textbooks_formula_vertex_by_vertex():
    rng = np.random.default_rng(0)
    camera = Camera(23.0, rotation_from_vector(rng.normal(size=3)), rng.normal(size=2) * 100)
    vertices = rng.normal(size=(30, 3)).astype(np.float32) * 10
    for vertex, seen in zip(vertices, camera.project(vertices), strict=True):
        x, y, z = camera.rotation @ vertex
        expected = camera.translation_px[0] + 23 * x, camera.translation_px[1] - 23 * y, 23 * z
        np.testing.assert_allclose(seen, expected, atol=2e-3)


def test_project_writes_where_it_is_told():
    vertices = np.ones((4, 3), np.float32)
    out = np.empty((4, 3), np.float32)
    assert STRAIGHT.project(vertices, out) is out
    np.testing.assert_array_equal(out, STRAIGHT.project(vertices))


def test_rotation_vectors_turn_about_their_axis():
    quarter = np.pi / 2
    np.testing.assert_allclose(rotation_from_vector([0, quarter, 0]) @ [0, 0, 1], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(rotation_from_vector([quarter, 0, 0]) @ [0, 1, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(rotation_from_vector([0, 0, 0]), np.eye(3))
    both = rotation_from_vector([0.3, -0.2, 0.9]) @ rotation_from_vector([-0.3, 0.2, -0.9])
    np.testing.assert_allclose(both, np.eye(3), atol=1e-12)
    near = rotation_from_vector([1e-9, 0, 0])
    np.testing.assert_allclose(near @ near.T, np.eye(3), atol=1e-12)


def test_a_camera_cannot_be_altered():
    with pytest.raises(ValueError, match="read-only"):
        STRAIGHT.rotation[0, 0] = 2


@pytest.mark.parametrize(
    ("scale", "rotation", "translation", "sentence"),
    [
        (0.0, np.eye(3), [0, 0], "scale must be more than 0 px per cm, found 0"),
        (np.nan, np.eye(3), [0, 0], "scale must be more than 0"),
        (1.0, 2 * np.eye(3), [0, 0], "must be a .3, 3. rotation matrix"),
        (1.0, np.eye(2), [0, 0], "must be a .3, 3. rotation matrix"),
        (1.0, np.diag([1, 1, -1]), [0, 0], "mirrors the face"),
        (1.0, np.eye(3), [0, np.inf], "translation must be 2 finite px"),
        (1.0, np.eye(3), [0, 0, 0], "translation must be 2 finite px"),
    ],
)
def test_impossible_cameras_are_refused(scale, rotation, translation, sentence):
    with pytest.raises(BadInput, match=sentence):
        Camera(scale, rotation, np.array(translation))


def test_vertices_of_another_shape_are_refused():
    with pytest.raises(BadInput, match=r"must be \(V, 3\), found \(3,\)"):
        STRAIGHT.project(np.zeros(3, np.float32))
