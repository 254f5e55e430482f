import os
from pathlib import Path

import numpy as np
import pytest

from calibration.demo_video import DemoVideo
from rt.sources.looped_clip import LoopedClip


@pytest.fixture(scope="module")
def pictures():
    """Two seconds of a soft blob that wanders, in colour."""
    y, x = np.mgrid[:48, :64]
    blobs = [np.exp(-((x - 20 - 0.4 * t) ** 2 + (y - 24) ** 2) / 120) for t in range(60)]
    return [np.uint8(40 + 170 * blob[:, :, None] * (0.5, 0.8, 1.0)) for blob in blobs]


def encoded(pictures):
    with DemoVideo((64, 48), 30, 20) as video:
        for picture in pictures:
            video.write(picture)
    return video.content


def test_what_goes_in_comes_out_and_takes_less_room(pictures):
    content = encoded(pictures)
    clip, out = LoopedClip(content), np.empty((48, 64, 3), np.uint8)
    assert (clip.frames, clip.fps) == (60, 30.0)
    for number, picture in enumerate(pictures):
        clip.read(number, out)
        assert np.abs(out.astype(int) - picture).mean() < 3
    assert len(content) < 60 * 48 * 64 * 3 / 30


def test_the_same_pictures_give_the_same_bytes(pictures):
    assert encoded(pictures) == encoded(pictures)


def test_the_encoder_does_not_seize_the_machine(pictures):
    """SVT-AV1 makes itself and its caller real-time threads when root opens it: everything else would starve."""
    before = os.sched_getscheduler(0)
    with DemoVideo((64, 48), 30, 20) as video:
        for picture in pictures[:2]:
            video.write(picture)
            threads = [int(thread.name) for thread in Path("/proc/self/task").iterdir()]
            assert {os.sched_getscheduler(thread) for thread in threads} == {before}
