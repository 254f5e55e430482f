"""Gradient magnitude similarity deviation, Xue, Zhang, Mou and Bovik 2014 (IEEE TIP 23(2), arXiv 1308.3052).

Luma, averaged 2 x 2 and halved, Prewitt gradients (thirds), T = 170, and the standard deviation of the similarity over
the picture, as in the authors' code.  0 for equal pictures; larger is worse.
"""

from __future__ import annotations

import cv2
import numpy as np

from calibration.metrics.checks import Floats, Picture, check_pair

T = 170.0
PREWITT = np.array([[1, 0, -1]] * 3, np.float64) / 3


def gmsd(found: Picture, truth: Picture) -> float:
    """Deviation of the similarity map.  found, truth: (height, width, 3) uint8 BGR, at least 6 px.

    Raises BadInput when they do not fit.
    """
    check_pair(found, truth, smallest=6)
    a, b = (gradient(halved(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))) for picture in (found, truth))
    return float(np.std((2 * a * b + T) / (a**2 + b**2 + T), ddof=1))


def gradient(plane: Floats) -> Floats:
    """Prewitt gradient magnitude, (height, width); beyond the border is 0, as in the authors' conv2."""
    across = cv2.filter2D(plane, cv2.CV_64F, PREWITT, borderType=cv2.BORDER_CONSTANT)
    down = cv2.filter2D(plane, cv2.CV_64F, PREWITT.T, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(np.hypot(across, down))


def halved(plane: Picture) -> Floats:
    """Mean of each 2 x 2 pixels; an odd last row or column is averaged with zeros."""
    even = np.pad(plane.astype(np.float64), [(0, side % 2) for side in plane.shape])
    return np.asarray(even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2).mean((1, 3)))
