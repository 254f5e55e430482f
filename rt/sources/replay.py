"""A recording as a live camera and a live amplifier: the same pictures, the same samples in the same chunks, exactly.

The two nodes live in different processes. They agree on the moment at which the recording begins by the command
`replay_start`: each proposes one until it has heard one, the earliest wins, and whoever comes late (after a restart)
is told. A stamp t of the recording becomes t_start + (t - first stamp), so everything downstream sees live data.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rt import clock
from rt.errors import BadRecording, BadSettings
from rt.message import Chunk, Frame, Message
from rt.recording.recorded import Row, recorded_chunks, recorded_rows
from rt.recording.session_folder import SessionFolder
from rt.recording.streams import EMG, FRAMES
from rt.recording.video import VideoReader
from rt.recording.xdf_reader import Samples, walk
from rt.sources.pacing import wait_until
from rt.stage import Context, Emit, Source

START_COMMAND = "replay_start"
_LEAD_S = 0.3  # between the proposal of a start and the start: enough for it to reach the other process
_ASK_AGAIN_S = 1.0
_TOLD_EVERY_S = 0.5
_TOO_LATE_S = 0.5  # pictures later than this are left out, so that a restarted node catches up


@dataclass(frozen=True)
class ReplaySettings:
    """recording: the session folder.

    speed: 1 = as it was; above 1 faster (stamps then run ahead of the clock, latencies mean nothing); below 1 slower;
    0 = one message per call, as fast as it is read. t_start: LSL seconds at which it begins; 0 = the nodes agree.
    """

    recording: str
    speed: float = 1.0
    t_start: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.speed) and self.speed >= 0 and math.isfinite(self.t_start)):
            raise BadSettings(f"cannot replay at speed {self.speed} from {self.t_start}; give 0 or more")


class _Timeline:
    """When a moment of the recording is due now, and which stamp it gets."""

    def __init__(self, settings: ReplaySettings, context: Context, origin: float) -> None:
        self._speed = settings.speed
        self._context = context
        self._origin = origin
        self._t_start = settings.t_start or None
        self._t_asked = -math.inf

    def hear(self, value: Any) -> None:
        """A proposal from a replaying node (this one's own, too)."""
        if not isinstance(value, int | float) or not math.isfinite(value):
            return
        if self._t_start is None or value < self._t_start:
            self._t_start = float(value)
        elif value > self._t_start:
            self._context.request(START_COMMAND, self._t_start)

    def agreed(self) -> bool:
        """Whether the start is known; proposes one when it is not."""
        if self._t_start is None and clock.now() - self._t_asked > _ASK_AGAIN_S:
            self._t_asked = clock.now()
            self._context.request(START_COMMAND, self._t_asked + _LEAD_S)
        return self._t_start is not None

    def due(self, t: float) -> float:
        """LSL seconds at which the recording's moment t happens again; long ago when there is no pacing."""
        return self._start + (t - self._origin) / self._speed if self._speed else -math.inf

    def stamp(self, t: float) -> float:
        """The recording's stamp t as live LSL seconds."""
        return self.due(t) if 0 < self._speed < 1 else t + (self._start - self._origin)

    @property
    def _start(self) -> float:
        if self._t_start is None:
            raise BadSettings("a replay was read before its start was agreed on")
        return self._t_start


class _Replay(Source[ReplaySettings]):
    """What both nodes share: the recording, its first stamp, the agreed start."""

    Settings = ReplaySettings
    _STREAM: ClassVar[str]

    def __init__(self, settings: ReplaySettings, context: Context) -> None:
        super().__init__(settings, context)
        self.can_wait = settings.speed == 0

    def open(self) -> None:
        """Find the stream. Raises BadRecording when the folder is no recording or has nothing to replay."""
        self._folder = SessionFolder.open(Path(self.settings.recording))
        if not self._folder.signals.is_file():
            raise BadRecording(f"{self._folder.path.name} holds no signals.xdf; nothing can be replayed")
        self._timeline = _Timeline(self.settings, self.context, self._first_stamp())

    def command(self, name: str, value: Any) -> None:
        """The agreed start."""
        if name == START_COMMAND:
            self._timeline.hear(value)

    def _first_stamp(self) -> float:
        for _, item in walk(self._folder.signals, only=(EMG, FRAMES)):
            if isinstance(item, Samples) and len(item.stamps):
                return float(item.stamps[0])
        raise BadRecording(f"{self._folder.path.name} holds neither EMG nor frames; nothing can be replayed")


class ReplayEmg(_Replay):
    """The raw EMG, in the chunks and with the gaps in which it came, so that filters restart where they did."""

    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"emg": Chunk}

    def __init__(self, settings: ReplaySettings, context: Context) -> None:
        super().__init__(settings, context)
        self._next: Chunk | None = None
        self._samples = self._gaps = 0
        self._t_told = -math.inf

    def open(self) -> None:
        """Find the EMG and read its first chunk."""
        super().open()
        self._chunks = recorded_chunks(self._folder.signals)
        self._next = next(self._chunks, None)
        if self._next is not None:
            self.context.tell(channels=self._next.data.shape[1], rate_hz=self._next.rate_hz, samples=0, gaps=0)

    def read(self, timeout_s: float) -> Iterable[Emit] | None:
        """The next chunk when its last sample is due."""
        chunk = self._next
        if chunk is None:
            return None
        if not self._timeline.agreed() or not wait_until(self._timeline.due(chunk.t_last), timeout_s):
            return ()
        self._next = next(self._chunks, None)
        self._count(chunk)
        t0 = self._timeline.stamp(chunk.t_last) - (chunk.t_last - chunk.t0)
        shifted = Chunk(chunk.data, chunk.rate_hz, t0, chunk.first_sample, chunk.kind, chunk.gap_s)
        return (("emg", shifted),)

    def _count(self, chunk: Chunk) -> None:
        self._samples += len(chunk.data)
        if chunk.gap_s > 0:
            self._gaps += 1
            self.context.event("GAP", f"{chunk.gap_s:.3f} s of EMG are missing in the recording", gap_s=chunk.gap_s)
        if self._next is None or clock.now() - self._t_told > _TOLD_EVERY_S:
            self._t_told = clock.now()
            self.context.tell(samples=self._samples, gaps=self._gaps)


