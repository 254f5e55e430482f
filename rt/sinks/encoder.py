"""The display of a session without a browser: encodes each picture as the page would get it, and counts it as shown.

It stands for the page in headless runs and benchmarks; the latencies end when the packet is complete ('encoded').
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from engines.emg.montage import FRIDLUND
from rt import clock
from rt.message import Estimate, Expression, Frame, Frontal, Message, Muscles
from rt.stage import Context, Emit, Node
from rt.web import frontal
from rt.web.compose import Composer
from rt.web.protocol import Flags, encode_packet


@dataclass(frozen=True)
class EncoderSinkSettings:
    """channels, pairs: sizes of the muscle arrays.  *_limit_ms: older is not live.  emg_delay_ms: group delay of the
    envelope, part of muscle-to-pixel.  removal, when_stale: as in the page's settings."""

    channels: int = len(FRIDLUND)
    pairs: int = len(FRIDLUND.pairs())
    emg_delay_ms: float = 0.0
    frame_limit_ms: float = 500.0
    emg_limit_ms: float = 500.0
    jpeg_quality: int = 85
    removal: str = ""
    when_stale: str = "last"


class EncoderSink(Node[EncoderSinkSettings]):
    """frame: pictures, counted as shown once encoded.  The others: newest values, between pictures."""

    Settings = EncoderSinkSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {
        "frame": Frame,
        "muscles": Muscles,
        "expression": Expression,
        "estimate": Estimate,
        "frontal": Frontal,
    }
    ACKNOWLEDGES = True

    def __init__(self, settings: EncoderSinkSettings, context: Context) -> None:
        super().__init__(settings, context)
        limits = settings.frame_limit_ms, settings.emg_limit_ms
        self._composer = Composer(
            settings.channels, settings.pairs, *limits, settings.jpeg_quality, removes=settings.removal != ""
        )
        self.encoded_bytes = 0

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """Encode one picture, or keep one set of values."""
        if isinstance(message, Muscles):
            self._composer.take_muscles(message)
        elif isinstance(message, Expression):
            self._composer.take_expression(message)
        elif isinstance(message, Estimate):
            self._composer.take_estimate(message)
        elif isinstance(message, Frontal):
            self.encoded_bytes += len(frontal.encode(message))
        elif isinstance(message, Frame):
            self._encode(message)
        return ()

    def _encode(self, frame: Frame) -> None:
        now = clock.now()
        if self._composer.is_late(frame, now):
            self.context.drop("stale")
            return
        if self._composer.is_unwanted(frame) and self.settings.when_stale != "camera":
            self.context.drop("not_restored")
            return
        jpeg = self._composer.encode(frame)
        if not self.context.intact(frame):
            self.context.drop("torn")
            return
        packet = self._composer.with_picture(frame, jpeg, now)
        self.encoded_bytes += len(encode_packet(packet, now))
        t_end = clock.now()
        self.context.shown()
        self.context.observe("photon_to_pixel", (t_end - frame.t_capture) * 1e3)
        if not packet.flags & Flags.STALE_EMG:  # marked as old on the page: not part of how late live values are
            self.context.observe("muscle_to_pixel", (t_end - packet.t_emg) * 1e3 + self.settings.emg_delay_ms)
