"""eMotion-GAN as an engine sees it: a flow in px and the neutral face in, the frontal flow and face out.

The flow's form (polar or cartesian, clipped) is made and undone inside, so that nobody else has to know it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engines.errors import BundleError
from engines.networks.motion_gan import MotionGan, decoded, encoded
from engines.networks.picture_network import PICTURE
from engines.spec import ArraySpec

FLOW = "height, width, axis"
_BYTES = 255.0


class MotionNetwork(nn.Module):
    """Converts, runs both generators or the first, and converts back."""

    def __init__(self, network: MotionGan, inputs: Sequence[ArraySpec], outputs: Sequence[ArraySpec]) -> None:
        """inputs: `flow` (size, size, 2) float32 px; with `face` (size, size, 3) uint8 where a face comes out.

        outputs: `flow`, `face`, or both, like the inputs.  Raises BundleError when a spec says something else.
        """
        super().__init__()
        self.network, self.inputs, self.outputs = network, tuple(inputs), tuple(outputs)
        given, wanted = [spec.name for spec in inputs], [spec.name for spec in outputs]
        known = ["flow", "face"] if network.g_w is not None else ["flow"]
        if given != known[: len(given)] or not given or not wanted or not set(wanted) <= set(given):
            raise BundleError(
                f"this motion network takes and gives {' and '.join(known)}, its manifest says {given} and {wanted}"
            )
        side = inputs[0].shape[0] if inputs[0].shape else 0
        if side < network.sizes.step or side % network.sizes.step:
            raise BundleError(f"the manifest's flows must have sides that divide by {network.sizes.step}, found {side}")
        for spec in (*inputs, *outputs):
            _check(spec, side)

    def forward(self, *arrays: Tensor) -> tuple[Tensor, ...]:
        """arrays: one per input spec, with its shape and dtype.  Returns one per output spec."""
        sizes = self.network.sizes
        dtype = next(self.network.parameters()).dtype
        flow = encoded(arrays[0].float().permute(2, 0, 1)[None], sizes.motion, sizes.clip_px)
        frontal = self.network.g_f(flow.to(dtype))
        found = {"flow": decoded(frontal.float(), sizes.motion, sizes.clip_px)[0].permute(1, 2, 0).contiguous()}
        if "face" in [spec.name for spec in self.outputs]:
            assert self.network.g_w is not None
            spec = self.inputs[1]
            planes = _swapped(arrays[1].float().permute(2, 0, 1) * (2 / _BYTES) - 1, spec)[None]
            face = self.network.g_w(frontal, planes.to(dtype)).float()[0]
            out = next(spec for spec in self.outputs if spec.name == "face")
            grey = (_swapped(face, out) + 1) * (_BYTES / 2)
            found["face"] = torch.clamp(torch.round(grey.permute(1, 2, 0)), 0.0, _BYTES).contiguous().to(torch.uint8)
        return tuple(found[spec.name] for spec in self.outputs)


def flow_spec(name: str, size: int, clip_px: float) -> ArraySpec:
    """A flow of a bundle's manifest: (size, size, 2) float32 px; longer vectors than clip_px count as that long."""
    return ArraySpec(name, FLOW, "float32", (-clip_px, clip_px), "px", None, (size, size, 2))


def _swapped(planes: Tensor, spec: ArraySpec) -> Tensor:
    return planes if spec.colour == "RGB" else planes.flip(0)


def _check(spec: ArraySpec, side: int) -> None:
    if spec.name == "flow":
        fits = spec.layout == FLOW and spec.dtype == "float32" and spec.shape == (side, side, 2) and spec.unit == "px"
    else:
        picture = spec.layout == PICTURE and spec.dtype == "uint8" and spec.range == (0, _BYTES)
        fits = picture and spec.shape == (side, side, 3) and spec.colour in ("BGR", "RGB")
    if not fits:
        raise BundleError(
            f"{spec.name!r} of a motion network must be a float32 flow ({side}, {side}, 2) in px, or a uint8 face "
            f"({side}, {side}, 3) of 0..255; found {spec.layout!r}, {spec.dtype}, {spec.shape}, {spec.unit}"
        )
