"""The demo's performance fits its clip: whole pictures and samples in a loop, rest at both ends, a weak left side."""

import numpy as np
import pytest

from engines.emg.demo_performance import PERIOD_S, PROFILE, demo_performance
from engines.emg.montage import FRIDLUND
from engines.face.blendshapes import BLENDSHAPE_INDEX


@pytest.fixture(scope="module")
def performance():
    return demo_performance()


def middle_of(performance, task):
    held = next(held for held in performance.held if held.task == task)
    return performance.at(np.array([(held.start_s + held.end_s) / 2]))


def test_a_loop_is_whole_pictures_and_whole_samples(performance):
    assert performance.duration_s == PERIOD_S
    assert (30 * PERIOD_S).is_integer()
    assert (4096 * PERIOD_S).is_integer()


def test_it_begins_and_ends_at_rest(performance):
    edges = performance.at(np.array([0.0, 0.5, PERIOD_S - 0.5, PERIOD_S - 1e-6]))
    assert edges.expression.max() < 0.02
    assert edges.activation.max() < 0.2  # tone, raised where the profile is stiff
    np.testing.assert_allclose(edges.expression[0], edges.expression[-1], atol=1e-3)


def test_the_left_side_is_weaker_in_picture_and_muscle(performance):
    for task, shape, muscle in (
        ("Smile-Closed", "mouthSmile", "zygomaticus"),
        ("Forehead-Raise", "browOuterUp", "lateral_frontalis"),
    ):
        now = middle_of(performance, task)
        right, left = (now.expression[0, BLENDSHAPE_INDEX[shape + side]] for side in ("Right", "Left"))
        assert left < 0.75 * right > 0.3
        right, left = (now.activation[0, FRIDLUND.column(f"{muscle}_{side}")] for side in ("right", "left"))
        assert left < 0.75 * right > 0.3


def test_the_left_eye_narrows_with_the_smile_and_the_pucker(performance):
    assert PROFILE.synkinesis
    for task in ("Smile-Closed", "Lip-Pucker"):
        now = middle_of(performance, task)
        squint = [now.expression[0, BLENDSHAPE_INDEX[f"eyeSquint{side}"]] for side in ("Left", "Right")]
        assert squint[0] > 1.5 * squint[1], task
        muscle = [now.activation[0, FRIDLUND.column(f"orbicularis_oculi_{side}")] for side in ("left", "right")]
        assert muscle[0] > 1.5 * muscle[1], task


def test_there_is_much_to_see_and_the_eyes_blink(performance):
    assert len({held.task for held in performance.held}) >= 10
    assert 8 <= len(performance.blinks_s) <= 20
    shown = performance.expression(np.arange(0, PERIOD_S, 0.1)).max(0)
    for shape in ("browInnerUp", "eyeBlinkRight", "mouthSmileRight", "mouthPucker", "noseSneerRight", "jawOpen"):
        assert shown[BLENDSHAPE_INDEX[shape]] > 0.4, shape
