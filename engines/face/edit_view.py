"""Show where a network edits: its mask as a tint over the camera's picture, with an outline.

For whoever wants to know what was taken away. A blue-green tint is far from every skin colour, and the outline, light
beside dark, is seen on both white tape and dark hair, also by those who do not see the tint's hue.
"""

import cv2
import numpy as np
import numpy.typing as npt

from engines.errors import BadInput
from engines.face.crop_walk import Affine, rows_under
from engines.kernels import kernel

Picture = npt.NDArray[np.uint8]

TINT_BGR = (205, 170, 0)
_STRENGTH = 141  # of 257: of the tint where the mask is full; what lies beneath is still seen
_EDGE = 128  # the outline runs where the mask is one half
_WHITE, _BLACK, _NONE = 255, 20, -1


class EditView:
    """Owns the stretched mask for one size of frame."""

    def __init__(self) -> None:
        self._mask = np.zeros((0, 0), np.uint8)

    def draw(self, frame: Picture, edit: Picture, crop_from_frame: Affine) -> None:
        """Tint and outline, in place.

        frame: (height, width, 3) uint8 BGR, writable, C-contiguous.  edit: (size, size) uint8, 255 where all is edited.
        crop_from_frame: (2, 3) float64.  Where the mask is below 1/255 the frame stays as it is.
        Raises BadInput when something does not fit.
        """
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.flags.writeable:
            raise BadInput(f"the frame must be writable (height, width, 3) uint8, found {frame.shape} {frame.dtype}")
        if edit.dtype != np.uint8 or edit.ndim != 2 or crop_from_frame.shape != (2, 3):
            raise BadInput(f"the edit mask must be (size, size) uint8, found {edit.shape} {edit.dtype}")
        top, bottom = rows_under(crop_from_frame, edit.shape[0], frame.shape[0])
        if bottom <= top:
            return
        mask = self._stretched(frame.shape[:2], edit, crop_from_frame)[top:bottom]
        _draw(frame[top:bottom], mask)

    def _stretched(self, shape: tuple[int, int], edit: Picture, crop_from_frame: Affine) -> Picture:
        if self._mask.shape != shape:
            self._mask = np.zeros(shape, np.uint8)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cv2.warpAffine(edit, crop_from_frame, shape[::-1], dst=self._mask, flags=flags)
        return self._mask


@kernel
def _draw(rows: Picture, mask: Picture) -> None:
    height, width = mask.shape
    for y in range(height):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            weight = int(mask[y, x])
            if weight == 0:  # an outline's dark side lies below one half, but never at nothing: the mask is soft
                continue
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            near = (mask[above, x], mask[below, x], mask[y, left], mask[y, right])
            edge = _NONE
            if weight >= _EDGE and min(near) < _EDGE:
                edge = _WHITE
            elif weight < _EDGE and max(near) >= _EDGE:
                edge = _BLACK
            for c in range(3):
                value = int(rows[y, x, c])
                tinted = value + ((TINT_BGR[c] - value) * weight * _STRENGTH + 32768 >> 16)
                rows[y, x, c] = tinted if edge == _NONE else edge
