"""Does a bundle fit the place that it is put into?  Asked once, when a session starts; the answer is a sentence."""

from collections.abc import Sequence
from typing import Any

from engines.bundle import Manifest
from engines.errors import BadInput, BundleError, ChainMismatch
from engines.spec import ArraySpec

_WORDS = {"shape": "size", "dtype": "type"}  # for people


def require(specs: Sequence[ArraySpec], name: str, **wanted: Any) -> ArraySpec:
    """Find the input or output of that name and check what the caller relies on.

    specs: an engine's inputs or outputs.  wanted: fields of ArraySpec, such as colour="BGR", shape=(128, 128, 3).
    Returns the spec.  Raises BundleError when it is absent or different.
    """
    spec = next((spec for spec in specs if spec.name == name), None)
    if spec is None:
        have = ", ".join(spec.name for spec in specs) or "nothing"
        raise BundleError(f"{name!r} is needed and this bundle's network has {have}: choose another bundle")
    for field, value in wanted.items():
        found = getattr(spec, field)
        if found != value:
            word = _WORDS.get(field, field)
            raise BundleError(
                f"this bundle's {name!r} has the {word} {_text(found)}, {_text(value)} is needed: choose another bundle"
            )
    return spec


def check_emg(manifest: Manifest, chain: str, montage: str) -> None:
    """Refuse a network that learned from other EMG than it would be given.

    chain, montage: the station's own ids.  A bundle that has seen no EMG states neither and fits everywhere.
    Raises ChainMismatch for another chain, BadInput for another montage.
    """
    if manifest.emg_chain not in (None, chain):
        raise ChainMismatch(
            f"this bundle learned from the EMG chain {manifest.emg_chain}, the station runs {chain}: "
            f"set the station to it, or train the bundle again"
        )
    if manifest.montage not in (None, montage):
        raise BadInput(
            f"this bundle is for the montage {manifest.montage}, the station has {montage}: choose another bundle"
        )


def _text(value: Any) -> str:
    return " x ".join(map(str, value)) if isinstance(value, tuple) else str(value)
