"""How far two faces are apart in a network's eyes: the perceptual loss of Eq. 2.

The paper takes VGG (Simonyan and Zisserman), whose weights would have to be downloaded.  By default the features are
those of our own recogniser of expressions; whoever has torchvision's `vgg16` weights as a file may name it instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from engines.networks.recogniser import Recogniser
from rt.errors import BadSettings

_VGG16 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512)  # 0: pooling; up to relu4_3
_TAKEN = (3, 8, 15, 22)  # relu1_2, relu2_2, relu3_3, relu4_3
_MEAN, _SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's


class FeatureDistance(nn.Module):
    """Mean absolute difference of features, each map over its own mean size, so that no map outvotes the others."""

    def __init__(self, network: nn.Module, features: Callable[[Tensor], Sequence[Tensor]]) -> None:
        """network: frozen here.  features: (N, 3, H, W) RGB in [-1, 1] to its maps."""
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self._features = features

    def forward(self, found: Tensor, wanted: Tensor) -> Tensor:
        """found, wanted: (N, 3, H, W) RGB in [-1, 1].  Returns one number."""
        with torch.no_grad():
            targets = [target.float() for target in self._features(wanted)]
        pairs = zip(self._features(found), targets, strict=True)
        terms = [(one.float() - other).abs().mean() / other.abs().mean().clamp(min=1e-3) for one, other in pairs]
        return torch.stack(terms).mean()

    def train(self, mode: bool = True) -> FeatureDistance:
        """It stays as it is: its batch norms are not taught."""
        return self


def of_recogniser(network: Recogniser) -> FeatureDistance:
    """Features of a recogniser of faces.  Raises BadSettings when it sees flows."""
    if network.sizes.sees != "face":
        raise BadSettings("the perceptual loss needs a recogniser of faces, this one sees flows")
    return FeatureDistance(network, network.features)


def of_vgg16(path: Path) -> FeatureDistance:
    """Features of VGG16 from a file of torchvision's weights.  Raises BadSettings when it is none."""
    layers: list[nn.Module] = []
    channels = 3
    for width in _VGG16:
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()] if width else [nn.MaxPool2d(2)]
        channels = width or channels
    network = nn.Sequential(*layers)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        known = {name: state[f"features.{name}"] for name in network.state_dict()}
        network.load_state_dict(known)
    except (OSError, KeyError, RuntimeError, TypeError) as error:
        words = str(error).splitlines()[0]
        raise BadSettings(f"{path} does not hold torchvision's vgg16 weights ({words}): give its .pth file") from None
    mean, sd = (torch.tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _SD))

    def features(faces: Tensor) -> list[Tensor]:
        x = ((faces.float() + 1) / 2 - mean.to(faces.device)) / sd.to(faces.device)
        found = []
        for place, layer in enumerate(network):
            x = layer(x)
            if place in _TAKEN:
                found.append(x)
        return found

    return FeatureDistance(network, features)
