"""Writes a session to disk: signals.xdf and video segments, as far as the subject's consent reaches.

Pictures are encoded straight from shared memory. A full disk ends the file that it hit, with an alarm; what is written
stays readable and the session goes on.
"""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from engines.emg.montage import FRIDLUND, Montage, montage_called
from rt import clock
from rt.errors import BadSettings, DataLost
from rt.message import Chunk, Estimate, Event, Expression, Frame, Message, Motion, Parameters
from rt.recording.session_folder import SessionFolder
from rt.recording.signals import SignalsFile
from rt.recording.video import VideoWriter
from rt.stage import Context, Emit, Node

_LOW_DISK_BYTES = 2 << 30  # about half an hour of 22 channels and 640x480 video


@dataclass(frozen=True)
class RecorderSettings:
    """montage, channels: what the EMG columns are (channels empty = all of the montage's).

    fps: the camera's rate, a hint for the encoder. codec: 'h264', 'mjpeg' (less CPU) or 'ffv1' (lossless).
    record: whether recording is on from the start; the command 'record' switches it.
    """

    montage: str = FRIDLUND.name
    channels: tuple[str, ...] = ()
    fps: float = 30.0
    codec: str = "h264"
    record: bool = True


class RecorderSink(Node[RecorderSettings]):
    """frame: every captured frame, lossless. emg, envelope: signals. params: what was found out about each.

    expression, estimate: what networks say, kept beside what was measured and never among it.  motion: head pose and
    symmetry, from pictures.
    """

    Settings = RecorderSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {
        "frame": Frame,
        "emg": Chunk,
        "envelope": Chunk,
        "params": Parameters,
        "expression": Expression,
        "estimate": Estimate,
        "motion": Motion,
    }
    KEEPS = True

    def __init__(self, settings: RecorderSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._signals: SignalsFile | None = None
        self._video: VideoWriter | None = None
        self._segment = 0
        self._video_lost = False
        self._recording = settings.record

    def open(self) -> None:
        """Begin the files, or go on with them after a restart. Raises BadSettings without a recording folder."""
        if self.context.folder is None:
            raise BadSettings("the recorder needs a folder to write to: give --out DIR")
        montage = montage_called(self.settings.montage, self.settings.channels)
        self._folder = SessionFolder.open(self.context.folder)
        free = shutil.disk_usage(self._folder.path).free
        if free < _LOW_DISK_BYTES:
            self.context.event("ALARM", f"only {free / 1e9:.1f} GB are free where the session is recorded")
        self._emg_allowed, self._video_allowed = self._folder.allows("emg"), self._folder.allows("video")
        self._guard(lambda: self._open_signals(montage))
        self.context.tell(recording=self._recording, folder=str(self._folder.path), data_lost=self._signals is None)

    def _open_signals(self, montage: Montage) -> None:
        self._signals = SignalsFile(self._folder.signals, montage)
        if self.context.generation > 0:
            self._note("RESTART", f"the recorder was restarted ({self.context.generation})")
        elif self._recording:
            self._note("RECORD", "recording is on", on=True)

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """Write one message, unless recording is off or consent does not cover it."""
        if not self._recording:
            return ()
        if isinstance(message, Chunk):
            if self._emg_allowed:
                self._write(lambda signals: signals.chunk(message))
        elif isinstance(message, Frame):
            self._take_frame(message)
        elif isinstance(message, Parameters):
            self._take_parameters(message)
        elif isinstance(message, Motion):
            if self._video_allowed:
                self._write(lambda signals: signals.motion(message))
        elif isinstance(message, Expression | Estimate):
            self._take_said(message)
        return ()

    def command(self, name: str, value: Any) -> None:
        """'record' (True, False) switches recording; 'event' is an event of the session, which is recorded."""
        if name == "record" and bool(value) != self._recording:
            self._switch(bool(value))
        elif name == "event" and self._recording:
            event = Event(**value)
            self._write(lambda signals: signals.event(event))

    def finish(self) -> Iterable[Emit]:
        """Close the files; the digest of signals.xdf goes to the session, which writes the manifest."""
        if self._recording:
            self._note("RECORD", "recording is off", on=False)
        self._close_video()
        signals, self._signals = self._signals, None
        if signals is not None:
            self._guard(lambda: self.context.tell(sha256={"signals.xdf": signals.close()}))
        self.context.tell(recording=False)
        return ()

    def close(self) -> None:
        """Close what is still open (after an error)."""
        self._close_video()
        signals, self._signals = self._signals, None
        if signals is not None:
            self._guard(signals.close)

    def _take_frame(self, frame: Frame) -> None:
        signals = self._signals
        if signals is not None and 0 <= frame.seq <= signals.last_seq:
            return  # sent again after a restart
        segment, index = 0, -1
        if self._video_allowed and not self._video_lost:
            segment, index = self._encode(frame)
        intact = self.context.intact(frame)
        self._write(lambda signals: signals.frame(frame, segment, index, intact))

    def _encode(self, frame: Frame) -> tuple[int, int]:
        """(segment, index) of the picture in the video; (0, -1) when the disk is full."""
        size = (frame.image.shape[1], frame.image.shape[0])
        if self._video is not None and self._video.size != size:
            self._close_video()
        try:
            if self._video is None:
                self._segment, path = self._folder.next_video()
                self._video = VideoWriter(path, size, self.settings.fps, self.settings.codec)
            return self._segment, self._video.write(frame.t_capture, frame.image)
        except DataLost as error:
            self._video_lost = True
            self._alarm(error)
            self._close_video()
            return 0, -1

    def _take_parameters(self, found: Parameters) -> None:
        if self._video_allowed:
            self._write(lambda signals: signals.expression(found))
        muscles = found.muscles
        if muscles is not None and self._emg_allowed:
            self._write(lambda signals: signals.muscles(muscles))

    def _take_said(self, message: Expression | Estimate) -> None:
        """What networks say, into streams that say so: from pictures with consent to video, from muscles with EMG's."""
        if isinstance(message, Estimate):
            if self._video_allowed:
                self._write(lambda signals: signals.estimate(message))
        elif self._emg_allowed if message.source == "emg" else self._video_allowed:
            self._write(lambda signals: signals.said_expression(message))

    def _switch(self, on: bool) -> None:
        """Off ends the video segment, so that it is complete on disk; on begins a new one."""
        if on:
            self._recording = True
            self._note("RECORD", "recording is on", on=True)
        else:
            self._note("RECORD", "recording is off", on=False)
            self._recording = False
            self._close_video()
            if self._signals is not None:
                self._signals.pause()
        self.context.tell(recording=on)

    def _note(self, kind: str, text: str, **data: Any) -> None:
        event = Event(clock.now(), kind, self.context.node, text, data)
        self._write(lambda signals: signals.event(event))

    def _write(self, write: Callable[[SignalsFile], Any]) -> None:
        signals = self._signals
        if signals is not None:
            self._guard(lambda: write(signals))

    def _guard(self, step: Callable[[], Any]) -> None:
        """Do something that a full disk may end; then signals.xdf is closed as it is and the session goes on."""
        try:
            step()
        except DataLost as error:
            self._alarm(error)
            signals, self._signals = self._signals, None
            if signals is not None:
                signals.close()  # after DataLost it tries to write nothing more

    def _close_video(self) -> None:
        video, self._video = self._video, None
        if video is None:
            return
        try:
            video.close()
        except DataLost as error:
            self._alarm(error)

    def _alarm(self, error: DataLost) -> None:
        self.context.event("ALARM", str(error), data_lost=True)
        self.context.tell(data_lost=True)
