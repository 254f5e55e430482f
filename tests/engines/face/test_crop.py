import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import BadInput, FaceLost
from engines.face.crop import (
    STABLE,
    CropSettings,
    SmoothCrop,
    crop_from_landmarks,
    crop_from_pose,
    fixed_crop,
    pose_from_landmarks,
    warp,
)

# where the eight stable points lie on the canonical face, cm
CANONICAL_CM = [(-4.446, -2.664), (-1.856, -2.585), (1.856, -2.585), (4.446, -2.664)]
CANONICAL_CM += [(0, -3.271), (0, -2.473), (0, -6.545), (0, -8.262)]


def landmarks(centre=(320.0, 240.0), px_per_cm=15.0, angle=0.0):
    """A face whose stable points are the canonical ones, turned, scaled and moved; the rest fills its box."""
    rng = np.random.default_rng(0)
    cm = rng.uniform([-7.743, -8.262], [7.743, 9.403], (478, 2))
    cm[STABLE] = CANONICAL_CM
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return px_per_cm * cm @ turn.T + centre


@settings(max_examples=50, deadline=None)
@given(st.floats(-3.1, 3.1), st.floats(5, 60), st.floats(-200, 900), st.floats(-200, 900))
def test_the_crop_undoes_position_rotation_and_scale(angle, px_per_cm, x, y):
    straight = crop_from_landmarks(landmarks(), 128)
    turned = crop_from_landmarks(landmarks((x, y), px_per_cm, angle), 128)
    in_crop = landmarks() @ straight[:, :2].T + straight[:, 2]
    also = landmarks((x, y), px_per_cm, angle) @ turned[:, :2].T + turned[:, 2]
    np.testing.assert_allclose(also, in_crop, atol=1e-6)


def test_the_box_is_centred_and_takes_one_over_scale_of_the_crop():
    matrix = crop_from_landmarks(landmarks(angle=0.4), 100, scale=1.4)
    box = np.array([[-7.743, -8.262], [7.743, 9.403]])
    straight = crop_from_landmarks(landmarks((0, 0), 15.0), 100, scale=1.4)
    low, high = 15.0 * box @ straight[:, :2].T + straight[:, 2]
    np.testing.assert_allclose((low + high) / 2, 49.5, atol=0.05)
    assert (high - low).mean() == pytest.approx(100 / 1.4, rel=1e-3)
    np.testing.assert_allclose(np.linalg.det(matrix[:, :2]), np.linalg.det(straight[:, :2]))


def test_an_open_mouth_does_not_move_the_crop():
    shut, agape = landmarks(), landmarks()
    agape[17] += (0, 80)
    np.testing.assert_array_equal(crop_from_landmarks(shut), crop_from_landmarks(agape))


def test_pose_and_matrix_agree():
    pose = pose_from_landmarks(landmarks((100, 50), 10.0, 0.3), 1.4)
    assert pose[3] == pytest.approx(0.3)
    matrix = crop_from_pose(pose, 64)
    np.testing.assert_allclose(matrix[:, :2] @ pose[:2] + matrix[:, 2], 31.5)


@pytest.mark.parametrize(
    "lost",
    [np.zeros((478, 2)), np.full((478, 2), np.nan), landmarks(px_per_cm=1.0), np.full((478, 2), np.inf)],
    ids=["empty", "nan", "small", "inf"],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_no_usable_face_is_face_lost(lost):
    with pytest.raises(FaceLost, match="landmarks"):
        crop_from_landmarks(lost)


def test_a_nan_among_the_landmarks_is_face_lost():
    broken = landmarks()
    broken[33, 0] = np.nan
    with pytest.raises(FaceLost):
        crop_from_landmarks(broken)


def test_refuses_other_landmark_sets():
    with pytest.raises(BadInput, match="478"):
        crop_from_landmarks(np.zeros((68, 2)))


def test_smoothing_calms_jitter_but_keeps_the_place():
    rng = np.random.default_rng(3)
    smooth, raw, calm = SmoothCrop(), [], []
    for k in range(90):
        shaky = landmarks() + rng.normal(0, 0.7, (478, 2))
        raw.append(crop_from_landmarks(shaky))
        calm.append(smooth.update(shaky, k / 30))
    raw, calm = np.array(raw)[30:], np.array(calm)[30:]
    assert calm.std(0).max() < 0.5 * raw.std(0).max()
    np.testing.assert_allclose(calm.mean(0), raw.mean(0), atol=0.2)


def test_a_head_that_turns_through_half_a_circle_is_unwrapped():
    smooth = SmoothCrop(CropSettings())
    angles = np.linspace(2.9, 3.4, 30)  # passes pi, where the angle of a complex number jumps
    for k, angle in enumerate(angles):
        matrix = smooth.update(landmarks(angle=angle), k / 30)
        found = np.arctan2(-matrix[1, 0], matrix[0, 0])
        assert abs((found - angle + np.pi) % (2 * np.pi) - np.pi) < 0.2


def test_a_lost_face_restarts_the_filter():
    smooth = SmoothCrop()
    smooth.update(landmarks((100, 100)), 0.0)
    with pytest.raises(FaceLost):
        smooth.update(np.full((478, 2), np.nan), 0.03)
    found = smooth.update(landmarks((400, 300)), 0.06)
    np.testing.assert_allclose(found, crop_from_landmarks(landmarks((400, 300))), atol=1e-9)


def test_fixed_crop_is_centred_and_inside():
    matrix = fixed_crop((480, 640, 3), 128)
    np.testing.assert_allclose(matrix[:, :2] @ (319.5, 239.5) + matrix[:, 2], 63.5)
    corner = np.linalg.solve(matrix[:, :2], np.zeros(2) - matrix[:, 2])
    assert (corner > 0).all()


def test_warp_fills_the_given_buffer_and_is_black_outside():
    frame = np.full((48, 64, 3), 200, np.uint8)
    frame.flags.writeable = False  # a ring gives read-only views
    out = np.empty((32, 32, 3), np.uint8)
    shifted = np.array([[1.0, 0, 16], [0, 1.0, 0]])
    assert warp(frame, shifted, out) is out
    assert (out[:, :16] == 0).all()
    assert (out[:, 16:] == 200).all()


def test_warp_refuses_a_buffer_of_another_type():
    with pytest.raises(BadInput, match="uint8"):
        warp(np.zeros((8, 8, 3), np.uint8), np.eye(2, 3), np.empty((4, 4, 3), np.float32))
