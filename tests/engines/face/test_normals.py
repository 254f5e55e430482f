import numpy as np
import pytest
from scipy.spatial import ConvexHull

from engines.errors import BadInput
from engines.face.normals import picture_normals, vertex_normals


def slow_normals(vertices, triangles):
    """Textbook: cross products summed at the corners, then length 1."""
    total = np.zeros(vertices.shape)
    for triangle in triangles:
        a, b, c = vertices[triangle].astype(np.float64)
        for corner in triangle:
            total[corner] += np.cross(b - a, c - a)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)


def bumpy_ball(seed=0):
    """Points on a bumpy ball and the triangles of their convex hull, outwards."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(200, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    triangles = ConvexHull(points).simplices
    a, b, c = (points[triangles[:, i]] for i in range(3))
    inwards = np.einsum("ij,ij->i", np.cross(b - a, c - a), a) < 0
    triangles[inwards] = triangles[inwards][:, ::-1]
    return (points * rng.uniform(0.9, 1.1, (200, 1))).astype(np.float32), triangles.astype(np.int32)


def test_vertex_normals_equal_their_slow_twin():
    vertices, triangles = bumpy_ball()
    normals = vertex_normals(vertices, triangles)
    np.testing.assert_allclose(normals, slow_normals(vertices, triangles), atol=1e-5)
    assert (np.einsum("ij,ij->i", normals, vertices) > 0.5).all()  # outwards


def test_they_are_the_same_to_the_bit_every_time_and_written_where_asked():
    vertices, triangles = bumpy_ball()
    out = np.full_like(vertices, np.nan)
    assert vertex_normals(vertices, triangles, out) is out
    np.testing.assert_array_equal(out, vertex_normals(vertices, triangles))


def test_a_projection_has_the_normals_of_the_turned_model():
    vertices, triangles = bumpy_ball(1)
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    turned = (vertices @ turn.T).astype(np.float32)
    projected = (turned * np.float32([40, -40, 40]) + np.float32([100, 80, 0])).astype(np.float32)
    np.testing.assert_allclose(picture_normals(projected, triangles), vertex_normals(turned, triangles), atol=1e-5)


def test_a_vertex_without_a_surface_has_no_normal():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5]], np.float32)
    there_and_back = np.array([[0, 1, 2], [0, 2, 1]], np.int32)
    np.testing.assert_array_equal(vertex_normals(vertices, there_and_back), 0)
    np.testing.assert_array_equal(vertex_normals(vertices, there_and_back[:1]), [[0, 0, 1]] * 3 + [[0, 0, 0]])


@pytest.mark.parametrize("normals", [vertex_normals, picture_normals])
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"vertices": np.zeros((3, 2), np.float32)}, "vertices"),
        ({"triangles": np.zeros((1, 3), np.int64)}, "triangles"),
        ({"triangles": np.array([[0, 1, 3]], np.int32)}, "corner that does not exist"),
        ({"out": np.zeros((4, 3), np.float32)}, "output"),
    ],
)
def test_the_door_refuses_what_does_not_fit(normals, change, sentence):
    good = {"vertices": np.eye(3, dtype=np.float32), "triangles": np.array([[0, 1, 2]], np.int32), "out": None}
    with pytest.raises(BadInput, match=sentence):
        normals(*{**good, **change}.values())
