"""A movement's strength and likeness, whatever the head does meanwhile."""

import numpy as np
import pytest

from calibration.movement_seen import MovementSeen
from engines.face.pixel_mesh import MESH, load_pixel_mesh
from engines.shipped import bundle_folder


@pytest.fixture(scope="module")
def smile():
    return load_pixel_mesh(bundle_folder("pixel-smile-open"))


@pytest.fixture(scope="module")
def rest(smile):
    return smile.rest.reshape(MESH, 2)


def turned(points, depth, degrees=4.0):
    """The head turned to a side, shifted and rolled a little; depth in the crop's shares."""
    angle, middle = np.radians(degrees), points.mean(0)
    x = (points[:, 0] - middle[0]) * np.cos(angle) + depth * np.sin(angle)
    moved = np.column_stack([x, points[:, 1] - middle[1]])
    c, s = np.cos(0.03), np.sin(0.03)
    return moved @ np.array([[c, s], [-s, c]]) + middle + [0.02, -0.01]


@pytest.mark.parametrize("amount", [0.0, 0.4, 1.0, 1.5])
@pytest.mark.parametrize("knows_depth", [True, False])
def test_the_amount_is_read_off_the_landmarks_while_the_head_moves(smile, rest, amount, knows_depth):
    depth = 0.1 * np.cos(4 * (rest[:, 0] - 0.5))
    seen = MovementSeen(smile, rest, depth if knows_depth else None)
    now = turned(rest + amount * smile.moved(rest)[1][:MESH], depth, 4.0 if knows_depth else 0.0)
    found = seen.look(now)
    assert found.strength == pytest.approx(amount, abs=0.06)
    if amount >= 0.4:
        assert found.likeness > 0.9


def test_another_movement_is_less_like_it_than_its_own(smile, rest):
    seen = MovementSeen(smile, rest)
    pucker = load_pixel_mesh(bundle_folder("pixel-lip-pucker")).moved(rest)[1][:MESH]
    assert seen.look(rest + pucker).likeness < 0.3
    frown = load_pixel_mesh(bundle_folder("pixel-forehead-raise")).moved(rest)[1][:MESH]
    assert abs(seen.look(rest + frown).strength) < 0.3


def test_what_the_head_did_is_told_apart_from_the_movement(smile, rest):
    depth = 0.1 * np.cos(4 * (rest[:, 0] - 0.5))
    moved = rest + 0.8 * smile.moved(rest)[1][:MESH]
    head = MovementSeen(smile, rest, depth).head(turned(moved, depth))
    left = turned(moved, depth) - head - moved
    assert np.abs(turned(moved, depth) - moved).mean() > 5 * np.abs(left).mean()
    assert np.abs(left).mean() < 0.004


def test_a_face_that_does_nothing_is_like_nothing(smile, rest):
    assert MovementSeen(smile, rest).look(rest) == (0.0, 0.0)
