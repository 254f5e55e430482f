"""A head's turn from landmarks: found exactly, not mistaken for an expression, and refused where there is none."""

import numpy as np
import pytest

from engines.errors import BadInput, FaceLost
from engines.face.head_turn import HeadCloud
from engines.face.pose import HeadPose

FLIP = np.array([1.0, -1.0, 1.0])


def cloud_of(seed=0, expressions=2, unused=()):
    rng = np.random.default_rng(seed)
    points = rng.normal((128, 120, 60), 40, (478, 3))
    moves = np.zeros((expressions, 478, 3))
    moves[0, :150] = [6.0, -9.0, 3.0]  # a smile: many landmarks together
    sd = np.full(478, 1.5)
    sd[list(unused)] = np.inf
    return points, moves, HeadCloud(points, moves, sd)


def turned(points, pose, scale=1.0, shift=(0.0, 0.0)):
    """The slow way, in the camera's axes."""
    middle = points.mean(0)
    return ((points - middle) * FLIP @ pose.rotation.T * scale * FLIP)[:, :2] + middle[:2] + shift


@pytest.mark.parametrize("angles", [(0, 0, 0), (25, 0, 0), (0, -18, 0), (0, 0, 30), (-20, 12, -7)])
def test_yaw_pitch_and_roll_are_those_of_the_pose(angles):
    points, _, cloud = cloud_of()
    found = cloud.turn(turned(points, HeadPose(*angles), 1.1, (7, -4)))
    assert (found.yaw_deg, found.pitch_deg, found.roll_deg) == pytest.approx(angles, abs=0.05)
    assert found.scale == pytest.approx(1.1, abs=1e-3)
    assert found.rms_px < 0.1
    np.testing.assert_allclose(found.rotation, HeadPose(*angles).rotation, atol=1e-3)
    seen = points @ found.matrix[:, :3].T + found.matrix[:, 3]
    np.testing.assert_allclose(seen[:, :2], turned(points, HeadPose(*angles), 1.1, (7, -4)), atol=0.1)


def test_away_is_the_angle_without_the_roll():
    points, _, cloud = cloud_of()
    assert cloud.turn(turned(points, HeadPose(0, 0, 40))).away_deg == pytest.approx(0, abs=0.1)
    assert cloud.turn(turned(points, HeadPose(20, 0, 15))).away_deg == pytest.approx(20, abs=0.1)


def test_an_expression_is_no_turn():
    points, moves, cloud = cloud_of()
    rigid = HeadCloud(points, moves[:0], np.full(478, 1.5))
    smiling = turned(points + moves[0], HeadPose(10, 0, 0))
    assert cloud.turn(smiling).yaw_deg == pytest.approx(10, abs=0.6)
    assert abs(rigid.turn(smiling).yaw_deg - 10) > 2 * abs(cloud.turn(smiling).yaw_deg - 10)


def test_landmarks_that_are_not_used_may_be_anywhere():
    points, _, cloud = cloud_of(unused=range(468, 478))
    seen = turned(points, HeadPose(5, 5, 5))
    seen[468:] = 1e6
    assert cloud.turn(seen).pitch_deg == pytest.approx(5, abs=0.05)


def test_one_wrong_landmark_does_not_turn_the_head():
    points, _, cloud = cloud_of()
    seen = turned(points, HeadPose(5, 0, 0))
    seen[200] += 60
    assert cloud.turn(seen).yaw_deg == pytest.approx(5, abs=0.3)


def test_what_is_no_face_is_told():
    points, _, cloud = cloud_of()
    seen = turned(points, HeadPose())
    for wrong, error, says in (
        (seen[:400], BadInput, "478, 2"),
        (np.where(np.arange(478)[:, None] == 3, np.nan, seen), FaceLost, "not finite"),
        (np.zeros((478, 2)), FaceLost, "one line"),
        (np.random.default_rng(5).normal(0, 40, (478, 2)), FaceLost, "off every turn"),
    ):
        with pytest.raises(error, match=says):
            cloud.turn(wrong)


@pytest.mark.parametrize("angles", [(0, 0, 0), (20, 0, 0), (-15, 8, 5)])
def test_what_a_face_does_beside_the_turn_is_what_it_did_at_rest(angles):
    points, moves, cloud = cloud_of(unused=range(468, 478))
    found = cloud.movement(turned(points + 0.5 * moves[0], HeadPose(*angles), 1.1, (7, -4)))
    assert found.turn.yaw_deg == pytest.approx(angles[0], abs=0.5)
    way, still = found.moved_px[:150], found.moved_px[200:468]
    np.testing.assert_allclose(way.mean(0), 0.5 * moves[0, 0], atol=0.6)
    assert np.abs(still).mean() < 0.6
    assert (found.moved_px[468:] == 0).all()
