"""The expression editor as an engine sees it: a face and two expressions in, the face with the other one out."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engines.errors import BundleError
from engines.face.action_units import STRONGEST
from engines.networks.cascade_editor import CascadeEditor, EditorSizes
from engines.networks.picture_network import PICTURE, PLANE
from engines.spec import ArraySpec

EXPRESSIONS = ("source", "target")  # inputs beside the face: what it shows, what is wanted


def expressions_for(sizes: EditorSizes) -> tuple[str, ...]:
    """Inputs beside the face: a single module goes all the way at once and is not told what the face shows."""
    return EXPRESSIONS if sizes.modules > 1 else EXPRESSIONS[1:]


_BYTES = 255.0


class EditorNetwork(nn.Module):
    """Converts, runs the cascade, converts back.

    inputs: "face", (size, size, 3) uint8, BGR or RGB; "source" (of several modules only) and "target", (labels,)
    float32, action units 0..5 or blendshapes 0..1 as the editor's profile has them.  outputs: "face", of the input's
    shape and colour, and where it is asked for "edit", (size, size) uint8, in 1/255: where the branches looked.
    """

    def __init__(self, network: CascadeEditor, inputs: Sequence[ArraySpec], outputs: Sequence[ArraySpec]) -> None:
        """Raises BundleError when the specs say something else."""
        super().__init__()
        self.network, self.outputs = network, tuple(outputs)
        self.strongest = STRONGEST if network.sizes.profile == "facs17" else 1.0
        size = network.sizes.size
        wanted = ["face", *expressions_for(network.sizes)]
        if _names(inputs) != wanted:
            raise BundleError(f"this expression editor takes {', '.join(wanted)}, found {', '.join(_names(inputs))}")
        self.face = inputs[0]
        _check_face(self.face, size)
        for spec in inputs[1:]:
            if spec.shape != (network.sizes.labels,) or spec.dtype != "float32" or spec.range != (0.0, self.strongest):
                raise BundleError(
                    f"{spec.name!r} of this expression editor is float32 ({network.sizes.labels},) from 0 to "
                    f"{self.strongest:g}, its manifest says {spec.dtype} {spec.shape} {spec.range}"
                )
        if _names(outputs) not in (["face"], ["face", "edit"]):
            raise BundleError(
                f"an expression editor gives a face, and where it looked as edit, found {_names(outputs)}"
            )
        _check_face(outputs[0], size)
        if outputs[0].colour != self.face.colour:
            raise BundleError(f"the face comes out in the colours it went in with, found {outputs[0].colour}")
        for spec in outputs[1:]:
            if (spec.layout, spec.dtype, spec.shape) != (PLANE, "uint8", (size, size)):
                raise BundleError(f"'edit' of this expression editor is uint8 ({size}, {size}), found {spec}")

    def forward(self, face: Tensor, *expressions: Tensor) -> tuple[Tensor, ...]:
        """face: (size, size, 3) uint8.  expressions: (labels,) float32 each, as the inputs name them.

        Returns one tensor per output spec.
        """
        dtype = next(self.network.parameters()).dtype
        planes = face.float().permute(2, 0, 1)[None] * (2 / _BYTES) - 1  # (1, 3, S, S)
        planes = planes if self.face.colour == "RGB" else planes.flip(1)
        told = [(labels.float()[None] / self.strongest).clamp(0.0, 1.0) for labels in expressions]
        source, target = (labels.to(dtype) for labels in (told[0], told[-1]))
        found, edit = self.network(planes.to(dtype), source, target)
        grey = (found.float() + 1) * (_BYTES / 2)
        grey = (grey if self.face.colour == "RGB" else grey.flip(1))[0].permute(1, 2, 0)
        whole = grey, edit.float()[0, 0] * _BYTES
        return tuple(
            torch.clamp(torch.round(part), 0.0, _BYTES).contiguous().to(torch.uint8)
            for part, _ in zip(whole, self.outputs, strict=False)
        )


def _names(specs: Sequence[ArraySpec]) -> list[str]:
    return [spec.name for spec in specs]


def _check_face(spec: ArraySpec, size: int) -> None:
    fits = (spec.layout, spec.dtype, spec.shape, spec.range) == (PICTURE, "uint8", (size, size, 3), (0.0, _BYTES))
    if not fits or spec.colour not in ("BGR", "RGB"):
        raise BundleError(
            f"an expression editor's face is (size, size, 3) uint8, 0..255, BGR or RGB, of {size} px, found "
            f"{spec.layout!r}, {spec.dtype}, {spec.shape}, {spec.colour}"
        )
