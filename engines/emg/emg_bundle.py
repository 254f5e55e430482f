"""What a bundle of EMG2Exp or Exp2EMG says about itself, and whether it fits the station that wants to run it.

In the manifest (DESIGN 7, 13): `emg_chain` and `montage` say which numbers the muscles are; `sizes` says the rest, so
that nothing has to be guessed at run time:

    direction      "exp2emg" or "emg2exp"          profile        "arkit52" or "flame55"
    normalisation  "maximum": microvolt / the largest of the whole person (the paper's)
                   "calibration": %MVC / 100 of every channel by itself (FACTS 1.5)
    taps_ms        how old each row of the input is, newest first; [0] is one moment
    widths, end, scaling, uncertainty, rest        see engines/networks/emg_mlp.py
"""

from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

from engines.bundle import Manifest
from engines.emg.chain import PRESETS, chain_id, preset
from engines.emg.expression_profile import ExpressionProfile, expression_profile
from engines.emg.montage import FRIDLUND
from engines.errors import BadInput, BundleError, ChainMismatch
from engines.spec import ArraySpec

SYSTEM, NETWORK = "eifer_emg", "emg_mlp"
DIRECTIONS = ("exp2emg", "emg2exp")
NORMALISATIONS = ("maximum", "calibration")
KEYS = ("direction", "profile", "normalisation", "taps_ms", "widths", "end", "scaling", "uncertainty", "rest")

_LONGEST_TAP_MS = 2000
_USUAL_RATE_HZ = 4096.0
_LOUDEST = {"maximum": 1.0, "calibration": 2.0}  # people may beat their reference


@dataclass(frozen=True)
class EmgBundle:
    """The `sizes` of a manifest, read."""

    direction: str
    profile: ExpressionProfile
    normalisation: str
    taps_ms: tuple[int, ...]

    @classmethod
    def of(cls, sizes: dict[str, Any]) -> "EmgBundle":
        """Raises BundleError, in one sentence, for what cannot be."""
        for name, known in (("direction", DIRECTIONS), ("normalisation", NORMALISATIONS)):
            if sizes[name] not in known:
                raise BundleError(f"{name} of an EMG bundle is {' or '.join(known)}, found {sizes[name]!r}")
        taps = sizes["taps_ms"]
        if not (
            isinstance(taps, list | tuple)
            and all(type(tap) is int for tap in taps)
            and taps
            and taps[0] == 0
            and all(a < b for a, b in pairwise(taps))
            and taps[-1] <= _LONGEST_TAP_MS
        ):
            raise BundleError(f"taps_ms must begin with 0 and rise, to {_LONGEST_TAP_MS} at most; found {taps!r}")
        try:
            profile = expression_profile(str(sizes["profile"]))
        except BadInput as error:
            raise BundleError(f"the manifest's profile does not fit: {error}") from error
        return cls(sizes["direction"], profile, sizes["normalisation"], tuple(taps))

    @property
    def inputs(self) -> int:
        """Values of one moment that goes in."""
        return self.profile.values if self.direction == "exp2emg" else len(FRIDLUND)

    @property
    def outputs(self) -> int:
        """Values that come out."""
        return len(FRIDLUND) if self.direction == "exp2emg" else self.profile.values

    def specs(self, uncertainty: bool) -> tuple[tuple[ArraySpec, ...], tuple[ArraySpec, ...]]:
        """Inputs and outputs as the manifest states them."""
        sides = (self._expression(), self._emg())
        given, found = sides if self.direction == "exp2emg" else sides[::-1]
        taps = len(self.taps_ms)
        if taps > 1:
            given = _spec(given.name, f"tap, {given.layout}", given.range, given.unit, (taps, self.inputs))
        spread = _spec(f"{found.name}_sd", found.layout, (0.0, found.range[1]), found.unit, (self.outputs,))
        return (given,), (found, spread) if uncertainty else (found,)

    def _expression(self) -> ArraySpec:
        return _spec("expression", "parameter", self.profile.range, self.profile.name, (self.profile.values,))

    def _emg(self) -> ArraySpec:
        unit = "participant's maximum" if self.normalisation == "maximum" else "%MVC / 100"
        return _spec("emg", "channel", (0.0, _LOUDEST[self.normalisation]), unit, (len(FRIDLUND),))


def check_station(manifest: Manifest, chain: str, montage: str, profile: str | None = None) -> None:
    """Refuse a bundle that was made for other numbers than this station's.

    chain: id of the station's EMG chain (engines.emg.chain.chain_id).  montage: its name.  profile: what its face
    encoder gives; None does not ask.
    Raises ChainMismatch for another chain, BundleError for another montage or profile or a bundle without EMG.
    """
    if manifest.network != NETWORK or manifest.emg_chain is None or manifest.montage is None:
        raise BundleError(f"a bundle for {manifest.system}, {manifest.network}, knows no muscles: choose an EMG bundle")
    if manifest.montage != montage:
        raise BundleError(
            f"the bundle was made for the montage {manifest.montage}, this station has {montage}: choose another "
            "bundle, or the montage that the electrodes really have"
        )
    if manifest.emg_chain != chain:
        raise ChainMismatch(
            f"the bundle was made with EMG chain {manifest.emg_chain}, this station runs {chain}: choose "
            f"{_settings_of(manifest.emg_chain)}, or a bundle made with this chain"
        )
    made_for = manifest.sizes.get("profile")
    if profile is not None and made_for != profile:
        raise BundleError(
            f"the bundle was made for expressions in {made_for}, this station's encoder gives {profile}: choose "
            "another bundle or encoder"
        )


def _settings_of(chain: str) -> str:
    """What a station would have to say to run a chain, where one of the presets is meant."""
    for name, mains_hz in product(PRESETS, (50.0, 60.0, None)):
        if chain_id(preset(name, mains_hz), _USUAL_RATE_HZ) == chain:
            return f"envelope.preset {name} with mains_hz {'null' if mains_hz is None else f'{mains_hz:g}'}"
    return "the preset of the bundle"


def _spec(name: str, layout: str, limits: tuple[float, float], unit: str, shape: tuple[int, ...]) -> ArraySpec:
    return ArraySpec(name, layout, "float32", limits, unit, None, shape)
