"""A short video held in memory as packets, decoded one picture at a time, round and round."""

import io
from collections.abc import Iterator
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError

from rt.errors import BadSettings


class LoopedClip:
    """Any picture of a clip by its number; the next one costs one decoding, any other those since its key frame.

    Only the compressed packets and one picture are kept: a minute of 640x480 would be 1.6 GB of pictures.  Decoding
    runs in the caller's thread alone, so a number always gives the same picture.
    """

    def __init__(self, video: bytes) -> None:
        """video: a whole file with one video of constant rate, yuv420p, sides divisible by four.

        Raises BadSettings when it is not.
        """
        try:
            self._container = av.open(io.BytesIO(video))
            stream = self._container.streams.video[0]
            stream.codec_context.thread_type, stream.codec_context.thread_count = "NONE", 1
            self._packets = [packet for packet in self._container.demux(stream) if packet.size]
        except (FFmpegError, IndexError) as error:
            raise _unreadable(error) from error
        self._decoder: Any = stream.codec_context
        self.fps, self.frames = float(stream.average_rate or 0), len(self._packets)
        self.shape = (stream.height, stream.width, 3)
        self._numbers = {pts: number for number, pts in enumerate(sorted(p.pts or 0 for p in self._packets))}
        # (number of a key frame, where its packet lies): packets come in decoding order, key frames in both.
        self._keys = [(self._numbers[p.pts or 0], at) for at, p in enumerate(self._packets) if p.is_keyframe]
        if not (self.fps > 0 and self._keys and self._decoder.pix_fmt == "yuv420p") or any(
            n % 4 for n in self.shape[:2]
        ):
            raise _unreadable(f"{self.frames} pictures of {self.shape[1]}x{self.shape[0]} {self._decoder.pix_fmt}")
        self._yuv, self._planes = _planes(*self.shape[:2])
        self._pictures, self._following = self._decoded(0), 0  # the picture that the decoder gives next

    def read(self, number: int, out: np.ndarray) -> None:
        """Decode picture `number`, counted through all repetitions, into out: (height, width, 3) uint8 BGR, contiguous.

        Raises BadSettings when the video is damaged there.
        """
        wanted = number % self.frames
        key, at = max(key for key in self._keys if key[0] <= wanted)
        if not key <= self._following <= wanted:
            self._decoder.flush_buffers()
            self._pictures, self._following = self._decoded(at), key
        try:
            picture = next(p for p in self._pictures if self._numbers.get(p.pts or 0) == wanted)
        except (FFmpegError, StopIteration) as error:
            self._following = self.frames  # whatever is asked for next starts at a key frame
            raise _unreadable(f"picture {wanted} is damaged") from error
        self._following = wanted + 1
        for plane, target in zip(picture.planes, self._planes, strict=True):
            rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
            np.copyto(target, rows[: target.shape[0], : target.shape[1]])
        cv2.cvtColor(self._yuv, cv2.COLOR_YUV2BGR_I420, dst=out)

    def _decoded(self, at: int) -> Iterator[av.VideoFrame]:
        """Pictures in the order they are shown, from the key frame's packet `at` to the end."""
        for packet in self._packets[at:]:
            yield from self._decoder.decode(packet)
        yield from self._decoder.decode(None)


def _planes(height: int, width: int) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """A picture as OpenCV's conversion wants it, all three planes in one piece, and views of each."""
    yuv = np.empty((height * 3 // 2, width), np.uint8)
    blue, red = yuv[height : height * 5 // 4], yuv[height * 5 // 4 :]
    halved = (height // 2, width // 2)
    return yuv, (yuv[:height], blue.reshape(halved), red.reshape(halved))


def _unreadable(reason: object) -> BadSettings:
    return BadSettings(f"the demo's recording cannot be decoded ({reason}): install MyoMirror again")
