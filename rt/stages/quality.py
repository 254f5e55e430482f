"""Is each electrode on? The verdicts of `engines.emg.quality`, ten times a second."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from engines.emg.quality import Quality as QualityEngine
from engines.emg.quality import QualitySettings, warm_up
from engines.errors import BadInput
from rt.errors import BadSettings
from rt.message import Chunk, Message, Quality
from rt.stage import Context, Emit, Node

_MOST_LOST_S = 60.0


@dataclass(frozen=True)
class QualityStageSettings:
    """What depends on amplifier and country; the limits are the engine's."""

    range_uv: float = 187_500.0  # half the amplifier's input range
    mains_hz: float | None = 50.0


class QualityStage(Node[QualityStageSettings]):
    """One Quality message per finished window of 0.1 s, however the signal is cut."""

    Settings = QualityStageSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {"emg": Chunk}
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"quality": Quality}

    def __init__(self, settings: QualityStageSettings, context: Context) -> None:
        super().__init__(settings, context)
        try:
            self._limits = QualitySettings(range_uv=settings.range_uv, mains_hz=settings.mains_hz)
        except BadInput as error:
            raise BadSettings(str(error)) from error
        self._quality = QualityEngine(self._limits)
        self._windows = 0

    def open(self) -> None:
        """Compile the kernel."""
        warm_up()

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """Judge one chunk of raw EMG."""
        assert isinstance(message, Chunk)
        lost = round(min(message.gap_s, _MOST_LOST_S) * message.rate_hz)
        report = self._quality.process(message.data, message.rate_hz, lost)
        if report.windows == self._windows:
            return ()
        self._windows = report.windows
        clipping = report.clip_ratio >= self._limits.clip_limit
        quality = Quality(message.t_last, report.contact, clipping, report.flat, report.mains_ratio)
        return [("quality", quality)]
