"""eMotion-GAN's generators: G_F takes the head out of a flow, G_W puts a flow onto a neutral face.

Ikne, Allaert, Bilasco, Wannous 2024, section III.  The paper gives blocks, not widths; with those of MUNIT (Huang et
al. 2018), whose layers it describes, G_F has the 160.7 million parameters of FACTS 2: a 7 x 7 convolution to 64, four
halvings (4 x 4, reflected edges) up to 1024, instance norm; 2 + 5 residual blocks; four doublings (5 x 5) with layer
norm; 7 x 7.  `LIVE` is the same with a tenth of the width, fewer blocks and 3 x 3 doublings.

A network sees a flow in one of two forms (engines/face/flow.py), as `motion` says:

    polar       the paper's: (length / clip, angle / 2 pi), each 0..1
    cartesian   ours: (x, y) / clip, in the unit disc, without the angle's jump
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from engines.errors import BadInput
from engines.networks.blocks import InstanceNorm, ReflectConv, ResidualBlock

FORMS = ("polar", "cartesian")
GIVEN = ("posed", "still", "front")  # what it was taught to take: see MotionSizes.given
_TINY = 1e-12
_CALM = 2  # px to each side, over which a flow is averaged before a face is carried along


@dataclass(frozen=True)
class MotionSizes:
    """Everything that shapes the weights of both generators; the defaults are the paper's."""

    ngf: int = 64  # features after the first convolution
    downs: int = 4  # halvings of G_F; the features double each time
    encoder_blocks: int = 2  # residual blocks of G_F, in its encoder
    decoder_blocks: int = 5  # and its decoder
    up_kernel: int = 5  # px, of the doublings
    warp_ngf: int = 64  # of G_W, where 0 leaves it out
    warp_downs: int = 3
    warp_blocks: int = 3  # in each encoder and the decoder
    motion: str = "polar"
    clip_px: float = 10.0
    still_start: bool = False  # ours: G_F changes its input, and begins with changing nothing
    given: str = "posed"  # the flow as a camera sees it; "still": brought to rest first (engines/face/rigid_flow.py)

    def __post_init__(self) -> None:
        """Raises BadInput for a number or word that cannot be."""
        limits = {
            **{"ngf": (1, 512), "downs": (1, 6), "encoder_blocks": (0, 32), "decoder_blocks": (0, 32)},
            **{"up_kernel": (1, 9), "warp_ngf": (0, 512), "warp_downs": (1, 6), "warp_blocks": (0, 32)},
        }
        for name, (least, most) in limits.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise BadInput(f"{name} of a motion network must be a whole number {least}..{most}, found {value!r}")
        if self.up_kernel % 2 == 0:
            raise BadInput(f"up_kernel of a motion network must be odd, found {self.up_kernel}")
        for name, known in (("motion", FORMS), ("given", GIVEN)):
            if getattr(self, name) not in known:
                found = getattr(self, name)
                raise BadInput(f"{name} of a motion network is one of {', '.join(known)}, found {found!r}")
        if type(self.clip_px) not in (int, float) or not 0 < self.clip_px <= 1000:
            raise BadInput(f"clip_px of a motion network must be more than 0 px, found {self.clip_px!r}")
        if type(self.still_start) is not bool:
            raise BadInput(f"still_start of a motion network is true or false, found {self.still_start!r}")
        if self.still_start and self.motion == "polar":
            raise BadInput("still_start adds to its input, which angles do not do: it needs motion = cartesian")

    @property
    def step(self) -> int:
        """Height and width must divide by it."""
        return 1 << max(self.downs, self.warp_downs if self.warp_ngf else 0)


PAPER = MotionSizes()
LIVE = MotionSizes(
    ngf=16,
    downs=3,
    encoder_blocks=1,
    decoder_blocks=2,
    up_kernel=3,
    warp_ngf=16,
    warp_downs=2,
    warp_blocks=1,
    motion="cartesian",
    still_start=True,
    given="still",
)


