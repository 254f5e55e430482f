"""The causal envelope as a stage: every chunk of raw EMG becomes a chunk of envelope of the same moments."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any, ClassVar

import numpy as np

from engines.emg.envelope import Envelope, EnvelopeSettings, chain_id, group_delay_ms, preset, warm_up
from engines.errors import BadInput
from rt.errors import BadSettings
from rt.message import Chunk, Message
from rt.stage import Context, Emit, Node


@dataclass(frozen=True)
class EnvelopeStageSettings:
    """A preset (its group delay stands in `engines.emg.chain.EnvelopeSettings`) and what differs from it."""

    preset: str = "standard"
    mains_hz: float | None = 50.0
    overrides: Mapping[str, Any] = field(default_factory=dict)  # fields of EnvelopeSettings, e.g. {"lowpass_hz": 5.0}

    def chain(self) -> EnvelopeSettings:
        """The engine's settings. Raises BadSettings for unknown presets and fields, and values that cannot work."""
        known = [f.name for f in fields(EnvelopeSettings) if f.name not in ("name", "mains_hz")]
        for name in self.overrides:
            if name not in known:
                near = get_close_matches(name, known, 1)
                hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"
                raise BadSettings(f"the envelope has no setting {name!r}{hint}")
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in self.overrides.items()}
        try:
            return replace(preset(self.preset, self.mains_hz), **plain)
        except (BadInput, TypeError) as error:
            raise BadSettings(f"envelope settings: {error}") from error


class EnvelopeStage(Node[EnvelopeStageSettings]):
    """Filters start anew after a gap. Tells the chain id and the measured group delay."""

    Settings = EnvelopeStageSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {"emg": Chunk}
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"envelope": Chunk}

    def __init__(self, settings: EnvelopeStageSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._settings = settings.chain()
        self._envelope = Envelope(self._settings)
        self._rate_hz = 0.0
        self._chain = ""

    def open(self) -> None:
        """Compile the kernel, so that the first chunk is not late."""
        warm_up()

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """Envelope of one chunk; t0, first_sample and gap stay.

        The array is a new one for every chunk, because a lossless edge keeps what it sent until it is acknowledged.
        Raises BadInput when the rate is too low for the chain.
        """
        assert isinstance(message, Chunk)
        if message.rate_hz != self._rate_hz:
            self._begin(message.rate_hz)
        out = np.empty(message.data.shape, np.float32)
        self._envelope.process(message.data, message.rate_hz, restart=message.gap_s > 0, out=out)
        return [("envelope", replace(message, data=out, kind="envelope", chain=self._chain))]

    def _begin(self, rate_hz: float) -> None:
        delay_ms = group_delay_ms(self._settings, rate_hz)
        self._chain, self._rate_hz = chain_id(self._settings, rate_hz), rate_hz
        self.context.tell(chain=self._chain, preset=self._settings.name, group_delay_ms=round(delay_ms, 1))
