"""Structural similarity, Wang, Bovik, Sheikh and Simoncelli 2004 (IEEE TIP 13(4), doi 10.1109/TIP.2003.819861).

On luma, Gaussian window 11 x 11 with sigma 1.5, K1 = 0.01, K2 = 0.03, L = 255, picture at its own size.
"""

from __future__ import annotations

import cv2
import numpy as np

from calibration.metrics.checks import Floats, Picture, check_pair

WINDOW, SIGMA = 11, 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_RIM = WINDOW // 2


def ssim(found: Picture, truth: Picture) -> float:
    """Mean over all places where the window lies inside, -1..1; 1 for equal pictures.

    found, truth: (height, width, 3) uint8 BGR, at least 11 px.  Raises BadInput when they do not fit.
    """
    return float(ssim_map(found, truth)[_RIM:-_RIM, _RIM:-_RIM].mean())


def ssim_map(found: Picture, truth: Picture) -> Floats:
    """(height, width) float64: Eq. 13 at every pixel, to be averaged over a region.

    At the rim, where the paper has no value, the picture is mirrored.  Arguments and errors: `ssim`.
    """
    check_pair(found, truth, smallest=WINDOW)
    x, y = (cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float64) for picture in (found, truth))
    mean_x, mean_y = _local(x), _local(y)
    var_x, var_y = _local(x * x) - mean_x**2, _local(y * y) - mean_y**2
    both = _local(x * y) - mean_x * mean_y
    above = (2 * mean_x * mean_y + C1) * (2 * both + C2)
    return np.asarray(above / ((mean_x**2 + mean_y**2 + C1) * (var_x + var_y + C2)))


def _local(plane: Floats) -> Floats:
    return np.asarray(cv2.GaussianBlur(plane, (WINDOW, WINDOW), SIGMA, borderType=cv2.BORDER_REFLECT_101))
