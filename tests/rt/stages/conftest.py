"""The real clip, and the model, for the stages' tests."""

import os
from pathlib import Path

import av
import numpy as np
import pytest

from rt import assets
from rt.message import Frame


@pytest.fixture(scope="session")
def clip_frames():
    """The 72 pictures of the real clip, as frames at 30 fps."""
    folder = os.environ.get("MYOMIRROR_DATA")
    path = Path(folder or ".") / "video" / "neutral_smile_neutral.mp4"
    if folder is None or not path.exists():
        pytest.skip("the clip neutral_smile_neutral.mp4 is not there: set $MYOMIRROR_DATA")
    with av.open(str(path)) as container:
        pictures = [picture.to_ndarray(format="bgr24") for picture in container.decode(video=0)]
    for picture in pictures:
        picture.flags.writeable = False
    return [Frame(i, 5000.0 + i / 30, "device", picture) for i, picture in enumerate(pictures)]


@pytest.fixture(scope="session")
def landmarker_model():
    """The path of the pinned model."""
    if assets.state("face_landmarker.task") != "ok":
        pytest.skip("face_landmarker.task is not installed: set $MYOMIRROR_ASSETS")
    return assets.find("face_landmarker.task")


@pytest.fixture
def empty_frame():
    """A frame of nothing."""
    return Frame(0, 5000.0, "host", np.zeros((480, 640, 3), np.uint8))
