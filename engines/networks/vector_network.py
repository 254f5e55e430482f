"""A network between vectors as an engine sees it: what PictureNetwork is for pictures, for muscles and parameters.

A stage holds one moment, (channel,), or the last few, (tap, channel), newest first; a network was trained on
(N, tap, channel).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engines.errors import BundleError
from engines.networks.emg_mlp import EmgMlp
from engines.spec import ArraySpec

UNCERTAINTY = "_sd"  # behind an output's name: its standard deviation
VECTORS = ("channel", "parameter")  # the last axis of everything that goes in and out


class VectorNetwork(nn.Module):
    """Batches, runs, and keeps the outputs within the range that their specs state.

    network: takes (1, taps, inputs).  inputs: exactly one.  outputs: the estimate, and where the network has a second
    head, its standard deviation under the same name with "_sd" behind it.
    """

    def __init__(self, network: EmgMlp, inputs: Sequence[ArraySpec], outputs: Sequence[ArraySpec]) -> None:
        """Raises BundleError when specs and network do not fit."""
        super().__init__()
        self.network, self.outputs = network, tuple(outputs)
        if len(inputs) != 1 or not outputs:
            raise BundleError(
                f"a network between vectors has one input, and outputs; found {len(inputs)}, {len(outputs)}"
            )
        sizes = network.sizes
        wanted = (sizes.inputs,) if sizes.taps == 1 else (sizes.taps, sizes.inputs)
        _check_vector(inputs[0], wanted)
        for spec in outputs:
            _check_vector(spec, (sizes.outputs,))
        names = [spec.name for spec in outputs]
        if names != [names[0], names[0] + UNCERTAINTY][: 2 if sizes.uncertainty else 1]:
            raise BundleError(f"the network's outputs cannot be {', '.join(names)}: an estimate, and its _sd")

    def forward(self, array: Tensor) -> tuple[Tensor, ...]:
        """array: as the input's spec says.  Returns one tensor per output spec."""
        dtype = self.network.head.weight.dtype
        x = array.float().to(dtype).reshape(1, self.network.sizes.taps, self.network.sizes.inputs)
        found = self.network.estimate(self.network(x))
        pairs = zip((part for part in found if part is not None), self.outputs, strict=True)
        return tuple(torch.clamp(part.float()[0], *spec.range) for part, spec in pairs)


def _check_vector(spec: ArraySpec, shape: tuple[int, ...]) -> None:
    axes = [axis.strip() for axis in spec.layout.split(",")]
    fits = axes[-1] in VECTORS and axes[:-1] in ([], ["tap"]) and spec.shape == shape
    if not (fits and spec.dtype == "float32" and spec.colour is None and spec.range[0] < spec.range[1]):
        raise BundleError(
            f"{spec.name!r} of a network between vectors must be float32 of shape {shape}, its axes (channel) or "
            f"(parameter), with (tap) before it for a history; found {spec.layout!r}, {spec.dtype}, {spec.shape}"
        )
