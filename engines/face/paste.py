"""Paste a small edited face back into the full-resolution frame, in place, in one pass.

Only rows and columns under the crop are visited.  Each frame row is walked in fixed point through the crop; the
four neighbours are blended with all channels and the mask in the 16-bit lanes of one 64-bit word, so a pixel
costs four loads and six multiplications.
"""

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput
from engines.face.crop_walk import ONE, Affine, Words, between, row_under, rows_under
from engines.kernels import kernel

Picture = npt.NDArray[np.uint8]


def edge_mask(size: int, softness: float = 0.12) -> Picture:
    """Soft oval that hides the crop's border.

    size: crop side, px.  softness: width of the fade as a share of the side, 0..0.5.
    Returns (size, size) uint8, 255 inside, 0 on the border, a smooth step in between.
    """
    if size < 8 or not 0 < softness <= 0.5:
        raise BadInput(f"edge mask needs size >= 8 and softness in (0, 0.5], found {size} and {softness}")
    axis = (np.arange(size) - (size - 1) / 2) / ((size - 1) / 2)
    # fourth-order superellipse: fuller than an ellipse at the chin and temples, still without corners
    radius = (axis[:, None] ** 4 + axis[None, :] ** 4) ** 0.25
    step = np.clip((1 - radius) / (2 * softness), 0, 1)
    return np.asarray(np.rint(255 * step * step * (3 - 2 * step)), dtype=np.uint8)


class Paste:
    """Owns the soft mask and the packed crop of one crop size; nothing is allocated per frame."""

    def __init__(self, size: int, softness: float = 0.12) -> None:
        """size: crop side, px.  softness: see edge_mask."""
        self.size = size
        self.mask = edge_mask(size, softness)
        self._everywhere = np.full((size, size), 255, dtype=np.uint8)
        self._packed = np.zeros((size, size), dtype=np.uint64)

    def replace(self, frame: Picture, face: Picture, crop_from_frame: Affine, weights: Picture | None = None) -> None:
        """Lay the face over the frame, in place.

        frame: (height, width, 3) uint8, writable, C-contiguous.  face: (size, size, 3) uint8 in crop space, same
        colour order.  crop_from_frame: (2, 3), as crop_from_landmarks gives it.  weights: (size, size) uint8,
        255 = take the face, 0 = keep the frame (an edit mask); multiplied with the soft edge.
        A crop that lies wholly outside the frame changes nothing.  Raises BadInput when a shape does not fit.
        """
        weights = self._everywhere if weights is None else weights
        self._check(frame, crop_from_frame, weights, (face,))
        _pack_face(face, self.mask, weights, self._packed)
        y_from, y_to = rows_under(crop_from_frame, self.size, frame.shape[0])
        _blend(frame, self._packed, y_from, y_to, crop_from_frame)

    def add_change(
        self,
        frame: Picture,
        before: Picture,
        after: Picture,
        crop_from_frame: Affine,
        weights: Picture | None = None,
    ) -> None:
        """Add what an edit changed, in place, and keep the frame's own fine detail.

        before, after: (size, size, 3) uint8, the crop that was cut out and its edited copy; the rest as in
        replace.  Where before equals after the frame stays bit for bit as it was.
        """
        weights = self._everywhere if weights is None else weights
        self._check(frame, crop_from_frame, weights, (before, after))
        _pack_change(before, after, self.mask, weights, self._packed)
        y_from, y_to = rows_under(crop_from_frame, self.size, frame.shape[0])
        _add(frame, self._packed, y_from, y_to, crop_from_frame)

    def _check(self, frame: Picture, crop_from_frame: Affine, weights: Picture, faces: tuple[Picture, ...]) -> None:
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise BadInput(f"the frame must be (height, width, 3) uint8, found {frame.shape} {frame.dtype}")
        if not (frame.flags.c_contiguous and frame.flags.writeable):
            raise BadInput("the frame is pasted into in place: give a writable, contiguous copy")
        for face in faces:
            _check_crop(face, (self.size, self.size, 3), "face")
        _check_crop(weights, (self.size, self.size), "weight map")
        if crop_from_frame.shape != (2, 3) or not np.isfinite(crop_from_frame).all():
            raise BadInput("crop_from_frame must be a finite (2, 3) matrix: leave lost faces out")


