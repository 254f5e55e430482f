"""What taking electrodes off costs where the truth behind them is known.  Pictures in [-1, 1], masks in [0, 1].

All are mean absolute differences, as MC-CycleGAN's own terms are; what differs is where they look.
"""

import torch
from torch import Tensor
from torch.nn import functional

LEAST_SHARE = 0.02  # of a picture: a batch with hardly any electrodes does not blow the mean over them up
_GREY = 127.5  # levels per unit
_UNSEEN, _SEEN = 4.0, 16.0  # grey levels of a shadow that is left alone, and of one that is edited whole
_SHADOW_PX = 2  # how far around an electrode its shadow is taken off
_AROUND_PX = 6  # how far around it an edit too much costs less: shadows have no clear end
_LENIENT = 0.3
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
    change = functional.avg_pool2d((covered - clean).abs().amax(1, keepdim=True) * _GREY, 3, 1, 1)
    shaded = grown(mask, _SHADOW_PX) * ((change - _UNSEEN) / (_SEEN - _UNSEEN)).clamp(0, 1)
    wanted = torch.maximum(shaded, mask)
    edit = edit.clamp(_SMALLEST, 1 - _SMALLEST)
    entropy = -(wanted * edit.log() + (1 - wanted) * (1 - edit).log())
    around = grown(mask, _AROUND_PX) * (mask <= 0.05)
    return (entropy * (1 - (1 - _LENIENT) * around)).mean()


def grown(mask: Tensor, by_px: int) -> Tensor:
    """1 within by_px of anything covered, else 0."""
    return functional.max_pool2d((mask > 0.05).float(), 2 * by_px + 1, 1, by_px)
