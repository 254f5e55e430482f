"""What electrode removal is compared with: the picture as it is, and OpenCV's inpainting given the true mask.

The inpainting is told exactly what is covered, which nobody knows of a real picture, and its two numbers are the best
on validation pictures: a strong peer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from calibration.metrics.psnr import decibel, mean_squared_error
from engines.errors import BadInput

Picture = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.uint8]  # (height, width), 0..255
Plane = npt.NDArray[np.bool_]  # (height, width)

Method = Literal["telea", "navier-stokes"]
METHODS: tuple[Method, ...] = ("telea", "navier-stokes")
_FLAGS = {"telea": cv2.INPAINT_TELEA, "navier-stokes": cv2.INPAINT_NS}
COVERED = 128  # of 255: what counts as covered skin

# What is tried; a share of the picture's side, so that it holds for crops and frames alike
DILATIONS = (0.0, 0.008, 0.016, 0.024)
RADII = (0.016, 0.032, 0.06)


@dataclass(frozen=True)
class Inpainting:
    """OpenCV's inpainting of everything that the mask touches.

    dilation: how far the mask grows all round, radius: of the neighbourhood that is looked at; shares of the side.
    """

    method: Method
    dilation: float
    radius: float

    def fill(self, picture: Picture, mask: Mask) -> Picture:
        """The picture without what the mask covers.  picture: (height, width, 3) uint8.  mask: (height, width) uint8.

        Raises BadInput when sizes differ.
        """
        if mask.shape != picture.shape[:2]:
            raise BadInput(f"the mask must be as large as the picture {picture.shape[:2]}, found {mask.shape}")
        side = min(mask.shape)
        hole = (mask > 0).astype(np.uint8)
        grow = round(self.dilation * side)
        if grow:
            hole = cv2.dilate(hole, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grow + 1, 2 * grow + 1)))
        found = cv2.inpaint(picture, hole, max(1.0, self.radius * side), _FLAGS[self.method])
        return np.asarray(found, np.uint8)


def best_inpainting(method: Method, pictures: Sequence[tuple[Picture, Picture, Mask, Plane]]) -> Inpainting:
    """The numbers with the highest PSNR in covered skin.

    pictures: (with electrodes, without, mask, covered skin), validation pictures.  Raises BadInput when there are none
    or nothing is covered.
    """
    if not any(skin.any() for *_, skin in pictures):
        raise BadInput("inpainting needs validation pictures with covered skin to choose its numbers")
    tried = [Inpainting(method, dilation, radius) for dilation in DILATIONS for radius in RADII]
    return max(tried, key=lambda one: _psnr_covered_db(one, pictures))


def _psnr_covered_db(one: Inpainting, pictures: Iterable[tuple[Picture, Picture, Mask, Plane]]) -> float:
    """Mean over pictures."""
    found = [
        decibel(mean_squared_error(one.fill(covered, mask), clean, skin))
        for covered, clean, mask, skin in pictures
        if skin.any()
    ]
    return float(np.mean(found))
