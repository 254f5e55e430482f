"""Nodes for tests of rt/offline.py: lists that play, and one that remembers what came when."""

from dataclasses import dataclass

import numpy as np

from rt.message import Chunk, Frame
from rt.stage import Node, Source


@dataclass(frozen=True)
class ListSettings:
    """times: of pictures.  blocks: (samples, seconds missing before) of a signal that begins at 10 s, 1000 Hz."""

    times: tuple[float, ...] = ()
    blocks: tuple[tuple[int, float], ...] = ()


class ListCamera(Source[ListSettings]):
    Settings = ListSettings
    OUTPUTS = {"frame": Frame}

    def open(self):
        self._frames = iter(enumerate(self.settings.times))

    def read(self, timeout_s):
        number, t = next(self._frames, (None, None))
        if number is None:
            return None
        image = self.context.frame_buffer("frame", (2, 2, 3))
        image[:] = number
        return [("frame", Frame(number, t, "device", image))]


class ListSignal(Source[ListSettings]):
    Settings = ListSettings
    OUTPUTS = {"emg": Chunk}

    def open(self):
        self._chunks = iter(list(self._made()))

    def _made(self):
        t0, first = 10.0, 0
        for count, gap_s in self.settings.blocks:
            t0 += gap_s
            data = np.arange(first, first + count, dtype=np.float32)[:, None]
            yield Chunk(data, 1000.0, t0, first, "raw", gap_s)
            t0, first = t0 + count / 1000.0, first + count

    def read(self, timeout_s):
        chunk = next(self._chunks, None)
        return None if chunk is None else [("emg", chunk)]


@dataclass(frozen=True)
class NoSettings:
    """fail_at, drop_at: the picture at which a node breaks, or lets go; -1 never."""

    fail_at: int = -1
    drop_at: int = -1


class Remembering(Node[NoSettings]):
    Settings = NoSettings
    INPUTS = {"frame": Frame, "emg": Chunk}

    def open(self):
        self.frames, self.chunks, self.heard, self.ended = [], [], [], []

    def process(self, port, message):
        if isinstance(message, Chunk):
            self.chunks.append(message)
            self.heard += message.data[:, 0].tolist()
        else:
            if message.seq == self.settings.fail_at:
                raise ValueError("broken on purpose")
            if message.seq == self.settings.drop_at:
                self.context.drop("failed")
            self.frames.append((message, int(message.image[0, 0, 0]), len(self.heard), message.image.flags.writeable))
        return ()

    def finish(self):
        self.ended.append("finish")
        return ()

    def close(self):
        self.ended.append("close")
