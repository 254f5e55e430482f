"""eMotion-GAN's losses: Ikne et al. 2024, Eq. 1, 3, 4 and the cross-entropies of section III-D; float32 throughout.

Flows are (N, 2, H, W) in px over the clip, x and y (not length and angle): the distance between two ends is one only
there, and an angle's jump from 1 to 0 would count as a full turn.
"""

import torch
from torch import Tensor
from torch.nn import functional

EPSILON = 1e-3  # of Eq. 4; the paper gives none
_TINY = 1e-8


def judged_real(judged: Tensor) -> Tensor:
    """Eq. 1, the generator's side: sigmoid cross-entropy of a critic's logits against "real".  Any shape."""
    return functional.binary_cross_entropy_with_logits(judged.float(), torch.ones_like(judged, dtype=torch.float32))


def told_apart(real: Tensor, fake: Tensor) -> Tensor:
    """Eq. 1, the critic's side: half of the cross-entropy of real ones against 1 and of fakes against 0."""
    zeros = torch.zeros_like(fake, dtype=torch.float32)
    return (judged_real(real) + functional.binary_cross_entropy_with_logits(fake.float(), zeros)) / 2


def end_point_error(found: Tensor, wanted: Tensor, weight: Tensor | None = None) -> Tensor:
    """Eq. 3: mean Euclidean distance between two flows.  weight: (N, 1, H, W), what a place counts; all the same."""
    away = torch.sqrt((found.float() - wanted.float()).square().sum(1, keepdim=True) + _TINY)
    if weight is None:
        return away.mean()
    return (away * weight).sum() / weight.sum().clamp(min=1e-6)


def charbonnier(found: Tensor, wanted: Tensor, epsilon: float = EPSILON) -> Tensor:
    """Eq. 4: sqrt(L1^2 + epsilon^2), the L1 of each number by itself, then the mean."""
    return torch.sqrt((found.float() - wanted.float()).square() + epsilon**2).mean()


def emotion_loss(logits: Tensor, emotion: Tensor) -> Tensor:
    """Cross-entropy over what shows an emotion.

    logits: (N, classes).  emotion: (N,) int64, -1 where none is shown.  0 where nothing in the batch shows one.
    """
    shown = emotion >= 0
    if not bool(shown.any()):
        return logits.sum() * 0.0
    return functional.cross_entropy(logits.float()[shown], emotion[shown])
