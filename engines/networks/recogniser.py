"""What expression a flow or a face shows: eMotion-GAN's D_E and e_FER.

D_E (Ikne et al. 2024, section III-B; widths of FACTS 2): three blocks of convolution, batch norm, ReLU and pooling with
8, 32 and 128 features, then two linear layers.  e_FER is DMUE in the paper, pretrained on AffectNet, whose weights are
not free: ours is the same kind of network, deeper, trained by us.  Its features also stand in for VGG's in the
perceptual loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engines.errors import BadInput, BundleError
from engines.networks.motion_gan import FORMS, encoded
from engines.networks.motion_network import FLOW
from engines.networks.picture_network import PICTURE
from engines.spec import ArraySpec

EMOTIONS = ("neutral", "angry", "disgusted", "fearful", "happy", "sad", "surprised")
SEES = ("flow", "face")
FLOW_WIDTHS, FACE_WIDTHS = (8, 32, 128), (16, 32, 64, 96, 128)
_GRID = 4  # places of the last map that the linear layers see, each way
_BYTES = 255.0


@dataclass(frozen=True)
class RecogniserSizes:
    """Everything that shapes the weights; the defaults are D_E's."""

    sees: str = "flow"  # "face"
    widths: tuple[int, ...] = FLOW_WIDTHS
    hidden: int = 128  # features between the linear layers
    classes: int = len(EMOTIONS)
    motion: str = "polar"  # form of a flow
    clip_px: float = 10.0
    drop: float = 0.0  # share of hidden features that are left out in training

    def __post_init__(self) -> None:
        """Raises BadInput for a number or word that cannot be."""
        for name, word, known in (("sees", self.sees, SEES), ("motion", self.motion, FORMS)):
            if word not in known:
                raise BadInput(f"{name} of a recogniser is {' or '.join(known)}, found {word!r}")
        numbers = [("hidden", self.hidden), ("classes", self.classes), *(("a width", width) for width in self.widths)]
        for name, value in numbers:
            if type(value) is not int or not 1 <= value <= 4096:
                raise BadInput(f"{name} of a recogniser must be a whole number 1..4096, found {value!r}")
        if not 1 <= len(self.widths) <= 7:
            raise BadInput(f"a recogniser has 1 to 7 blocks, found {len(self.widths)}")
        if not (0 <= self.drop < 1 and 0 < self.clip_px <= 1000):
            raise BadInput(f"drop must be 0..1 and clip_px above 0, found {self.drop} and {self.clip_px}")

    @property
    def channels(self) -> int:
        """Of the input."""
        return 2 if self.sees == "flow" else 3


class Recogniser(nn.Module):
    """Blocks of convolution, batch norm, ReLU, pooling; two linear layers."""

    def __init__(self, sizes: RecogniserSizes | None = None) -> None:
        super().__init__()
        self.sizes = sizes or RecogniserSizes()
        before = (self.sizes.channels, *self.sizes.widths[:-1])
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2))
            for a, b in zip(before, self.sizes.widths, strict=True)
        )
        self.hidden = nn.Sequential(
            nn.Linear(self.sizes.widths[-1] * _GRID**2, self.sizes.hidden), nn.ReLU(), nn.Dropout(self.sizes.drop)
        )
        self.head = nn.Linear(self.sizes.hidden, self.sizes.classes)

    @property
    def smallest(self) -> int:
        """Side of what it can see, px: its last map is the grid or a multiple of it."""
        return int(_GRID * 2 ** len(self.sizes.widths))

    def features(self, x: Tensor) -> list[Tensor]:
        """Every block's map.  x: (N, channels, H, W): a flow in the sizes' form, or RGB in [-1, 1]."""
        found = []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """x: as `features`; sides that divide by `smallest`.  Returns (N, classes) logits."""
        last = self.features(x)[-1]
        rows, columns = last.shape[2] // _GRID, last.shape[3] // _GRID
        places = nn.functional.avg_pool2d(last, (rows, columns))
        logits: Tensor = self.head(self.hidden(places.flatten(1)))
        return logits


class RecogniserNetwork(nn.Module):
    """A recogniser as an engine sees it: a flow in px or a face in, how likely each expression is out."""

    def __init__(self, network: Recogniser, inputs: Sequence[ArraySpec], outputs: Sequence[ArraySpec]) -> None:
        """Raises BundleError when a spec does not fit."""
        super().__init__()
        self.network, self.outputs = network, tuple(outputs)
        sizes = network.sizes
        spec = inputs[0]
        side = spec.shape[0] if spec.shape else 0
        layout, dtype = (FLOW, "float32") if sizes.sees == "flow" else (PICTURE, "uint8")
        square = spec.shape == (side, side, sizes.channels) and side >= network.smallest and not side % network.smallest
        if len(inputs) != 1 or (spec.name, spec.layout, spec.dtype) != (sizes.sees, layout, dtype) or not square:
            raise BundleError(
                f"this recogniser sees one {sizes.sees}, {dtype}, with sides that divide by {network.smallest}; its "
                f"manifest says {[(one.name, one.dtype, one.shape) for one in inputs]}"
            )
        if sizes.sees == "face" and (spec.colour not in ("BGR", "RGB") or spec.range != (0, _BYTES)):
            raise BundleError(f"a recogniser's face is BGR or RGB, 0..255, found {spec.colour}, {spec.range}")
        wanted = [(one.name, one.dtype, one.shape) for one in outputs]
        if wanted != [("emotion", "float32", (sizes.classes,))]:
            raise BundleError(f"a recogniser gives emotion, float32 ({sizes.classes},), its manifest says {wanted}")
        self.spec = spec

    def forward(self, array: Tensor) -> tuple[Tensor]:
        """array: as the input's spec says.  Returns (classes,) float32, adding up to 1."""
        sizes, dtype = self.network.sizes, self.network.head.weight.dtype
        planes = array.float().permute(2, 0, 1)[None]
        if sizes.sees == "flow":
            x = encoded(planes, sizes.motion, sizes.clip_px)
        else:
            x = planes * (2 / _BYTES) - 1
            x = x if self.spec.colour == "RGB" else x.flip(1)
        return (torch.softmax(self.network(x.to(dtype)).float(), 1)[0],)


def initialise_recogniser(network: Recogniser, seed: int) -> None:
    """Fill all layers by He's rule from a seed, biases 0."""
    numbers = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, generator=numbers)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
