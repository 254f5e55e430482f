"""The muscle-driven face (EIFER): what a face may show, from its muscles alone."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from engines.emg.emg_bundle import EmgBundle
from engines.emg.emg_networks import Emg2Exp, fitting
from engines.emg.montage import FRIDLUND
from engines.errors import EngineError
from engines.model import Model
from rt.errors import BadSettings
from rt.message import Expression, Message, Muscles
from rt.networks import engine_facts, open_network
from rt.stage import Context, Emit, Node

_EVERY_S = 0.030  # a face at 30 Hz or so; the bars have their own, faster way
_SET_BACK_S = 1.0  # older than that: not late, the sender's clock was set back
_UNUSABLE = "the face cannot be driven by muscles"


@dataclass(frozen=True)
class Emg2ExpSettings:
    """Which bundle and what runs it.

    chain: id of the station's EMG chain.  backend, device, precision, threads: as in `engines.load`.
    """

    bundle: str = "emg2exp"
    chain: str = ""
    backend: str | None = None
    device: str = "cpu"
    precision: str | None = "fp32"  # so small that less would save nothing
    threads: int | None = 1


class Emg2ExpStage(Node[Emg2ExpSettings]):
    """An Expression, at most 30 a second or so, from the calibrated muscles; nothing before they are calibrated.

    A muscle whose electrode is off counts as at rest. The facts say whether there is something to go by (`calibrated`).
    """

    Settings = Emg2ExpSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {"muscles": Muscles}
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"expression": Expression}

    def __init__(self, settings: Emg2ExpSettings, context: Context) -> None:
        """Raises BadSettings when the bundle is damaged or does not fit."""
        super().__init__(settings, context)
        self._model, self._bundle = read_emg2exp(settings)
        self._network: Emg2Exp | None = None
        self._t = -math.inf
        self._calibration = b""

    def open(self) -> None:
        """Load and warm the network. Raises BadSettings when it cannot be run here, or disagrees with its manifest."""
        engine = open_network(self._model, self.settings, _UNUSABLE, "estimate: {emg2exp: off}")
        self._network = Emg2Exp(engine, self._bundle)
        self.context.tell(
            calibrated=False, profile=self._bundle.profile.name, **engine_facts(engine, self._model, "emg2exp")
        )

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """The face that goes with these muscles."""
        assert isinstance(message, Muscles)
        network = self._network
        assert network is not None, "process() before open()"
        if message.percent_mvc.shape != (len(FRIDLUND),) or -_SET_BACK_S < message.t - self._t < _EVERY_S:
            return ()
        self._t = message.t
        self._calibrate(network, message)
        values = network.run(message.t, message.percent_mvc, message.envelope_uv)
        if values is None:
            return ()
        return [("expression", Expression(message.t, values, self._bundle.profile.name, "emg"))]

    def close(self) -> None:
        """Give the network's memory and threads back."""
        if self._network is not None:
            self._network.close()
            self._network = None

    def _calibrate(self, network: Emg2Exp, muscles: Muscles) -> None:
        key = muscles.rest_uv.tobytes() + muscles.reference_uv.tobytes()
        if key != self._calibration:
            self._calibration = key
            network.scale.calibrate(muscles.rest_uv, muscles.reference_uv)
            self.context.tell(calibrated=bool(np.isfinite(muscles.reference_uv).any()))


def read_emg2exp(settings: Emg2ExpSettings) -> tuple[Model, EmgBundle]:
    """The bundle, checked.  Raises BadSettings, in one sentence, for one that is damaged or for something else."""
    try:
        model = Model.read(settings.bundle)
        return model, fitting(model.bundle, model.name, "emg2exp", settings.chain, FRIDLUND.name)
    except EngineError as error:
        raise BadSettings(f"{_UNUSABLE}: {error}") from error
