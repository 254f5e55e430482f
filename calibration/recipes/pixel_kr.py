"""Pixel-KR: kernel ridge regression for every pixel and channel, Akram and Khan 2020, Eq. 14 to 16.

Their lambda is 0.4; sigma is 3 for a smile and 10 for other expressions, on an intensity scale that they do not give.
In [0, 1] those kernels are flat, and sigma 1 behaves like Pixel-RR (their section IV-B, and FACTS 2), so that is the
default here.

A pixel has 256 grey levels.  The kernel between all of them has few eigenvalues above rounding (7 for sigma 1), and in
their eigenvectors Eq. 14 becomes a small system per pixel, with the same solution as the one of N pairs:
phi(x) (phi' phi + lambda I)^-1 phi' t.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.recipes.pixel_pairs import Pictures
from engines.errors import BadInput
from engines.face.arrays import frozen
from engines.face.pixel_curves import LEVELS, PixelCurves, positions
from engines.face.pixel_map import SCALES
from engines.kernels import kernel

Doubles = npt.NDArray[np.float64]
_TAIL = 1e-11  # eigenvalues below this share of the largest are rounding
_CLOSE = 0.5  # grey levels within which a cubic may stand for a curve
_BLOCK = 4096  # pixels whose curves are looked at together


@dataclass(frozen=True)
class PixelKRSettings:
    """The paper's lambda; sigma in units of the intensity scale, "[0,1]" or "[0,255]"."""

    lambda_: float = 0.4
    sigma: float = 1.0
    intensity_scale: str = "[0,1]"


def fit_curves(
    neutral: Pictures, target: Pictures, settings: PixelKRSettings | None = None, expression: str = "smile"
) -> PixelCurves:
    """Solve Eq. 14 for every pixel and channel.

    neutral, target: (pair, size, size, 3) uint8 BGR, aligned crops of the same people.
    Returns cubics where every curve is one within half a grey level over all inputs, else tables.
    Raises BadInput when the pairs do not match, there are none, or lambda or sigma is not above 0.
    """
    settings = settings or PixelKRSettings()
    if neutral.shape != target.shape or neutral.ndim != 4 or len(neutral) == 0:
        raise BadInput(f"Pixel-KR needs pairs of equal (pair, size, size, 3), found {neutral.shape}, {target.shape}")
    if not (settings.lambda_ > 0 and settings.sigma > 0):
        raise BadInput(f"lambda and sigma must be above 0, found {settings.lambda_} and {settings.sigma}")
    shape = neutral.shape[1:]
    features = kernel_features(settings)
    if features.shape[1] > len(neutral):  # a narrow kernel: the pairs' own system, as printed, is the smaller one
        features = _kernel(settings)
        weights = np.zeros((int(np.prod(shape)), LEVELS))
        x, t = (np.ascontiguousarray(pictures.reshape(len(pictures), -1).T) for pictures in (neutral, target))
        _solve_pairs(frozen(x), frozen(t), features, settings.lambda_, weights)
        return _as_curves(weights, features, shape, expression)
    weights = np.empty((int(np.prod(shape)), features.shape[1]))
    x, t = (np.ascontiguousarray(pictures.reshape(len(pictures), -1).T) for pictures in (neutral, target))
    _solve(frozen(x), frozen(t), features, settings.lambda_, weights)
    return _as_curves(weights, features, shape, expression)


def kernel_features(settings: PixelKRSettings) -> Doubles:
    """phi of Eq. 7 for the 256 grey levels: (256, rank), k(x, y) = phi[x] . phi[y] up to rounding."""
    values, vectors = np.linalg.eigh(_kernel(settings))
    kept = values > _TAIL * values[-1]
    return np.ascontiguousarray(vectors[:, kept] * np.sqrt(values[kept]))


def _kernel(settings: PixelKRSettings) -> Doubles:
    """Eq. 12 between all grey levels: (256, 256)."""
    levels = np.arange(LEVELS) * (SCALES[settings.intensity_scale] / 255)
    return np.asarray(np.exp(-((levels[:, None] - levels) ** 2) / (2 * settings.sigma**2)))


def _as_curves(weights: Doubles, features: Doubles, shape: tuple[int, ...], expression: str) -> PixelCurves:
    powers = np.vander(positions(np.arange(LEVELS)), 4, increasing=True)  # (256, 4)
    ends = 1 / np.sqrt(1.01 - positions(np.arange(LEVELS)) ** 2)[:, None]  # spreads the error evenly, as Chebyshev does
    of_features = np.linalg.lstsq(ends * powers, ends * features, rcond=None)[0]
    cubic = of_features @ weights.T
    bent = (features - powers @ of_features)[::5]  # what a cubic cannot show, at 0, 5 .. 255: it bends slowly
    worst = max(np.abs(bent @ weights[i : i + _BLOCK].T).max() for i in range(0, len(weights), _BLOCK))
    planes = np.ascontiguousarray(cubic.reshape(4, *shape), np.float32)
    if worst <= _CLOSE:
        return PixelCurves(planes, expression)
    table = np.empty((len(weights), LEVELS), np.uint8)
    for i in range(0, len(weights), _BLOCK):
        table[i : i + _BLOCK] = np.clip(np.rint(weights[i : i + _BLOCK] @ features.T), 0, 255)
    return PixelCurves(planes, expression, table.reshape(*shape, LEVELS))


@kernel
def _solve(
    x: npt.NDArray[np.uint8], t: npt.NDArray[np.uint8], features: Doubles, lambda_: float, weights: Doubles
) -> None:
    """Per pixel: Cholesky of phi' phi + lambda I.  x, t: (pixel, pair).  weights: (pixel, rank), filled."""
    rank = features.shape[1]
    left, right = np.empty((rank, rank)), np.empty(rank)
    for p in range(x.shape[0]):
        left[:] = 0
        right[:] = 0
        for i in range(rank):
            left[i, i] = lambda_
        for n in range(x.shape[1]):
            phi = features[x[p, n]]
            grey = float(t[p, n])
            for i in range(rank):
                right[i] += grey * phi[i]
                for j in range(i + 1):
                    left[i, j] += phi[i] * phi[j]
        _cholesky(left, right)
        weights[p] = right


@kernel
def _solve_pairs(
    x: npt.NDArray[np.uint8], t: npt.NDArray[np.uint8], between: Doubles, lambda_: float, weights: Doubles
) -> None:
    """Per pixel: Eq. 14 as printed; c of each pair is put to its grey level.  weights: (pixel, 256), zeros."""
    pairs = x.shape[1]
    left, right = np.empty((pairs, pairs)), np.empty(pairs)
    for p in range(x.shape[0]):
        for n in range(pairs):
            right[n] = t[p, n]
            for m in range(n + 1):
                left[n, m] = between[x[p, n], x[p, m]]
            left[n, n] += lambda_
        _cholesky(left, right)
        for n in range(pairs):
            weights[p, x[p, n]] += right[n]


@kernel
def _cholesky(left: Doubles, right: Doubles) -> None:
    """right becomes left^-1 right; of left, which is overwritten, only the lower triangle is read."""
    rank = len(right)
    for i in range(rank):
        for j in range(i + 1):
            total = left[i, j]
            for k in range(j):
                total -= left[i, k] * left[j, k]
            left[i, j] = np.sqrt(total) if i == j else total / left[j, j]
    for i in range(rank):
        for k in range(i):
            right[i] -= left[i, k] * right[k]
        right[i] /= left[i, i]
    for i in range(rank - 1, -1, -1):
        for k in range(i + 1, rank):
            right[i] -= left[k, i] * right[k]
        right[i] /= left[i, i]
