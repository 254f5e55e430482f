"""A clip's pictures on disk: H.264 in MP4 as in MMM, and masks in FFV1, exact to a thirtieth.

A mask is stored as 0..15, which halves its file against 0..255: coverage is made in sixteenths, and `read_pictures`
gives multiples of 17 back.

What is written depends on the pictures alone: one thread, no creation time, no names of tools in the container, so the
same pictures give the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import av
import cv2
import numpy as np
import numpy.typing as npt

from engines.errors import BadInput

Picture = npt.NDArray[np.uint8]
Kind = Literal["picture", "mask"]

MASK_STEP = 17  # 15 x 17 = 255
_STORED = ((np.arange(256) + MASK_STEP // 2) // MASK_STEP).astype(np.uint8)
_READ = (np.minimum(np.arange(256), 15) * MASK_STEP).astype(np.uint8)

# kind -> (container, encoder, pixel format, options). crf 23 is MMM's. mbtree is off because x264 (core 165) reads
# memory that it has not written when it weighs macroblocks through B-frames: 25 runs on the same pictures gave 25
# different files, without it one. It may come back when x264 gives the same bytes with it.
_CODECS: dict[Kind, tuple[str, str, str, dict[str, str]]] = {
    "picture": ("mp4", "libx264", "yuv420p", {"preset": "faster", "crf": "23", "x264-params": "mbtree=0"}),
    "mask": ("matroska", "ffv1", "gray", {"level": "3", "coder": "2", "context": "1", "g": "30"}),
}


class ClipWriter:
    """Encodes one new file (0600), picture by picture.

    with ClipWriter(path, (286, 286), 30) as video:
        video.write(picture)
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: int, kind: Kind = "picture") -> None:
        """size: (width, height) px, even for "picture".  Raises OSError when the file cannot be made."""
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        container, codec, pixels, options = _CODECS[kind]
        self._size, self._kind = size, kind
        self._frames = 0
        self._container = av.open(str(path), "w", format=container, options={"fflags": "+bitexact"})
        self._stream: Any = self._container.add_stream(codec, rate=Fraction(fps), options=options)
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = pixels
        context = self._stream.codec_context
        context.thread_count = 1
        if kind == "picture":  # as OpenCV converts: BT.601, limited range
            context.colorspace, context.color_range = 6, 1
            self._yuv = np.empty((size[1] * 3 // 2, size[0]), np.uint8)

    def write(self, picture: Picture) -> None:
        """Add one picture: (height, width, 3) uint8 BGR, or (height, width) uint8 for a mask.  Raises OSError."""
        if self._kind == "picture":
            cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420, dst=self._yuv)
            frame = av.VideoFrame.from_ndarray(self._yuv, "yuv420p")
        else:
            frame = av.VideoFrame.from_ndarray(cv2.LUT(picture, _STORED), "gray")
        frame.pts = self._frames
        self._frames += 1
        self._mux(frame)

    def _mux(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def close(self) -> None:
        """Write what the encoder still holds, and the index.  Raises OSError (a full disk shows here too)."""
        try:
            self._mux(None)
        finally:
            self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            with suppress(OSError):  # the first error is the one to report
                self._container.close()


class VideoFacts(NamedTuple):
    """What a video's head says: frames, frames per second, (width, height) px."""

    frames: int
    fps: float
    size: tuple[int, int]


def video_facts(path: Path) -> VideoFacts:
    """Look at a video without decoding it.  Raises BadInput when it is none."""
    with _opened(path) as container:
        stream = container.streams.video[0]
        frames = stream.frames or sum(1 for packet in container.demux(stream) if packet.size)
        context = stream.codec_context
        return VideoFacts(frames, float(stream.average_rate or 0), (context.width, context.height))


def read_pictures(path: Path, kind: Kind = "picture") -> Iterator[Picture]:
    """All pictures of a file in order: (height, width, 3) uint8 BGR; of a mask (height, width) multiples of 17.

    Raises BadInput when the file is no video or breaks off.
    """
    with _opened(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        try:
            for frame in container.decode(stream):
                yield _as_array(frame, kind)
        except (av.error.FFmpegError, OSError) as error:
            raise BadInput(f"{path} breaks off ({error.strerror}): unpack or make it again") from None


def _as_array(frame: Any, kind: Kind) -> Picture:
    if kind == "mask":
        return np.asarray(cv2.LUT(frame.to_ndarray(format="gray"), _READ), np.uint8)
    if frame.format.name == "yuv420p":
        return np.asarray(cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2BGR_I420), dtype=np.uint8)
    return np.ascontiguousarray(frame.to_ndarray(format="bgr24"))


def _opened(path: Path) -> Any:
    if not path.is_file():
        raise BadInput(f"{path} does not exist")
    try:
        container = av.open(f"file:{path}")  # a file, never a playlist's address
    except (av.error.FFmpegError, OSError) as error:
        raise BadInput(f"{path} is not a readable video: {error.strerror}") from None
    if not container.streams.video:
        container.close()
        raise BadInput(f"{path} holds no video")
    return container
