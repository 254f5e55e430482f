"""Lay what a network painted over electrodes into the full-resolution frame, in place; everything else stays untouched.

A generator with an edit mask says where it edits and with which colour, on a small crop. Only there is the frame
written; uncovered skin stays the camera's own at full resolution, bit for bit.

Colour and mask are multiplied before they are stretched (premultiplied alpha, Porter and Duff 1984): the colour means
nothing where the mask is 0, so it must not bleed over the mask's border. All four channels lie in the 16-bit lanes of
one 64-bit word, as in engines/face/paste.py; a crop cell in which nothing is edited costs one byte.
"""

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput
from engines.face.crop_walk import ONE, Affine, Words, between, row_under, rows_under
from engines.kernels import kernel

Picture = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.uint8]  # (size, size)


def border_mask(size: int, width: float = 0.04) -> Plane:
    """Fade along the crop's border, so that a cable that leaves the crop is not cut off by a hard line.

    size: crop side, px.  width: of the fade, as a share of the side, 0..0.5.
    Returns (size, size) uint8: 0 on the border, 255 from `width` on, a smooth step in between.
    """
    if size < 8 or not 0 < width <= 0.5:
        raise BadInput(f"a border mask needs size >= 8 and width in (0, 0.5], found {size} and {width}")
    inside = np.minimum(np.arange(size), np.arange(size)[::-1]) / (width * (size - 1))
    step = np.clip(np.minimum(inside[:, None], inside[None, :]), 0, 1)
    return np.asarray(np.rint(255 * step * step * (3 - 2 * step)), dtype=np.uint8)


class EditPaste:
    """Owns the border's fade and the packed crop of one crop size; nothing is allocated per frame."""

    def __init__(self, size: int, border: float = 0.04) -> None:
        """size: crop side, px.  border: see border_mask."""
        self.size = size
        self.border = border_mask(size, border)
        self._packed = np.zeros((size, size), np.uint64)
        self._live = np.zeros((size, size), np.uint8)

    def lay(self, frame: Picture, colour: Picture, edit: Plane, crop_from_frame: Affine) -> None:
        """frame = edit * colour + (1 - edit) * frame where the crop lies, in place.

        frame: (height, width, 3) uint8, writable, C-contiguous.  colour: (size, size, 3) uint8 in crop space, same
        colour order.  edit: (size, size) uint8, 255 = all colour, 0 = the frame as it is.  crop_from_frame: (2, 3)
        float64, as crop_from_landmarks gives it.
        Both are stretched bilinearly; every value is within 2 grey levels of the float formula. A crop that lies wholly
        outside the frame changes nothing.  Raises BadInput when something does not fit.
        """
        self._check(frame, colour, edit, crop_from_frame)
        first, last = _pack(colour, edit, self.border, self._packed, self._live)
        if first > last:
            return
        y_from, y_to = rows_under(crop_from_frame, self.size, frame.shape[0])
        _lay(frame, self._packed, self._live, y_from, y_to, crop_from_frame)

    def _check(self, frame: Picture, colour: Picture, edit: Plane, crop_from_frame: Affine) -> None:
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise BadInput(f"the frame must be (height, width, 3) uint8, found {frame.shape} {frame.dtype}")
        if not (frame.flags.c_contiguous and frame.flags.writeable):
            raise BadInput("the frame is edited in place: give a writable, contiguous copy")
        check_edit(colour, edit, self.size)
        if crop_from_frame.shape != (2, 3) or not np.isfinite(crop_from_frame).all():
            raise BadInput("crop_from_frame must be a finite (2, 3) matrix: leave lost faces out")


