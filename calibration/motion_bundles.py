"""Bundles of eMotion-GAN and of its recognisers: what goes in and comes out, written down once; and read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from calibration.data.motion_set import MotionSet
from calibration.face_bundle import face_spec
from engines.assembly import assemble
from engines.bundle import Manifest, Metric, Training, read_bundle
from engines.errors import BundleError
from engines.networks.motion_gan import MotionSizes
from engines.networks.motion_network import flow_spec
from engines.networks.recogniser import Recogniser, RecogniserSizes
from engines.shipped import bundle_folder
from engines.spec import ArraySpec

SYSTEM = "emotion_gan"
GAN, RECOGNISER = "motion_gan", "recogniser"


def taught_by(motion: MotionSet, seed: int) -> Training:
    """What a manifest says about the movements that taught a network."""
    return Training(motion.origin, len(motion.who), motion.synthetic, motion.licence, seed)


def motion_manifest(sizes: MotionSizes, size: int, training: Training, metrics: Mapping[str, Metric]) -> Manifest:
    """The manifest of both generators, or of G_F alone where the sizes leave G_W out.  size: px."""
    specs: tuple[ArraySpec, ...] = (flow_spec("flow", size, float(sizes.clip_px)),)
    if sizes.warp_ngf:
        specs += (face_spec("face", size),)
    return Manifest(SYSTEM, GAN, asdict(sizes), specs, specs, training, dict(metrics))


def recogniser_manifest(
    sizes: RecogniserSizes, size: int, training: Training, metrics: Mapping[str, Metric]
) -> Manifest:
    """The manifest of a recogniser.  size: px."""
    seen = flow_spec("flow", size, float(sizes.clip_px)) if sizes.sees == "flow" else face_spec("face", size)
    emotion = ArraySpec("emotion", "parameter", "float32", (0.0, 1.0), "1", None, (sizes.classes,))
    written: dict[str, Any] = {**asdict(sizes), "widths": list(sizes.widths)}
    return Manifest(SYSTEM, RECOGNISER, written, (seen,), (emotion,), training, dict(metrics))


def read_recogniser(bundle: Path | str, sees: str) -> tuple[Recogniser, Manifest]:
    """A recogniser with its weights, for losses and measures.

    bundle: its folder, or the name of a shipped one.  sees: "flow" or "face".
    Raises BundleError when it is damaged, no recogniser, or sees something else.
    """
    found = read_bundle(bundle_folder(bundle))
    if found.manifest.network != RECOGNISER or found.manifest.sizes.get("sees") != sees:
        raise BundleError(f"{bundle} is no recogniser of {sees}s: train one with --set sees={sees}")
    network = assemble(found).network
    assert isinstance(network, Recogniser)
    return network, found.manifest
