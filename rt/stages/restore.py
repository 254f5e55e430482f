"""Takes the electrodes off the face: a network from a bundle finds them and says what skin to show in their place."""

import importlib.util
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from engines.emg.montage import FRIDLUND
from engines.errors import BackendMissing, EngineError
from engines.face.restorer import Fit, Restorer, fitting
from engines.loading import load
from engines.model import Model
from rt.errors import BadSettings
from rt.message import Frame, Message, Restored
from rt.stage import Context, Emit, Node

RAW, RESTORED, EDIT = "raw", "restored", "edit"
VIEWS = (RAW, RESTORED, EDIT)
_FOLLOWS_S = 0.25  # two faces further apart are not steadied: too much happens between them


@dataclass(frozen=True)
class RestoreSettings:
    """Which bundle, what runs it, and what is shown at first.

    backend, device, precision, threads: as in `engines.load`, None = what is fastest here.  chain: id of the station's
    EMG chain, for bundles that learned from EMG.
    """

    bundle: str = "restore-cpu"  # a shipped bundle's name, or the path of one
    view: Literal["raw", "restored", "edit"] = "restored"
    backend: str | None = None
    device: str = "auto"
    precision: str | None = None
    threads: int | None = None
    chain: str = ""
    allow_untracked: bool = False  # also on the fixed crop, where no face can be followed at all


class RestoreStage(Node[RestoreSettings]):
    """Changes `.crop.image` to the face without electrodes; adds `.restored`, which paste-back lays into the picture.

    Command: 'restore', the view ('raw', 'restored' or 'edit'). In the raw view the network rests. A frame without a
    face to work on passes with removal='': whoever shows pictures decides what then is safe.
    """

    Settings = RestoreSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}

    def __init__(self, settings: RestoreSettings, context: Context) -> None:
        """Raises BadSettings when the bundle is damaged or does not fit."""
        super().__init__(settings, context)
        self._model, self._fit = read_restorer(settings.bundle, settings.chain)
        self._view: str = settings.view
        self._restorer: Restorer | None = None
        self._t_last = -math.inf  # capture of the face before

    def open(self) -> None:
        """Load and warm the network. Raises BadSettings when it cannot be run here, or disagrees with its manifest."""
        wanted = self.settings
        try:
            engine = load(self._model, wanted.device, wanted.backend, wanted.precision, wanted.threads)
        except BackendMissing as error:
            raise BadSettings(_without_backend(self._model.name, wanted.backend, error)) from error
        except EngineError as error:
            raise BadSettings(f"the bundle {self._model.name} cannot be used: {error}") from error
        self._restorer = Restorer(engine)
        face = np.zeros((self._fit.size, self._fit.size, 3), np.uint8)
        for writeable in (True, False):  # a crop from another process is read-only: Numba compiles that anew
            face.flags.writeable = writeable
            for follows in (False, True):
                self._restorer.run(face, follows)
        self.context.tell(
            role="restore",
            backend=engine.backend,
            device=engine.device,
            bundle=self._model.name,
            precision=engine.precision,
            removal=self._view,
        )

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """The frame, its electrodes removed or not."""
        assert isinstance(message, Frame)
        crop, restorer = message.crop, self._restorer
        assert restorer is not None, "process() before open()"
        if self._view == RAW:
            return [("frame", replace(message, removal=RAW))]
        if crop is None or not (crop.tracked or self.settings.allow_untracked):
            return [("frame", message)]
        follows = 0 < message.t_capture - self._t_last < _FOLLOWS_S
        self._t_last = message.t_capture
        found = Restored(*restorer.run(crop.image, follows))
        return [("frame", replace(message, crop=replace(crop, image=found.face), removal=self._view, restored=found))]

    def command(self, name: str, value: Any) -> None:
        """'restore'; values that make no sense change nothing."""
        if name == "restore" and value in VIEWS:
            self._view = value
            self.context.tell(removal=value)

    def close(self) -> None:
        """Give the network's memory and threads back."""
        if self._restorer is not None:
            self._restorer.close()
            self._restorer = None


def read_restorer(bundle: str, chain: str = "") -> tuple[Model, Fit]:
    """The bundle, checked, and what it needs of the face crop. chain: id of the station's EMG chain.

    Raises BadSettings, in one sentence, for one that is damaged or made for something else.
    """
    try:
        model = Model.read(bundle)
        return model, fitting(model.bundle.manifest, model.name, chain, FRIDLUND.name)
    except EngineError as error:
        raise BadSettings(f"electrodes cannot be removed: {error}") from error


def _without_backend(bundle: str, backend: str | None, error: BackendMissing) -> str:
    """What to install, or how to go on without. Of all that could be installed, OpenVINO runs everywhere."""
    chosen = backend is not None or importlib.util.find_spec("openvino") is not None
    why = str(error) if chosen else "nothing here can run networks: pip install openvino"
    without = "set `restore: off` in the station file (demo: --restore off)"
    return f"electrodes cannot be removed with {bundle}: {why}, or {without}"
