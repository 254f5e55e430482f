"""MobileNetV3 in its "minimal" form: no squeeze-and-excite, no hard-swish, 3 x 3 kernels only.

Howard et al. 2019, "Searching for MobileNetV3", tables 1 and 2, with what its authors' minimal variant leaves out.
EIFER's encoders (FACTS 2) are the two of these without the classifier: what comes out is the last map of features.
Tensors are (picture, channel, height, width).
"""

import math
from typing import NamedTuple

try:
    import torch
    from torch import Tensor, nn
except ImportError as error:
    raise ImportError("PyTorch is needed for the networks: pip install 'myomirror[torch]'") from error

from engines.errors import BadInput

STRIDE = 32  # a picture's side over the last map's
_STEM = 16
_EPSILON = 1e-3  # of the batch norm, as its authors'


class Stage(NamedTuple):
    """One inverted residual block."""

    expanded: int  # channels between the two 1 x 1 convolutions
    out: int
    stride: int


# After the stem; the first of each is depthwise-separable: nothing is expanded
SMALL = (
    Stage(16, 16, 2),
    *(Stage(72, 24, 2), Stage(88, 24, 1)),
    *(Stage(96, 40, 2), Stage(240, 40, 1), Stage(240, 40, 1)),
    *(Stage(120, 48, 1), Stage(144, 48, 1)),
    *(Stage(288, 96, 2), Stage(576, 96, 1), Stage(576, 96, 1)),
)
LARGE = (
    Stage(16, 16, 1),
    *(Stage(64, 24, 2), Stage(72, 24, 1)),
    *(Stage(72, 40, 2), Stage(120, 40, 1), Stage(120, 40, 1)),
    *(Stage(240, 80, 2), Stage(200, 80, 1), Stage(184, 80, 1), Stage(184, 80, 1)),
    *(Stage(480, 112, 1), Stage(672, 112, 1)),
    *(Stage(672, 160, 2), Stage(960, 160, 1), Stage(960, 160, 1)),
)
LAYOUTS = {"small": (SMALL, 576), "large": (LARGE, 960)}  # blocks, and features of the last map


class MobileNet(nn.Module):
    """Pictures to the last map of features: `features` channels, 1/32 of the side."""

    def __init__(self, layout: str, width: float = 1.0) -> None:
        """layout: "small" or "large".  width: of all channels, 0.1..2; 1 is published.  Raises BadInput."""
        super().__init__()
        if layout not in LAYOUTS:
            raise BadInput(f"a MobileNet is {' or '.join(LAYOUTS)}, found {layout!r}")
        if not 0.1 <= width <= 2:
            raise BadInput(f"a MobileNet's width must be 0.1..2, found {width}")
        stages, last = LAYOUTS[layout]
        self.features = rounded(last * width)
        channels = rounded(_STEM * width)
        layers: list[nn.Module] = [_normed(3, channels, 3, stride=2)]  # (N, 16, H/2, W/2)
        for stage in stages:
            out = rounded(stage.out * width)
            layers.append(InvertedResidual(channels, rounded(stage.expanded * width), out, stage.stride))
            channels = out
        self.layers = nn.Sequential(*layers, _normed(channels, self.features, 1))

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, 3, H, W).  Returns (N, features, H/32, W/32), rounded up."""
        y: Tensor = self.layers(x)
        return y


class InvertedResidual(nn.Module):
    """1 x 1 up, 3 x 3 depthwise, 1 x 1 down without activation (Sandler et al. 2018); added to x where it fits."""

    def __init__(self, channels_in: int, expanded: int, channels_out: int, stride: int) -> None:
        super().__init__()
        up = [] if expanded == channels_in else [_normed(channels_in, expanded, 1)]
        self.layers = nn.Sequential(
            *up,
            _normed(expanded, expanded, 3, stride=stride, groups=expanded),
            _normed(expanded, channels_out, 1, active=False),
        )
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, channels_in, H, W).  Returns (N, channels_out, H/stride, W/stride)."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


def initialise_mobilenet(network: MobileNet, seed: int) -> None:
    """Convolutions N(0, 2 / outputs per input) (He et al. 2015), norms 1 and 0.  The same seed, the same numbers."""
    numbers = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
            nn.init.normal_(module.weight, 0.0, math.sqrt(2 / fan), numbers)


def rounded(channels: float) -> int:
    """To a multiple of 8, not below 90 % of what was asked for (its authors' rule)."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near if near >= 0.9 * channels else near + 8


def _normed(
    channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1, active: bool = True
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(channels_out, eps=_EPSILON),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if active else nn.Sequential(*layers)