def blend(face: Picture, colour: Picture, edit: Plane, out: Picture) -> Picture:
    """out = edit * colour + (1 - edit) * face, at the crop's own size.

    face, colour, out: (size, size, 3) uint8, C-contiguous, same colour order.  edit: (size, size) uint8, 255 = colour.
    Returns out; where edit is 0 it is the face, bit for bit.  Raises BadInput when something does not fit.
    """
    size = face.shape[0]
    check_edit(colour, edit, size)
    for picture in (face, out):
        if picture.shape != colour.shape or picture.dtype != np.uint8 or not picture.flags.c_contiguous:
            raise BadInput(f"face and out must be contiguous uint8 {colour.shape}, found {picture.shape}")
    _blend(face, colour, edit, out)
    return out


def check_edit(colour: Picture, edit: Plane, size: int) -> None:
    """Raise BadInput unless both are contiguous uint8 pictures of this side, px."""
    for array, shape, what in ((colour, (size, size, 3), "colour"), (edit, (size, size), "edit mask")):
        if array.dtype != np.uint8 or array.shape != shape or not array.flags.c_contiguous:
            raise BadInput(f"the {what} must be contiguous uint8 {shape}, found {array.dtype} {array.shape}")


@kernel
def _over_255(product: int) -> int:
    """Rounded product / 255 for products up to 255 * 255, exactly."""
    product += 128
    return (product + (product >> 8)) >> 8


@kernel
def _pack(colour: Picture, edit: Plane, border: Plane, packed: Words, live: Plane) -> tuple[int, int]:
    """Lanes: blue, green, red times weight, weight. live: whether the cell right below has a weight at any corner.

    Returns the first and last crop row with a weight; the first is larger when there is none.
    """
    size = packed.shape[0]
    first, last = size, -1
    for y in range(size):
        for x in range(size):
            weight = _over_255(int(edit[y, x]) * int(border[y, x]))
            word = np.uint64(weight) << np.uint64(48)
            if weight:
                for c in range(3):
                    word |= np.uint64(_over_255(int(colour[y, x, c]) * weight)) << np.uint64(16 * c)
                first, last = min(first, y), y
            packed[y, x] = word
    for y in range(size - 1):
        for x in range(size - 1):
            corners = packed[y, x] | packed[y, x + 1] | packed[y + 1, x] | packed[y + 1, x + 1]
            live[y, x] = (corners >> np.uint64(48)) != 0
    return first, last


@kernel
def _lay(frame: Picture, packed: Words, live: Plane, y_from: int, y_to: int, matrix: Affine) -> None:
    lanes, just_below_half = np.uint64(0x0000FFFFFFFFFFFF), np.uint64(0x0000007F007F007F)
    step_u, step_v = int(matrix[0, 0] * ONE), int(matrix[1, 0] * ONE)
    for y in range(y_from, y_to):
        x_from, x_to, u, v = row_under(matrix, y, frame.shape[1], packed.shape[0])
        for x in range(x_from, x_to + 1):
            if live[v >> 32, u >> 32]:
                word = between(packed, u, v, 256)
                weight = ((word >> np.uint64(48)) * np.uint64(257) + np.uint64(32768)) >> np.uint64(16)  # 0..256
                if weight:
                    under = (
                        np.uint64(frame[y, x, 0])
                        | np.uint64(frame[y, x, 1]) << np.uint64(16)
                        | np.uint64(frame[y, x, 2]) << np.uint64(32)
                    )
                    # At most 65280 + 127 from the weight's rounding: 127 more just stay in the lane, 128 would not
                    word = (word & lanes) + under * (np.uint64(256) - weight) + just_below_half
                    frame[y, x, 0] = np.uint8(word >> np.uint64(8))
                    frame[y, x, 1] = np.uint8(word >> np.uint64(24))
                    frame[y, x, 2] = np.uint8(word >> np.uint64(40))
            u += step_u
            v += step_v


@kernel
def _blend(face: Picture, colour: Picture, edit: Plane, out: Picture) -> None:
    for y in range(edit.shape[0]):
        for x in range(edit.shape[1]):
            weight = int(edit[y, x])
            for c in range(3):
                out[y, x, c] = _over_255(int(colour[y, x, c]) * weight + int(face[y, x, c]) * (255 - weight))
