"""Small nodes that the runtime's tests place in graphs. Found through PYTHONPATH by the worker processes.

The command 'hang' makes the node that it names hang in its work loop, for ever. Files are written line by line, so
that what is in them outlives a SIGKILL and is counted independently of the board.
"""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rt import clock
from rt.errors import MissingDevice
from rt.message import Chunk, Frame
from rt.stage import Node, Source


class Hangs:
    """Hangs when it is told to; closes its file."""

    _file = None

    def close(self):
        if self._file:
            self._file.close()

    def command(self, name, value):
        if name == "hang" and value == self.context.node:
            time.sleep(3600)


@dataclass(frozen=True)
class CameraSettings:
    fps: float = 30.0
    count: int = 0  # 0 = endless
    height: int = 48
    width: int = 64
    path: str = ""  # a line per frame
    missing: bool = False
    crash: bool = False


class Camera(Hangs, Source[CameraSettings]):
    """Pictures in which every pixel is the frame's number modulo 251, so that a torn one shows."""

    Settings = CameraSettings
    OUTPUTS = {"frame": Frame}

    def open(self):
        if self.settings.missing:
            raise MissingDevice("no camera: found nothing")
        self._n = 0
        self._t_next = None
        self._file = open(self.settings.path, "a", buffering=1) if self.settings.path else None

    def read(self, timeout_s):
        s = self.settings
        if s.crash:
            raise RuntimeError("made to crash")
        if s.count and self._n >= s.count:
            return None
        now = clock.now()
        if self._t_next is None:
            self._t_next = now
        if now < self._t_next:
            time.sleep(min(timeout_s, self._t_next - now))
            return []
        self._t_next = max(self._t_next + 1 / s.fps, now - 0.2)
        self._n += 1
        image = self.context.frame_buffer("frame", (s.height, s.width, 3))
        image[:] = self._n % 251
        if self._file:
            self._file.write(f"{self._n}\n")
        return [("frame", Frame(self._n, now, "host", image))]


@dataclass(frozen=True)
class SignalSettings:
    rate_hz: float = 1000.0
    count: int = 0


class Signal(Hangs, Source[SignalSettings]):
    """Chunks whose samples are their own index."""

    Settings = SignalSettings
    OUTPUTS = {"emg": Chunk}

    def open(self):
        self._first = 0
        self._t0 = clock.now()

    def read(self, timeout_s):
        time.sleep(timeout_s)
        if self.settings.count and self._first >= self.settings.count:
            return None
        n = int((clock.now() - self._t0) * self.settings.rate_hz) - self._first
        data = np.arange(self._first, self._first + n, dtype=np.float32)[:, None]
        chunk = Chunk(data, self.settings.rate_hz, self._t0 + self._first / self.settings.rate_hz, self._first)
        self._first += n
        return [("emg", chunk)]


@dataclass(frozen=True)
class StageSettings:
    work_s: float = 0.0
    fail_every: int = 0
    exit_at: int = 0  # the process dies on this one (0 = never; once: not after a restart)
    copy: bool = False


class Stage(Hangs, Node[StageSettings]):
    """Passes frames on; may work slowly, fail, or die."""

    Settings = StageSettings
    INPUTS = {"frame": Frame}
    OUTPUTS = {"frame": Frame}

    def open(self):
        self._n = 0

    def process(self, port, message):
        s = self.settings
        self._n += 1
        if s.work_s:
            time.sleep(s.work_s)
        if s.fail_every and self._n % s.fail_every == 0:
            raise ValueError("made to fail")
        if s.exit_at and self._n == s.exit_at and self.context.generation == 0:
            os._exit(9)
        if s.copy:
            image = self.context.frame_buffer("frame", message.image.shape)
            image[:] = message.image
            message = message.with_image(image, practise=True)
        return [("frame", message)]


@dataclass(frozen=True)
class SinkSettings:
    work_s: float = 0.0
    path: str = ""


class Display(Hangs, Node[SinkSettings]):
    """Shows frames, and writes a line for each: number, age, whether it was whole, its content, when."""

    Settings = SinkSettings
    INPUTS = {"frame": Frame}
    ACKNOWLEDGES = True

    def open(self):
        self._file = open(self.settings.path, "a", buffering=1) if self.settings.path else None

    def process(self, port, message):
        first = int(message.image[0, 0, 0])
        if self.settings.work_s:
            time.sleep(self.settings.work_s)
        whole = bool((message.image == first).all())
        if not self.context.intact(message):
            self.context.drop("torn")
            return []
        age_ms = (clock.now() - message.t_capture) * 1e3
        self.context.observe("photon_to_pixel", age_ms)
        self.context.shown()
        if self._file:
            self._file.write(f"{message.seq} {age_ms:.3f} {int(whole)} {first} {clock.now():.6f}\n")
        return []


@dataclass(frozen=True)
class FileSettings:
    path: str
    work_s: float = 0.0
    finish_s: float = 0.0
    dies_on: str = ""  # a port: killed on its tenth message, written but not yet counted (not after a restart)


class Keeper(Hangs, Node[FileSettings]):
    """A recorder in small: one line per chunk or frame; like the real one, it writes nothing that is there already."""

    Settings = FileSettings
    INPUTS = {"frame": Frame, "emg": Chunk}
    KEEPS = True

    def open(self):
        self._file = open(self.settings.path, "a+", buffering=1)
        self._file.seek(0)
        self._there = set(self._file.read().splitlines())
        self._n = 0

    def process(self, port, message):
        if self.settings.work_s:
            time.sleep(self.settings.work_s)
        if isinstance(message, Frame):
            line = f"frame {message.seq} {int(message.image[0, 0, 0])}"
        else:  # with its time, which a source that was restarted does not repeat
            line = f"emg {message.first_sample} {len(message.data)} {message.gap_s} {message.t0}"
        self._file.write(f"again {line}\n" if line in self._there else f"{line}\n")
        self._n += port == self.settings.dies_on
        if self._n == 10 and self.context.generation == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return []

    def command(self, name, value):
        super().command(name, value)
        if name not in ("status", "hang"):
            kind = value["kind"] if name == "event" else value
            self._file.write(f"{name} {kind} {self.context.generation}\n")

    def finish(self):
        time.sleep(self.settings.finish_s)
        self._file.write("finished\n")
        return []


@dataclass(frozen=True)
class NothingSettings:
    path: str = ""


class Opened(Node[NothingSettings]):
    """Leaves a file when it is opened and takes it away when it is closed, as a device would be locked."""

    Settings = NothingSettings
    INPUTS = {"frame": Frame}

    def open(self):
        Path(self.settings.path).touch()

    def process(self, port, message):
        return []

    def close(self):
        Path(self.settings.path).unlink()


@dataclass(frozen=True)
class TickerSettings:
    path: str


class Ticker(Node[TickerSettings]):
    """Writes down when it ticks."""

    Settings = TickerSettings
    INPUTS = {"frame": Frame}

    def open(self):
        self._file = open(self.settings.path, "a", buffering=1)

    def process(self, port, message):
        return []

    def tick(self):
        self._file.write(f"{clock.now():.6f}\n")
        return []
