"""What every measure asks of the pictures it is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


def check_pair(found: npt.NDArray[Any], truth: npt.NDArray[Any], smallest: int = 1) -> None:
    """Raise BadInput unless both are (height, width, 3) of one size and at least `smallest` px either way."""
    if found.shape != truth.shape or found.ndim != 3 or found.shape[2] != 3:
        raise BadInput(f"two pictures (height, width, 3) of one size are compared, found {found.shape}, {truth.shape}")
    if min(found.shape[:2]) < smallest:
        raise BadInput(f"this measure needs pictures of {smallest} px or more, found {found.shape[:2]}")


def check_weights(weights: npt.NDArray[Any], shape: tuple[int, ...]) -> None:
    """Raise BadInput unless weights are (height, width) of the pictures, >= 0 and not all 0."""
    if weights.shape != shape[:2]:
        raise BadInput(f"weights must be one per pixel {shape[:2]}, found {weights.shape}")
    if weights.dtype != np.bool_ and weights.min() < 0:
        raise BadInput("weights must not be negative")
    if not weights.any():
        raise BadInput("all weights are 0: there is nothing to measure in")
