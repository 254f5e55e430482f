"""Pictures that must not teach are refused, each for its own reason; good ones are taken."""

import cv2
import numpy as np
import pytest
from sitter import Sitter

from engines.face.frame_check import FrameCheck, Look, Obstacle, opening, sharpness, turned_deg


@pytest.fixture(scope="module")
def sitter():
    return Sitter()


def looked(frame, away_deg=None):
    crop = frame.image[10:266, 20:276]
    found = None if frame.face is None else frame.face.landmarks_px
    shapes = frame.face.blendshapes if frame.face else None
    return Look(frame.t_capture, np.ascontiguousarray(crop), found, shapes, away_deg)


@pytest.fixture
def check(sitter):
    """A check that has seen this person's open eyes and sharp face for half a second."""
    found = FrameCheck()
    for k in range(15):
        assert found.judge(looked(sitter.frame(k / 30)), True, 0.6) is None
    return found


def test_a_still_relaxed_face_is_taken_from_the_first_picture_on(check):
    assert check.sharpness > 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"there": False}, Obstacle.LOST),
        ({"shut": True}, Obstacle.CLOSED),
        ({"shift_px": 25.0}, Obstacle.MOVING),
        ({"blur": True}, Obstacle.BLURRED),
        ({"jawOpen": 0.4}, Obstacle.NOT_AT_REST),
        ({"mouthSmileLeft": 0.6}, Obstacle.NOT_AT_REST),
    ],
)
def test_what_must_not_teach_is_refused(check, sitter, changes, reason):
    assert check.judge(looked(sitter.frame(0.5, **changes)), True, 0.6) is reason


def test_a_movement_is_no_reason_where_one_is_asked_for_and_neither_are_shut_eyes(check, sitter):
    assert check.judge(looked(sitter.frame(0.5, mouthSmileLeft=0.9)), False, 0.35) is None
    assert check.judge(looked(sitter.frame(0.533, shut=True)), False, None) is None
    assert check.judge(looked(sitter.frame(0.566, shut=True)), False, 0.35) is Obstacle.CLOSED


def test_narrowed_eyes_are_closed_for_a_relaxed_face_only(check, sitter):
    frame = sitter.frame(0.5)
    points = frame.face.landmarks_px
    for upper, lower in ((159, 145), (386, 374)):
        points[upper] = points[lower] + 0.5 * (points[upper] - points[lower])
    assert check.judge(looked(frame), True, 0.6) is Obstacle.CLOSED
    assert check.judge(looked(frame), False, 0.35) is None


def test_a_dark_a_small_and_a_turned_face(check, sitter):
    dark = looked(sitter.frame(0.5))
    assert check.judge(dark._replace(face=dark.face // 8), True, 0.6) is Obstacle.DARK
    near = looked(sitter.frame(0.533))
    assert check.judge(near._replace(landmarks_px=near.landmarks_px / 4), True, 0.6) is Obstacle.FAR
    assert check.judge(looked(sitter.frame(0.566), 20.0), True, 0.6) is Obstacle.TURNED
    assert check.judge(looked(sitter.frame(0.6), 5.0), True, 0.6) is None


def turned(points, yaw_deg=0.0, pitch_deg=0.0):
    """The nose's tip where it comes to lie as a head turns by so much more."""
    width, found = points[454, 0] - points[234, 0], points.copy()
    yaw, pitch = turned_deg(points)
    found[1, 0] += 0.586 * width * (np.tan(np.radians(yaw + yaw_deg)) - np.tan(np.radians(yaw)))
    found[1, 1] -= 0.477 * width * (np.tan(np.radians(pitch + pitch_deg)) - np.tan(np.radians(pitch)))
    return found


def test_a_turn_is_read_off_the_landmarks_in_degrees_whatever_the_distance_and_the_roll(sitter):
    points = sitter.frame(0.0).face.landmarks_px.astype(float)
    assert np.abs(turned_deg(points)).max() < 6
    c, s = np.cos(0.4), np.sin(0.4)
    rolled = 0.3 * points @ np.array([[c, s], [-s, c]])
    np.testing.assert_allclose(turned_deg(rolled), turned_deg(points), atol=1e-6)
    np.testing.assert_allclose(np.subtract(turned_deg(turned(points, 20)), turned_deg(points)), (20, 0), atol=0.1)
    np.testing.assert_allclose(np.subtract(turned_deg(turned(points, 0, 15)), turned_deg(points)), (0, 15), atol=0.1)


@pytest.mark.parametrize(("yaw_deg", "pitch_deg"), [(25, 0), (-25, 0), (0, 28), (0, -28)])
def test_without_a_fitted_head_a_turn_to_any_side_is_refused(check, sitter, yaw_deg, pitch_deg):
    look = looked(sitter.frame(0.5))
    points = turned(look.landmarks_px.astype(float), yaw_deg, pitch_deg)
    assert check.judge(look._replace(landmarks_px=points), True, 0.6) is Obstacle.TURNED


def test_an_eyes_opening_does_not_depend_on_the_distance_or_the_roll(sitter):
    points = sitter.frame(0.0).face.landmarks_px.astype(float)
    c, s = np.cos(0.4), np.sin(0.4)
    np.testing.assert_allclose(opening(points), opening(0.3 * points @ np.array([[c, s], [-s, c]])), rtol=1e-6)


def test_sharpness_falls_with_blur_and_not_with_light(sitter):
    face = sitter.face
    assert sharpness(cv2.blur(face, (5, 1))) < 0.5 * sharpness(face)
    assert sharpness((face * 0.6).astype(np.uint8)) == pytest.approx(sharpness(face), rel=0.1)
