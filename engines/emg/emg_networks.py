"""EMG2Exp and Exp2EMG as a live session runs them: a moment in, with its short past; a moment out, in people's units.

Buechner et al. 2025 (EIFER), section 4.3.  The history, the normalisation and the units are what the bundle says
(engines/emg/emg_bundle.py); time is the caller's.
"""

import json
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engines.bundle import Bundle
from engines.emg.emg_bundle import KEYS, NETWORK, SYSTEM, EmgBundle, check_station
from engines.emg.muscle_scale import MuscleScale
from engines.emg.taps import TapHistory
from engines.errors import BundleError
from engines.spec import ArraySpec, Engine

Floats = npt.NDArray[np.float32]

_PURPOSE = {"exp2emg": "from expression to muscles", "emg2exp": "from muscles to expression"}
_PEOPLE = "people.json"  # in the bundle: whose expressions taught it
_MEDIAPIPE = "MediaPipe"


def fitting(
    bundle: Bundle, name: str, direction: str, chain: str, montage: str, profile: str | None = None
) -> EmgBundle:
    """Check that a bundle goes the way that is needed, on this station's muscles.

    name: for the sentences.  direction: 'exp2emg' or 'emg2exp'.  chain, montage: the station's own.  profile: of the
    expressions that it will be given; None does not ask.
    Raises BundleError or ChainMismatch, in one sentence.
    """
    manifest = bundle.manifest
    if manifest.system != SYSTEM or manifest.network != NETWORK:
        raise BundleError(f"the bundle {name} is for {manifest.system}, not {_PURPOSE[direction]}: choose one for it")
    if missing := [key for key in KEYS if key not in manifest.sizes]:
        raise BundleError(f"the bundle {name} does not say its {', '.join(missing)}: train or fetch it again")
    found = EmgBundle.of(manifest.sizes)
    if found.direction != direction:
        raise BundleError(f"the bundle {name} goes {_PURPOSE[found.direction]}, {direction} is needed: choose another")
    check_station(manifest, chain, montage, profile)
    wanted = found.specs(bool(manifest.sizes["uncertainty"]))
    if [_shape(side) for side in wanted] != [_shape(manifest.inputs), _shape(manifest.outputs)]:
        raise BundleError(f"the bundle {name} has other inputs or outputs than its sizes say: train or fetch it again")
    return found


def check_mediapipe(bundle: Bundle, name: str) -> None:
    """Refuse to feed MediaPipe's blendshapes to a network that learned from something else by that name.

    Only a network that learned from them may have them.  True blendshapes, which they stand for, are zero at rest, and
    MediaPipe's are not, least of all under electrodes: a network that six synthetic people's truth had taught said
    orbicularis oris 200 +- 5 % (its limit) of the demo's resting person.
    Raises BundleError, in one sentence.
    """
    profile = bundle.manifest.sizes.get("profile")
    if profile != "arkit52":
        raise BundleError(
            f"the bundle {name} wants expressions in {profile}, MediaPipe's blendshapes are arkit52: "
            "name an encoder bundle (expression.bundle)"
        )
    method = learned_from(bundle)
    if method != _MEDIAPIPE:
        raise BundleError(
            f"the bundle {name} learned from expressions of {method or 'an unknown origin'}, which MediaPipe's "
            "blendshapes are not: name an encoder bundle (expression.bundle)"
        )


def learned_from(bundle: Bundle) -> str:
    """Whose expressions taught a bundle, as its training named them ('Truth', 'MediaPipe', ...); '' when unknown."""
    try:
        said = json.loads(bundle.files[_PEOPLE])
        return str(said["method"])
    except (KeyError, TypeError, ValueError):
        return ""


class MuscleGuess(NamedTuple):
    """Both (22,) float32, FRIDLUND order.  percent >= 0; spread: one standard deviation, NaN without a second head."""

    percent: Floats
    spread: Floats


class Exp2Emg:
    """What the muscles may be doing, from what the face shows.  Never a measurement."""

    def __init__(self, engine: Engine, bundle: EmgBundle) -> None:
        """engine: of a bundle for which `fitting` found no fault.  It runs once, so that nothing compiles later."""
        self._engine, self._range = engine, bundle.profile.range
        self._history = TapHistory(bundle.taps_ms, bundle.inputs)
        self._now = np.zeros(bundle.inputs, np.float32)
        self._nothing = np.full(bundle.outputs, np.nan, np.float32)
        self._has_spread = len(engine.outputs) > 1
        self.scale = MuscleScale(bundle.normalisation, bundle.outputs)
        _warm_up(engine)

    def run(self, t_s: float, expression: npt.NDArray[np.floating]) -> MuscleGuess:
        """One moment.

        t_s: seconds, rising.  expression: (parameter,) in the bundle's profile.  Returns arrays of its own.
        Raises BadInput when it does not fit, BundleError when the network gives what is no number.
        """
        np.clip(expression, *self._range, out=self._now, casting="same_kind")
        found = self._engine.run({"expression": self._history.push(t_s, self._now)})
        percent = self.scale.percent(_finite(found["emg"]))
        spread = self.scale.spread(_finite(found["emg_sd"])) if self._has_spread else self._nothing.copy()
        return MuscleGuess(percent, spread)

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


class Emg2Exp:
    """What a face may show, from its muscles alone."""

    def __init__(self, engine: Engine, bundle: EmgBundle) -> None:
        """engine: of a bundle for which `fitting` found no fault.  It runs once, so that nothing compiles later."""
        self._engine = engine
        self._most = engine.inputs[0].range[1]
        self._history = TapHistory(bundle.taps_ms, bundle.inputs)
        self._now = np.zeros(bundle.inputs, np.float32)
        self.scale = MuscleScale(bundle.normalisation, bundle.inputs)
        _warm_up(engine)

    def run(self, t_s: float, percent_mvc: Floats, envelope_uv: Floats) -> Floats | None:
        """One moment.

        t_s: seconds, rising.  percent_mvc, envelope_uv: (22,), NaN %MVC where nothing can be said.
        Returns (parameter,) float32 of its own, or None while nothing is known of any muscle.
        Raises BadInput when something does not fit, BundleError when the network gives what is no number.
        """
        if not self.scale.shares(percent_mvc, envelope_uv, self._most, self._now):
            return None
        found = self._engine.run({"emg": self._history.push(t_s, self._now)})
        return _finite(found["expression"]).copy()

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


def _warm_up(engine: Engine) -> None:
    """Run once on nothing, past the history, which this must not enter."""
    (spec,) = engine.inputs
    engine.run({spec.name: np.zeros(spec.shape or (), np.float32)})


def _finite(values: Floats) -> Floats:
    if not np.isfinite(values).all():
        raise BundleError("a network between expression and muscles gives what is no number: choose another bundle")
    return values


def _shape(specs: tuple[ArraySpec, ...]) -> list[tuple[str, tuple[int, ...] | None]]:
    return [(spec.name, spec.shape) for spec in specs]
