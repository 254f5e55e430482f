"""Envelopes, expression values and events as LSL outlets, for LabRecorder and everybody else.

Every sample carries its own time on the LSL clock: the envelope that of the EMG samples, the expression the picture's
t_capture. An envelope is late by the chain's group delay, which its description tells.
"""

import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from engines.emg.chain import chain_id, preset
from engines.emg.envelope import group_delay_ms
from engines.emg.montage import FRIDLUND
from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPES
from rt import lsl
from rt.errors import BadSettings
from rt.message import Chunk, Estimate, Expression, Message, Motion, Parameters
from rt.recording.streams import MOTION_COLUMNS
from rt.stage import Context, Emit, Node

_USUAL_RATE_HZ = 4096.0
_LEAST_RATE_HZ = 60.0  # an 8 Hz envelope is far below half of this


@dataclass(frozen=True)
class LslOutSettings:
    """Names of the outlets, and what they say of the signal."""

    prefix: str = "MyoMirror"
    preset: str = "standard"
    mains_hz: float | None = 50.0
    envelope_rate_hz: float = 0.0  # thinned out to about this; 0: the EMG's own rate
    origin: str = ""  # 'synthetic' for signals that no person made
    source_id: str = ""  # stem of the three; empty: the prefix and this machine's name
    reach: lsl.Reach = "machine"
    session: str = ""


