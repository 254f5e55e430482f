"""Electrode-free EMG (EIFER): what the muscles may be doing, from what the face shows. Never a measurement."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from engines.emg.emg_bundle import EmgBundle
from engines.emg.emg_networks import Exp2Emg, check_mediapipe, fitting, learned_from
from engines.emg.montage import FRIDLUND
from engines.errors import EngineError
from engines.model import Model
from rt.errors import BadSettings
from rt.message import Estimate, Expression, Message, Muscles
from rt.networks import engine_facts, open_network
from rt.stage import Context, Emit, Node

_UNUSABLE = "muscles cannot be estimated"


@dataclass(frozen=True)
class Exp2EmgSettings:
    """Which bundle, what runs it, and what it is given.

    chain: id of the station's EMG chain.  profile: of the expressions that come; mediapipe: whether they are
    MediaPipe's blendshapes.  backend, device, precision, threads: as in `engines.load`.
    """

    bundle: str = "exp2emg"
    chain: str = ""
    profile: str = "arkit52"
    mediapipe: bool = False
    backend: str | None = None
    device: str = "cpu"
    precision: str | None = "fp32"  # so small that less would save nothing
    threads: int | None = 1


class Exp2EmgStage(Node[Exp2EmgSettings]):
    """An Estimate for every Expression. muscles: only their calibration is used, where the bundle's numbers need one.

    The facts say what per cent are of (`relative_to`: 'own maximum' or 'strongest muscle') and whether the network
    says how sure it is (`uncertainty`), and whose expressions taught it (`learned_from`): others mean less to it.
    """

    Settings = Exp2EmgSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {"expression": Expression, "muscles": Muscles}
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"estimate": Estimate}

    def __init__(self, settings: Exp2EmgSettings, context: Context) -> None:
        """Raises BadSettings when the bundle is damaged or does not fit."""
        super().__init__(settings, context)
        self._model, self._bundle = read_exp2emg(settings)
        self._network: Exp2Emg | None = None
        self._calibration = b""

    def open(self) -> None:
        """Load and warm the network. Raises BadSettings when it cannot be run here, or disagrees with its manifest."""
        engine = open_network(self._model, self.settings, _UNUSABLE, "estimate: off")
        self._network = Exp2Emg(engine, self._bundle)
        facts = engine_facts(engine, self._model, "exp2emg")
        self.context.tell(uncertainty=len(engine.outputs) > 1, learned_from=learned_from(self._model.bundle), **facts)
        self._tell_unit(self._network)

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """The muscles behind one expression."""
        network = self._network
        assert network is not None, "process() before open()"
        if isinstance(message, Muscles):
            self._calibrate(network, message)
            return ()
        assert isinstance(message, Expression)
        guess = network.run(message.t, message.values)
        return [("estimate", Estimate(message.t, guess.percent, guess.spread, message.seq))]

    def close(self) -> None:
        """Give the network's memory and threads back."""
        if self._network is not None:
            self._network.close()
            self._network = None

    def _calibrate(self, network: Exp2Emg, muscles: Muscles) -> None:
        if muscles.rest_uv.shape != (len(FRIDLUND),):
            return
        key = muscles.rest_uv.tobytes() + muscles.reference_uv.tobytes()
        if key != self._calibration:
            self._calibration = key
            network.scale.calibrate(muscles.rest_uv, muscles.reference_uv)
            self._tell_unit(network)

    def _tell_unit(self, network: Exp2Emg) -> None:
        self.context.tell(relative_to="strongest muscle" if network.scale.of_strongest else "own maximum")


def read_exp2emg(settings: Exp2EmgSettings) -> tuple[Model, EmgBundle]:
    """The bundle, checked.  Raises BadSettings, in one sentence, for one that is damaged or for something else."""
    try:
        model = Model.read(settings.bundle)
        found = fitting(model.bundle, model.name, "exp2emg", settings.chain, FRIDLUND.name, settings.profile)
        if settings.mediapipe:
            check_mediapipe(model.bundle, model.name)
        return model, found
    except EngineError as error:
        raise BadSettings(f"{_UNUSABLE}: {error}") from error
