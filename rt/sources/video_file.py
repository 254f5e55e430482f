"""A video file as a live camera: paced by its own time stamps on the LSL clock."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter

from rt import clock
from rt.errors import BadSettings
from rt.message import Frame, Message
from rt.sources.pacing import first_number, wait_until
from rt.stage import Context, Emit, Source

_FPS_IF_UNSAID = 30.0
_TOLD_EVERY_S = 1.0
_CATCH_UP_S = 0.2  # the longest that pictures nobody will see are decoded in one `read`
_LAG_S = 1.0  # still later than this afterwards: the schedule is moved, with a GAP event


@dataclass(frozen=True)
class VideoFileSettings:
    """Which file, and whether it goes on for ever."""

    path: str
    loop: bool = True  # seamless: time goes on, the first picture follows the last after one period


class VideoFileSource(Source[VideoFileSettings]):
    """Gives each picture at the moment its time stamp says, counted from the first `read`.

    The schedule is absolute, so nothing drifts: whoever comes late gets the newest picture that is due, and the
    ones passed over are counted (fact `skipped`). Only a stop so long, or a machine so slow, that decoding cannot
    catch up moves the schedule, and says so. Decoding is done before a picture is due, so a latency measured
    from `t_capture` does not contain it. `t_capture` is the scheduled moment; `stamp` is 'device'.
    """

    Settings = VideoFileSettings
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}

    def __init__(self, settings: VideoFileSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._number = first_number(context.generation)
        self._to_bgr = VideoReformatter()
        self._skipped = 0
        self._t_zero: float | None = None
        self._t_told = 0.0
        self._next: tuple[float, av.VideoFrame] | None = None
        self._container: Any = None

    def open(self) -> None:
        """Open the file and decode its first picture. Raises BadSettings when it is not a readable video."""
        path = Path(self.settings.path).expanduser()
        try:
            self._container = av.open(str(path))
            self._stream = self._container.streams.video[0]
        except (FFmpegError, OSError, IndexError) as error:
            reason = "has no video in it" if isinstance(error, IndexError) else f"cannot be read ({_words(error)})"
            raise BadSettings(f"the video file {path} {reason}: give the path of a video") from error
        rate = self._stream.average_rate
        self._period_s = 1 / float(rate) if rate else 1 / _FPS_IF_UNSAID
        self._pictures = self._decode()
        self._next = next(self._pictures, None)
        if self._next is None:
            raise BadSettings(f"the video file {path} holds no picture that can be decoded: give another file")
        first = self._next[1]
        self.context.tell(device=path.name, width=first.width, height=first.height, fps=round(1 / self._period_s, 3))

    def read(self, timeout_s: float) -> Iterable[Emit] | None:
        """The newest picture that is due, at most one; None after the last one of a file that does not loop."""
        if self._next is None:
            self.context.event("ALARM", f"the video {Path(self.settings.path).name} is over: no more pictures come")
            return None
        if self._t_zero is None:
            self._t_zero = clock.now()
        if not wait_until(self._t_zero + self._next[0], timeout_s):
            return ()
        due_s, picture = self._newest_due(self._next, self._t_zero)
        frame = self._frame(self._t_zero + due_s, picture)
        self._move_schedule()
        self._tell()
        return [("frame", frame)]

    def close(self) -> None:
        """Close the file."""
        if self._container is not None:
            self._container.close()

    def _newest_due(self, due: tuple[float, av.VideoFrame], t_zero: float) -> tuple[float, av.VideoFrame]:
        t_enough = clock.now() + _CATCH_UP_S
        self._next = next(self._pictures, None)
        while self._next is not None and t_zero + self._next[0] <= clock.now() < t_enough:
            self._skipped += 1
            due = self._next
            self._next = next(self._pictures, None)
        return due

    def _move_schedule(self) -> None:
        if self._next is None or self._t_zero is None:
            return
        lag_s = clock.now() - (self._t_zero + self._next[0])
        if lag_s > _LAG_S:
            self._t_zero += lag_s
            text = f"the video file was {lag_s:.1f} s late and goes on from where it is: this machine was too busy"
            self.context.event("GAP", text, gap_s=round(lag_s, 3))

    def _frame(self, t_due: float, picture: av.VideoFrame) -> Frame:
        image = self.context.frame_buffer("frame", (picture.height, picture.width, 3))
        plane = self._to_bgr.reformat(picture, format="bgr24").planes[0]  # swscale makes a fresh picture of its own
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        np.copyto(image, rows[:, : 3 * picture.width].reshape(image.shape))
        number, self._number = self._number, self._number + 1
        return Frame(number, t_due, "device", image)

    def _decode(self) -> Iterator[tuple[float, av.VideoFrame]]:
        """(seconds since the first picture, picture) for ever, or once. Damaged pictures are passed over."""
        start_s, t_s = 0.0, -self._period_s
        while True:
            first_pts: int | None = None
            for picture in self._readable():
                if first_pts is None:
                    first_pts = picture.pts or 0
                stamped = picture.pts is not None
                in_file_s = float(((picture.pts or 0) - first_pts) * (picture.time_base or Fraction(1)))
                t_s = max(start_s + in_file_s, t_s) if stamped else t_s + self._period_s
                yield t_s, picture
            if first_pts is None or not self.settings.loop:
                return
            start_s = t_s = t_s + self._period_s
            self._container.seek(0)

    def _readable(self) -> Iterator[av.VideoFrame]:
        try:
            yield from self._container.decode(self._stream)
        except FFmpegError as error:
            self.context.event("ALARM", f"the video file breaks off where it is damaged ({_words(error)})")

    def _tell(self) -> None:
        if clock.now() - self._t_told > _TOLD_EVERY_S:
            self._t_told = clock.now()
            self.context.tell(skipped=self._skipped)


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
