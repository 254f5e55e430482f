"""What a face encoder answers for where the truth is known: ours.  NaN in a truth stands for what nobody knows.

Everything is computed in float32; each loss is a mean over what is known, 0 where nothing is.
"""

import torch
from torch import Tensor

from engines.networks.face_encoder import deviation_of

_CAMERA = 0.1  # of the scale's 7, and of a shift of 1 / 10 m, in one unit


def known_squares(found: Tensor, wanted: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean squared difference over what is known.

    found, wanted: (N, ...).  weight: (N,) of each row; its sum does not matter.  Returns one number.
    """
    known = torch.isfinite(wanted)
    squares = torch.where(known, found.float() - torch.nan_to_num(wanted), 0.0).square()
    counted = known.float()
    if weight is not None:
        spread = weight.view(-1, *(1 for _ in found.shape[1:])).float()
        squares, counted = squares * spread, counted * spread
    return squares.sum() / counted.sum().clamp(min=1e-9)


def known_distances(found: Tensor, wanted: Tensor, bend: float, weight: Tensor | None = None) -> Tensor:
    """Huber's loss over what is known: `known_squares` up to a difference of `bend`, straight on from there.

    Squares pull everything that cannot be seen for sure to its mean; most blendshapes rest in most faces, and a
    network that says a little of all of them is wrong everywhere.  bend: above 0.  Other arguments as `known_squares`.
    """
    known = torch.isfinite(wanted)
    apart = torch.where(known, found.float() - torch.nan_to_num(wanted), 0.0).abs()
    losses = torch.where(apart < bend, apart.square(), bend * (2 * apart - bend))
    counted = known.float()
    if weight is not None:
        spread = weight.view(-1, *(1 for _ in found.shape[1:])).float()
        losses, counted = losses * spread, counted * spread
    return losses.sum() / counted.sum().clamp(min=1e-9)


def rigid_loss(pose: Tensor, camera: Tensor, wanted: Tensor) -> Tensor:
    """Head pose, rad, and camera in comparable units.  pose, camera: (N, 3); wanted: (N, 6).  Returns one number."""
    units = wanted.new_tensor([1.0, 1.0, 1.0, _CAMERA, 1 / _CAMERA, 1 / _CAMERA])
    return known_squares(torch.cat((pose, camera), 1) * units, wanted * units)


def confidence_loss(confidence: Tensor, found: Tensor, wanted: Tensor) -> Tensor:
    """How well a confidence foretells the error: minus the log likelihood of a normal distribution.

    confidence: (N, 1).  found, wanted: (N, 52).  Only the confidence learns from it: an encoder that could excuse an
    error with doubt would stop learning hard faces.  Returns one number, least where the deviation is the rms error.
    """
    known = torch.isfinite(wanted)
    squares = torch.where(known, found.detach().float() - torch.nan_to_num(wanted), 0.0).square()
    each = squares.sum(1) / known.sum(1).clamp(min=1)  # (N,)
    deviation = deviation_of(confidence.float()[:, 0])
    score = 0.5 * each / deviation.square() + deviation.log()
    counted = known.any(1).float()
    return (score * counted).sum() / counted.sum().clamp(min=1)
