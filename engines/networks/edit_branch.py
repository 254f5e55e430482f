"""One branch of Cascade EF-GAN's expression transformer: a picture and an expression in, colours and attention out.

Wu et al. 2020, section 3.1.  The paper's layers are in a supplement that nobody published; these are those of its
nearest public relative, GANimation (Pumarola et al. 2018), which the paper follows for labels and attention: the
expression's numbers become constant planes behind the picture's channels, a 7 x 7 convolution, two halvings, residual
blocks, two doublings, and a head each for colour (tanh) and attention (sigmoid).

Two things differ from that code.  Doublings are nearest neighbour and convolution (no checkerboard).  The first
convolution is not normalised: a plane that is constant adds a constant to every channel, and instance normalisation
takes exactly that away again, so behind it the network would know the expression from the picture's rim at most.
So its activation leaks below 0: a strong expression's constant can lie below 0 in every channel, and a map with nothing
left in it is rounding to every norm behind, made 316 times larger by each.  With a ReLU, trained critics led there:
OpenVINO, ONNX Runtime and PyTorch were 7 to 37 grey levels from each other at a nose that showed nothing any more.

`form` "paper" is that.  "ours" tells every block the expression once more, as a gain and a shift behind its
normalisation (FiLM, Perez et al. 2018); takes each colour's level and contrast off the input and gives them back, and
has shortcuts around the bottleneck, both as engines/networks/resnet_generator.py's AttentiveGenerator and for its
reasons.  Tensors are (picture, channel, height, width).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from engines.networks.blocks import InstanceNorm, ReflectConv, ResidualBlock, UpConv

FORMS = ("paper", "ours")
_SHY = -1.0  # bias of our attention at the start: a quarter is edited
_LEAST_CONTRAST = 0.02  # standard deviation below which a channel counts as empty
_SLOPE = 0.2  # of the first activation below 0, CycleGAN's critics'


class Painted(NamedTuple):
    """What a branch says of its picture."""

    colour: Tensor  # (N, 3, H, W) in [-1, 1]: M_C
    attention: Tensor  # (N, 1, H, W) in [0, 1]: M_A, 1 where the picture is edited

    def onto(self, picture: Tensor) -> Tensor:
        """Eq. 1: M_A x M_C + (1 - M_A) x I_in.  Where M_A is 0, the picture comes through untouched."""
        return self.attention * self.colour + (1 - self.attention) * picture


class ToldBlock(nn.Module):
    """A residual block that is told the expression: a gain and a shift of each channel behind the first norm."""

    def __init__(self, channels: int, labels: int) -> None:
        """labels: how many numbers an expression has."""
        super().__init__()
        self.first = nn.Sequential(ReflectConv(channels, channels, 3), InstanceNorm())
        self.told = nn.Linear(labels, 2 * channels)
        self.second = nn.Sequential(nn.ReLU(inplace=True), ReflectConv(channels, channels, 3), InstanceNorm())

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """x: (N, channels, H, W).  labels: (N, labels).  Returns x's shape."""
        gain, shift = self.told(labels)[:, :, None, None].chunk(2, 1)
        y: Tensor = x + self.second(self.first(x) * (1 + gain) + shift)
        return y


class EditBranch(nn.Module):
    """A picture, or what two branches made of one, painted anew.

    channels: of the picture.  labels: numbers of the expression; 0 for a branch that is not told any, the refiner.
    attention: False paints everywhere, as StarGAN does.
    """

    def __init__(self, channels: int, labels: int, ngf: int, blocks: int, attention: bool, form: str) -> None:
        super().__init__()
        self.ours, self.labels = form == "ours", labels
        first = ReflectConv(channels + labels, ngf, 7)
        self.stem = nn.Sequential(first, nn.LeakyReLU(_SLOPE, inplace=True))  # (N, ngf, H, W)
        self.down = nn.Sequential(
            _normed(nn.Conv2d(ngf, 2 * ngf, 4, stride=2, padding=1)),  # (N, 2 ngf, H/2, W/2)
            _normed(nn.Conv2d(2 * ngf, 4 * ngf, 4, stride=2, padding=1)),  # (N, 4 ngf, H/4, W/4)
        )
        told = self.ours and labels > 0
        self.blocks = nn.ModuleList(
            ToldBlock(4 * ngf, labels) if told else ResidualBlock(4 * ngf) for _ in range(blocks)
        )
        self.up = nn.Sequential(_normed(UpConv(4 * ngf, 2 * ngf)), _normed(UpConv(2 * ngf, ngf)))
        self.colour = ReflectConv(ngf, 3, 7)
        self.attention = ReflectConv(ngf, 1, 7) if attention else None

    def forward(self, picture: Tensor, labels: Tensor | None = None) -> Painted:
        """picture: (N, channels, H, W) in [-1, 1], its first three channels what is painted on; H, W divide by 4.

        labels: (N, labels) in [0, 1], for a branch that is told them.
        """
        x, level, contrast = self._even(picture) if self.ours else (picture, None, None)
        if labels is not None:
            planes = labels[:, :, None, None].to(x.dtype).expand(-1, -1, *x.shape[2:])  # (N, labels, H, W)
            x = torch.cat((x, planes), 1)
        whole = self.stem(x)
        half = self.down[0](whole)
        y = self.down[1](half)
        for block in self.blocks:
            y = block(y, labels.to(y.dtype)) if isinstance(block, ToldBlock) and labels is not None else block(y)
        y = self.up[0](y)
        y = self.up[1](y + half if self.ours else y)
        y = y + whole if self.ours else y
        colour = self.colour(y)
        if level is not None and contrast is not None:
            colour = (colour * contrast + level).clamp(-1, 1).to(x.dtype)
        else:
            colour = torch.tanh(colour)
        if self.attention is None:
            return Painted(colour, torch.ones_like(colour[:, :1]))
        return Painted(colour, torch.sigmoid(self.attention(y)))

    def _even(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The picture with level 0 and contrast 1 in every channel; and what its first three had."""
        variance, level = torch.var_mean(picture.float(), (2, 3), correction=0, keepdim=True)  # (N, channels, 1, 1)
        contrast = torch.sqrt(variance + _LEAST_CONTRAST**2)
        return ((picture - level) / contrast).to(picture.dtype), level[:, :3], contrast[:, :3]

    def begin(self, numbers: torch.Generator) -> None:
        """Where ours starts: shy attention, and blocks that do not listen yet.  Convolutions: blocks.initialise."""
        if self.ours and self.attention is not None and self.attention.conv.bias is not None:
            nn.init.constant_(self.attention.conv.bias, _SHY)
        for block in self.blocks:
            if isinstance(block, ToldBlock):
                nn.init.normal_(block.told.weight, 0.0, 0.02, numbers)
                nn.init.zeros_(block.told.bias)


def _normed(layer: nn.Module) -> nn.Sequential:
    return nn.Sequential(layer, InstanceNorm(), nn.ReLU(inplace=True))