class LayerNorm(nn.Module):
    """Every picture, all channels together, to mean 0 and variance 1; then a scale and a shift for each channel."""

    epsilon = 1e-5

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, H, W) of any float type, computed in float32.  Returns the same shape and type."""
        y = x.float()
        variance, mean = torch.var_mean(y, (1, 2, 3), correction=0, keepdim=True)
        scaled = (y - mean) * torch.rsqrt(variance + self.epsilon)
        return (scaled * self.weight.float()[:, None, None] + self.bias.float()[:, None, None]).to(x.dtype)


class MotionGenerator(nn.Module):
    """G_F: a flow of a moving head to the flow of the same expression in the frontal plane."""

    def __init__(self, sizes: MotionSizes = PAPER) -> None:
        super().__init__()
        self.sizes = sizes
        deep = sizes.ngf * 2**sizes.downs
        self.encoder = _Encoder(2, sizes.ngf, sizes.downs, sizes.encoder_blocks)
        self.decoder = _Decoder(deep, sizes.downs, sizes.decoder_blocks, sizes.up_kernel, 2)
        if sizes.still_start:
            self.decoder.begin_with_nothing()

    def forward(self, flow: Tensor) -> Tensor:
        """flow: (N, 2, H, W) in the form that the sizes name; H and W divide by 2 ** downs.  Returns the same form."""
        y = self.decoder(self.encoder(flow))
        if self.sizes.motion == "polar":
            return torch.sigmoid(y)
        return into_disc(flow + y if self.sizes.still_start else y)


class WarpGenerator(nn.Module):
    """G_W: a neutral face and a flow to the face that moved so."""

    def __init__(self, sizes: MotionSizes = PAPER) -> None:
        """Raises BadInput when the sizes leave it out."""
        super().__init__()
        if not sizes.warp_ngf:
            raise BadInput("warp_ngf is 0: these sizes have no network that warps")
        ngf, downs, blocks = sizes.warp_ngf, sizes.warp_downs, sizes.warp_blocks
        deep = ngf * 2**downs
        self.motion = _Encoder(2, ngf, downs, blocks)
        self.identity = _Encoder(3, ngf, downs, blocks)
        self.joint = _normed(ReflectConv(2 * deep, deep, 3))
        self.decoder = _Decoder(deep, downs, blocks, sizes.up_kernel, 3)

    def forward(self, flow: Tensor, face: Tensor) -> Tensor:
        """flow: (N, 2, H, W) as G_F gives it.  face: (N, 3, H, W) RGB in [-1, 1].  Returns a face (N, 3, H, W)."""
        both = torch.cat((self.motion(flow), self.identity(face)), 1)
        return torch.tanh(self.decoder(self.joint(both)))


class CarryingWarp(nn.Module):
    """Ours, in G_W's place: the neutral face carried along the flow, and what that leaves is mended.

    The paper's G_W paints the whole face out of two codes at an eighth of the resolution.  A flow says where every
    pixel went, so the pixels are moved by it (backwards, as it is small and smooth) and the network only adds: what was
    hidden (teeth, the white of an eye), folds, and the light on them.
    """

    def __init__(self, sizes: MotionSizes = LIVE) -> None:
        """Raises BadInput when the sizes leave it out or see flows as polar."""
        super().__init__()
        if not sizes.warp_ngf:
            raise BadInput("warp_ngf is 0: these sizes have no network that warps")
        if sizes.motion != "cartesian":
            raise BadInput("a face is carried along a cartesian flow: set motion = cartesian")
        self.clip_px = sizes.clip_px
        ngf, downs, blocks = sizes.warp_ngf, sizes.warp_downs, sizes.warp_blocks
        self.encoder = _Encoder(8, ngf, downs, blocks)
        self.decoder = _Decoder(ngf * 2**downs, downs, blocks, sizes.up_kernel, 4)
        self.decoder.begin_with_nothing()

    def forward(self, flow: Tensor, face: Tensor) -> Tensor:
        """Arguments and result: WarpGenerator's."""
        carried = carry(face, flow.float() * self.clip_px).to(face.dtype)
        y = self.decoder(self.encoder(torch.cat((flow.to(face.dtype), face, carried), 1)))
        share = torch.sigmoid(y[:, 3:])
        mended: Tensor = carried + share * ((carried + y[:, :3]).clamp(-1, 1) - carried)
        return mended


class Frontal(NamedTuple):
    """What both generators make of a moving head."""

    flow: Tensor  # (N, 2, H, W) in the sizes' form
    face: Tensor | None  # (N, 3, H, W) RGB in [-1, 1]; None without G_W


class MotionGan(nn.Module):
    """Both generators behind one another: what a bundle holds."""

    def __init__(self, sizes: MotionSizes = PAPER) -> None:
        super().__init__()
        self.sizes = sizes
        self.g_f = MotionGenerator(sizes)
        self.g_w = _warp(sizes) if sizes.warp_ngf else None

    def forward(self, flow: Tensor, face: Tensor) -> Frontal:
        """flow: (N, 2, H, W) in the sizes' form.  face: (N, 3, H, W) the neutral face, RGB in [-1, 1]."""
        frontal = self.g_f(flow)
        return Frontal(frontal, None if self.g_w is None else self.g_w(frontal, face))


def encoded(flow_px: Tensor, motion: str, clip_px: float) -> Tensor:
    """A flow as networks see it.  flow_px: (N, 2, H, W).  motion: "polar" or "cartesian".  Same shape, no gradient."""
    flow_px = flow_px.float()
    length = torch.sqrt(flow_px.square().sum(1, keepdim=True))
    if motion == "cartesian":
        return flow_px / length.clamp(min=clip_px)
    turn = torch.atan2(flow_px[:, 1:], flow_px[:, :1]) / (2 * math.pi)
    turn = torch.where(turn < 0, turn + 1, turn)
    return torch.cat((length.clamp(max=clip_px) / clip_px, torch.where(turn >= 1, 0.0, turn)), 1)


