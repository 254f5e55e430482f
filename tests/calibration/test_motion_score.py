"""What the tables measure with, against the slow way."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration.data.motion_set import FRAME_TO_FRAME, MotionSet  # noqa: E402
from calibration.motion_score import end_point_px, flow_picture, motion_metrics, picture_score  # noqa: E402
from engines.networks.motion_gan import LIVE, MotionGan  # noqa: E402


def test_end_point_error():
    found, truth = np.zeros((2, 2, 2), np.float32), np.zeros((2, 2, 2), np.float32)
    truth[0, 1] = 3, -4
    assert end_point_px(found, truth) == pytest.approx(1.25)
    assert end_point_px(found, truth, np.array([[0, 1.0], [0, 1.0]])) == pytest.approx(2.5)
    assert end_point_px(found, truth, np.zeros((2, 2))) == 0


def test_pictures():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 256, (24, 24, 3)).astype(np.uint8)
    face = np.zeros((24, 24))
    face[6:18, 6:18] = 1
    assert picture_score(truth, truth, face) == pytest.approx((1, 1, 0, 0))
    wrong = truth.copy()
    wrong[:3] = 255 - wrong[:3]
    score = picture_score(wrong, truth, face)
    assert score.rmse == pytest.approx(np.sqrt(((wrong.astype(float) - truth) ** 2).mean()))
    assert score.rmse_face == 0
    assert score.ssim < score.ssim_face


def test_a_flow_to_look_at():
    flow = np.zeros((4, 4, 2), np.float32)
    flow[0, 0], flow[1, 1], flow[2, 2] = (6, 0), (3, 0), (0, 60)
    picture = flow_picture(flow)
    assert picture[3, 3].tolist() == [255, 255, 255]
    assert picture[0, 0].tolist() == [0, 0, 255]  # to the right: red
    assert picture[0, 0].astype(int).sum() < picture[1, 1].astype(int).sum()
    assert picture[2, 2].min() == 0


def test_a_network_that_changes_nothing_scores_as_what_it_is_given(drawn_motion):
    motion = MotionSet.open(drawn_motion).select(split="test")
    found = motion_metrics(MotionGan(LIVE).eval(), motion, 32, "still", "4 people")
    assert found["epe"].value == pytest.approx(found["epe_given"].value, rel=0.02)
    assert found["epe_none"].value > 0
    assert found["ssim"].value > found["ssim_at_rest"].value  # the mouth is carried along
    assert "4 people, 16 movements" in found["epe"].on
    assert motion_metrics(MotionGan(LIVE), motion.spread(1), 32, "still", "x").keys() == found.keys()
    assert FRAME_TO_FRAME not in {row.kind for row in motion.rows}
