"""Batch norms for inference only: one multiplication and one addition per channel.

A batch norm behind a convolution can be multiplied into its weights, and exporters do so.  The products are no longer
the float16 numbers that a bundle stores, so the same network takes twice the bytes as ONNX.  Written out as two steps
the weights stay what they are, and every backend still fuses them when it compiles the graph.
"""

import copy

import torch
from torch import Tensor, nn


class FixedNorm(nn.Module):
    """What a trained batch norm does with a map, its running statistics included."""

    gain: Tensor
    bias: Tensor

    def __init__(self, plain: nn.BatchNorm2d) -> None:
        """plain: with running statistics."""
        super().__init__()
        assert plain.running_var is not None  # ours all keep statistics
        assert plain.running_mean is not None
        gain = torch.rsqrt(plain.running_var.double() + plain.eps) * plain.weight.detach().double()
        bias = plain.bias.detach().double() - plain.running_mean.double() * gain
        for name, value in (("gain", gain), ("bias", bias)):
            self.register_buffer(name, value.float()[:, None, None].clone())

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, H, W)."""
        return x * self.gain + self.bias


def with_fixed_norms(network: nn.Module) -> nn.Module:
    """Return a copy of a network in which every batch norm is fixed, for inference.  The network is not touched."""
    fixed = copy.deepcopy(network)
    _replace_in(fixed)
    return fixed.eval()


def _replace_in(parent: nn.Module) -> None:
    for name, child in parent.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(parent, name, FixedNorm(child))
        else:
            _replace_in(child)