def decoded(flow: Tensor, motion: str, clip_px: float) -> Tensor:
    """The way back to px, with gradients.  flow: (N, 2, H, W) in that form."""
    if motion == "cartesian":
        return flow * clip_px
    length, angle = flow[:, :1] * clip_px, flow[:, 1:] * (2 * math.pi)
    return torch.cat((length * torch.cos(angle), length * torch.sin(angle)), 1)


def into_disc(flow: Tensor) -> Tensor:
    """Vectors longer than 1 become 1 long, direction kept; with gradients.  flow: (N, 2, H, W)."""
    square = flow.float().square().sum(1, keepdim=True)
    return (flow / torch.sqrt(square.clamp(min=1.0) + _TINY)).to(flow.dtype)


def carry(face: Tensor, flow_px: Tensor) -> Tensor:
    """Move a picture along a flow: what lay at p comes to lie at about p + flow(p).

    face: (N, C, H, W).  flow_px: (N, 2, H, W), made a little smoother first: flows of faces are, and rounding errors of
    one that is not would be amplified.  It is turned around by two steps of a fixed point, v(q) = flow(q - v(q)).
    """
    padded = nn.functional.pad(flow_px, (_CALM, _CALM, _CALM, _CALM), mode="replicate")
    calm = nn.functional.avg_pool2d(padded, 2 * _CALM + 1, stride=1)
    back = calm
    for _ in range(2):
        back = _read(calm, -back)
    return _read(face.float(), -back)


def _read(values: Tensor, away: Tensor) -> Tensor:
    """Bilinear, at every place plus `away`; beyond the border, the border.

    values: (N, C, H, W).  away: (N, 2, H, W) px.

    Whole pixels are counted in whole numbers, which grid_sample does not: in bf16 its positions are off by half a pixel
    from 64 px on, and a face falls to pieces.
    """
    count, channels, rows, columns = values.shape
    whole = torch.floor(away)
    right, down = away[:, :1] - whole[:, :1], away[:, 1:] - whole[:, 1:]
    x = torch.arange(columns, device=values.device).view(1, 1, 1, columns) + whole[:, :1].long()
    y = torch.arange(rows, device=values.device).view(1, 1, rows, 1) + whole[:, 1:].long()
    flat = values.reshape(count, channels, rows * columns)

    def at(dy: int, dx: int) -> Tensor:
        place = (y + dy).clamp(0, rows - 1) * columns + (x + dx).clamp(0, columns - 1)
        index = place.reshape(count, 1, rows * columns).expand(-1, channels, -1)
        return torch.gather(flat, 2, index).reshape(count, channels, rows, columns)

    above = at(0, 0) + right * (at(0, 1) - at(0, 0))
    below = at(1, 0) + right * (at(1, 1) - at(1, 0))
    return above + down * (below - above)


class _Encoder(nn.Sequential):
    """(N, channels, H, W) -> (N, ngf * 2 ** downs, H / 2 ** downs, ...)."""

    def __init__(self, channels: int, ngf: int, downs: int, blocks: int) -> None:
        layers: list[nn.Module] = [_normed(ReflectConv(channels, ngf, 7))]
        for level in range(downs):
            width = ngf * 2**level
            layers.append(_normed(nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(width, 2 * width, 4, stride=2))))
        super().__init__(*layers, *(ResidualBlock(ngf * 2**downs) for _ in range(blocks)))


class _Decoder(nn.Module):
    """The way back; layer norm keeps how strong one picture's features are against another's."""

    def __init__(self, width: int, ups: int, blocks: int, kernel: int, channels: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))
        layers: list[nn.Module] = []
        for level in range(ups):
            before, after = width // 2**level, width // 2 ** (level + 1)
            up = nn.Upsample(scale_factor=2, mode="nearest")
            layers += [up, ReflectConv(before, after, kernel), LayerNorm(after), nn.ReLU(inplace=True)]
        self.ups = nn.Sequential(*layers)
        self.head = ReflectConv(width // 2**ups, channels, 7)

    def begin_with_nothing(self) -> None:
        """The head gives 0 until it has learned something."""
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.ups(self.blocks(x)))
        return y


def _warp(sizes: MotionSizes) -> nn.Module:
    return CarryingWarp(sizes) if sizes.still_start else WarpGenerator(sizes)


def _normed(layer: nn.Module) -> nn.Sequential:
    return nn.Sequential(layer, InstanceNorm(), nn.ReLU(inplace=True))


def initialise_motion(network: nn.Module, seed: int) -> None:
    """Fill all convolutions as MUNIT does: weights N(0, 2 / fan in), biases 0, last layers N(0, 0.02) or their 0."""
    numbers = torch.Generator().manual_seed(seed)
    last = {id(module.head.conv) for module in network.modules() if isinstance(module, _Decoder)}
    for module in network.modules():
        if not isinstance(module, nn.Conv2d):
            continue
        if id(module) in last:
            if module.weight.abs().sum() > 0:
                nn.init.normal_(module.weight, 0.0, 0.02, numbers)
        else:
            nn.init.kaiming_normal_(module.weight, a=0.0, mode="fan_in", generator=numbers)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
