"""What a picture looks like in 60 numbers, for the Frechet distance: fixed, no training, no download.

    48   how strong edges are: three scales (each half the one before) x four directions x the picture's quarters;
         |first derivative of a Gaussian, sigma 1 px| steered to 0, 45, 90 and 135 degrees, averaged
    12   how the quarters are coloured: mean luma and chroma

Derivatives of Gaussians are steerable (Freeman and Adelson 1991): two filters give every direction.  Averages of the
magnitudes of such filters over places, per scale and direction, are a large part of what tells textures apart
(Portilla and Simoncelli 2000), and electrodes, cables, blur, noise and wrong colours all show in them.  They know
nothing of faces: a wrong person with the right texture goes unnoticed, which SSIM and PSNR are there for.  All are in
grey levels, so no feature outweighs the others by its unit.  This is not the Inception network of the FID.
"""

from __future__ import annotations

import cv2
import numpy as np

from calibration.metrics.checks import Floats, Picture
from engines.errors import BadInput

SCALES, DIRECTIONS, CELLS = 3, 4, 2
COUNT = SCALES * DIRECTIONS * CELLS**2 + 3 * CELLS**2
NAME = "steerable edge and colour statistics"
SMALLEST_PX = 32

_AT = np.arange(-3, 4, dtype=np.float64)
_BELL = np.exp(-(_AT**2) / 2) / np.exp(-(_AT**2) / 2).sum()
_SLOPE = -_AT * _BELL  # falls across a rising edge; its magnitude is what counts
_ANGLES = np.arange(DIRECTIONS) * np.pi / DIRECTIONS


def features(picture: Picture) -> Floats:
    """(60,) float64, grey levels.  picture: (height, width, 3) uint8 BGR, at least 32 px.

    Raises BadInput for anything else.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or min(picture.shape[:2]) < SMALLEST_PX:
        raise BadInput(f"features need a picture (height, width, 3) of {SMALLEST_PX} px or more, found {picture.shape}")
    colours = cv2.cvtColor(picture, cv2.COLOR_BGR2YCrCb).astype(np.float64)
    found = []
    luma = colours[:, :, 0]
    for _ in range(SCALES):
        across = cv2.sepFilter2D(luma, cv2.CV_64F, _SLOPE, _BELL, borderType=cv2.BORDER_REFLECT_101)
        down = cv2.sepFilter2D(luma, cv2.CV_64F, _BELL, _SLOPE, borderType=cv2.BORDER_REFLECT_101)
        found += [_quarters(np.abs(np.cos(angle) * across + np.sin(angle) * down)) for angle in _ANGLES]
        luma = cv2.pyrDown(luma)
    found += [_quarters(colours[:, :, k]) for k in range(3)]
    return np.concatenate(found)


def _quarters(plane: Floats) -> Floats:
    """Mean of each cell."""
    return np.array([cell.mean() for band in np.array_split(plane, CELLS) for cell in np.array_split(band, CELLS, 1)])
