"""What taking electrodes off costs where the truth behind them is known.  Pictures in [-1, 1], masks in [0, 1].

All are mean absolute differences, as MC-CycleGAN's own terms are; what differs is where they look.
"""

import functools

import torch
from torch import Tensor
from torch.nn import functional

COVERED_SHARE = 0.05  # of a pixel: an electrode lies on it
LEAST_SHARE = 0.02  # of a picture: a batch with hardly any electrodes does not blow the mean over them up
_GREY = 127.5  # levels per unit
_UNSEEN, _SEEN = 4.0, 16.0  # grey levels of a shadow that is left alone, and of one that is edited whole
_SHADOW_PX = 2  # how far around an electrode its shadow is taken off
_WINDOW_PX = 7
_C1, _C2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # SSIM's constants for a range of 2
_SMALLEST = 1e-4  # log(0) is no number


def covered_loss(face: Tensor, clean: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error where electrodes cover.  face, clean: (N, 3, H, W); mask: (N, 1, H, W).  Returns a scalar."""
    share = mask.mean().clamp(min=LEAST_SHARE)
    return ((face - clean).abs() * mask).mean() / share


def face_loss(face: Tensor, clean: Tensor) -> Tensor:
    """Mean absolute error everywhere: what was not covered must come through."""
    return (face - clean).abs().mean()


def colour_loss(colour: Tensor, clean: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error of what would be painted, at and beside electrodes, edited already or not."""
    near = grown(mask, _SHADOW_PX)
    return covered_loss(colour, clean, near)


def edit_loss(edit: Tensor, covered: Tensor, clean: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy between the edit mask and where something was covered or visibly shaded.

    edit, mask: (N, 1, H, W); covered, clean: (N, 3, H, W).  Returns a scalar.
    """
    shaded = grown(mask, _SHADOW_PX) * ((_change(covered, clean, mask) - _UNSEEN) / (_SEEN - _UNSEEN)).clamp(0, 1)
    wanted = torch.maximum(shaded, mask)
    edit = edit.clamp(_SMALLEST, 1 - _SMALLEST)
    return -(wanted * edit.log() + (1 - wanted) * (1 - edit).log()).mean()


def structure_loss(face: Tensor, clean: Tensor) -> Tensor:
    """1 - SSIM (Wang et al. 2004), the mean over windows of 7 x 7 px and colours.  face, clean: (N, 3, H, W)."""
    window = functools.partial(functional.avg_pool2d, kernel_size=_WINDOW_PX, stride=1)
    mean_a, mean_b = window(face), window(clean)
    variances = window(face * face) - mean_a**2 + window(clean * clean) - mean_b**2
    covariance = window(face * clean) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    return 1 - (luminance * (2 * covariance + _C2) / (variances + _C2)).mean()


def _change(covered: Tensor, clean: Tensor, mask: Tensor) -> Tensor:
    """(N, 1, H, W) grey levels by which electrodes changed the picture: the mean of 3 x 3 px, as cameras are noisy.

    Beside an electrode only pixels count that it does not cover: skin next to it is not changed by lying next to it.
    """
    change = (covered - clean).abs().amax(1, keepdim=True) * _GREY
    free = (mask <= COVERED_SHARE).to(change.dtype)
    pooled, beside, share = (functional.avg_pool2d(x, 3, 1, 1) for x in (change, change * free, free))
    return torch.where(free > 0, beside / share.clamp(min=_SMALLEST), pooled)


def grown(mask: Tensor, by_px: int) -> Tensor:
    """1 within by_px of anything covered, else 0."""
    return functional.max_pool2d((mask > COVERED_SHARE).float(), 2 * by_px + 1, 1, by_px)
