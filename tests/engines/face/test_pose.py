import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.pose import HeadPose, join, project_all


@pytest.mark.parametrize(
    ("pose", "way"),
    [
        (HeadPose(yaw_deg=20), (1, 0)),  # the nose goes to the picture's right
        (HeadPose(pitch_deg=20), (0, -1)),  # and up
        (HeadPose(right_cm=2), (1, 0)),
        (HeadPose(up_cm=2), (0, -1)),
    ],
)
def test_the_nose_goes_where_the_pose_says(pose, way):
    pivot, nose = np.array([100.0, 100, 0]), np.array([100.0, 100, 50, 1])
    moved = pose.turn_px(pivot, 10.0) @ nose
    assert np.sign(np.round(moved[:2] - nose[:2], 3)).tolist() == list(way)


def test_roll_is_clockwise_and_the_pivot_stays():
    pivot = np.array([100.0, 100, 0])
    turn = HeadPose(roll_deg=60).turn_px(pivot, 10.0)
    np.testing.assert_allclose(
        turn @ [100, 60, 0, 1], [100 + 40 * np.sin(np.pi / 3), 80, 0], atol=1e-3
    )  # what was above goes right
    np.testing.assert_allclose(turn @ [*pivot, 1], pivot, atol=1e-4)


def test_joined_matrices_are_one_after_the_other():
    rng = np.random.default_rng(0)
    camera, turn = rng.normal(0, 1, (3, 4)), HeadPose(yaw_deg=10).turn_px(np.array([5.0, 6, 7]), 3.0)
    framing = np.array([[1.5, 0, 4], [0, 1.5, -3]], np.float32)
    points = rng.normal(0, 1, (6, 3)).astype(np.float32)
    out = np.zeros((6, 3), np.float32)
    project_all(points, join(framing, turn, camera), out)
    seen = points @ camera[:, :3].T + camera[:, 3]
    posed = seen @ turn[:, :3].T + turn[:, 3]
    np.testing.assert_allclose(out[:, :2], 1.5 * posed[:, :2] + [4, -3], atol=1e-4)
    np.testing.assert_allclose(out[:, 2], 1.5 * posed[:, 2], atol=1e-4)


@pytest.mark.parametrize("wrong", [{"yaw_deg": 90}, {"right_cm": 50}, {"zoom": 0.1}, {"pitch_deg": np.nan}])
def test_impossible_poses_are_a_sentence(wrong):
    with pytest.raises(BadInput, match="head can be"):
        HeadPose(**wrong)
