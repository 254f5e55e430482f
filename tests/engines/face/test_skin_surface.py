"""Nearest points and bent patches of the face model's skin, against slow and obvious twins."""

import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.mesh import LANDMARKS_68
from engines.face.skin_surface import SkinSurface, _nearest_in_triangle, tangents


@pytest.fixture(scope="module")
def surface(face_model):
    return SkinSurface(face_model)


def slow_nearest(point, corners, steps=60):
    """The nearest of many points spread over a triangle."""
    a, b = np.meshgrid(np.linspace(0, 1, steps), np.linspace(0, 1, steps))
    inside = a + b <= 1 + 1e-9
    shares = np.stack([1 - a - b, a, b], -1)[inside]
    return np.linalg.norm(shares @ corners - point, axis=1).min()


def test_nearest_in_triangle_is_the_nearest_of_many():
    rng = np.random.default_rng(0)
    for _ in range(40):
        point, corners = rng.normal(0, 1.5, 3), rng.normal(0, 1, (3, 3))
        share = _nearest_in_triangle(point, corners)
        assert share.sum() == pytest.approx(1)
        assert (share >= -1e-12).all()
        found = np.linalg.norm(share @ corners - point)
        assert found <= slow_nearest(point, corners) + 1e-9
        assert found >= slow_nearest(point, corners) - 0.1


def test_a_point_of_the_skin_is_its_own_nearest(surface, face_model):
    chosen = surface.triangles[::977]
    middle = face_model.neutral[chosen].mean(1)
    assert np.allclose(surface.nearest(middle).points, middle, atol=1e-5)


def test_skin_that_faces_away_is_left_out(surface, face_model):
    lips = face_model.neutral[list(LANDMARKS_68[60:])] - [0, 0, 0.5]  # behind them, in the mouth
    corners = face_model.neutral[surface.nearest(lips, np.tile([0.0, 0.0, 1.0], (8, 1))).corners]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2]
    assert (faces > 0).all()
    corners = face_model.neutral[surface.nearest(lips).corners]
    assert (np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] < 0).any()


def test_tangents_run_to_the_left_and_up():
    left, up = tangents([0.0, 0.0, 1.0])
    assert np.allclose([left, up], [[1, 0, 0], [0, 1, 0]])
    for normal in ([0.6, 0.0, 0.8], [-0.96, 0.1, 0.26], [0.99, 0.0, 0.141]):
        out = np.array(normal) / np.linalg.norm(normal)
        left, up = tangents(out)
        assert np.allclose(np.stack([left, up, out]) @ np.stack([left, up, out]).T, np.eye(3), atol=1e-9)
        assert np.allclose(np.cross(left, up), out)


def test_a_patch_meets_its_place_and_lies_on_the_skin(surface, face_model):
    places = surface.nearest([[1.1, 7.7, 11], [5.0, -1.5, 9], [0.7, -6.0, 12], [-4.4, 1.8, 10]])
    vertices, shares = surface.patches(places)
    bent = np.einsum("njk,nkc->njc", shares, face_model.neutral[vertices])
    assert np.allclose(bent[:, 0], places.points, atol=1e-4)
    for u, v in ((0.4, 0), (0, -0.4), (-0.3, 0.3)):
        form = np.array([1, u, v, u * u, u * v, v * v])
        spots = np.einsum("j,njc->nc", form, bent)
        away = np.linalg.norm(surface.nearest(spots).points - spots, axis=1)
        assert away.max() < 0.05
        step = np.linalg.norm(spots - places.points, axis=1)
        assert np.allclose(step, np.hypot(u, v), rtol=0.12)


def test_places_follow_a_moved_mesh(surface, face_model):
    places = surface.nearest([[2.0, -1.0, 11], [0.0, 6.0, 12]])
    moved = face_model.neutral * 2 + np.float32([1, 2, 3])
    assert np.allclose(places.on(moved), 2 * places.points + [1, 2, 3], atol=1e-4)


def test_a_part_of_the_head_is_refused(face_model):
    with pytest.raises(BadInput, match="lacks head_and_neck"):
        _ = SkinSurface(face_model.part("face")).triangles
