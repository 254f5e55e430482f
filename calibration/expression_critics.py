"""Cascade EF-GAN's critics: of a face or one of its regions, and of expressions.  Used in training only.

The paper's are in a supplement that nobody published; these are GANimation's (Pumarola et al. 2018): convolutions of
4 x 4 that halve, without normalisation (a gradient penalty wants none), a head that judges patches, and one that reads
the action units.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

SLOPE = 0.01  # of LeakyReLU below 0
MOST_LAYERS = 6
_LEAST_PX = 2  # what is left of the shorter side


class Judged(NamedTuple):
    """What a critic says."""

    real: Tensor  # (N, 1, h, w), without limits: higher is more real
    labels: Tensor  # (N, labels), the expression as it reads it


class FaceCritic(nn.Module):
    """Judges pictures of one size and reads expressions off them."""

    def __init__(self, height: int, width: int, labels: int, ndf: int) -> None:
        """height, width: px, 8 or more.  labels: how many numbers it reads.  ndf: features after the first layer."""
        super().__init__()
        layers: list[nn.Module] = []
        channels, self.depth = 3, layers_for(height, width)
        for place in range(self.depth):
            wider = ndf * 2**place
            layers += [nn.Conv2d(channels, wider, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE, inplace=True)]
            channels, height, width = wider, height // 2, width // 2
        self.layers = nn.Sequential(*layers)  # (N, ndf 2^(depth - 1), height, width)
        self.judge = nn.Conv2d(channels, 1, 3, padding=1, bias=False)
        self.read = nn.Conv2d(channels, labels, (height, width), bias=False)

    def forward(self, x: Tensor) -> Judged:
        """x: (N, 3, height, width) in [-1, 1]."""
        features = self.layers(x)
        return Judged(self.judge(features), self.read(features).flatten(1))


class LabelCritic(nn.Module):
    """Judges whether an expression is one that faces make."""

    def __init__(self, labels: int, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(labels, features),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Linear(features, features),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Linear(features, 1),
        )

    def forward(self, labels: Tensor) -> Tensor:
        """labels: (N, labels) in [0, 1].  Returns (N, 1), higher is more real."""
        y: Tensor = self.layers(labels)
        return y


def layers_for(height: int, width: int) -> int:
    """How often a picture can be halved: at most 6 times, as long as 2 px of the shorter side are left."""
    return max(1, min(MOST_LAYERS, int(math.log2(min(height, width) / _LEAST_PX))))


def initialise_critic(critic: nn.Module, seed: int) -> None:
    """Convolutions N(0, 0.02), as GANimation's; linear layers as PyTorch's; biases 0.  All from the seed."""
    numbers = torch.Generator().manual_seed(seed)
    for module in critic.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0.0, 0.02, numbers)
        elif isinstance(module, nn.Linear):
            nn.init.kaiming_uniform_(module.weight, a=5**0.5, generator=numbers)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
