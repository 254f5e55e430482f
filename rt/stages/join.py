"""The one place where picture and muscles meet: the envelope is read as it was when the picture was taken.

4096 / 30 is no integer, and picture and signal come from different clocks at different speeds: nothing is counted
off. The last second of the envelope lies in a ring; a picture asks for its moment.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from engines.emg.montage import FRIDLUND
from engines.emg.quality import Contact
from rt.message import Chunk, Frame, Message, Muscles, Parameters
from rt.muscles import Ruler, measure
from rt.stage import Context, Emit, Node

_HISTORY_S = 1.0


@dataclass(frozen=True)
class JoinStageSettings:
    """How old an envelope may be for a picture."""

    limit_ms: float = 100.0


class JoinStage(Node[JoinStageSettings]):
    """Gives each frame the muscles as of its t_capture, and None where the signal was away, broken, or too old.

    `params` carries the same without pictures, for whoever keeps or forwards the numbers.
    """

    Settings = JoinStageSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame, "envelope": Chunk, "muscles": Muscles}
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame, "params": Parameters}

    def __init__(self, settings: JoinStageSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._history = History(len(FRIDLUND))
        self._ruler = Ruler(FRIDLUND)
        self._contact = np.full(len(FRIDLUND), Contact.OFF, np.uint8)
        self._misfit_told = False

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """Remember signal and calibration; join a frame."""
        if isinstance(message, Frame):
            joined = replace(message, muscles=self._muscles(message.t_capture))
            return [("frame", joined), ("params", Parameters.of(joined))]
        if isinstance(message, Chunk):
            self._remember(message)
        elif isinstance(message, Muscles) and message.contact.shape == self._contact.shape:
            self._ruler.take(message)
            self._contact[:] = message.contact
        return ()

    def _muscles(self, t: float) -> Muscles | None:
        found = self._history.as_of(t, self.settings.limit_ms * 1e-3)
        if found is None:
            return None
        return measure(found[0], found[1], self._contact, self._ruler.calibration, FRIDLUND)

    def _remember(self, chunk: Chunk) -> None:
        if chunk.data.ndim == 2 and chunk.data.shape[1] == len(FRIDLUND):
            self._history.add(chunk)
        elif not self._misfit_told:
            self._misfit_told = True
            text = f"an envelope of shape {chunk.data.shape} does not fit {len(FRIDLUND)} channels: not shown"
            self.context.event("ALARM", text)


@dataclass(frozen=True)
class _Piece:
    """Rows in the ring that came as one chunk."""

    t0: float
    first: int  # number of its first row since the ring was made
    count: int
    after_gap: bool


class History:
    """The last second of a signal, at its full rate, in memory that is there from the first chunk on."""

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._rate_hz = 0.0
        self._ring = np.empty((0, channels), np.float32)
        self._written = 0
        self._pieces: deque[_Piece] = deque()
        self._gap_pending = False

    def add(self, chunk: Chunk) -> None:
        """Append a chunk; after a gap the rows before it remain, but nothing is read across it."""
        if chunk.rate_hz != self._rate_hz:
            self._begin(chunk.rate_hz)
        self._gap_pending |= chunk.gap_s > 0
        data = chunk.data[-len(self._ring) :]
        if not len(data):
            return
        t0 = chunk.t0 + (len(chunk.data) - len(data)) / chunk.rate_hz
        self._pieces.append(_Piece(t0, self._written, len(data), self._gap_pending))
        self._gap_pending = False
        place = self._written % len(self._ring)
        head = min(len(data), len(self._ring) - place)
        self._ring[place : place + head] = data[:head]
        self._ring[: len(data) - head] = data[head:]
        self._written += len(data)
        oldest = self._written - len(self._ring)
        while self._pieces[0].first + self._pieces[0].count <= oldest:
            self._pieces.popleft()

    def as_of(self, t: float, limit_s: float) -> tuple[float, np.ndarray] | None:
        """Time and values (channel,) of the last sample not later than t.

        None when there is none within limit_s, or when the signal was interrupted between it and t. The values are a
        view into the ring, valid until the next `add`.
        """
        after_gap = False
        for piece in reversed(self._pieces):
            if piece.t0 > t:
                after_gap = piece.after_gap
                continue
            last = min(math.floor((t - piece.t0) * self._rate_hz + 1e-6), piece.count - 1)
            t_found = piece.t0 + last / self._rate_hz
            row = piece.first + last
            broken = after_gap and t - t_found > 1.0 / self._rate_hz  # only past a piece's end
            if broken or t - t_found > limit_s or row < self._written - len(self._ring):
                return None
            return t_found, self._ring[row % len(self._ring)]
        return None

    def _begin(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._ring = np.empty((max(1, math.ceil(_HISTORY_S * rate_hz)), self._channels), np.float32)
        self._written = 0
        self._pieces.clear()
