"""Pictures that must not teach are refused, each for its own reason; good ones are taken."""

import cv2
import numpy as np
import pytest
from sitter import Sitter

from calibration.frame_check import FrameCheck, Look, opening, sharpness, turned_deg
from calibration.prompts import Reason


@pytest.fixture(scope="module")
def sitter():
    return Sitter()


def looked(frame, pose=None):
    crop = frame.image[10:266, 20:276]
    found = None if frame.face is None else frame.face.landmarks_px
    return Look(
        frame.t_capture, np.ascontiguousarray(crop), found, frame.face.blendshapes if frame.face else None, pose
    )


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
        ({"there": False}, Reason.LOST),
        ({"shut": True}, Reason.CLOSED),
        ({"shift_px": 25.0}, Reason.MOVING),
        ({"blur": True}, Reason.BLURRED),
        ({"jawOpen": 0.4}, Reason.NOT_AT_REST),
        ({"mouthSmileLeft": 0.6}, Reason.NOT_AT_REST),
    ],
)
def test_what_must_not_teach_is_refused(check, sitter, changes, reason):
    assert check.judge(looked(sitter.frame(0.5, **changes)), True, 0.6) is reason


def test_a_movement_is_no_reason_where_one_is_asked_for_and_neither_are_shut_eyes(check, sitter):
    assert check.judge(looked(sitter.frame(0.5, mouthSmileLeft=0.9)), False, 0.35) is None
    assert check.judge(looked(sitter.frame(0.533, shut=True)), False, None) is None
    assert check.judge(looked(sitter.frame(0.566, shut=True)), False, 0.35) is Reason.CLOSED


def test_narrowed_eyes_are_closed_for_a_relaxed_face_only(check, sitter):
    frame = sitter.frame(0.5)
    points = frame.face.landmarks_px
    for upper, lower in ((159, 145), (386, 374)):
        points[upper] = points[lower] + 0.5 * (points[upper] - points[lower])
    assert check.judge(looked(frame), True, 0.6) is Reason.CLOSED
    assert check.judge(looked(frame), False, 0.35) is None


def test_a_dark_a_small_and_a_turned_face(check, sitter):
    dark = looked(sitter.frame(0.5))
    assert check.judge(dark._replace(face=dark.face // 8), True, 0.6) is Reason.DARK
    near = looked(sitter.frame(0.533))
    assert check.judge(near._replace(landmarks_px=near.landmarks_px / 4), True, 0.6) is Reason.FAR
    turned = np.eye(4)
    turned[:3, 2] = np.sin(np.radians(20)), 0, np.cos(np.radians(20))
    assert check.judge(looked(sitter.frame(0.566), turned), True, 0.6) is Reason.TURNED


def test_a_turn_is_measured_in_degrees_with_a_pose_and_without(sitter):
    points = sitter.frame(0.0).face.landmarks_px.astype(float)
    assert turned_deg(points, None) < 4
    for axis in (0, 1):
        pose = np.eye(4)
        pose[:3, 2] = 0, 0, np.cos(np.radians(17))
        pose[axis, 2] = -np.sin(np.radians(17))
        assert turned_deg(points, pose) == pytest.approx(17)
    points[1, 0] += 0.46 * np.tan(np.radians(20)) * (points[454, 0] - points[234, 0])
    assert turned_deg(points, None) == pytest.approx(20, abs=4)


def test_an_eyes_opening_does_not_depend_on_the_distance_or_the_roll(sitter):
    points = sitter.frame(0.0).face.landmarks_px.astype(float)
    c, s = np.cos(0.4), np.sin(0.4)
    np.testing.assert_allclose(opening(points), opening(0.3 * points @ np.array([[c, s], [-s, c]])), rtol=1e-6)


def test_sharpness_falls_with_blur_and_not_with_light(sitter):
    face = sitter.face
    assert sharpness(cv2.blur(face, (5, 1))) < 0.5 * sharpness(face)
    assert sharpness((face * 0.6).astype(np.uint8)) == pytest.approx(sharpness(face), rel=0.1)
