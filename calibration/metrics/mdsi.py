"""Mean deviation similarity index, Ziaei Nafchi, Shahkolaei, Hedjam and Cheriet 2016 (IEEE Access 4, arXiv 1608.07433).

Gradient similarity of luma (Eq. 4-6), similarity of both chromaticity channels together (Eq. 8), their sum with
alpha = 0.6, pooled by the deviation from their mean with q = 1/4, rho = 1 and the fourth root of that, as published.
0 for equal pictures, larger is worse.
"""

from __future__ import annotations

import cv2
import numpy as np

from calibration.metrics.checks import Floats, Picture, check_pair
from calibration.metrics.gmsd import gradient

C1, C2, C3 = 140.0, 55.0, 550.0
ALPHA = 0.6  # of the gradients against the colours
Q = 0.25  # power of the similarities before, and of their deviation after
_FULL_SIZE_PX = 256  # a picture of n times this side is averaged and shrunk n times

# L, H, M from red, green, blue
LUMA = (0.2989, 0.5870, 0.1140)
H = (0.30, 0.04, -0.35)
M = (0.34, -0.60, 0.17)


def mdsi(found: Picture, truth: Picture) -> float:
    """Index of a picture beside the true one.  found, truth: (height, width, 3) uint8 BGR, at least 3 px.

    Raises BadInput when they do not fit.
    """
    check_pair(found, truth, smallest=3)
    (l1, h1, m1), (l2, h2, m2) = (_planes(picture) for picture in (truth, found))
    g1, g2, both = gradient(l1), gradient(l2), gradient((l1 + l2) / 2)
    # Eq. 6: what was added counts more than what was lost
    structure = _similar(g1, g2, C1) + _similar(g2, both, C2) - _similar(g1, both, C2)
    colour = (2 * (h1 * h2 + m1 * m2) + C3) / (h1**2 + h2**2 + m1**2 + m2**2 + C3)
    # The sum can fall below 0; its root is then complex, as in the authors' code
    rooted = (ALPHA * structure + (1 - ALPHA) * colour).astype(np.complex128) ** Q
    return float(np.abs(rooted - rooted.mean()).mean() ** Q)


def _planes(picture: Picture) -> list[Floats]:
    factor = max(1, int(np.floor(min(picture.shape[:2]) / _FULL_SIZE_PX + 0.5)))
    wide = picture.astype(np.float64)
    if factor > 1:
        kernel = np.full((factor, factor), 1 / factor**2)
        first = (factor - 1) // 2
        wide = cv2.filter2D(wide, cv2.CV_64F, kernel, anchor=(first, first), borderType=cv2.BORDER_CONSTANT)
        wide = wide[::factor, ::factor]
    return [np.asarray(wide @ np.array(weights[::-1])) for weights in (LUMA, H, M)]


def _similar(a: Floats, b: Floats, constant: float) -> Floats:
    return np.asarray((2 * a * b + constant) / (a**2 + b**2 + constant))
