"""Ours for larger pictures: the attentive generator at half the size, and a second one around it that sharpens.

Wang et al. 2018, "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs" (pix2pixHD), section
3.1: a global generator learns on small pictures first, then an enhancer for twice the side is put around it and takes
in its last features.  What differs here: the enhancer adds to what the global one found, so that with a head of zeros
it is exactly the global one, enlarged; and both edit (engines/networks/resnet_generator.py, AttentiveGenerator).
Tensors are (picture, channel, height, width).
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from engines.errors import BadInput
from engines.networks.blocks import ReflectConv, ResidualBlock, UpConv
from engines.networks.resnet_generator import STEP as COARSE_STEP
from engines.networks.resnet_generator import AttentiveGenerator, Edited, GeneratorSizes, edited, normed

STEP = 2 * COARSE_STEP  # height and width must divide by it


@dataclass(frozen=True)
class CoarseToFineSizes:
    """Everything that shapes the weights; the defaults are those of the bundle `restore-gpu`."""

    ngf: int = 64  # features of the enhancer at half the side, where its blocks work; half as many at the whole
    blocks: int = 3
    coarse_ngf: int = 32  # of the generator inside
    coarse_blocks: int = 3
    in_channels: int = 3
    out_channels: int = 3

    def __post_init__(self) -> None:
        """Raises BadInput when a number is no whole number or out of range."""
        GeneratorSizes(self.ngf, self.blocks, self.in_channels, self.out_channels)
        if self.ngf % 2:
            raise BadInput(f"ngf of a coarse-to-fine generator must be even, found {self.ngf}")

    @property
    def coarse(self) -> GeneratorSizes:
        """Of the generator inside.  Raises BadInput as that does."""
        return GeneratorSizes(self.coarse_ngf, self.coarse_blocks, self.in_channels, self.out_channels)


class CoarseToFineGenerator(nn.Module):
    """One picture in; face, edit mask and colour out, as of the AttentiveGenerator."""

    value_range = (-1.0, 1.0)  # of the input
    output_ranges: ClassVar[dict[str, tuple[float, float]]] = AttentiveGenerator.output_ranges

    def __init__(self, sizes: CoarseToFineSizes | None = None) -> None:
        """sizes: those of `restore-gpu` when not given.  Raises BadInput."""
        super().__init__()
        self.sizes = sizes = sizes or CoarseToFineSizes()
        self.coarse = AttentiveGenerator(sizes.coarse)
        whole, half = sizes.ngf // 2, sizes.ngf
        self.stem = normed(ReflectConv(sizes.in_channels, whole, 7))  # (N, ngf/2, H, W)
        self.down = normed(nn.Conv2d(whole, half, 3, stride=2, padding=1))  # (N, ngf, H/2, W/2)
        self.guide = nn.Conv2d(sizes.coarse_ngf, half, 1)  # what the coarse generator saw
        self.blocks = nn.Sequential(*(ResidualBlock(half) for _ in range(sizes.blocks)))
        self.up = normed(UpConv(half, whole))  # (N, ngf/2, H, W)
        self.head = ReflectConv(whole, sizes.out_channels + 1, 7)  # (N, out_channels + 1, H, W)

    def features(self, x: Tensor) -> Tensor:
        """Colours and edit mask before anything is made of them: (N, out_channels + 1, H, W)."""
        seen = self.coarse.last_features(functional.avg_pool2d(x, 2))  # (N, coarse_ngf, H/2, W/2)
        rough = functional.interpolate(self.coarse.head(seen), scale_factor=2, mode="bilinear")
        whole = self.stem(x)
        y = self.up(self.blocks(self.down(whole) + self.guide(seen))) + whole
        found: Tensor = rough + self.head(y)
        return found

    def forward(self, x: Tensor) -> Edited:
        """x: (N, in_channels, H, W) in [-1, 1]."""
        return edited(x, self.features, self.sizes.out_channels)
