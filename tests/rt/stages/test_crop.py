"""The crop follows the face, holds on for half a second, and is the fixed middle without one."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from engines.face.crop import fixed_crop
from rt.message import Face, Frame
from rt.stage import Context
from rt.stages.crop import CropStage, CropStageSettings
from rt.stages.face import FaceSettings, FaceStage

CANONICAL = np.random.default_rng(5).normal(size=(478, 2))


def face_at(x, y, spread_px=40.0, turn=0.0):
    """478 landmarks around a place; only their moving together matters here."""
    cos, sin = np.cos(turn), np.sin(turn)
    landmarks = spread_px * CANONICAL @ np.array([[cos, sin], [-sin, cos]]) + (x, y)
    return Face(landmarks.astype(np.float32), np.zeros(52, np.float32))


@pytest.fixture
def picture():
    image = np.random.default_rng(1).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    image.flags.writeable = False
    return image


def through(stage, frame):
    [(port, out)] = list(stage.process("frame", frame))
    assert port == "frame"
    return out.crop


def stage_of(**settings):
    stage = CropStage(CropStageSettings(**settings), Context("crop"))
    stage.open()
    return stage


def test_without_a_face_it_is_the_fixed_middle(picture):
    crop = through(stage_of(size=96), Frame(0, 1.0, "host", picture))
    assert not crop.tracked
    assert crop.image.shape == (96, 96, 3)
    np.testing.assert_allclose(crop.crop_from_frame, fixed_crop(picture.shape, 96), rtol=1e-5)


def test_the_image_is_exactly_what_its_own_matrix_cuts(picture):
    stage = stage_of()
    for i in range(5):
        crop = through(stage, Frame(i, i / 30, "host", picture, face=face_at(300 + 7 * i, 220, turn=0.1 * i)))
        assert crop.tracked
        assert crop.crop_from_frame.dtype == np.float32
        again = cv2.warpAffine(picture, crop.crop_from_frame.astype(np.float64), (128, 128), flags=cv2.INTER_LINEAR)
        np.testing.assert_array_equal(crop.image, again)


def test_a_lost_face_keeps_its_place_for_half_a_second_and_no_longer(picture):
    stage = stage_of()
    seen = through(stage, Frame(0, 10.0, "host", picture, face=face_at(250, 200)))
    for t in (10.1, 10.49):
        held = through(stage, Frame(1, t, "host", picture))
        assert held.tracked
        np.testing.assert_array_equal(held.crop_from_frame, seen.crop_from_frame)
    assert not through(stage, Frame(2, 10.51, "host", picture)).tracked
    assert not through(stage, Frame(3, 10.3, "host", picture)).tracked  # it does not come back by itself


def test_after_a_loss_the_new_place_is_not_drawn_towards_the_old_one(picture):
    stage, fresh = stage_of(), stage_of()
    for i in range(10):
        through(stage, Frame(i, i / 30, "host", picture, face=face_at(150, 150)))
    through(stage, Frame(10, 2.0, "host", picture))
    later = Frame(11, 2.1, "host", picture, face=face_at(450, 300))
    np.testing.assert_allclose(
        through(stage, later).crop_from_frame, through(fresh, later).crop_from_frame, rtol=1e-5, atol=1e-4
    )


@pytest.mark.parametrize("landmarks", [np.zeros((478, 2), np.float32), np.full((478, 2), np.nan, np.float32)])
def test_landmarks_that_are_no_face_count_as_none(picture, landmarks):
    stage = stage_of()
    bad = Face(landmarks, np.zeros(52, np.float32))
    assert not through(stage, Frame(0, 1.0, "host", picture, face=bad)).tracked
    seen = through(stage, Frame(1, 1.1, "host", picture, face=face_at(300, 200)))
    held = through(stage, Frame(2, 1.2, "host", picture, face=bad))
    np.testing.assert_array_equal(held.crop_from_frame, seen.crop_from_frame)


def test_a_clock_that_jumps_back_does_not_hold_a_face_for_ever(picture):
    stage = stage_of()
    through(stage, Frame(0, 1000.0, "host", picture, face=face_at(300, 200)))
    assert not through(stage, Frame(1, 10.0, "host", picture)).tracked


def test_the_crop_before_stays_whole_while_the_next_is_made(picture):
    stage = stage_of()
    first = through(stage, Frame(0, 1.0, "host", picture, face=face_at(300, 200)))
    kept = first.image.copy()
    through(stage, Frame(1, 1.03, "host", np.zeros_like(picture)))
    np.testing.assert_array_equal(first.image, kept)


def test_on_the_real_clip_the_eyes_stay_in_place(clip_frames, landmarker_model):
    face = FaceStage(FaceSettings(str(landmarker_model)), Context("face"))
    face.open()
    stage, eyes = stage_of(), []
    for frame in clip_frames:
        [(_, seen)] = list(face.process("frame", frame))
        crop = through(stage, replace(seen))
        corners = seen.face.landmarks_px[[33, 263]]
        eyes.append(corners @ crop.crop_from_frame[:, :2].T + crop.crop_from_frame[:, 2])
    face.close()
    spread_px = np.std(np.array(eyes), axis=0)
    assert spread_px.max() < 2.0  # of 128
    level = np.mean(eyes, axis=0)
    assert abs(level[0, 1] - level[1, 1]) < 2.0  # upright
