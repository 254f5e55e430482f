"""Which skin is covered, which is only shaded by what covers it, and which nothing has touched."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from calibration.peers import COVERED
from engines.errors import BadInput
from engines.face.oval import FACE_OVAL

Picture = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.bool_]

CHANGED_LEVELS = 4  # more than this in any colour, and a shadow lies there
# The canonical face's oval in a crop of 1.4 face boxes (engines/face/crop.py): half axes, in sides of the crop
_HALF_AXES = (0.33, 0.39)


class Regions(NamedTuple):
    """(height, width) bool each.  The last three share out the face."""

    face: Plane
    covered: Plane  # at least half of the pixel lies under electrodes, tape, cable or cap
    shaded: Plane  # not covered, but changed: shadows, and the rims of what covers
    untouched: Plane


def regions_of(covered: Picture, clean: Picture, mask: npt.NDArray[np.uint8], face: Plane) -> Regions:
    """Share out a face.

    covered, clean: (height, width, 3) uint8, the same moment with electrodes and without.  mask: (height, width)
    uint8, 255 = covered.  face: (height, width) bool.  Raises BadInput when sizes differ.
    """
    if not covered.shape == clean.shape == (*mask.shape, 3) or face.shape != mask.shape:
        raise BadInput(f"regions need arrays of one size, found {covered.shape}, {clean.shape}, {mask.shape}")
    changed = cv2.absdiff(covered, clean).max(2) > CHANGED_LEVELS
    under = mask >= COVERED
    shaded = ~under & (changed | (mask > 0))
    return Regions(face, face & under, face & shaded, face & ~under & ~shaded)


def face_oval(shape: tuple[int, int], landmarks_px: npt.NDArray[np.floating] | None) -> Plane:
    """(height, width) bool: MediaPipe's face oval, or where it lies on average in a crop when no face was found.

    landmarks_px: (478, 2) as (x, y) in this picture, or None.
    """
    height, width = shape
    drawn = np.zeros(shape, np.uint8)
    if landmarks_px is None:
        axes = round(_HALF_AXES[0] * width), round(_HALF_AXES[1] * height)
        cv2.ellipse(drawn, (width // 2, height // 2), axes, 0, 0, 360, 1, cv2.FILLED)
    else:
        oval = np.clip(landmarks_px[FACE_OVAL], -(2**14), 2**14)
        cv2.fillPoly(drawn, [np.rint(oval).astype(np.int32)], (1,))
    return drawn > 0
