"""Bundles of networks that change a face: written with a true account of what taught them, read to teach further."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from calibration.checkpoint import NAME, read_checkpoint
from calibration.data.face_set import FaceSet
from calibration.taught import data_words
from calibration.train_order import work_folder
from engines.bundle import Manifest, Metric, Training, read_bundle
from engines.errors import BundleError
from engines.shipped import bundle_folder
from engines.spec import ArraySpec
from engines.weights import unpack

_READERS = ("openvino", "onnxruntime")


@dataclass(frozen=True)
class Ancestor:
    """The bundle that a network was trained further from."""

    name: str
    training: Training


def face_spec(name: str, size: int) -> ArraySpec:
    """A face crop: (size, size, 3) uint8 BGR."""
    return ArraySpec(name, "height, width, colour", "uint8", (0, 255), "grey level", "BGR", (size, size, 3))


def mask_spec(name: str, size: int) -> ArraySpec:
    """How far the network edited: (size, size) uint8, in 1/255."""
    return ArraySpec(name, "height, width", "uint8", (0, 255), "1/255", None, (size, size))


def training_of(faces: FaceSet, seed: int, ancestor: Ancestor | None = None) -> Training:
    """What a manifest says about the data that taught a network, its ancestor's included."""
    people, data = len(faces.people), data_words(faces.origin, faces.seed)
    if ancestor is None:
        return Training(data, people, faces.synthetic, faces.licence, seed)
    before = ancestor.training
    if before.data == data and people >= before.people:  # everybody once more, and not somebody new
        return Training(data, people, faces.synthetic, faces.licence, seed)
    licences = dict.fromkeys((before.licence, faces.licence))
    return Training(
        data=f"{before.data}; then, from the bundle {ancestor.name} on: {data}",
        people=before.people + people,
        synthetic=before.synthetic and faces.synthetic,
        licence="; ".join(licences),
        seed=seed,
    )


def face_manifest(
    system: str,
    network: str,
    sizes: dict[str, Any],
    size: int,
    training: Training,
    metrics: Mapping[str, Metric],
    more: tuple[ArraySpec, ...] = (),
) -> Manifest:
    """The manifest of a network from face to face.

    system, network, sizes: see engines.bundle.Manifest.  size: px.  more: outputs besides the face.
    """
    face = face_spec("face", size)
    return Manifest(system, network, sizes, (face,), (face, *more), training, dict(metrics))


def write_trained(out: Path, manifest: Manifest, network: nn.Module, storage: str) -> Manifest:
    """Write a trained network (see engines.building.write_network_bundle, also for what it raises).

    The ONNX is left out where the libraries to make and check it are not installed, as on a machine that only trains:
    whoever loads the bundle then makes it.
    """
    from engines.building import write_network_bundle

    with_onnx = find_spec("onnxscript") is not None and any(find_spec(name) is not None for name in _READERS)
    return write_network_bundle(out, manifest, network.state_dict(), storage, with_onnx)


def read_ancestor(bundle: Path, main: str, networks: Mapping[str, nn.Module]) -> Ancestor:
    """Load the networks of an earlier training, to train them further.

    bundle: its folder, or the name of a shipped one.  main: which of `networks` the bundle holds.  The others come from
    the checkpoint beside it; without one they stay as they are.
    Raises BundleError when sizes differ or something is damaged.
    """
    folder = bundle_folder(bundle)
    found = read_bundle(folder)
    checkpoint = work_folder(folder) / NAME
    states: dict[str, Any] = {}
    if checkpoint.is_file():
        states = {name: state for name, state in read_checkpoint(checkpoint).states.items() if name in networks}
    states[main] = {name: torch.from_numpy(np.array(array)) for name, array in unpack(found.arrays).items()}
    for name, state in states.items():
        try:
            networks[name].load_state_dict(state)
        except RuntimeError as error:
            raise BundleError(
                f"{folder} has networks of other sizes than this training ({found.manifest.sizes}): "
                f"give the same ones with --set, or another bundle"
            ) from error
    return Ancestor(folder.name, found.manifest.training)
