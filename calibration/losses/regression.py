"""Losses between a table of targets and what a network estimates of it.  All tensors (N, outputs)."""

import torch
from torch import Tensor

_BETA = 0.5


def weighted_error(mean: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean squared error, each value with its weight; 0 when all weights are."""
    return (weight * torch.square(mean - target)).sum() / torch.clamp(weight.sum(), min=1.0)


def gaussian_loss(mean: Tensor, log_variance: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Negative log likelihood of a Gaussian, beta-weighted (Seitzer et al., ICLR 2022), beta 0.5.

    Plain, it stops learning where the variance is large: there the error is divided by it.  Multiplying by the
    variance to the power of beta, held constant, gives half of that back.
    """
    error = torch.square(mean - target) * torch.exp(-log_variance) + log_variance
    held = torch.exp(_BETA * log_variance.detach())
    return 0.5 * (weight * held * error).sum() / torch.clamp(weight.sum(), min=1.0)


def amplitude_weights(target: Tensor, strength: float) -> Tensor:
    """1 + strength |t|: what is strong counts more, because it is rare.  target: scaled, about 1 at its strongest."""
    return 1.0 + strength * torch.abs(target)
