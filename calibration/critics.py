"""Critics: networks that judge pictures, and the pool of older fakes that they are shown.  Used in training only."""

from typing import Any

import torch
from torch import Tensor, nn

from calibration.recipe import chance
from engines.errors import BadInput
from engines.networks.blocks import InstanceNorm

SLOPE = 0.2  # of LeakyReLU below 0
SMALLEST = 24  # px; below, nothing is left to judge


class PatchCritic(nn.Module):
    """PatchGAN with three layers (Isola et al. 2017): every output judges a patch of 70 x 70 pixels.

    Convolutions of 4 x 4 with bias and zero padding 1, instance norm without affine but in the first and last layer.
    """

    def __init__(self, ndf: int = 64) -> None:
        """ndf: features after the first convolution."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, ndf, 4, stride=2, padding=1),  # (N, ndf, H/2, W/2)
            nn.LeakyReLU(SLOPE, inplace=True),
            *_normed(ndf, 2 * ndf, stride=2),  # (N, 2 ndf, H/4, W/4)
            *_normed(2 * ndf, 4 * ndf, stride=2),  # (N, 4 ndf, H/8, W/8)
            *_normed(4 * ndf, 8 * ndf, stride=1),  # (N, 8 ndf, H/8 - 1, W/8 - 1)
            nn.Conv2d(8 * ndf, 1, 4, stride=1, padding=1),  # (N, 1, H/8 - 2, W/8 - 2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, 3, H, W) in [-1, 1], at least 24 px.  Returns (N, 1, H/8 - 2, W/8 - 2), 1 = real, 0 = made."""
        y: Tensor = self.layers(x)
        return y


class PicturePool:
    """The last fakes: a critic sees an older one every other time, so that it does not forget (Shrivastava 2017)."""

    def __init__(self, size: int, seed: int, name: str) -> None:
        """size: of pictures; 0 hands every fake through.  name: two pools of one seed draw different numbers."""
        if size < 0:
            raise BadInput(f"a picture pool holds 0 or more pictures, found {size}")
        self.size = size
        self._seed, self._name = seed, name
        self._pictures: list[Tensor] = []

    def exchange(self, fakes: Tensor, number: int) -> Tensor:
        """Put fakes in, and take as many out: each itself, or an older one in whose place it stays.

        fakes: (N, C, H, W), detached.  number: of the step, which the draws depend on.
        """
        if self.size == 0:
            return fakes
        drawn = chance(self._seed, self._name, number)
        shown = []
        for fake in fakes:
            if len(self._pictures) < self.size:
                self._pictures.append(fake.clone())
                shown.append(fake)
            elif drawn.random() < 0.5:
                shown.append(fake)
            else:
                place = int(drawn.integers(self.size))
                shown.append(self._pictures[place].to(fake.device))
                self._pictures[place] = fake.clone()
        return torch.stack(shown)

    def state_dict(self) -> dict[str, Any]:
        """The pictures, oldest place first."""
        return {"pictures": list(self._pictures)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them back."""
        self._pictures = list(state_dict["pictures"])


def _normed(channels_in: int, channels_out: int, stride: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(channels_in, channels_out, 4, stride=stride, padding=1)
    return convolution, InstanceNorm(), nn.LeakyReLU(SLOPE, inplace=True)
