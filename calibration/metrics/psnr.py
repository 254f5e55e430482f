"""Peak signal-to-noise ratio, over a whole picture or where weights say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.metrics.checks import Picture, check_pair, check_weights

PEAK = 255.0


def mean_squared_error(found: Picture, truth: Picture, weights: npt.NDArray[Any] | None = None) -> float:
    """Mean over pixels and colours of the squared difference, grey levels squared.

    found, truth: (height, width, 3) uint8, same colour order.  weights: (height, width) bool or >= 0; None weighs all
    alike.  Raises BadInput when shapes differ or all weights are 0.
    """
    check_pair(found, truth)
    squared = np.square(found.astype(np.float64) - truth).mean(2)
    if weights is None:
        return float(squared.mean())
    check_weights(weights, found.shape)
    return float(np.average(squared, weights=weights))


def psnr_db(found: Picture, truth: Picture, weights: npt.NDArray[Any] | None = None) -> float:
    """10 log10(255^2 / MSE), dB; infinite for equal pictures.  Arguments and errors: `mean_squared_error`."""
    return decibel(mean_squared_error(found, truth, weights))


def decibel(squared_error: float) -> float:
    """A mean squared error, grey levels squared, as PSNR in dB."""
    return 10 * math.log10(PEAK**2 / squared_error) if squared_error > 0 else math.inf