def _check_crop(array: Picture, shape: tuple[int, ...], what: str) -> None:
    if array.dtype != np.uint8 or array.shape != shape or not array.flags.c_contiguous:
        raise BadInput(f"the {what} must be contiguous uint8 {shape}, found {array.dtype} {array.shape}")


@kernel
def _pack_face(face: Picture, mask: Picture, weights: Picture, packed: Words) -> None:
    """Lanes: blue, green, red, weight."""
    for y in range(packed.shape[0]):
        for x in range(packed.shape[1]):
            weight = (np.uint32(mask[y, x]) * np.uint32(weights[y, x]) + np.uint32(127)) // np.uint32(255)
            packed[y, x] = (
                np.uint64(face[y, x, 0])
                | np.uint64(face[y, x, 1]) << np.uint64(16)
                | np.uint64(face[y, x, 2]) << np.uint64(32)
                | np.uint64(weight) << np.uint64(48)
            )


@kernel
def _pack_change(before: Picture, after: Picture, mask: Picture, weights: Picture, packed: Words) -> None:
    """Lanes: weighted change of blue, green, red, plus 255 so that it is never negative (0..510)."""
    for y in range(packed.shape[0]):
        for x in range(packed.shape[1]):
            weight = (np.float32(mask[y, x]) * np.float32(weights[y, x])) / np.float32(255 * 255)
            word = np.uint64(0)
            for c in range(3):
                change = np.float32(after[y, x, c]) - np.float32(before[y, x, c])
                word |= np.uint64(np.rint(change * weight) + 255) << np.uint64(16 * c)
            packed[y, x] = word


@kernel
def _blend(frame: Picture, packed: Words, y_from: int, y_to: int, matrix: Affine) -> None:
    lanes, half, eight = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0080008000800080), np.uint64(8)
    step_u, step_v = int(matrix[0, 0] * ONE), int(matrix[1, 0] * ONE)
    for y in range(y_from, y_to):
        x_from, x_to, u, v = row_under(matrix, y, frame.shape[1], packed.shape[0])
        for x in range(x_from, x_to + 1):
            word = ((between(packed, u, v, 256) + half) >> eight) & lanes
            weight = word >> np.uint64(48)
            weight += weight >> np.uint64(7)  # 255 becomes 256: a full weight is the face exactly
            under = (
                np.uint64(frame[y, x, 0])
                | np.uint64(frame[y, x, 1]) << np.uint64(16)
                | np.uint64(frame[y, x, 2]) << np.uint64(32)
            )
            face = word & np.uint64(0x0000FFFFFFFFFFFF)
            word = (face * weight + under * (np.uint64(256) - weight) + half) >> eight
            frame[y, x, 0] = np.uint8(word)
            frame[y, x, 1] = np.uint8(word >> np.uint64(16))
            frame[y, x, 2] = np.uint8(word >> np.uint64(32))
            u += step_u
            v += step_v


@kernel
def _add(frame: Picture, packed: Words, y_from: int, y_to: int, matrix: Affine) -> None:
    step_u, step_v = int(matrix[0, 0] * ONE), int(matrix[1, 0] * ONE)
    for y in range(y_from, y_to):
        x_from, x_to, u, v = row_under(matrix, y, frame.shape[1], packed.shape[0])
        for x in range(x_from, x_to + 1):
            word = between(packed, u, v, 128)  # 510 * 128 just fits a lane
            for c in range(3):
                change = (int((word >> np.uint64(16 * c)) & np.uint64(0xFFFF)) + 64 >> 7) - 255
                frame[y, x, c] = np.uint8(min(max(int(frame[y, x, c]) + change, 0), 255))
            u += step_u
            v += step_v
