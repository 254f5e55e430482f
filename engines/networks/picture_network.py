"""A network as an engine sees it: the arrays of the manifest in and out, the conversions inside.

What a stage holds is (height, width, 3) uint8 BGR; what a network was trained on is (1, channel, height, width) float
RGB in [-1, 1].  Done here, the conversion becomes part of the exported graph: no copy in Python, no second version of
it in a data loader (measured: no time at all beside the convolutions, where NumPy takes 0.5 ms at 128 px).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engines.errors import BundleError
from engines.spec import ArraySpec

PICTURE = "height, width, colour"
PLANE = "height, width"
NETWORKS_COLOUR = "RGB"  # of everything that a network sees

Range = tuple[float, float]


class PictureNetwork(nn.Module):
    """Converts, runs and converts back.

    network: takes (1, C, H, W) in network.value_range and returns one tensor, or a named tuple of tensors, whose ranges
    network.output_ranges names.  inputs: their channels are put behind one another in this order.  outputs: any of the
    network's, by name.
    """

    def __init__(self, network: nn.Module, inputs: Sequence[ArraySpec], outputs: Sequence[ArraySpec]) -> None:
        """Raises BundleError when a spec is no picture or names an output that the network does not have."""
        super().__init__()
        contract: Any = network  # PyTorch's modules promise any attribute as a Tensor or a Module
        self.network, self.inputs, self.outputs = network, tuple(inputs), tuple(outputs)
        self.value_range: Range = contract.value_range
        self.output_ranges: dict[str, Range] = contract.output_ranges
        for spec in (*inputs, *outputs):
            _check_picture(spec)
        for spec in outputs:
            if spec.name not in self.output_ranges:
                raise BundleError(f"the network has no output {spec.name!r}: it has {', '.join(self.output_ranges)}")

    def forward(self, *arrays: Tensor) -> tuple[Tensor, ...]:
        """arrays: one per input spec, with its shape and dtype.  Returns one per output spec."""
        given = zip(arrays, self.inputs, strict=True)
        # Bytes become floats before anything else, and after everything else: TensorRT knows them nowhere in between
        scaled = [_rescaled(_planes(array.float(), spec), spec.range, self.value_range) for array, spec in given]
        dtype = next(self.network.parameters()).dtype
        found = self.network(torch.cat(scaled, 1).to(dtype))  # (1, C, H, W)
        by_name = {next(iter(self.output_ranges)): found} if isinstance(found, Tensor) else found._asdict()
        return tuple(self._array(by_name[spec.name], spec) for spec in self.outputs)

    def _array(self, tensor: Tensor, spec: ArraySpec) -> Tensor:
        """(1, C, H, W) in the network's range -> the spec's layout, range and dtype."""
        values = _rescaled(tensor.float(), self.output_ranges[spec.name], spec.range)[0]
        values = values[0] if spec.layout == PLANE else _swapped(values, spec).permute(1, 2, 0)
        if spec.dtype == "uint8":
            return torch.clamp(torch.round(values), *spec.range).contiguous().to(torch.uint8)
        return values.contiguous()


def _planes(array: Tensor, spec: ArraySpec) -> Tensor:
    """The spec's layout -> (1, C, H, W), colours in the networks' order."""
    if spec.layout == PLANE:
        return array[None, None]
    return _swapped(array.permute(2, 0, 1), spec)[None]


def _swapped(planes: Tensor, spec: ArraySpec) -> Tensor:
    """(C, H, W): BGR to RGB and back are the same swap."""
    return planes if spec.colour == NETWORKS_COLOUR else planes.flip(0)


def _rescaled(values: Tensor, old: Range, new: Range) -> Tensor:
    if old == new:
        return values
    gain = (new[1] - new[0]) / (old[1] - old[0])
    return values * gain + (new[0] - old[0] * gain)


def _check_picture(spec: ArraySpec) -> None:
    axes = {PICTURE: 3, PLANE: 2}.get(spec.layout)
    shape = spec.shape or ()
    colours = shape[2:] == (3,) and spec.colour in ("BGR", "RGB")
    fits = len(shape) == axes and (colours or (axes == 2 and spec.colour is None))
    if not (fits and spec.dtype in ("uint8", "float32") and spec.range[0] < spec.range[1]):
        raise BundleError(
            f"{spec.name!r} of a picture network must be (height, width, 3) BGR or RGB, or (height, width) without "
            f"colour, uint8 or float32, with its shape stated; found {spec.layout!r}, {spec.colour}, {spec.dtype}, "
            f"{spec.shape}"
        )