class ReplayCamera(_Replay):
    """The video segments, each picture with the capture time of its own row."""

    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}

    def __init__(self, settings: ReplaySettings, context: Context) -> None:
        super().__init__(settings, context)
        self._video: VideoReader | None = None
        self._segment = 0
        self._index = -1
        self._without = 0

    def open(self) -> None:
        """Find the frames and the first video segment."""
        super().open()
        self._segments = {int(path.stem[-4:]): path for path in self._folder.videos()}
        self._rows = recorded_rows(self._folder.signals)
        self._next = next(self._rows, None)

    def read(self, timeout_s: float) -> Iterable[Emit] | None:
        """The next picture when it is due; one that is far too late is only decoded."""
        row = self._next
        if row is None:
            return None
        if not self._timeline.agreed() or not wait_until(self._timeline.due(row.t_capture), timeout_s):
            return ()
        self._next = next(self._rows, None)
        image = self._picture(row)
        if image is None:
            self._without += 1
            return ()
        self._tell_missing()
        if self._next is not None and clock.now() - self._timeline.due(row.t_capture) > _TOO_LATE_S and self._paced:
            return ()
        stamp = "device" if row.device_stamp else "host"
        return (("frame", Frame(row.seq, self._timeline.stamp(row.t_capture), stamp, image)),)

    def finish(self) -> Iterable[Emit]:
        """Say whether the last frames had no picture."""
        self._tell_missing()
        return ()

    def _tell_missing(self) -> None:
        """Frames without a picture: the tail of a segment whose recorder was killed."""
        if self._without:
            text = f"{self._without} frames of the recording have no picture: their video was cut"
            self.context.event("GAP", text, frames=self._without)
            self._without = 0

    def close(self) -> None:
        """Close the video."""
        if self._video is not None:
            self._video.close()

    @property
    def _paced(self) -> bool:
        return self.settings.speed > 0

    def _picture(self, row: Row) -> np.ndarray | None:
        """Decode up to the row's picture; None when the video ends before it."""
        if row.segment != self._segment:
            self.close()
            self._segment, self._index = row.segment, -1
            path = self._segments.get(row.segment)
            self._video = VideoReader(path) if path is not None else None
        if self._video is None or row.place <= self._index:
            return None
        width, height = self._video.size
        image = self.context.frame_buffer("frame", (height, width, 3))
        while self._index < row.place:
            if self._video.read(image) is None:
                self._video.close()
                self._video = None
                return None
            self._index += 1
            self.context.beat()
        return image
