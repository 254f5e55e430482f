"""A small webcam's noise, added to a picture in place.

Fresh noise for every picture would cost more than the picture: a table somewhat larger than the frame is drawn once
and each picture cuts its own part out of it.
"""

import cv2
import numpy as np
import numpy.typing as npt

from engines.errors import BadInput

Picture = npt.NDArray[np.uint8]

_SPARE_PX = 64  # by which the table is larger than the frame, both ways: 4096 different parts
_MIDDLE = 12  # the table holds noise + 12, so that it stays in uint8


class SensorNoise:
    """Noise of about 2.5 grey levels RMS, a little shared by neighbouring pixels and by the colours."""

    def __init__(self, height: int, width: int, seed: int = 0) -> None:
        """Draw the table.  Raises BadInput for an empty frame."""
        if height < 1 or width < 1:
            raise BadInput(f"noise needs a frame of at least one pixel, found {height} x {width}")
        rng = np.random.default_rng(seed)
        shape = (height + _SPARE_PX, width + _SPARE_PX)
        fine = rng.standard_normal((*shape, 1), np.float32) + 0.6 * rng.standard_normal((*shape, 3), np.float32)
        noise = 2.2 * cv2.GaussianBlur(fine, (0, 0), 0.6) + 0.9 * fine
        self._table = np.clip(np.rint(noise + _MIDDLE), 0, 255).astype(np.uint8)
        self._middle = np.full((height, width, 3), _MIDDLE, np.uint8)

    def add(self, picture: Picture, number: int) -> Picture:
        """Add the noise of picture `number` (any integer; the same one always has the same noise), and return it.

        picture: (height, width, 3) uint8, C-contiguous, changed in place.  Raises BadInput for another size.
        """
        if picture.shape != self._middle.shape or picture.dtype != np.uint8:
            raise BadInput(f"this noise is for uint8 {self._middle.shape}, found {picture.dtype} {picture.shape}")
        place = number * 2654435761 >> 7  # an odd multiplier spreads neighbours over the table
        row, column = place % _SPARE_PX, (place >> 6) % _SPARE_PX
        height, width = picture.shape[:2]
        cv2.add(picture, self._table[row : row + height, column : column + width], dst=picture)
        return np.asarray(cv2.subtract(picture, self._middle, dst=picture))
