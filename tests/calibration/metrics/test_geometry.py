"""Distances between surfaces, beside ones that are known."""

import cv2
import numpy as np
import pytest

from calibration.metrics.geometry import aligned_mm, apart_mm, unsteadiness_mm
from engines.errors import BadInput


@pytest.fixture
def surface():
    return np.random.default_rng(5).normal(size=(40, 3))


def test_place_turn_and_size_do_not_count(surface):
    turn = cv2.Rodrigues(np.array([0.3, -0.5, 0.2]))[0]
    assert aligned_mm(1.7 * surface @ turn.T + np.array([3, -2, 1]), surface) == pytest.approx(0, abs=1e-9)


def test_a_mirrored_face_is_another_face(surface):
    assert aligned_mm(surface * np.array([-1, 1, 1]), surface) > 1


def test_what_is_left_is_the_least_that_any_similarity_leaves(surface):
    rng = np.random.default_rng(0)
    found = surface + rng.normal(0, 0.1, surface.shape)
    best = aligned_mm(found, surface)
    squares = []
    for _ in range(200):  # none near it does better, in squares, which is what is fitted
        turn = cv2.Rodrigues(rng.normal(0, 0.02, 3))[0]
        moved = rng.normal(1, 0.02) * (found - found.mean(0)) @ turn.T + surface.mean(0) + rng.normal(0, 0.02, 3)
        squares.append(((moved - surface) ** 2).sum())
    assert best < 10 * np.linalg.norm(found - surface, axis=1).mean()
    least = min(squares)
    centred, wanted = found - found.mean(0), surface - surface.mean(0)
    left, stretch, right = np.linalg.svd(wanted.T @ centred)
    size = stretch.sum() / (centred**2).sum()  # no mirror here
    exact = ((size * centred @ (left @ right).T - wanted) ** 2).sum()
    assert exact <= least
    assert best == pytest.approx(10 * np.linalg.norm(size * centred @ (left @ right).T - wanted, axis=1).mean())


def test_distances_are_millimetres_of_centimetres(surface):
    assert apart_mm(surface + np.array([0, 0.3, 0.4]), surface) == pytest.approx(5)


def test_unsteadiness_is_zero_for_one_and_the_deviation_for_two(surface):
    assert unsteadiness_mm(surface[None]) == 0
    assert unsteadiness_mm(np.stack([surface, surface + np.array([0.2, 0, 0])])) == pytest.approx(1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: aligned_mm(np.zeros((2, 3)), np.zeros((2, 3))),
        lambda: aligned_mm(np.zeros((4, 3)), np.zeros((5, 3))),
        lambda: apart_mm(np.zeros((4, 2)), np.zeros((4, 2))),
        lambda: unsteadiness_mm(np.zeros((4, 3))),
    ],
)
def test_what_does_not_fit(call):
    with pytest.raises(BadInput):
        call()
