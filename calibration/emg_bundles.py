"""Bundles of EMG2Exp and Exp2EMG: written with who taught them and who was held out, read to judge or teach further."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.data.emg_pairs import Pairs
from calibration.face_bundle import Ancestor, read_ancestor, write_trained
from engines.bundle import Bundle, Manifest, Metric, Training, read_bundle, write_bundle
from engines.emg.emg_bundle import NETWORK, SYSTEM, EmgBundle
from engines.emg.montage import FRIDLUND
from engines.errors import BundleError
from engines.networks.emg_mlp import EmgMlp
from engines.shipped import bundle_folder

PEOPLE = "people.json"


@dataclass(frozen=True)
class TaughtBy:
    """What people.json in a bundle says."""

    taught: tuple[str, ...]
    held_out: tuple[str, ...]  # empty when everybody taught
    method: str  # of the expressions
    chain: str  # name of the EMG chain
    calibration_repetitions: int

    @classmethod
    def of(cls, bundle: Bundle, name: str) -> TaughtBy:
        """Raises BundleError when the file is missing or something else."""
        try:
            said = json.loads(bundle.files[PEOPLE])
            taught, held_out = (tuple(map(str, said[key])) for key in ("taught", "held_out"))
            return cls(taught, held_out, str(said["method"]), str(said["chain"]), int(said["calibration_repetitions"]))
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{name} does not say who taught it ({PEOPLE}: {error}): train it again") from error


def manifest_of(
    pairs: Pairs,
    bundle: EmgBundle,
    sizes: dict[str, Any],
    seed: int,
    metrics: Mapping[str, Metric],
    ancestor: Ancestor | None,
) -> Manifest:
    """The manifest of a network that pairs taught."""
    inputs, outputs = bundle.specs(sizes["uncertainty"])
    return Manifest(
        system=SYSTEM,
        network=NETWORK,
        sizes=sizes,
        inputs=inputs,
        outputs=outputs,
        training=_training(pairs, seed, ancestor),
        metrics=dict(metrics),
        emg_chain=pairs.chain_id,
        montage=FRIDLUND.name,
    )


def write_emg_bundle(out: Path, manifest: Manifest, network: EmgMlp, storage: str, record: Mapping[str, Any]) -> None:
    """Write the network, its ONNX, and people.json.  Raises as engines.building.write_network_bundle."""
    write_trained(out, manifest, network, storage)
    written = read_bundle(out)
    files = {**written.files, PEOPLE: (json.dumps(record, indent=1) + "\n").encode()}
    write_bundle(out, written.manifest, written.arrays, files)


def read_start(bundle: Path, sizes: Mapping[str, Any], network: EmgMlp) -> Ancestor:
    """Load an earlier network, to train it further; its gains come along.  Raises BundleError for other sizes."""
    folder = bundle_folder(bundle)
    found = read_bundle(folder).manifest
    other = [name for name in sizes if found.sizes.get(name) != sizes[name]]
    if found.network != NETWORK or other:
        what = f"{other[0]} is {found.sizes.get(other[0])} there, {sizes[other[0]]} here" if other else found.network
        raise BundleError(f"{folder} is no network to go on from ({what}): give the same settings with --set")
    return read_ancestor(bundle, "network", {"network": network})


def _training(pairs: Pairs, seed: int, ancestor: Ancestor | None) -> Training:
    people = len(pairs.people)
    if ancestor is None:
        return Training(pairs.origin, people, pairs.synthetic, pairs.licence, seed)
    before = ancestor.training
    return Training(
        data=f"{before.data}; then, from the bundle {ancestor.name} on: {pairs.origin}",
        people=before.people + people,
        synthetic=before.synthetic and pairs.synthetic,
        licence="; ".join(dict.fromkeys((before.licence, pairs.licence))),
        seed=seed,
    )
