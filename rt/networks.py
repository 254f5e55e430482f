"""Opening a bundle's network for a stage: what cannot be opened is one sentence that says how to go on."""

import importlib.util
from typing import Protocol

from engines.errors import BackendMissing, EngineError
from engines.loading import load
from engines.model import Model
from engines.spec import Engine
from rt.errors import BadSettings


class Wanted(Protocol):
    """What a stage's settings say about its engine: as in `engines.load`, None = what is fastest here."""

    @property
    def backend(self) -> str | None: ...

    @property
    def device(self) -> str: ...

    @property
    def precision(self) -> str | None: ...

    @property
    def threads(self) -> int | None: ...


def open_network(model: Model, wanted: Wanted, what_fails: str, without: str) -> Engine:
    """Load and warm a network.

    what_fails: how the sentence begins, e.g. "expressions cannot be read".  without: the line of a station file that
    does without it, e.g. "expression: off".
    Raises BadSettings, in one sentence, when it cannot be run here, or disagrees with its manifest.
    """
    try:
        return load(model, wanted.device, wanted.backend, wanted.precision, wanted.threads)
    except BackendMissing as error:
        chosen = wanted.backend is not None or importlib.util.find_spec("openvino") is not None
        why = str(error) if chosen else "nothing here can run networks: pip install openvino"
        raise BadSettings(f"{what_fails} with {model.name}: {why}, or set `{without}` in the station file") from error
    except EngineError as error:
        raise BadSettings(f"{what_fails}: the bundle {model.name} cannot be used: {error}") from error


def engine_facts(engine: Engine, model: Model, role: str) -> dict[str, str]:
    """What status and report say of an engine."""
    named = {"backend": engine.backend, "device": engine.device, "precision": engine.precision}
    return {"role": role, "bundle": model.name, **named}
