"""From a bundle to the PyTorch module that its manifest describes, weights in, ready to run or to export."""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from engines.bundle import Bundle, Manifest
from engines.errors import BadInput, BundleError
from engines.weights import unpack

if TYPE_CHECKING:
    from torch import nn


def assemble(bundle: Bundle) -> "nn.Module":
    """Build the network and load its weights: from the manifest's inputs to its outputs, float32, for inference.

    Raises BundleError when the network is unknown, its sizes or arrays do not fit, or the weights are not exactly its
    own; BackendMissing without PyTorch.
    """
    from engines.backends.library import import_library

    torch = import_library("torch")
    network = bare_network(bundle.manifest)
    bare: Any = network.network  # the bundle knows the trained network's own names, without the conversions around it
    state = {name: torch.from_numpy(array) for name, array in unpack(bundle.arrays).items()}
    _check_names(_weights(state), _weights(bare.state_dict()), bundle.manifest)
    try:
        bare.load_state_dict(state)
    except RuntimeError as error:
        raise BundleError(
            f"the weights do not have the shapes that the manifest's sizes give: {str(error).splitlines()[-1].strip()}"
        ) from error
    return network.eval()


def is_network(manifest: Manifest) -> bool:
    """Whether a bundle holds a network at all; there are others, such as pictures and closed-form maps."""
    return manifest.network in _BUILDERS


def bare_network(manifest: Manifest) -> "nn.Module":
    """What a manifest describes, weights not loaded: conversions, and in them, as `network`, what was trained.

    Raises BundleError as `assemble` does.
    """
    build = _BUILDERS.get(manifest.network)
    if build is None:
        raise BundleError(f"the network {manifest.network!r} is not one of {', '.join(_BUILDERS)}: update MyoMirror")
    return build(manifest)


def _resnet_generator(manifest: Manifest) -> "nn.Module":
    from engines.networks.resnet_generator import STEP, GeneratorSizes, ResnetGenerator

    return _picture_generator(manifest, ResnetGenerator, GeneratorSizes, STEP)


def _attentive_generator(manifest: Manifest) -> "nn.Module":
    from engines.networks.resnet_generator import STEP, AttentiveGenerator, GeneratorSizes

    return _picture_generator(manifest, AttentiveGenerator, GeneratorSizes, STEP)


def _coarse_to_fine(manifest: Manifest) -> "nn.Module":
    from engines.networks.coarse_to_fine import STEP, CoarseToFineGenerator, CoarseToFineSizes

    return _picture_generator(manifest, CoarseToFineGenerator, CoarseToFineSizes, STEP)


def _emg_mlp(manifest: Manifest) -> "nn.Module":
    from engines.emg.emg_bundle import KEYS, EmgBundle
    from engines.networks.emg_mlp import EmgMlp, MlpSizes
    from engines.networks.vector_network import VectorNetwork

    _check_sizes(manifest, list(KEYS))
    known, said = EmgBundle.of(manifest.sizes), manifest.sizes
    if not isinstance(said["widths"], list | tuple):
        raise BundleError(f"the manifest's widths must be a list of whole numbers, found {said['widths']!r}")
    words = (said["end"], said["scaling"], said["uncertainty"], said["rest"])
    try:
        sizes = MlpSizes(known.inputs, known.outputs, tuple(said["widths"]), len(known.taps_ms), *words)
    except BadInput as error:
        raise BundleError(f"the manifest's sizes do not fit: {error}") from error
    return VectorNetwork(EmgMlp(sizes), manifest.inputs, manifest.outputs)


def _face_encoder(manifest: Manifest) -> "nn.Module":
    from engines.networks.encoder_network import EncoderNetwork
    from engines.networks.face_encoder import EncoderSizes, FaceEncoder

    _check_sizes(manifest, [field.name for field in fields(EncoderSizes)])
    try:
        return EncoderNetwork(FaceEncoder(EncoderSizes(**manifest.sizes)), manifest.inputs, manifest.outputs)
    except BadInput as error:
        raise BundleError(f"the manifest's sizes do not fit: {error}") from error