class LslOutSink(Node[LslOutSettings]):
    """Three outlets: PREFIX-Envelope, PREFIX-Expression, PREFIX-Events. params: whose faces are sent on.

    Where networks say something, one more for each, from its first word on: PREFIX-ExpressionCamera, -ExpressionEmg,
    -Motion and -EstimatedMuscles, whose type is not EMG, because nothing in it was measured.
    """

    Settings = LslOutSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {
        "params": Parameters,
        "envelope": Chunk,
        "expression": Expression,
        "estimate": Estimate,
        "motion": Motion,
    }

    def __init__(self, settings: LslOutSettings, context: Context) -> None:
        super().__init__(settings, context)
        if settings.envelope_rate_hz and settings.envelope_rate_hz < _LEAST_RATE_HZ:
            raise BadSettings(f"envelope_rate_hz is {settings.envelope_rate_hz:g}: give 0 or at least 60")
        try:
            self._chain = preset(settings.preset, settings.mains_hz)
        except BadInput as error:
            raise BadSettings(str(error)) from error
        self._stem = settings.source_id or f"{settings.prefix.lower()}-{socket.gethostname()}"
        self._key: tuple[float, str] = (0.0, "")
        self._every = 1
        self._envelope: Any = None
        self._expression: Any = None
        self._events: Any = None
        self._said: dict[str, Any] = {}  # what networks say, by the outlet's name
        self._misfit_told = False

    def open(self) -> None:
        """Open the outlets of expression and events; the envelope's comes with its first chunk, which has the rate."""
        s = self.settings
        self._pylsl = lsl.library(s.reach, s.session)
        group_delay_ms(self._chain, _USUAL_RATE_HZ)  # made ready now, not while the first chunk waits
        info = self._info("Expression", "Expression", len(BLENDSHAPES), 0.0, self._pylsl.cf_float32)
        lsl.describe(info, BLENDSHAPES, "normalized", **self._origin(), standard="ARKit blendshapes, 0 to 1")
        self._expression = self._pylsl.StreamOutlet(info)
        info = self._info("Events", "Markers", 1, 0.0, self._pylsl.cf_string)
        lsl.describe(info, ["event"], "none", **self._origin(), content="JSON: kind, node, text, data")
        self._events = self._pylsl.StreamOutlet(info)
        self.context.tell(outlets=f"{s.prefix}-*", outlets_source_id=self._stem)

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """Push one picture's expression, or one chunk of envelope."""
        if isinstance(message, Parameters):
            if message.face is not None:
                self._expression.push_sample(message.face.blendshapes.tolist(), message.t_capture)
        elif isinstance(message, Chunk):
            self._push_envelope(message)
        elif isinstance(message, Expression):
            name = {"camera": "ExpressionCamera", "emg": "ExpressionEmg"}[message.source]
            labels = BLENDSHAPES if message.profile == "arkit52" else tuple(map(str, range(len(message.values))))
            self._push_said(
                name, "Expression", "normalized", labels, message.values, message.t, profile=message.profile
            )
        elif isinstance(message, Estimate):
            labels = (*(f"{c}_percent" for c in FRIDLUND.labels), *(f"{c}_sd" for c in FRIDLUND.labels))
            values = np.concatenate([message.percent, message.spread])
            note = {"content": "muscles guessed from the picture, relative, not measured", "montage": FRIDLUND.name}
            self._push_said("EstimatedMuscles", "Estimate", "percent", labels, values, message.t, **note)
        elif isinstance(message, Motion):
            note = {"content": "head pose in degrees, symmetry of the face without the turn, read from the picture"}
            self._push_said("Motion", "Motion", "mixed", MOTION_COLUMNS, message.row(), message.t, **note)
        return ()

    def command(self, name: str, value: Any) -> None:
        """Push the session's events, each as one JSON text at its own time."""
        if name == "event" and self._events is not None:
            told = {key: value[key] for key in ("kind", "node", "text", "data")}
            self._events.push_sample([json.dumps(told)], value["t"])

    def close(self) -> None:
        """Close the outlets."""
        self._envelope = self._expression = self._events = None
        self._said.clear()

    def _push_envelope(self, chunk: Chunk) -> None:
        if chunk.data.ndim != 2 or chunk.data.shape[1] != len(FRIDLUND.labels):
            self._tell_misfit(chunk)
            return
        if self._key != (chunk.rate_hz, chunk.chain):
            self._begin(chunk)
        first = -chunk.first_sample % self._every  # the same samples, however the signal was cut
        data = chunk.data[first :: self._every]
        if len(data):
            last = first + (len(data) - 1) * self._every
            self._envelope.push_chunk(np.ascontiguousarray(data), chunk.t0 + last / chunk.rate_hz)

    def _push_said(
        self, name: str, kind: str, unit: str, labels: tuple[str, ...], values: np.ndarray, t: float, **details: str
    ) -> None:
        if name not in self._said:
            info = self._info(name, kind, len(labels), 0.0, self._pylsl.cf_float32)
            lsl.describe(info, labels, unit, **self._origin(), **details)
            self._said[name] = self._pylsl.StreamOutlet(info)
        self._said[name].push_sample(values.tolist(), t)

    def _begin(self, chunk: Chunk) -> None:
        s, rate_hz = self.settings, chunk.rate_hz
        self._key = (rate_hz, chunk.chain)
        self._every = max(1, round(rate_hz / s.envelope_rate_hz)) if s.envelope_rate_hz else 1
        info = self._info(
            "Envelope", "EMG-Envelope", len(FRIDLUND.labels), rate_hz / self._every, self._pylsl.cf_float32
        )
        lsl.describe(
            info,
            FRIDLUND.labels,
            "microvolts",
            **self._origin(),
            montage=FRIDLUND.name,
            chain=chunk.chain,
            **self._delay(chunk),
        )
        self._envelope = None  # the old one goes before the new one comes
        self._envelope = self._pylsl.StreamOutlet(info)

    def _info(self, what: str, kind: str, channels: int, rate_hz: float, form: int) -> Any:
        name, source_id = f"{self.settings.prefix}-{what}", f"{self._stem}-{what.lower()}"
        return self._pylsl.StreamInfo(name, kind, channels, rate_hz, form, source_id)

    def _delay(self, chunk: Chunk) -> dict[str, str]:
        """The group delay of the preset, when it is the preset that runs."""
        if chain_id(self._chain, chunk.rate_hz) != chunk.chain:
            return {}
        delay_ms = group_delay_ms(self._chain, chunk.rate_hz)
        return {"preset": self.settings.preset, "group_delay_ms": f"{delay_ms:.1f}"}

    def _origin(self) -> dict[str, str]:
        return {"origin": self.settings.origin} if self.settings.origin else {}

    def _tell_misfit(self, chunk: Chunk) -> None:
        if not self._misfit_told:
            self._misfit_told = True
            text = f"an envelope of shape {chunk.data.shape} does not fit {len(FRIDLUND.labels)} channels: not sent on"
            self.context.event("ALARM", text)
