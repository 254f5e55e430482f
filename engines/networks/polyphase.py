"""The same networks with fewer or better-fed multiplications, exact up to rounding: for inference only.

Two layers waste a processor's time.  (1) Nearest-neighbour upsampling writes every value four times, and the nine
products per pixel of the 3 x 3 convolution behind it multiply only four different values.  With the weights of equal
values added up once, a transposed 4 x 4 convolution of stride 2 does it in four products per pixel.  (2) A head with
three or four output channels fills a quarter of a 16-lane vector.  Computing 2 x 2 neighbouring pixels at once, as
16 channels of a strided convolution, fills it.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.networks.blocks import ReflectConv, UpConv

LANES = 16  # float32 values in the widest vector register
BLOCK = 2  # pixels, in both directions, that the head computes at once


class TransposedUpConv(nn.Module):
    """UpConv as one transposed convolution."""

    def __init__(self, plain: UpConv) -> None:
        super().__init__()
        weight = plain.conv.conv.weight.detach()  # (out, in, 3, 3)
        channels_out, channels_in = weight.shape[:2]
        # A mirrored edge of the doubled picture is the plain picture's own edge once more: that is what is padded with
        self.conv = nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=3)
        self.conv.weight.data = _summed(weight).transpose(0, 1).contiguous()
        self.conv.bias = plain.conv.conv.bias

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, in, H, W).  Returns (N, out, 2 H, 2 W)."""
        y: Tensor = self.conv(functional.pad(x, (1, 1, 1, 1), mode="replicate"))
        return y


class BlockConv(nn.Module):
    """ReflectConv that computes 2 x 2 pixels at once."""

    def __init__(self, plain: ReflectConv) -> None:
        super().__init__()
        weight = plain.conv.weight.detach()  # (out, in, k, k)
        channels_out, channels_in, kernel, _ = weight.shape
        side = kernel + BLOCK - 1
        spread = weight.new_zeros(channels_out, BLOCK, BLOCK, channels_in, side, side)
        for row in range(BLOCK):
            for column in range(BLOCK):
                spread[:, row, column, :, row : row + kernel, column : column + kernel] = weight
        self.pad = plain.pad
        self.conv = nn.Conv2d(channels_in, channels_out * BLOCK**2, side, stride=BLOCK)
        self.conv.weight.data = spread.flatten(0, 2)
        assert self.conv.bias is not None  # neither is made without
        assert plain.conv.bias is not None
        self.conv.bias.data = plain.conv.bias.detach().repeat_interleave(BLOCK**2)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, in, H, W), H and W even.  Returns (N, out, H, W)."""
        return functional.pixel_shuffle(self.conv(self.pad(x)), BLOCK)


def polyphase(network: nn.Module) -> nn.Module:
    """Return a copy of a network with both replacements made; what they do not fit stays.  The network is not touched.

    The copy takes pictures of even height and width, and is not for training: its weights are sums of the original's.
    """
    folded = copy.deepcopy(network)
    _replace_in(folded)
    return folded.eval()


def _replace_in(parent: nn.Module) -> None:
    for name, child in parent.named_children():
        if isinstance(child, UpConv):
            setattr(parent, name, TransposedUpConv(child))
        elif isinstance(child, ReflectConv) and child.conv.out_channels * BLOCK**2 <= LANES:
            setattr(parent, name, BlockConv(child))
        else:
            _replace_in(child)


def _summed(weight: Tensor) -> Tensor:
    """(out, in, 3, 3) -> (out, in, 4, 4): the kernel of nearest-neighbour doubling followed by `weight`.

    One row of it: with up[2 i + a] = x[i], a in (0, 1), and out[j] = sum_k w[k] up[j + k - 1], the weight of x[i] in
    out[2 i + d] is the sum over a of w[a + 1 - d], d = -1..2.
    """
    rows = weight.new_zeros(4, 3)
    for d in range(-1, 3):
        for a in (0, 1):
            if 0 <= a + 1 - d < 3:
                rows[d + 1, a + 1 - d] = 1.0
    return torch.einsum("rk,oikl,cl->oirc", rows, weight, rows)
