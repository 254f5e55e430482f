"""Video segments in Matroska: a killed writer leaves a file that opens, less at most the last 200 ms and one frame.

Stamps are milliseconds since the segment's first frame (Matroska's own resolution, variable rate); the exact capture
times are in the recording's `frames` stream, joined by segment and index.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import av
import cv2
import numpy as np

from rt.errors import BadMessage, BadRecording, BadSettings, DataLost
from rt.recording.disk import DiskSync, create_private, lock

_MILLISECOND = Fraction(1, 1000)
_KEY_PERIOD_MS = 1000
_PIXELS_PER_THREAD = 1280 * 720  # x264 needs a second thread only above this (18 ms per 720p frame on one core)
_UNKNOWN_SIZE = bytes.fromhex("01ffffffffffffff")  # what Matroska holds until the segment is closed
_SEGMENT_ID = bytes.fromhex("18538067")

# Encoder name and options. h264: small and quick. mjpeg: quickest, no frame needs another one. ffv1: lossless.
_CODECS: dict[str, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", {"preset": "veryfast", "tune": "zerolatency", "crf": "20", "forced-idr": "1"}),
    "mjpeg": ("mjpeg", {"qmin": "2", "qmax": "4"}),
    "ffv1": ("ffv1", {"level": "3", "slices": "4", "slicecrc": "1"}),
}


class VideoWriter:
    """Encodes pictures into one new Matroska file (0600). One thread owns it.

    with VideoWriter(path, (640, 480), fps=30) as video:
        video.write(t_capture, image_bgr)
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: float, codec: str = "h264") -> None:
        """size: (width, height) in pixels. fps: the expected rate, a hint for the encoder only.

        Raises BadSettings for an unknown codec, an impossible size or an existing file, DataLost on a full disk.
        """
        if codec not in _CODECS:
            raise BadSettings(f"unknown video codec {codec!r}; known: {', '.join(_CODECS)}")
        if not (0 < size[0] <= 8192 and 0 < size[1] <= 8192 and 0 < fps <= 1000):
            raise BadSettings(f"cannot record video of {size[0]}x{size[1]} at {fps} fps")
        try:
            self._fd = create_private(path)
        except FileExistsError:
            raise BadSettings(f"{path} exists; a recording is never overwritten, choose another folder") from None
        except OSError as error:
            raise DataLost(f"{path} cannot be created: {error.strerror}") from None
        lock(self._fd, path)  # `repair` leaves a segment alone that is being written
        self.path = path
        self.size = size
        self.frames = 0
        self._first: float | None = None
        self._pts = self._key_pts = -_KEY_PERIOD_MS
        self._closed = self._failed = False
        self._format = _pixel_format(codec, size)
        self._yuv = np.empty((size[1] * 3 // 2, size[0]), np.uint8) if self._format == "yuv420p" else None
        options = {"cluster_time_limit": "200", "flush_packets": "1"}
        self._container = av.open(str(path), "w", format="matroska", options=options)
        self._stream = self._add_stream(codec, fps)
        self._sync = DiskSync(self._fd, lambda: os.fstat(self._fd).st_size, hashing=False)

    def _add_stream(self, codec: str, fps: float) -> Any:
        name, options = _CODECS[codec]
        stream = self._container.add_stream(name, rate=Fraction(fps).limit_denominator(1001), options=options)
        stream.width, stream.height = self.size
        stream.pix_fmt = self._format
        stream.time_base = stream.codec_context.time_base = _MILLISECOND
        stream.codec_context.gop_size = max(1, round(fps))
        stream.codec_context.thread_count = 2 if self.size[0] * self.size[1] > _PIXELS_PER_THREAD else 1
        if self._yuv is not None:  # players would guess BT.709 for 720p; OpenCV converts by BT.601, limited range
            stream.codec_context.colorspace, stream.codec_context.color_range = 6, 1
        return stream

    def write(self, t_capture: float, image: np.ndarray) -> int:
        """Encode one picture at once (it may be overwritten afterwards).

        t_capture: seconds, any clock; a stamp that does not increase is moved to 1 ms after the last one.
        image: (height, width, 3) uint8 BGR. Returns the picture's index in the file.
        Raises BadMessage for another size or dtype, DataLost when the disk is full (the file so far is readable).
        """
        if image.shape != (self.size[1], self.size[0], 3) or image.dtype != np.uint8:
            raise BadMessage(
                f"{self.path.name} takes pictures of {self.size[0]}x{self.size[1]} uint8 BGR; "
                f"got {image.shape} {image.dtype}"
            )
        if self._failed:
            raise DataLost(f"{self.path.name} stopped after a disk error; nothing is written")
        if self._first is None:
            self._first = t_capture
        frame = self._frame(image)
        self._pts = max(round((t_capture - self._first) * 1000), self._pts + 1, 0)
        frame.pts, frame.time_base = self._pts, _MILLISECOND
        if self._pts - self._key_pts >= _KEY_PERIOD_MS:  # a keyframe each second, whatever the frame rate does
            self._key_pts = self._pts
            frame.pict_type = av.video.frame.PictureType.I
        self._mux(frame)
        self.frames += 1
        return self.frames - 1

    def _frame(self, image: np.ndarray) -> Any:
        """The picture as the encoder wants it; OpenCV's conversion takes a fifth of libswscale's time."""
        if self._yuv is not None:
            cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420, dst=self._yuv)
            return av.VideoFrame.from_ndarray(self._yuv, "yuv420p")
        return av.VideoFrame.from_ndarray(image, "bgr24").reformat(format=self._format)

    def _mux(self, frame: Any) -> None:
        error = self._sync.error
        if error is None:
            try:
                for packet in self._stream.encode(frame):
                    self._container.mux(packet)
                return
            except (av.error.FFmpegError, OSError) as failure:
                error = failure
        raise self._lost(error) from error

    def _lost(self, error: Any) -> DataLost:
        self._failed = True
        return DataLost(
            f"{self.path.name}: {error.strerror} after {self.frames} pictures; the video so far is readable, "
            f"free some space and start a new recording"
        )

    def close(self) -> None:
        """Write what the encoder holds and the index, sync and close. After DataLost the file stays as it is."""
        if self._closed:
            return
        self._closed = True
        try:
            if not self._failed:
                self._mux(None)
        finally:
            try:
                self._container.close()
            except (av.error.FFmpegError, OSError) as error:
                if not self._failed:
                    raise self._lost(error) from error
            finally:
                self._sync.close()
                os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            with suppress(DataLost):  # the first error is the one to report
                self.close()


class VideoReader:
    """Reads one segment, frame by frame; a cut or damaged tail ends it, and `cut` then says so.

    with VideoReader(path) as video:
        for pts_s, image in video: ...
    """

    def __init__(self, path: Path) -> None:
        """Raises BadRecording when the file is missing or no Matroska video."""
        self.path = path
        self.cut = False
        self._container = _open(path)
        self._stream = self._container.streams.video[0]
        self._frames = self._decode()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        context = self._stream.codec_context
        return context.width, context.height

    def read(self, out: np.ndarray | None = None) -> tuple[float, np.ndarray] | None:
        """The next frame as (seconds since the segment's first frame, (height, width, 3) uint8 BGR).

        out: where to put it, contiguous; a new array otherwise. None after the last frame.
        """
        frame = next(self._frames, None)
        if frame is None:
            return None
        if out is None:
            out = np.empty((frame.height, frame.width, 3), np.uint8)
        elif out.shape != (frame.height, frame.width, 3) or out.dtype != np.uint8:
            raise BadRecording(
                f"{self.path.name} holds {frame.width}x{frame.height} pictures; the buffer is {out.shape}"
            )
        if frame.format.name == "yuv420p":
            cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2BGR_I420, dst=out)
        else:
            np.copyto(out, frame.to_ndarray(format="bgr24"))
        return frame.pts * float(frame.time_base), out

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        while (found := self.read()) is not None:
            yield found

    def count_packets(self) -> tuple[int, float]:
        """Number of readable frames and the last one's seconds, without decoding; nothing can be read afterwards."""
        count, last_s = 0, 0.0
        with suppress(av.error.InvalidDataError):  # a cut tail
            for packet in self._container.demux(self._stream):
                if packet.dts is not None and packet.size:
                    count, last_s = count + 1, max(last_s, float(packet.pts * packet.time_base))
        return count, last_s

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _decode(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                frames = packet.decode() if packet is not None else []
            except (av.error.FFmpegError, OSError):
                self.cut = True
                return
            if packet is None:
                return
            yield from frames


class Remuxed(NamedTuple):
    """What could be copied: frames, stamp of the last one in seconds, and how many bytes of the file were read."""

    frames: int
    last_s: float
    readable_bytes: int


def is_finished(path: Path) -> bool:
    """Whether a Matroska file was closed properly: its segment's size is known and reaches the file's end."""
    with path.open("rb") as file:
        head = file.read(4096)
    at = head.find(_SEGMENT_ID)
    size = head[at + 4 : at + 12]
    if at < 0 or len(size) < 8 or size == _UNKNOWN_SIZE:
        return False
    return at + 12 + int.from_bytes(size, "big") - (1 << 56) == path.stat().st_size


def remux(path: Path, out: Path) -> Remuxed:
    """Copy every readable packet of a segment into a new, properly closed file (0600); nothing is encoded again.

    Raises BadRecording when not even the file's head is readable.
    """
    os.close(create_private(out))
    frames, last_s, readable = 0, 0.0, 0
    with _open(path) as source, av.open(str(out), "w", format="matroska") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        try:
            for packet in source.demux(stream):
                if packet.dts is None or packet.size == 0:
                    continue
                readable = max(readable, packet.pos + packet.size)
                last_s = max(last_s, float(packet.pts * packet.time_base))
                packet.stream = copy
                target.mux(packet)
                frames += 1
        except av.error.InvalidDataError:
            pass  # the tail that was being written when the process died; the caller keeps those bytes
    return Remuxed(frames, last_s, readable)


def _open(path: Path) -> Any:
    if not path.is_file():
        raise BadRecording(f"{path} does not exist")
    try:
        container = av.open(f"file:{path}", format="matroska")  # never a playlist or an address
    except (av.error.FFmpegError, OSError) as error:
        raise BadRecording(f"{path.name} is not a readable Matroska video: {error.strerror}") from None
    if not container.streams.video:
        container.close()
        raise BadRecording(f"{path.name} holds no video")
    return container


def _pixel_format(codec: str, size: tuple[int, int]) -> str:
    if codec == "ffv1":
        return "bgr0"
    if codec == "mjpeg":
        return "yuvj420p"
    return "yuv420p" if size[0] % 2 == 0 and size[1] % 2 == 0 else "yuv444p"  # halved colour needs even sides
