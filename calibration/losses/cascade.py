"""What Cascade EF-GAN's networks answer for: the five terms of Eq. 2 (Wu et al. 2020, section 3.3).

    L = L_adv + lambda_1 L_cond + lambda_2 L_cont + lambda_3 L_attn + lambda_4 L_interp                       Eq. 2

The paper says in words what each is for and leaves formulas to a supplement that nobody published.  Here each is that
of GANimation (Pumarola et al. 2018, its Eq. 2 to 5), which the paper follows, with the meaning that the words give it.
Expressions are labels in [0, 1]; squared differences and absolute ones are means, so that a weight means the same for
every size.  All in float32.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Judge = Callable[[Tensor], Tensor]

_GREY = 127.5  # levels per unit
_SEEN = 16.0  # grey levels: so much of a change counts whole
_AROUND_PX = 2  # how far around a change counts too
_LEAST_SHARE = 0.02  # of a picture: a change that is hardly any does not blow the mean over it up


def adversarial_loss(judged: Tensor) -> Tensor:
    """L_adv of Eq. 2, GANimation's Eq. 2 for the generator: minus how real fakes are taken for.  judged: any shape."""
    return -judged.float().mean()


def wasserstein_loss(real: Tensor, fake: Tensor) -> Tensor:
    """What a critic lowers: minus its estimate of the Wasserstein distance (Arjovsky et al. 2017).  Any shapes."""
    return fake.float().mean() - real.float().mean()


def gradient_penalty(judge: Judge, real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """How far the critic's slope is from 1 between real ones and fakes (Gulrajani et al. 2017), mean of squares.

    judge: the critic's judgement only.  real, fake: (N, ...).  share: (N,) in [0, 1], where between them.
    """
    weight = share.view(-1, *(1 for _ in real.shape[1:]))
    between = (weight * real.detach().float() + (1 - weight) * fake.detach().float()).requires_grad_(True)
    judged = judge(between).float()
    (slope,) = torch.autograd.grad(judged.sum(), between, create_graph=True)
    steepness: Tensor = torch.linalg.vector_norm(slope.flatten(1), dim=1)
    return (steepness - 1).square().mean()


def conditional_loss(read: Tensor, wanted: Tensor) -> Tensor:
    """L_cond of Eq. 2, GANimation's Eq. 4: mean squared error of the expression that the critic reads.  (N, labels)."""
    return (read.float() - wanted.float()).square().mean()


def content_loss(back: Tensor, picture: Tensor) -> Tensor:
    """L_cont of Eq. 2, GANimation's Eq. 5: edited there and back, a face is as it was.  Mean absolute difference."""
    return (back.float() - picture.float()).abs().mean()


def sparsity_loss(attention: Tensor) -> Tensor:
    """L_attn of Eq. 2, first part: how much is edited, a mean.  M_A = 1 edits, the opposite of GANimation's mask."""
    return attention.float().mean()


def smoothness_loss(attention: Tensor) -> Tensor:
    """L_attn of Eq. 2, second part, GANimation's Eq. 3: total variation, summed over a picture, mean over pictures.

    attention: (N, 1, H, W).
    """
    a = attention.float()
    down, across = (a[:, :, 1:] - a[:, :, :-1]).abs(), (a[..., 1:] - a[..., :-1]).abs()
    return (down.sum() + across.sum()) / len(a)


def meaning_loss(between: Tensor, straight: Tensor) -> Tensor:
    """L_interp of Eq. 2, first part: an expression between two stays near the straight line, the pseudo target.

    (N, labels) each.  The second part, that faces make such expressions, is `adversarial_loss` of the label critic.
    """
    return (between.float() - straight.float()).square().mean()


def change_between(face: Tensor, truth: Tensor) -> Tensor:
    """Where an expression changes a face, and a little around: (N, 1, H, W) in [0, 1].  face, truth: (N, 3, H, W)."""
    seen = functional.avg_pool2d((truth - face).abs().amax(1, keepdim=True), 3, 1, 1) * (_GREY / _SEEN)
    return functional.max_pool2d(seen.clamp(0, 1), 2 * _AROUND_PX + 1, 1, _AROUND_PX)


def truth_loss(found: Tensor, truth: Tensor, change: Tensor, known: Tensor, everywhere: bool = True) -> Tensor:
    """Ours, beside Eq. 2: mean absolute difference from the true picture, where it changes and, if wanted, everywhere.

    found, truth: (N, 3, H, W).  change: (N, 1, H, W).  known: (N,) bool, of whom the truth is known; the others count
    as 0, so that the mean over N is that of its parts.
    """
    away = (found.float() - truth.float()).abs()
    there = (away * change).mean((1, 2, 3)) / change.mean((1, 2, 3)).clamp(min=_LEAST_SHARE)
    each = there + away.mean((1, 2, 3)) if everywhere else there
    return torch.where(known, each, 0.0).mean()
