"""The changed crop appears in the picture, in the face only; an unchanged one costs nothing."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from engines.face.crop import crop_from_pose, warp
from engines.face.oval import FACE_OVAL
from engines.face.paste import edge_mask
from rt.message import Crop, Face, Frame
from rt.stage import Context
from rt.stages.paste_back import PasteBackSettings, PasteBackStage

SIZE = 64
PLACE = crop_from_pose(np.array([80.0, 60.0, np.log(64.0), 0.2]), SIZE).astype(np.float32)


@pytest.fixture
def picture():
    grey = np.random.default_rng(4).integers(60, 180, (12, 16, 3), dtype=np.uint8)
    image = cv2.resize(grey, (160, 120), interpolation=cv2.INTER_CUBIC)
    image.flags.writeable = False
    return image


def changed_frame(picture, change=40, face=None):
    """A frame whose crop was made brighter by `change`."""
    image = warp(picture, PLACE.astype(np.float64), np.empty((SIZE, SIZE, 3), np.uint8))
    crop = Crop((image + change).astype(np.uint8), PLACE, tracked=True)
    return Frame(3, 1.0, "device", picture, face=face, crop=crop, practise=True)


def opened(**settings):
    stage = PasteBackStage(PasteBackSettings(**settings), Context("paste_back"))
    stage.open()
    return stage


def through(stage, frame):
    [(port, out)] = list(stage.process("frame", frame))
    assert port == "frame"
    return out


def small_face(radius_px):
    """A face whose oval is a circle in the middle of the crop."""
    landmarks = np.tile(np.float32([80, 60]), (478, 1))
    turn = np.linspace(0, 2 * np.pi, len(FACE_OVAL), endpoint=False)
    landmarks[FACE_OVAL] += radius_px * np.column_stack([np.sin(turn), -np.cos(turn)]).astype(np.float32)
    return Face(landmarks, np.zeros(52, np.float32))


@pytest.mark.parametrize("method", ["change", "replace"])
def test_the_change_appears_where_the_crop_lies(picture, method):
    before = picture.copy()
    out = through(opened(method=method), changed_frame(picture))
    weight = cv2.warpAffine(
        edge_mask(SIZE).astype(np.float32) / 255,
        PLACE.astype(np.float64),
        (160, 120),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    )
    difference = out.image.astype(int) - before
    assert np.abs(difference - 40 * weight[:, :, None]).max() < (4 if method == "change" else 25)
    assert (difference[weight == 0] == 0).all()
    np.testing.assert_array_equal(picture, before)
    assert out.practise
    assert out.slot is None
    assert (out.seq, out.t_capture, out.stamp) == (3, 1.0, "device")


@pytest.mark.parametrize("x", [80.0, 20.0, 150.0])
def test_own_face_and_movement_stand_next_to_each_other(picture, x):
    place = crop_from_pose(np.array([x, 60.0, np.log(64.0), 0.2]), SIZE).astype(np.float32)
    image = warp(picture, place.astype(np.float64), np.empty((SIZE, SIZE, 3), np.uint8))
    crop = Crop((image + 40).astype(np.uint8), place, tracked=True)
    frame = Frame(3, 1.0, "device", picture, crop=crop, practise=True)
    stage = opened()
    whole = through(stage, frame).image.copy()
    stage.command("view", "beside")
    found = through(stage, frame).image
    first = int(np.clip(x - 40, 0, 80))
    assert (found[:, :80] == picture[:, first : first + 80]).all()
    assert (found[:, 80:] == whole[:, first : first + 80]).all()
    assert (found[:, :80] != found[:, 80:]).any()
    stage.command("view", "x-ray")
    assert (through(stage, frame).image == found).all()
    stage.command("view", "practise")
    assert (through(stage, frame).image == whole).all()


def test_where_the_own_face_is_in_the_picture_that_is_shown(picture):
    place = crop_from_pose(np.array([90.0, 60.0, np.log(64.0), 0.2]), SIZE).astype(np.float32)
    frame = replace(
        changed_frame(picture, face=small_face(15.0)), crop=Crop(np.zeros((64, 64, 3), np.uint8), place, True)
    )
    stage = opened(view="beside")
    beside = through(stage, frame)
    shift = beside.face.landmarks_px - frame.face.landmarks_px
    assert (shift == [-50, 0]).all()  # the left half begins at column 50
    x, y = frame.face.landmarks_px[0].astype(int)
    assert (beside.image[y, x - 50] == picture[y, x]).all()
    stage.command("view", "practise")
    assert through(stage, frame).face is None  # no face looks like that one
    still = replace(frame, practise=False)
    assert through(stage, still).face is frame.face


def test_an_unchanged_crop_passes_untouched(picture, monkeypatch):
    stage = opened()
    monkeypatch.setattr(stage.context, "frame_buffer", lambda *_: pytest.fail("nothing may be copied"))
    for frame in (replace(changed_frame(picture), practise=False), Frame(0, 1.0, "host", picture)):
        assert through(stage, frame) is frame


def test_the_picture_is_made_in_the_buffer_of_the_runtime(picture, monkeypatch):
    stage = opened()
    given = np.zeros((120, 160, 3), np.uint8)
    monkeypatch.setattr(stage.context, "frame_buffer", lambda port, shape: given)
    assert through(stage, changed_frame(picture)).image is given
    assert (given != picture).any()


def test_hair_and_background_stay_the_cameras_own(picture):
    stage = opened()
    out = through(stage, changed_frame(picture, face=small_face(15.0)))
    rows, columns = np.mgrid[:120, :160]
    distance_px = np.hypot(columns - 80, rows - 60)
    assert (out.image[distance_px > 23] == picture[distance_px > 23]).all()
    assert (out.image[distance_px < 7].astype(int) - picture[distance_px < 7] > 35).all()


def test_while_the_face_is_lost_its_last_outline_holds(picture):
    stage = opened()
    through(stage, changed_frame(picture, face=small_face(15.0)))
    held = through(stage, replace(changed_frame(picture), t_capture=1.3)).image
    assert (held[60, 50] == picture[60, 50]).all()  # outside the outline, inside the crop
    later = through(stage, replace(changed_frame(picture), t_capture=9.0)).image
    assert (later[60, 58] != picture[60, 58]).any()


def test_crops_of_another_size_are_no_restart(picture):
    stage = opened()
    through(stage, changed_frame(picture))
    place = crop_from_pose(np.array([80.0, 60.0, np.log(64.0), 0.0]), 32).astype(np.float32)
    crop = Crop(np.full((32, 32, 3), 255, np.uint8), place, tracked=True)
    out = through(stage, replace(changed_frame(picture), crop=crop))
    assert (out.image[60, 80] > 230).all()
