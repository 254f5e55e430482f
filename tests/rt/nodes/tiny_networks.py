"""Tiny bundles with random weights, as the trainings write them: face encoders, Exp2EMG and EMG2Exp."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from calibration.encoder_bundle import encoder_manifest
from engines.building import write_network_bundle
from engines.bundle import Manifest, Training, read_bundle, write_bundle
from engines.emg.chain import chain_id, preset
from engines.emg.emg_bundle import EmgBundle
from engines.networks.emg_mlp import EmgMlp, MlpSizes, initialise_mlp
from engines.networks.face_encoder import EncoderSizes, FaceEncoder, initialise_encoder

CHAIN = chain_id(preset("standard", 50), 4096.0)
TRAINING = Training("nothing: random weights", 0, True, "CC0", 3)
OURS = {
    "direction": "exp2emg",
    "profile": "arkit52",
    "normalisation": "calibration",
    "taps_ms": [0, 33, 100],
    "widths": [8],
    "end": "open",
    "scaling": "root",
    "uncertainty": True,
    "rest": False,
}
PAPER = {**OURS, "normalisation": "maximum", "taps_ms": [0], "end": "relu", "scaling": "plain", "uncertainty": False}


def write_emg(
    path: Path,
    chain: str = CHAIN,
    method: str = "Truth",
    sizes: dict[str, Any] = OURS,
    onnx: bool = False,
    **changes: Any,
) -> Path:
    """An EMG network: method says whose expressions taught it; sizes and changes go into the manifest's sizes."""
    sizes = {**sizes, **changes}
    known = EmgBundle.of(sizes)
    words = (sizes["end"], sizes["scaling"], sizes["uncertainty"], sizes["rest"])
    network = EmgMlp(MlpSizes(known.inputs, known.outputs, tuple(sizes["widths"]), len(known.taps_ms), *words))
    initialise_mlp(network, 5)
    inputs, outputs = known.specs(sizes["uncertainty"])
    manifest = Manifest("eifer_emg", "emg_mlp", sizes, inputs, outputs, TRAINING, emg_chain=chain, montage="fridlund")
    write_network_bundle(path, manifest, network.state_dict(), "float32", with_onnx=False)
    written = read_bundle(path)
    people = {"taught": ["00"], "held_out": [], "method": method, "chain": "standard", "calibration_repetitions": 1}
    files = {**written.files, "people.json": json.dumps(people).encode()}
    write_bundle(path, written.manifest, written.arrays, files)
    return path


def write_encoder(path: Path, size: int = 64, profile: str = "arkit52") -> Path:
    """A live face encoder, as narrow as can be; its expression depends on the picture."""
    sizes = EncoderSizes(profile, 8, "shared", 0.1)
    network = FaceEncoder(sizes)
    initialise_encoder(network, 7)
    with torch.no_grad():
        network.heads["expression"].weight.mul_(30)
    manifest = encoder_manifest(sizes, size, TRAINING, {})
    write_network_bundle(path, manifest, network.state_dict(), "float32", with_onnx=False)
    return path


def resealed(bundle: Path, to: Path, **changes: Any) -> Path:
    """The same bundle with other entries in its manifest."""
    found = read_bundle(bundle)
    write_bundle(to, replace(found.manifest, **changes), found.arrays, found.files)
    return to
