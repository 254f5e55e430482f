"""The picture-to-picture network of MC-CycleGAN and EIFER, and its variant that also says where it edited.

Buechner et al. 2023, "Let's get the FACS straight", section 3.1: the ResNet generator of CycleGAN (Zhu et al. 2017)
with nearest-neighbour upsampling.  Paper: ngf 64; 3 blocks, 4.3 million parameters (MC-CycleGAN); 6 input channels and
9 blocks, 11.4 million (EIFER).  Tensors are (picture, channel, height, width).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from engines.errors import BadInput
from engines.networks.blocks import InstanceNorm, ReflectConv, ResidualBlock, UpConv

LEAST_CONTRAST = 0.02  # standard deviation below which a channel counts as empty; 2.5 grey levels
STEP = 4  # height and width must divide by it: two convolutions halve them


@dataclass(frozen=True)
class GeneratorSizes:
    """Everything that shapes the weights; the defaults are MC-CycleGAN's."""

    ngf: int = 64  # features after the first convolution; 2 x and 4 x further down
    blocks: int = 3
    in_channels: int = 3
    out_channels: int = 3

    def __post_init__(self) -> None:
        """Raises BadInput when a number is no whole number or out of range."""
        limits = {"ngf": (1, 512), "blocks": (0, 64), "in_channels": (1, 64), "out_channels": (1, 64)}
        for name, (least, most) in limits.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise BadInput(f"{name} of a ResNet generator must be a whole number {least}..{most}, found {value!r}")


class _Body(nn.Module):
    """Two halvings, residual blocks, two doublings, and a head: everything but what is made of the head's channels."""

    value_range = (-1.0, 1.0)  # of the input

    def __init__(self, sizes: GeneratorSizes, head_channels: int) -> None:
        super().__init__()
        self.sizes = sizes
        ngf = sizes.ngf
        self.stem = normed(ReflectConv(sizes.in_channels, ngf, 7))  # (N, ngf, H, W)
        self.down = nn.Sequential(
            normed(nn.Conv2d(ngf, 2 * ngf, 3, stride=2, padding=1)),  # (N, 2 ngf, H/2, W/2)
            normed(nn.Conv2d(2 * ngf, 4 * ngf, 3, stride=2, padding=1)),  # (N, 4 ngf, H/4, W/4)
        )
        self.blocks = nn.Sequential(*(ResidualBlock(4 * ngf) for _ in range(sizes.blocks)))
        self.up = nn.Sequential(normed(UpConv(4 * ngf, 2 * ngf)), normed(UpConv(2 * ngf, ngf)))
        self.head = ReflectConv(ngf, head_channels, 7)  # (N, head_channels, H, W)

    def features(self, x: Tensor) -> Tensor:
        """What the head makes of x, before any tanh.  x: (N, in_channels, H, W)."""
        y: Tensor = self.head(self.up(self.blocks(self.down(self.stem(x)))))
        return y


class ResnetGenerator(_Body):
    """The paper's generator: one picture in, one picture out, tanh at the end."""

    output_ranges: ClassVar[dict[str, tuple[float, float]]] = {"face": (-1.0, 1.0)}

    def __init__(self, sizes: GeneratorSizes | None = None) -> None:
        """sizes: MC-CycleGAN's when not given."""
        sizes = sizes or GeneratorSizes()
        super().__init__(sizes, sizes.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, in_channels, H, W) in [-1, 1]; H and W divide by 4.  Returns (N, out_channels, H, W) in [-1, 1]."""
        return torch.tanh(self.features(x))


class Edited(NamedTuple):
    """What the attentive generator gives back, all (N, channels, H, W)."""

    face: Tensor  # edit * colour + (1 - edit) * input, in [-1, 1]
    edit: Tensor  # (N, 1, H, W) in [0, 1]: 1 where the input is replaced
    colour: Tensor  # what it is replaced with, in [-1, 1]; means nothing where edit is 0


class AttentiveGenerator(_Body):
    """Ours: the same layers, an edit mask, colours that follow the picture's, and shortcuts for what is sharp.

    Where the mask is 0, the input comes through untouched: as in GANimation (Pumarola et al. 2018), but with the mask's
    sign of Cascade EF-GAN's Eq. 1: 1 edits.  The first out_channels input channels are the picture that is edited.

    Instance normalisation takes a picture's level and contrast away, and what is filled in would have everybody's mean
    colour.  So both are taken off each channel before the first layer and given back after the last: another white
    balance, exposure or contrast of the input is exactly that of the output, without having been learned.
    The stem is added to the last features and the halved picture to those before, as a U-Net does (Ronneberger et al.
    2015): an edit ends at a pixel, not at a quarter of the resolution.
    """

    output_ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "face": (-1.0, 1.0),
        "edit": (0.0, 1.0),
        "colour": (-1.0, 1.0),
    }

    def __init__(self, sizes: GeneratorSizes | None = None) -> None:
        """Raises BadInput when there are fewer input than output channels."""
        sizes = sizes or GeneratorSizes()
        if sizes.in_channels < sizes.out_channels:
            raise BadInput(
                f"an attentive generator edits its input: in_channels must be at least out_channels "
                f"({sizes.out_channels}), found {sizes.in_channels}"
            )
        super().__init__(sizes, sizes.out_channels + 1)

    def last_features(self, x: Tensor) -> Tensor:
        """What the head sees: (N, ngf, H, W).  x: (N, in_channels, H, W), level and contrast taken off."""
        whole = self.stem(x)  # (N, ngf, H, W)
        half = self.down[0](whole)  # (N, 2 ngf, H/2, W/2)
        y = self.up[0](self.blocks(self.down[1](half))) + half
        found: Tensor = self.up[1](y) + whole
        return found

    def features(self, x: Tensor) -> Tensor:
        """As the body's, with shortcuts."""
        y: Tensor = self.head(self.last_features(x))
        return y

    def forward(self, x: Tensor) -> Edited:
        """x: (N, in_channels, H, W) in [-1, 1]; H and W divide by 4."""
        return edited(x, self.features, self.sizes.out_channels)


def edited(x: Tensor, features: Callable[[Tensor], Tensor], channels: int) -> Edited:
    """Edit the first channels of a picture x, (N, C, H, W) in [-1, 1].

    features: from x, its level and contrast taken off, to (N, channels + 1, H, W): colours without level and contrast,
    and the edit mask before its sigmoid.
    """
    variance, level = torch.var_mean(x.float(), (2, 3), correction=0, keepdim=True)  # (N, C, 1, 1)
    contrast = torch.sqrt(variance + LEAST_CONTRAST**2)
    y = features(((x - level) / contrast).to(x.dtype))
    colour = (y[:, :channels] * contrast[:, :channels] + level[:, :channels]).clamp(-1, 1).to(x.dtype)
    edit = torch.sigmoid(y[:, channels:])
    picture = x[:, :channels]
    return Edited(picture + edit * (colour - picture), edit, colour)


def normed(layer: nn.Module) -> nn.Sequential:
    """A layer as nearly all here are: normalised, then rectified."""
    return nn.Sequential(layer, InstanceNorm(), nn.ReLU(inplace=True))
