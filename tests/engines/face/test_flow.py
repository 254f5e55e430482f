"""Flows: what moved is found, the polar form goes there and back, and what is no face is told."""

import cv2
import numpy as np
import pytest

from engines.errors import BadInput, FaceLost
from engines.face.flow import (
    CLIP_PX,
    FlowMeter,
    clipped,
    flow_of_polar,
    pairs,
    polar_of,
    resized_flow,
)


def texture(side=128, seed=0):
    noise = np.random.default_rng(seed).random((side, side)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def moved(picture, right, down):
    return cv2.warpAffine(picture, np.float32([[1, 0, right], [0, 1, down]]), picture.shape[::-1], borderMode=2)


@pytest.mark.parametrize(("right", "down"), [(2.0, 0.0), (-3.0, 1.5), (0.0, -4.0)])
def test_a_shift_is_found_and_shrinks_with_the_picture(right, down):
    before = texture()
    found = FlowMeter(128, 64).measure(before, moved(before, right, down))
    assert found.flow.shape == (64, 64, 2)
    middle = found.flow[16:48, 16:48].reshape(-1, 2)
    np.testing.assert_allclose(np.median(middle, 0), [right / 2, down / 2], atol=0.1)
    assert not found.still
    assert found.mean_px == pytest.approx(np.hypot(right, down), rel=0.2)


def test_equal_pictures_are_still_and_nothing_crashes():
    picture = texture()
    found = FlowMeter(128, 64).measure(picture, picture.copy())
    assert found.still
    assert np.abs(found.flow).max() < 0.1  # Farneback sees a little at the border


def test_colour_and_grey_give_the_same():
    before, meter = texture(), FlowMeter(128, 128)
    after = moved(before, 1.0, 1.0)
    grey = meter.measure(before, after).flow
    colour = meter.measure(*(cv2.cvtColor(p, cv2.COLOR_GRAY2BGR) for p in (before, after))).flow
    np.testing.assert_allclose(grey, colour, atol=1e-4)
    assert grey is not colour


@pytest.mark.parametrize("which", [0, 1])
def test_a_flat_picture_holds_no_face(which):
    given = [texture(), texture()]
    given[which] = np.full((128, 128), 7, np.uint8)
    with pytest.raises(FaceLost, match=("first", "second")[which] + " picture is flat"):
        FlowMeter(128, 64).measure(*given)


@pytest.mark.parametrize("wrong", [texture(64), texture().astype(np.float32), np.zeros((128, 128, 4), np.uint8)])
def test_a_picture_that_does_not_fit(wrong):
    with pytest.raises(BadInput, match="first picture must be uint8"):
        FlowMeter(128, 64).measure(wrong, texture())


@pytest.mark.parametrize(("full", "size"), [(128, 16), (64, 128), (8192, 128)])
def test_sides_that_cannot_be(full, size):
    with pytest.raises(BadInput, match="sides"):
        FlowMeter(full, size)


def slow_polar(flow, clip):
    length, angle = np.hypot(*np.moveaxis(flow, -1, 0)), np.arctan2(flow[..., 1], flow[..., 0]) % (2 * np.pi)
    return np.stack([np.minimum(length, clip) / clip, angle / (2 * np.pi)], -1)


def short(seed=1, longest=CLIP_PX):
    rng = np.random.default_rng(seed)
    angle, length = rng.uniform(-np.pi, np.pi, (40, 30)), rng.uniform(0, longest, (40, 30))
    return np.stack([length * np.cos(angle), length * np.sin(angle)], -1).astype(np.float32)


def test_the_polar_form_is_the_papers():
    flow = short(longest=25.0)
    found = polar_of(flow)
    np.testing.assert_allclose(found, slow_polar(flow.astype(np.float64), CLIP_PX), atol=1e-6)
    assert 0 <= found.min() <= found.max() <= 1
    assert found[..., 1].max() < 1


@pytest.mark.parametrize("clip", [4.0, 10.0])
def test_there_and_back_is_exact_for_what_was_not_clipped(clip):
    flow = short(longest=clip * 0.9999)
    flow[0, :4] = [[0, 0], [1, 0], [-1, 0], [1, -1e-12]]
    np.testing.assert_allclose(flow_of_polar(polar_of(flow, clip), clip), flow, atol=3e-6 * clip)


def test_long_vectors_keep_their_direction():
    flow = short(2, longest=40.0)
    back = flow_of_polar(polar_of(flow))
    length = np.hypot(flow[..., 0], flow[..., 1])
    wanted = flow * np.minimum(1, CLIP_PX / length)[..., None]
    np.testing.assert_allclose(back, wanted, atol=1e-4)
    np.testing.assert_allclose(clipped(flow) * CLIP_PX, wanted, atol=1e-5)


def test_results_go_where_they_are_asked_to():
    flow, out = short(), np.zeros((40, 30, 2), np.float32)
    for way in (polar_of, flow_of_polar, clipped):
        assert way(flow, out=out) is out
        np.testing.assert_array_equal(out, way(flow))
    read_only = flow.copy()
    read_only.flags.writeable = False
    np.testing.assert_array_equal(polar_of(read_only), polar_of(flow))


@pytest.mark.parametrize("clip", [0.0, -1.0, np.nan])
def test_a_clip_that_cannot_be(clip):
    with pytest.raises(BadInput, match="more than 0 px"):
        polar_of(short(), clip)


def test_another_layout_is_refused():
    with pytest.raises(BadInput, match="the flow must be"):
        clipped(np.zeros((2, 4, 4), np.float32))
    with pytest.raises(BadInput, match="side, side, 2"):
        resized_flow(np.zeros((4, 6, 2), np.float32), 2)


def test_resizing_to_the_same_side_changes_nothing():
    flow = np.ascontiguousarray(short()[:30])
    again = resized_flow(flow, 30)
    np.testing.assert_array_equal(again, flow)
    assert again is not flow


def test_the_two_strategies():
    assert pairs(4, "neutral-apex") == ((0, 3),)
    assert pairs(4, "frame-to-frame") == ((0, 1), (1, 2), (2, 3))
    for count, word, says in ((1, "neutral-apex", "two pictures"), (4, "every", "neutral-apex or frame")):
        with pytest.raises(BadInput, match=says):
            pairs(count, word)
