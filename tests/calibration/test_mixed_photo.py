"""Mixing photos: shapes lie on each other, nobody stays recognisable, and the result is as sharp as a photo."""

import numpy as np
import pytest

from calibration.mixed_photo import CENTRE_PX, FACE_PX, MESH, SIDE, Bend, bent, mean_shape, mix_photos, similarity
from engines.errors import BadInput


@pytest.fixture(scope="module")
def shape_px():
    """478 points spread over an oval that is FACE_PX high, in the photo's middle."""
    rng = np.random.default_rng(4)
    angle, radius = rng.uniform(0, 2 * np.pi, 478), np.sqrt(rng.uniform(0, 1, 478))
    points = np.stack([0.75 * radius * np.cos(angle), radius * np.sin(angle)], 1)
    points[33], points[263] = (-0.4, -0.2), (0.4, -0.2)
    return mean_shape([points * 100])


def turned(points, angle, scale, shift):
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]]) + shift


def grey(level):
    return np.full((SIDE, SIDE, 3), level, np.uint8)


def test_the_mean_shape_is_upright_centred_and_of_one_size(shape_px):
    assert np.ptp(shape_px[:, 1]) == pytest.approx(FACE_PX)
    assert shape_px[33, 1] == pytest.approx(shape_px[263, 1])
    np.testing.assert_allclose(shape_px.mean(0), CENTRE_PX)
    moved = [turned(shape_px, angle, scale, (40, -9)) for angle, scale in ((0.0, 1.0), (0.2, 0.7), (-0.2, 1.3))]
    np.testing.assert_allclose(mean_shape(moved), shape_px, atol=1e-6)


def test_a_similarity_is_found_exactly(shape_px):
    found = similarity(turned(shape_px, 0.3, 1.7, (5, -3)), shape_px)
    np.testing.assert_allclose(turned(shape_px, 0.3, 1.7, (5, -3)) @ found[:, :2].T + found[:, 2], shape_px, atol=1e-8)


def test_bending_to_the_own_shape_changes_nothing(shape_px):
    photo = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    places = Bend.to_shape(shape_px[:MESH]).places(shape_px[:MESH], np.eye(2, 3))
    assert np.abs(bent(photo, places).astype(int) - photo).max() <= 1


def test_bending_moves_a_landmark_to_its_target(shape_px):
    target = shape_px[:MESH]
    which = np.argmin(np.abs(target - CENTRE_PX).sum(1))
    moved = target.copy()
    moved[which] += (-3, 2)
    photo = np.zeros((SIDE, SIDE, 3), np.uint8)
    x, y = np.rint(moved[which]).astype(int)
    photo[y - 1 : y + 2, x - 1 : x + 2] = 255
    places = Bend.to_shape(target).places(moved, np.eye(2, 3))
    rows, columns = np.nonzero(bent(photo, places)[:, :, 0] > 60)
    assert np.linalg.norm([columns.mean(), rows.mean()] - target[which]) < 1.5  # it was 3.6 px away


def test_everybody_has_an_equal_part_wherever_the_face_was(shape_px):
    levels = (60, 80, 100, 120, 140)
    moves = [(0.1 * i - 0.2, 1 + 0.05 * i, (3.0 * i, -2.0 * i)) for i in range(5)]
    mixed = mix_photos([grey(level) for level in levels], [turned(shape_px, *move) for move in moves])
    face = mixed.photo[260:380, 270:370]
    np.testing.assert_allclose(face.mean(), 100, atol=1)
    np.testing.assert_allclose(mixed.landmarks_px, shape_px, atol=0.05)


def test_detail_keeps_its_strength_and_is_nobody_s(shape_px):
    rng = np.random.default_rng(1)
    photos = [np.clip(110 + rng.normal(0, 12, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8) for _ in range(6)]
    face = np.s_[260:380, 270:370]
    mixed = mix_photos(photos, [shape_px] * len(photos)).photo[face].astype(float)
    assert 0.8 < mixed.std() / photos[0][face].std() < 1.1
    alike = [np.corrcoef(mixed.ravel(), photo[face].ravel())[0, 1] for photo in photos]
    assert max(alike) < 0.6


def test_one_strange_hat_does_not_show(shape_px):
    photos = [grey(200) for _ in range(5)]
    photos[2][:60] = 20
    mixed = mix_photos(photos, [shape_px] * len(photos))
    assert mixed.photo[:60].min() >= 195


def test_too_few_people_are_refused(shape_px):
    with pytest.raises(BadInput, match="recognisable"):
        mix_photos([grey(9)] * 4, [shape_px] * 4)