def _cascade_editor(manifest: Manifest) -> "nn.Module":
    from engines.networks.cascade_editor import SIZE_NAMES, CascadeEditor, EditorSizes
    from engines.networks.editor_network import EditorNetwork

    _check_sizes(manifest, list(SIZE_NAMES))
    try:
        return EditorNetwork(CascadeEditor(EditorSizes(**manifest.sizes)), manifest.inputs, manifest.outputs)
    except BadInput as error:
        raise BundleError(f"the manifest's sizes do not fit: {error}") from error


def _motion_gan(manifest: Manifest) -> "nn.Module":
    from engines.networks.motion_gan import MotionGan, MotionSizes
    from engines.networks.motion_network import MotionNetwork

    _check_sizes(manifest, [field.name for field in fields(MotionSizes)])
    try:
        return MotionNetwork(MotionGan(MotionSizes(**manifest.sizes)), manifest.inputs, manifest.outputs)
    except BadInput as error:
        raise BundleError(f"the manifest's sizes do not fit: {error}") from error


def _recogniser(manifest: Manifest) -> "nn.Module":
    from engines.networks.recogniser import Recogniser, RecogniserNetwork, RecogniserSizes

    _check_sizes(manifest, [field.name for field in fields(RecogniserSizes)])
    widths = manifest.sizes["widths"]
    if not isinstance(widths, list | tuple):
        raise BundleError(f"the manifest's widths must be a list of whole numbers, found {widths!r}")
    try:
        sizes = RecogniserSizes(**{**manifest.sizes, "widths": tuple(widths)})
        return RecogniserNetwork(Recogniser(sizes), manifest.inputs, manifest.outputs)
    except BadInput as error:
        raise BundleError(f"the manifest's sizes do not fit: {error}") from error


# What a manifest's `network` may say, and what each builds from the manifest's sizes, inputs and outputs
_BUILDERS: dict[str, Callable[[Manifest], "nn.Module"]] = {
    "resnet_generator": _resnet_generator,
    "attentive_generator": _attentive_generator,
    "coarse_to_fine_generator": _coarse_to_fine,
    "face_encoder": _face_encoder,
    "emg_mlp": _emg_mlp,
    "cascade_editor": _cascade_editor,
    "motion_gan": _motion_gan,
    "recogniser": _recogniser,
}


def _picture_generator(manifest: Manifest, make: Callable[[Any], "nn.Module"], sizes_of: Any, step: int) -> "nn.Module":
    """sizes_of: the dataclass of a network's sizes.  step: what its pictures' sides divide by."""
    from engines.networks.picture_network import PictureNetwork

    _check_sizes(manifest, [field.name for field in fields(sizes_of)])
    try:
        sizes = sizes_of(**manifest.sizes)
        network = PictureNetwork(make(sizes), manifest.inputs, manifest.outputs)
    except BadInput as error:
        raise BundleError(f"the manifest's sizes do not fit: {error}") from error
    shapes = [spec.shape or () for spec in manifest.inputs]
    channels = sum(3 if len(shape) == 3 else 1 for shape in shapes)
    if channels != sizes.in_channels:
        raise BundleError(f"the manifest's inputs have {channels} channels, its network wants {sizes.in_channels}")
    pictures = {spec.shape[:2] for spec in (*manifest.inputs, *manifest.outputs) if spec.shape}
    if len(pictures) != 1 or any(side % step for side in next(iter(pictures))):
        raise BundleError(
            f"the manifest's pictures must be of one size whose sides divide by {step}, found {sorted(pictures)}"
        )
    return network


def _check_sizes(manifest: Manifest, known: list[str]) -> None:
    for key in manifest.sizes:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1, cutoff=0.0)[0]
            raise BundleError(f"the manifest's sizes have the unknown key {key!r}; the nearest known one is {near!r}")
    missing = [key for key in known if key not in manifest.sizes]
    if missing:
        raise BundleError(f"the manifest's sizes lack {', '.join(missing)}")


def _weights(names: Iterable[str]) -> set[str]:
    """All but a batch norm's count of training steps, which bundles may leave out: PyTorch fills it in."""
    return {name for name in names if not name.endswith("num_batches_tracked")}


def _check_names(found: set[str], wanted: set[str], manifest: Manifest) -> None:
    for names, verb in ((wanted - found, "lack"), (found - wanted, "have no use for")):
        if names:
            raise BundleError(
                f"the weights are not those of the manifest's {manifest.network}: "
                f"they {verb} {min(names)!r}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
            )
