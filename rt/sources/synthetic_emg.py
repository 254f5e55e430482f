"""The demo's amplifier: the synthetic person's EMG, in step with the LSL clock and with the synthetic camera."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from engines.emg.demo_performance import demo_emg
from engines.emg.simulator import ORIGIN
from engines.errors import EngineError
from rt import clock
from rt.errors import BadSettings
from rt.message import Chunk, Message
from rt.sources.pacing import wait_until
from rt.stage import Context, Emit, Source

_LONGEST_S = 0.5  # of one chunk, when catching up
_TOLD_EVERY_S = 1.0


@dataclass(frozen=True)
class SyntheticEmgSettings:
    """Which person, how fast, and since when."""

    rate_hz: float = 4096.0
    chunk_ms: float = 16.0
    start_s: float | None = (
        None  # LSL seconds at which the performance begins, the camera's too; None: at the first read
    )
    seed: int = 0
    mains_hz: float = 50.0


class SyntheticEmgSource(Source[SyntheticEmgSettings]):
    """22 channels in montage order. Sample n of the performance is taken at start_s + n / rate_hz, to the microsecond.

    Nothing is ever left out: a reader that was away gets everything since, in pieces of at most half a second.
    """

    Settings = SyntheticEmgSettings
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"emg": Chunk}

    def __init__(self, settings: SyntheticEmgSettings, context: Context) -> None:
        super().__init__(settings, context)
        if not 1 <= settings.chunk_ms <= 1000 * _LONGEST_S:
            raise BadSettings(f"synthetic EMG needs 1 <= chunk_ms <= 500, got {settings.chunk_ms:g}")
        self._t_zero = settings.start_s
        self._samples = 0
        self._t_told = 0.0

    def open(self) -> None:
        """Make the noise and compile. Raises BadSettings when rate or mains do not fit."""
        s = self.settings
        try:
            self._person = demo_emg(s.rate_hz, s.seed, s.mains_hz)
        except EngineError as error:
            raise BadSettings(str(error)) from error
        self._person.block(0, 1)
        self._least = max(1, round(s.chunk_ms * 1e-3 * s.rate_hz))
        self._first: int | None = None  # the performance's sample with which this source began
        channels = len(self._person.montage)
        self.context.tell(device="synthetic", origin=ORIGIN, synthetic=True, rate_hz=s.rate_hz, channels=channels)

    def read(self, timeout_s: float) -> Iterable[Emit] | None:
        """The samples taken since the last chunk, once there are enough of them; it never ends."""
        rate_hz = self.settings.rate_hz
        now = clock.now()
        if self._t_zero is None:
            self._t_zero = now
        if self._first is None:  # a performance that began earlier is not caught up with
            self._first = max(math.ceil((now - self._t_zero) * rate_hz), 0)
        following = self._first + self._samples
        if not wait_until(self._t_zero + (following + self._least - 1) / rate_hz, timeout_s):
            return ()
        taken = math.floor((clock.now() - self._t_zero) * rate_hz) + 1
        count = min(max(taken - following, self._least), round(_LONGEST_S * rate_hz))
        data = self._person.block(following, count)
        chunk = Chunk(data, rate_hz, self._t_zero + following / rate_hz, self._samples)
        self._samples += count
        self._tell()
        return [("emg", chunk)]

    def _tell(self) -> None:
        if clock.now() - self._t_told > _TOLD_EVERY_S:
            self._t_told = clock.now()
            self.context.tell(samples=self._samples, gaps=0)
