"""Bundles of expression editors: what goes in and comes out, written down once; and read again to train further."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from calibration.face_bundle import face_spec
from engines.assembly import assemble
from engines.bundle import Manifest, Metric, Training, read_bundle
from engines.errors import BundleError
from engines.face.action_units import STRONGEST
from engines.networks.cascade_editor import CascadeEditor, EditorSizes
from engines.networks.editor_network import expressions_for
from engines.shipped import bundle_folder
from engines.spec import ArraySpec

NETWORK = "cascade_editor"
SYSTEM = "cascade_ef_gan"


def label_spec(name: str, sizes: EditorSizes) -> ArraySpec:
    """An expression: (17,) float32 action units 0..5, or (52,) blendshapes 0..1."""
    units = sizes.profile == "facs17"
    highest, unit = (STRONGEST, "FACS intensity") if units else (1.0, "1")
    return ArraySpec(name, "parameter", "float32", (0.0, highest), unit, None, (sizes.labels,))


def editor_manifest(sizes: EditorSizes, training: Training, metrics: Mapping[str, Metric]) -> Manifest:
    """The manifest of an expression editor: two expressions and a face in, the face with the wanted one out.

    Where the branches looked is not among the outputs: after one short training OpenVINO's bf16 was 6.7 grey levels
    (rms) away from float32 there.  That was before the first activation leaked (engines/networks/edit_branch.py), and
    has not been measured since.
    """
    face = face_spec("face", sizes.size)
    inputs = (face, *(label_spec(name, sizes) for name in expressions_for(sizes)))
    return Manifest(SYSTEM, NETWORK, asdict(sizes), inputs, (face,), training, dict(metrics))


def read_editor(bundle: Path | str) -> tuple[CascadeEditor, Manifest]:
    """An expression editor with its weights, and its manifest.

    bundle: its folder, or the name of a shipped one.  Raises BundleError when it is damaged or no expression editor.
    """
    found = read_bundle(bundle_folder(bundle))
    if found.manifest.network != NETWORK:
        raise BundleError(f"{bundle} holds a {found.manifest.network}, not an expression editor: choose another bundle")
    editor = assemble(found).network
    assert isinstance(editor, CascadeEditor)
    return editor.train(), found.manifest
