"""Bundles of face encoders: what goes in and comes out, written down once; and read again to go on from."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from calibration.face_bundle import face_spec
from engines.assembly import assemble
from engines.bundle import Manifest, Metric, Training, read_bundle
from engines.errors import BundleError
from engines.networks.face_encoder import EncoderSizes, FaceEncoder
from engines.shipped import bundle_folder
from engines.spec import ArraySpec

NETWORK = "face_encoder"
SYSTEM = "eifer"
_UNITS = {"expression": "1", "shape": "standard deviations", "pose": "rad", "camera": "1", "confidence": "1"}
_RANGES = {"shape": (-4.0, 4.0), "pose": (-1.6, 1.6), "camera": (-20.0, 20.0), "confidence": (0.0, 1.0)}
_EXPRESSION_RANGES = {"arkit52": (0.0, 1.0), "flame55": (-4.0, 4.0)}


def output_specs(sizes: EncoderSizes) -> tuple[ArraySpec, ...]:
    """Everything that an encoder of these sizes gives, (count,) float32 each."""
    ranges = {**_RANGES, "expression": _EXPRESSION_RANGES[sizes.profile]}
    return tuple(
        ArraySpec(name, "parameter", "float32", ranges[name], _UNITS[name], None, (count,))
        for name, count in sizes.outputs.items()
    )


def encoder_manifest(sizes: EncoderSizes, size: int, training: Training, metrics: Mapping[str, Metric]) -> Manifest:
    """The manifest of a face encoder.  size: px of the crop."""
    face = face_spec("face", size)
    return Manifest(SYSTEM, NETWORK, asdict(sizes), (face,), output_specs(sizes), training, dict(metrics))


def read_encoder(bundle: Path | str) -> tuple[FaceEncoder, Manifest]:
    """A face encoder with its weights, to be trained further or learned from, and its manifest.

    bundle: its folder, or the name of a shipped one.  Raises BundleError when it is damaged or no face encoder.
    """
    found = read_bundle(bundle_folder(bundle))
    if found.manifest.network != NETWORK:
        raise BundleError(f"{bundle} holds a {found.manifest.network}, not a face encoder: choose another bundle")
    network = assemble(found).network
    assert isinstance(network, FaceEncoder)
    return network.train(), found.manifest
