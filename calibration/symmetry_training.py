"""Teaches the network of engines/face/symmetry.py: how far each region of a face moves, on either side.

How far each side moves is learned, and beside that how even the sides are, which is what a station tells; the first
decides whether it is told at all.  A network that sees both sides of every look in turn, with the same weights, knows
no side better than the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.face.arrays import Floats
from engines.face.symmetry import FURTHEST, OUTPUT_BIAS, REGIONS, SideNetwork

_LEAST_CM = 0.1  # both sides together; in less there is no asymmetry to be learned
_LEAST_SPREAD = 0.1  # of a feature: 0.1 mm, or 0.01 of a blendshape; what varies less has no say


@dataclass(frozen=True)
class SymmetryTraining:
    """AdamW, one cycle of the learning rate.

    asymmetry: weight of 10 percentage points, where 1 mm of movement has 1.  drop: share of hidden values left out.
    """

    hidden: tuple[int, ...] = (256, 256)
    epochs: int = 60
    batch: int = 64
    learning_rate: float = 3e-3
    drop: float = 0.2
    weight_decay: float = 0.05
    asymmetry: float = 1.0


def learn(
    seen: Floats,
    moved_cm: Floats,
    settings: SymmetryTraining | None = None,
    seed: int = 1,
    say: Callable[[str], None] = lambda line: None,
) -> SideNetwork:
    """A network that has learned from looks.

    seen: (look, side, feature) float32, see engines.face.symmetry.features.  moved_cm: (look, side, region), the truth.
    say: one line now and then.
    """
    s = settings or SymmetryTraining()
    torch.manual_seed(seed)
    every = seen.reshape(-1, seen.shape[-1])
    mean, scale = every.mean(0), np.maximum(every.std(0), np.float32(_LEAST_SPREAD))
    given = torch.from_numpy(((seen - mean) / scale).clip(-FURTHEST, FURTHEST).astype(np.float32))
    truth = torch.from_numpy(moved_cm.astype(np.float32))
    network = _network(seen.shape[-1], s)
    first = network[0]
    assert isinstance(first, nn.Linear)
    still = torch.from_numpy(every.std(0) < _LEAST_SPREAD)
    with torch.no_grad():  # and what has no gradient stays so
        given[..., still] = 0
        first.weight[:, still] = 0
    steps = max(1, len(given) // s.batch)
    adam = torch.optim.AdamW(network.parameters(), s.learning_rate, weight_decay=s.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, s.learning_rate, s.epochs * steps)
    for epoch in range(s.epochs):
        lost = 0.0
        for rows in torch.randperm(len(given))[: steps * s.batch].tensor_split(steps):
            loss = _loss(functional.softplus(network(given[rows]) + OUTPUT_BIAS), truth[rows], s.asymmetry)
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            schedule.step()
            lost += float(loss.detach()) / steps
        if epoch % 10 == 9:
            say(f"epoch {epoch + 1}/{s.epochs}: {lost:.2f}")
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    layers = tuple((_array(layer.weight.T), _array(layer.bias)) for layer in linear)
    return SideNetwork(mean.astype(np.float32), scale.astype(np.float32), layers)


def _network(features: int, s: SymmetryTraining) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in s.hidden:
        layers += [nn.Linear(features, width), nn.ReLU(), nn.Dropout(s.drop)]
        features = width
    return nn.Sequential(*layers, nn.Linear(features, len(REGIONS)))


def _loss(said: Tensor, truth: Tensor, asymmetry: float) -> Tensor:
    """said, truth: (look, side, region) cm."""
    moves = (truth.sum(1) >= _LEAST_CM).float()
    away = (_asymmetry(said) - _asymmetry(truth)).abs()
    return 10 * (said - truth).abs().mean() + asymmetry * (moves * away).mean()


def _asymmetry(moved: Tensor) -> Tensor:
    """(look, region), in tens of percentage points."""
    return 10 * (moved[:, 0] - moved[:, 1]) / moved.sum(1).clamp(min=_LEAST_CM)


def _array(weights: Tensor) -> Floats:
    return np.ascontiguousarray(weights.detach().numpy())
