"""D_P: does a flow look like one of a face that does not turn, place by place?  Used in training only."""

import torch
from torch import Tensor, nn

from engines.networks.blocks import InstanceNorm

SLOPE = 0.2  # of LeakyReLU below 0: DCGAN's
SMALLEST = 16  # px


class MotionCritic(nn.Module):
    """PatchGAN on flows (FACTS 2): convolutions 4 x 4 with stride 2 to 64, 128, 256 features, padded, and one to 1.

    It is conditional, as Eq. 1 has D(X, G(X)): what G_F was given goes in behind what is judged.
    """

    def __init__(self, ndf: int = 64) -> None:
        """ndf: features after the first convolution."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(4, ndf, 4, stride=2, padding=1),  # (N, ndf, H/2, W/2)
            nn.LeakyReLU(SLOPE, inplace=True),
            *_normed(ndf, 2 * ndf),  # (N, 2 ndf, H/4, W/4)
            *_normed(2 * ndf, 4 * ndf),  # (N, 4 ndf, H/8, W/8)
            nn.ZeroPad2d((1, 0, 1, 0)),
            nn.Conv2d(4 * ndf, 1, 4, padding=1),  # (N, 1, H/8, W/8)
        )

    def forward(self, flow: Tensor, given: Tensor) -> Tensor:
        """flow, given: (N, 2, H, W) in one form, 16 px or more.  Returns (N, 1, H/8, W/8) logits, high = real."""
        y: Tensor = self.layers(torch.cat((flow, given), 1))
        return y


def _normed(channels_in: int, channels_out: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1), InstanceNorm(), nn.LeakyReLU(SLOPE, True)
