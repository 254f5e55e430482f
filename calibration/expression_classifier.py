"""A small network that says which of seven expressions a face shows: the judge of Table 1, trained by us.

Wu et al. 2020 train a classifier of their own for each data set and do not say which.  Here: four convolutions of 4 x 4
that halve, group norm, one linear layer, on faces of 64 px; classes equally often, each picture mirrored, moved and
relit a little.  Everything follows from the seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from calibration.expression_classes import EXPRESSIONS
from calibration.planes import planes_of, resized
from calibration.recipe import chance
from engines.errors import BadInput

Pictures = npt.NDArray[np.uint8]  # (N, size, size, 3) BGR
Classes = npt.NDArray[np.int64]  # (N,) places in EXPRESSIONS

SIDE = 64  # px
_FEATURES, _GROUPS = (24, 48, 96, 128), 8
_BATCH = 48
_RATE = 2e-3
_MOVED_PX, _BRIGHTER, _CONTRAST = 4, 0.15, 0.15
_AT_ONCE = 256


@dataclass(frozen=True)
class Lesson:
    """What a classifier learns from.  pictures: of one size.  classes: none below 0."""

    pictures: Pictures
    classes: Classes

    def __post_init__(self) -> None:
        if len(self.pictures) != len(self.classes) or (self.classes < 0).any():
            raise BadInput(f"every picture has one class, found {len(self.pictures)} and {len(self.classes)}")

    def and_also(self, other: Lesson) -> Lesson:
        """Both together."""
        return Lesson(
            np.concatenate([_small(self.pictures), _small(other.pictures)]),
            np.concatenate([self.classes, other.classes]),
        )


class ExpressionClassifier:
    """Trained when made."""

    def __init__(self, lesson: Lesson, steps: int, seed: int) -> None:
        """steps: of 48 pictures.  Raises BadInput when fewer than two classes are there."""
        self.known = np.unique(lesson.classes)
        if len(self.known) < 2:
            raise BadInput("a classifier needs pictures of two expressions or more: make a larger set of faces")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(chance(seed, "classifier").integers(2**31)))
            self.network = _network()
            self._learn(planes_of(list(_small(lesson.pictures))), lesson.classes, steps, seed)

    def _learn(self, planes: Tensor, classes: Classes, steps: int, seed: int) -> None:
        adam = torch.optim.AdamW(self.network.parameters(), _RATE, weight_decay=1e-2)
        falling = torch.optim.lr_scheduler.OneCycleLR(adam, _RATE, max(steps, 2))
        of_class = [np.flatnonzero(classes == each) for each in self.known]
        self.network.train()
        for step in range(steps):
            draw = chance(seed, "lesson", step)
            chosen = [int(draw.choice(of_class[k % len(of_class)])) for k in range(_BATCH)]
            seen = torch.stack([_varied(planes[place], draw) for place in chosen])
            loss = functional.cross_entropy(self.network(seen), torch.from_numpy(classes[chosen]), label_smoothing=0.05)
            adam.zero_grad()
            torch.autograd.backward(loss)
            adam.step()
            falling.step()
        self.network.eval()

    @torch.no_grad()
    def classify(self, pictures: Pictures) -> Classes:
        """(N,) the most likely of the expressions that it has seen.  pictures: of any one size."""
        small, scores = _small(pictures), []
        for first in range(0, len(small), _AT_ONCE):
            scores.append(self.network(planes_of(list(small[first : first + _AT_ONCE])))[:, self.known])
        return np.asarray(self.known[torch.cat(scores).argmax(1).numpy()])

    def accuracy(self, lesson: Lesson) -> float:
        """Share of the pictures that are classified as they should be, mean over the classes there: 0..1."""
        found = self.classify(lesson.pictures)
        shares = [(found[lesson.classes == each] == each).mean() for each in np.unique(lesson.classes)]
        return float(np.mean(shares))


def _network() -> nn.Sequential:
    layers: list[nn.Module] = []
    before = 3
    for width in _FEATURES:
        layers += [nn.Conv2d(before, width, 4, stride=2, padding=1), nn.GroupNorm(_GROUPS, width)]
        layers.append(nn.ReLU(inplace=True))
        before = width
    side = SIDE // 2 ** len(_FEATURES)
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2), nn.Linear(before * side * side, len(EXPRESSIONS)))


def _varied(planes: Tensor, draw: np.random.Generator) -> Tensor:
    """(3, 64, 64), mirrored, moved and relit.  All seven expressions are the same on both sides."""
    y, x = draw.integers(-_MOVED_PX, _MOVED_PX + 1, 2).tolist()
    moved = torch.roll(planes, (y, x), (1, 2))
    moved = moved.flip(2) if draw.random() < 0.5 else moved
    gain, shift = draw.normal(1, _CONTRAST), draw.normal(0, _BRIGHTER)
    return (moved * float(gain) + float(shift)).clamp(-1, 1)


def _small(pictures: Pictures) -> Pictures:
    if pictures.shape[1] == SIDE:
        return pictures
    return np.stack([resized(picture, SIDE) for picture in pictures])
