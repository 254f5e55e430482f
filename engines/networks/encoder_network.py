"""A face encoder as an engine sees it: the face crop of the manifest in, its parameters out, conversions inside."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engines.errors import BundleError
from engines.networks.face_encoder import SMALLEST, FaceEncoder
from engines.networks.picture_network import PICTURE
from engines.spec import ArraySpec

_BYTES = 255.0


class EncoderNetwork(nn.Module):
    """Converts a crop, runs the encoder, and hands out what the manifest asks for, within the ranges it states."""

    def __init__(self, network: FaceEncoder, inputs: Sequence[ArraySpec], outputs: Sequence[ArraySpec]) -> None:
        """inputs: one face, (size, size, 3) uint8, BGR or RGB.  outputs: any of the network's, (count,) float32.

        Raises BundleError when a spec says something else.
        """
        super().__init__()
        self.network, self.outputs = network, tuple(outputs)
        self.face = _checked_face(inputs)
        known = network.sizes.outputs
        for spec in outputs:
            if spec.name not in known:
                raise BundleError(f"the face encoder has no output {spec.name!r}: it has {', '.join(known)}")
            if spec.shape != (known[spec.name],) or spec.dtype != "float32":
                raise BundleError(
                    f"{spec.name!r} of this face encoder is float32 ({known[spec.name]},), "
                    f"its manifest says {spec.dtype} {spec.shape}"
                )

    def forward(self, face: Tensor) -> tuple[Tensor, ...]:
        """face: (size, size, 3) uint8.  Returns one (count,) float32 per output spec."""
        planes = face.float().permute(2, 0, 1)[None] / _BYTES  # (1, 3, H, W)
        rgb = planes if self.face.colour == "RGB" else planes.flip(1)
        dtype = next(self.network.parameters()).dtype
        found = self.network(rgb.to(dtype))._asdict()
        return tuple(torch.clamp(found[spec.name][0].float(), *spec.range) for spec in self.outputs)


def _checked_face(inputs: Sequence[ArraySpec]) -> ArraySpec:
    face = inputs[0]
    side = face.shape[0] if face.shape else 0
    square = side >= SMALLEST and face.shape == (side, side, 3)
    if len(inputs) != 1 or not square or face.layout != PICTURE or face.dtype != "uint8":
        raise BundleError(
            f"a face encoder sees one face, (size, size, 3) uint8 of {SMALLEST} px or more: "
            f"its manifest says {[(spec.name, spec.dtype, spec.shape) for spec in inputs]}"
        )
    low, high = face.range
    if face.colour not in ("BGR", "RGB") or low != 0 or high != _BYTES:
        raise BundleError(f"a face encoder's picture is BGR or RGB, 0..255, found {face.colour}, {face.range}")
    return face
