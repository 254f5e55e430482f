"""Following a face with MediaPipe's networks in OpenVINO, against MediaPipe on the same picture."""

import os
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPES
from engines.face.landmark_follower import LandmarkFollower

MODEL = Path(os.environ.get("MYOMIRROR_ASSETS", "/missing")) / "face_landmarker.task"


@pytest.fixture(scope="module")
def follower():
    if not MODEL.is_file():
        pytest.skip("face_landmarker.task is not there: set MYOMIRROR_ASSETS")
    made = LandmarkFollower(MODEL)
    yield made
    made.close()


def moved(picture, angle_deg, zoom, shift):
    height, width = picture.shape[:2]
    way = cv2.getRotationMatrix2D((width / 2, height / 2), angle_deg, zoom)
    way[:, 2] += shift
    return cv2.warpAffine(picture, way, (width, height), borderMode=cv2.BORDER_REPLICATE), way


@pytest.mark.parametrize(("angle_deg", "zoom", "shift"), [(0, 1, (0, 0)), (12, 0.95, (8, -6)), (-15, 1.05, (-10, 12))])
def test_it_says_what_mediapipe_says(follower, read_face, london_photo, angle_deg, zoom, shift):
    photo = cv2.resize(london_photo("001"), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    theirs, _ = read_face(photo)
    picture, way = moved(photo, angle_deg, zoom, shift)
    follower.begin(theirs)  # from here on it has to find its own way
    for step in range(4):
        found = follower.follow(picture, step / 30)
    again, shapes = read_face(picture)
    across = np.ptp(again[:, 0])
    assert np.linalg.norm(found.landmarks_px - again, axis=1).mean() < 0.012 * across
    assert np.linalg.norm(found.landmarks_px - (theirs @ way[:, :2].T + way[:, 2]), axis=1).mean() < 0.02 * across
    if angle_deg == 0:  # MediaPipe on a single picture cuts out another square: turned brows differ by up to 0.17
        np.testing.assert_allclose(found.blendshapes, [shapes[name] for name in BLENDSHAPES], atol=0.12)
    assert found.landmarks_px.dtype == found.blendshapes.dtype == np.float32


def test_a_picture_that_stands_still_gives_landmarks_that_stand_still(follower, read_face, london_photo):
    photo = london_photo("001")
    noise = np.random.default_rng(3)
    follower.begin(read_face(photo)[0])
    seen = []
    for step in range(25):
        grain = noise.normal(0, 2, photo.shape)
        seen.append(follower.follow(np.clip(photo + grain, 0, 255).astype(np.uint8), step / 30).landmarks_px)
    assert np.stack(seen[5:]).std(0).mean() < 0.002 * np.ptp(seen[-1][:, 0])


def test_what_is_told_stays_when_the_next_picture_comes(follower, read_face, london_photo):
    photo = london_photo("001")
    follower.begin(read_face(photo)[0])
    first = follower.follow(photo, 0.0)
    landmarks, shapes = first.landmarks_px.copy(), first.blendshapes.copy()
    follower.follow(moved(photo, 3, 1.02, (5, 5))[0], 0.03)
    np.testing.assert_array_equal(first.landmarks_px, landmarks)
    np.testing.assert_array_equal(first.blendshapes, shapes)


def test_a_face_that_is_gone_is_lost(follower, read_face, london_photo):
    photo = london_photo("001")
    follower.begin(read_face(photo)[0])
    assert follower.following
    assert follower.follow(np.full_like(photo, 90), 0.0) is None
    assert not follower.following
    assert follower.follow(photo, 0.1) is None  # until somebody finds it again


@pytest.mark.parametrize("spread", [0.01, 1e6])
def test_landmarks_that_no_face_can_have_are_lost(follower, spread, london_photo):
    follower.begin(np.random.default_rng(1).normal(300, spread, (478, 2)))
    assert follower.follow(london_photo("001"), 0.0) is None


@pytest.mark.parametrize("landmarks", [np.zeros((468, 2)), np.full((478, 2), np.nan)])
def test_only_landmarks_can_be_followed(follower, landmarks):
    with pytest.raises(BadInput, match="478, 2"):
        follower.begin(landmarks)


def test_a_file_that_is_no_landmarker_is_refused(tmp_path):
    for content in (b"no zip", None):
        path = tmp_path / "face_landmarker.task"
        if content is None:
            with zipfile.ZipFile(path, "w") as made:
                made.writestr("face_landmarks_detector.tflite", b"nonsense" * 100)
                made.writestr("face_blendshapes.tflite", b"nonsense" * 100)
        else:
            path.write_bytes(content)
        with pytest.raises(BadInput, match=r"landmarker model|TensorFlow Lite"):
            LandmarkFollower(path)
