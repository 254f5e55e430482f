"""The demo's videos: encoded once and slowly, for few bytes and a light decoder."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

CODEC = "libsvtav1"
_PRESET = "3"
_KEY_EVERY_S = 3


class DemoVideo:
    """Encodes pictures into an MP4 in memory.

    with DemoVideo((640, 480), 30, quality=30) as video:
        video.write(picture)
    video.content
    """

    def __init__(self, size: tuple[int, int], fps: int, quality: int) -> None:
        """size: (width, height) px, even.  quality: the encoder's constant rate factor, 1..63, lower is better."""
        self.content = b""
        self._file = io.BytesIO()
        self._container = av.open(self._file, "w", format="mp4", options={"fflags": "+bitexact"})
        options = {"preset": _PRESET, "crf": str(quality), "svtav1-params": "lp=1"}  # one thread: the same bytes
        self._stream: Any = self._container.add_stream(CODEC, rate=Fraction(fps), options=options)
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.gop_size = _KEY_EVERY_S * fps
        context.colorspace, context.color_range = 6, 1  # as OpenCV converts: BT.601, limited range
        self._yuv = np.empty((size[1] * 3 // 2, size[0]), np.uint8)

    def write(self, picture: Picture) -> None:
        """Add one picture: (height, width, 3) uint8 BGR."""
        cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420, dst=self._yuv)
        frame = av.VideoFrame.from_ndarray(self._yuv, "yuv420p")
        if self._stream.codec_context.is_open:
            self._container.mux(self._stream.encode(frame))
        else:
            with _scheduling_kept():
                self._container.mux(self._stream.encode(frame))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self.content = self._file.getvalue()


@contextmanager
def _scheduling_kept() -> Iterator[None]:
    """Undo what SVT-AV1 does to the process when it is opened by root.

    It puts the calling thread and its own into SCHED_FIFO with priority 99 (pthread_setschedparam in its svt_threads.c,
    seen in 4.x), children inherit that, and a machine of two cores then serves nobody else.  May go when it asks first.
    """
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for thread in Path("/proc/self/task").iterdir():
            with suppress(ProcessLookupError):
                os.sched_setscheduler(int(thread.name), policy, parameters)
