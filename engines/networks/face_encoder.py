"""A picture of a face to the face model's parameters: EIFER's encoder (SMIRK's), and a small one for live use.

FACTS 2: three backbones, each its last map -> mean over the map -> one linear layer.  Pose and camera come from the
small MobileNetV3, shape and expression from a large one each.  The live arrangement shares one narrow backbone and
says as well how sure it is.  Input: (picture, 3, height, width) RGB in [0, 1], not normalised further.

Pose: rotation vector, rad, from the model's axes to the camera's (x right, y up, z to the viewer).  Camera: (s, tx,
ty), weak perspective xy' = s (xy + t), xy in the model's metres, xy' in half sides of the picture from its middle, y
up (engines/face/crop_camera.py).
"""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from engines.errors import BadInput
from engines.networks.mobilenet import STRIDE, MobileNet, initialise_mobilenet

PROFILES = {"arkit52": 52, "flame55": 55}
ARRANGEMENTS = ("three", "shared")
SURE_AT = 0.1  # rms error of the expression at which confidence is 0.5
_EXPRESSIONS = 50  # flame55: 50 expression | 2 eyelid | 3 jaw
_JAW_TURN = 0.2  # rad that the jaw goes sideways at most
_SCALE = 7.0  # of the camera at the start: FACTS 2
_POSE_GAIN, _EXPRESSION_GAIN = 0.001, 0.1  # of the linear layers' weights at the start
_AT_REST = -3.0  # bias of arkit52's sigmoid at the start: every blendshape at 0.05


@dataclass(frozen=True)
class EncoderSizes:
    """Everything that shapes the weights; the defaults are the paper's but for the profile."""

    profile: str = "arkit52"  # "flame55"
    shapes: int = 100  # identity weights: ICT-FaceKit has 100, FLAME 300
    arrangement: str = "three"  # backbones; "shared": one for all, with a confidence
    width: float = 1.0  # of the backbones' channels

    def __post_init__(self) -> None:
        """Raises BadInput for a word or number that cannot be."""
        if self.profile not in PROFILES:
            raise BadInput(f"an expression profile is {' or '.join(PROFILES)}, found {self.profile!r}")
        if self.arrangement not in ARRANGEMENTS:
            raise BadInput(f"a face encoder's arrangement is {' or '.join(ARRANGEMENTS)}, found {self.arrangement!r}")
        if type(self.shapes) is not int or not 1 <= self.shapes <= 400:
            raise BadInput(f"shapes of a face encoder must be a whole number 1..400, found {self.shapes!r}")
        if not isinstance(self.width, (int, float)) or not 0.1 <= self.width <= 2:
            raise BadInput(f"width of a face encoder must be 0.1..2, found {self.width!r}")

    @property
    def outputs(self) -> dict[str, int]:
        """Name -> count of everything that the network gives, in its order."""
        found = {"expression": PROFILES[self.profile], "shape": self.shapes, "pose": 3, "camera": 3}
        return {**found, "confidence": 1} if self.arrangement == "shared" else found


LIVE = EncoderSizes(arrangement="shared", width=0.75)


class Encoded(NamedTuple):
    """What a face encoder says, each (N, count).  confidence: empty (N, 0) where the arrangement gives none."""

    expression: Tensor  # arkit52: 0..1.  flame55: any | 0..1 | jaw, rad
    shape: Tensor  # standard deviations
    pose: Tensor  # rotation vector, rad
    camera: Tensor  # s, tx, ty
    confidence: Tensor  # (0, 1); see deviation_of


class FaceEncoder(nn.Module):
    """Pictures to parameters.  Sides divide by 32 best; the paper's is 224."""

    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(self, sizes: EncoderSizes | None = None) -> None:
        """sizes: the paper's when not given."""
        super().__init__()
        self.sizes = sizes = sizes or EncoderSizes()
        heads = {"pose": ("pose", "camera"), "shape": ("shape",), "expression": ("expression",)}
        if sizes.arrangement == "three":
            layouts = {"pose": "small", "shape": "large", "expression": "large"}
        else:
            layouts, heads = {"all": "large"}, {"all": tuple(sizes.outputs)}
        self.backbones = nn.ModuleDict({name: MobileNet(layout, sizes.width) for name, layout in layouts.items()})
        self._heads = heads
        self.heads = nn.ModuleDict(
            {
                output: nn.Linear(_features(self.backbones[name]), sizes.outputs[output])
                for name, outputs in heads.items()
                for output in outputs
            }
        )

    def forward(self, x: Tensor) -> Encoded:
        """x: (N, 3, H, W) RGB in [0, 1], at least 32 px."""
        found: dict[str, Tensor] = {}
        for name, outputs in self._heads.items():
            features = self.backbones[name](x).mean((2, 3))  # (N, features)
            found |= {output: self.heads[output](features) for output in outputs}
        found["expression"] = self._in_range(found["expression"])
        found["confidence"] = torch.sigmoid(found["confidence"]) if "confidence" in found else x.new_zeros(len(x), 0)
        return Encoded(**found)

    def _in_range(self, raw: Tensor) -> Tensor:
        if self.sizes.profile == "arkit52":
            return torch.sigmoid(raw)
        free, lids, jaw = raw[:, :_EXPRESSIONS], raw[:, _EXPRESSIONS:-3], raw[:, -3:]
        opened, aside = jaw[:, :1], jaw[:, 1:]
        return torch.cat((free, lids.clamp(0, 1), opened.relu(), aside.clamp(-_JAW_TURN, _JAW_TURN)), 1)


def deviation_of(confidence: Tensor) -> Tensor:
    """The rms error of the expression that a confidence stands for: 0.1 at 0.5, 0 at 1, without bound towards 0.

    It makes the confidence a claim that can be wrong: training scores it as the deviation of a normal distribution.
    """
    safe = confidence.clamp(1e-6, 1 - 1e-6)
    return SURE_AT * torch.sqrt((1 - safe) / safe)


def initialise_encoder(network: FaceEncoder, seed: int) -> None:
    """Start as FACTS 2 says: pose x 0.001 with the scale's bias at 7, shape 0, expression x 0.1."""
    for place, backbone in enumerate(network.backbones.values()):
        assert isinstance(backbone, MobileNet)
        initialise_mobilenet(backbone, seed * 3 + place)
    numbers = torch.Generator().manual_seed(seed)
    gains = {"pose": _POSE_GAIN, "camera": _POSE_GAIN, "shape": 0.0, "expression": _EXPRESSION_GAIN, "confidence": 0.0}
    with torch.no_grad():
        for name, head in network.heads.items():
            assert isinstance(head, nn.Linear)
            bound = 1 / math.sqrt(head.in_features)  # PyTorch's own of a linear layer
            head.weight.uniform_(-bound, bound, generator=numbers).mul_(gains[name])
            head.bias.zero_()
            if name == "camera":
                head.bias[0] = _SCALE
            if name == "expression" and network.sizes.profile == "arkit52":
                head.bias.fill_(_AT_REST)


def _features(backbone: nn.Module) -> int:
    assert isinstance(backbone, MobileNet)
    return backbone.features


SMALLEST = STRIDE  # px
