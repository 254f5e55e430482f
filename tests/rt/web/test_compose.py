"""What goes into one packet with a picture: where the face is in this very picture, and nowhere else."""

import numpy as np
import pytest

from rt.message import Face, Frame
from rt.web.compose import Composer

IMAGE = np.zeros((48, 64, 3), np.uint8)


@pytest.fixture
def composer():
    return Composer(channels=22, pairs=11, frame_limit_ms=500, emg_limit_ms=500)


@pytest.fixture
def frame():
    points = np.random.default_rng(2).uniform(0, 48, (478, 2)).astype(np.float32)
    return Frame(7, 10.0, "host", IMAGE, face=Face(points, np.zeros(52, np.float32)))


def test_the_face_goes_with_its_picture_and_with_no_other_packet(composer, frame):
    jpeg = composer.encode(frame)
    shown = composer.with_picture(frame, jpeg, 10.1)
    np.testing.assert_array_equal(shown.landmarks_px, frame.face.landmarks_px[:468])  # the skin's, no irises
    for other in (composer.with_values(10.2), composer.with_raw_picture(frame, jpeg, 10.2)):
        assert other.landmarks_px.size == 0


def test_a_picture_without_a_face_says_so(composer, frame):
    lost = Frame(8, 10.1, "host", IMAGE)
    composer.with_picture(frame, composer.encode(frame), 10.1)
    assert composer.with_picture(lost, composer.encode(lost), 10.2).landmarks_px.size == 0
