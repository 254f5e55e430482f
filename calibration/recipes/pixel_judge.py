"""How good a way of giving faces an expression is, on people it has never seen.

Judged on the face (its oval in the neutral and in the target picture): hair, clothes and wall hold five sixths of the
squared error between two photos of a person, and no expression changes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from calibration.metrics.psnr import psnr_db
from calibration.metrics.ssim import ssim_map
from calibration.recipes.pixel_dense import DenseSettings, fit_dense, predict
from calibration.recipes.pixel_kr import PixelKRSettings, fit_curves
from calibration.recipes.pixel_masked import fit_masked
from calibration.recipes.pixel_pairs import FacePairs, Pictures, face_mask
from calibration.recipes.pixel_rr import PixelRRSettings, fit
from engines.face.pixel_curves import apply_pixel_curves
from engines.face.pixel_map import apply_pixel_map

Predict = Callable[[FacePairs], Pictures]
Fit = Callable[[FacePairs], Predict]


class Score(NamedTuple):
    """Means over pictures: PSNR on the face and over the whole crop, dB; SSIM on the face."""

    psnr_face: float
    ssim_face: float
    psnr_whole: float


def judge(found: Pictures, pairs: FacePairs) -> list[Score]:
    """One score for each pair.  found: (pair, size, size, 3) uint8, the neutral pictures with the expression."""
    scores = []
    for mine, truth, mask in zip(found, pairs.target, face_mask(pairs), strict=True):
        weights = mask.astype(np.float64)
        scores.append(
            Score(psnr_db(mine, truth, weights), float(ssim_map(mine, truth)[mask].mean()), psnr_db(mine, truth))
        )
    return scores


def mean(scores: Sequence[Score]) -> Score:
    """The mean score."""
    return Score(*np.mean(np.array(scores), axis=0).tolist())


def copying() -> Fit:
    """The input as it is: what every method has to beat."""
    return lambda learn: lambda unseen: unseen.neutral


def pixel_rr(settings: PixelRRSettings) -> Fit:
    """Eq. 6."""

    def fit_it(learn: FacePairs) -> Predict:
        pixel_map = fit(learn.neutral, learn.target, settings)
        return lambda unseen: np.stack(
            [apply_pixel_map(face, pixel_map, 1.0, np.empty_like(face)) for face in unseen.neutral]
        )

    return fit_it


def pixel_kr(settings: PixelKRSettings) -> Fit:
    """Eq. 14 to 16."""

    def fit_it(learn: FacePairs) -> Predict:
        curves = fit_curves(learn.neutral, learn.target, settings)
        return lambda unseen: np.stack(
            [apply_pixel_curves(face, curves, 1.0, np.empty_like(face)) for face in unseen.neutral]
        )

    return fit_it


def masked(lambda_: float, intensity_scale: str) -> Fit:
    """3 x 3 masked regression."""

    def fit_it(learn: FacePairs) -> Predict:
        masked_map = fit_masked(learn.neutral, learn.target, lambda_, intensity_scale)
        return lambda unseen: masked_map.apply(unseen.neutral)

    return fit_it


def dense(settings: DenseSettings) -> Fit:
    """Ours: shape and skin."""

    def fit_it(learn: FacePairs) -> Predict:
        pixel_mesh = fit_dense(learn, "expression", settings)
        return lambda unseen: predict(pixel_mesh, unseen)

    return fit_it


def cross_validate(
    method: Fit, pairs: FacePairs, folds: int, seed: int, judged: FacePairs | None = None
) -> list[Score]:
    """Scores of everybody, unseen once.

    judged: the pairs to be judged by where they are others than those to learn from: the same people and crops.
    """
    scores: list[Score] = []
    for learn, unseen in pairs.folds(folds, seed):
        truth = unseen if judged is None else judged.of(tuple(dict.fromkeys(unseen.people)))
        scores += judge(method(learn)(truth), truth)
    return scores
