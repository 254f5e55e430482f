"""What is seen at a rasterised pixel: a mesh's attributes or its texture, from triangle index and barycentrics.

Kernels of `engines.face.raster.Raster`, which checks what they trust.  Positions are unsigned, because Numba then
leaves out the test for negative ones, which count from the end.
"""

import numpy as np
import numpy.typing as npt

from engines.face.arrays import Floats, Indices, Picture
from engines.kernels import inlined, kernel

Box = npt.NDArray[np.int64]  # rows from, to, columns from, to
Words = npt.NDArray[np.uint32]  # (h, w), blue, green, red and an unused byte of each texture pixel


@kernel
def interpolate_seen(
    attributes: Floats,
    triangles: Indices,
    per_vertex: bool,
    first: int,
    triangle: Indices,
    barycentric: Floats,
    box: Box,
    out: Floats,
) -> None:
    """attributes: (V, C), or (3 F, C) in the order of the triangles' corners.  out: (height, width, C)."""
    for y in range(box[0], box[1]):
        for x in range(box[2], box[3]):
            t = triangle[y, x] - first
            if t < 0 or t >= triangles.shape[0]:
                continue
            a, b, c = np.uint32(3 * t), np.uint32(3 * t + 1), np.uint32(3 * t + 2)
            if per_vertex:
                a, b, c = np.uint32(triangles[t, 0]), np.uint32(triangles[t, 1]), np.uint32(triangles[t, 2])
            fb, fc = barycentric[y, x, 1], barycentric[y, x, 2]
            for k in range(out.shape[2]):
                start = attributes[a, k]  # what is the same at all corners comes out to the bit
                out[y, x, k] = start + fb * (attributes[b, k] - start) + fc * (attributes[c, k] - start)


@kernel
def texture_seen(
    uvs: Floats,
    triangle_uvs: Indices,
    texture: Words,
    first: int,
    triangle: Indices,
    barycentric: Floats,
    box: Box,
    out: Picture,
) -> None:
    """Bilinear, positions in 1/256 of a texture pixel.  out: (height, width, 3)."""
    height, width = texture.shape
    flat, wide, high = texture.reshape(-1), np.float32(width), np.float32(height)
    for y in range(box[0], box[1]):
        for x in range(box[2], box[3]):
            t = triangle[y, x] - first
            if t < 0 or t >= triangle_uvs.shape[0]:
                continue
            a, b, c = np.uint32(triangle_uvs[t, 0]), np.uint32(triangle_uvs[t, 1]), np.uint32(triangle_uvs[t, 2])
            fb, fc = barycentric[y, x, 1], barycentric[y, x, 2]
            u = uvs[a, 0] + fb * (uvs[b, 0] - uvs[a, 0]) + fc * (uvs[c, 0] - uvs[a, 0])
            v = uvs[a, 1] + fb * (uvs[b, 1] - uvs[a, 1]) + fc * (uvs[c, 1] - uvs[a, 1])
            across, along = _position(u, wide), _position(np.float32(1) - v, high)
            left, top = across >> 8, along >> 8
            right = np.uint64(1 if left < width - 1 else 0)
            below = np.uint64(width if top < height - 1 else 0)
            at = np.uint64(top * width + left)
            fu, fv = across & 255, along & 255
            both = (fu * fv) >> 8  # the four weights add up to 256
            word = _lanes(flat[at]) * np.uint64(256 - fu - fv + both) + np.uint64(0x0080008000800080)
            word += _lanes(flat[at + right]) * np.uint64(fu - both)
            word += _lanes(flat[at + below]) * np.uint64(fv - both)
            word += _lanes(flat[at + below + right]) * np.uint64(both)
            out[y, x, 0] = np.uint8(word >> np.uint64(8))
            out[y, x, 1] = np.uint8(word >> np.uint64(40))
            out[y, x, 2] = np.uint8(word >> np.uint64(24))


@inlined
def _position(share: np.float32, size: np.float32) -> int:
    """A share of the texture's side, 0..1 from edge to edge, as 256 x pixel position; outside (and NaN) the border."""
    pixel = share * size - np.float32(0.5)
    pixel = min(pixel, size - np.float32(1)) if pixel > 0 else np.float32(0)
    return int(pixel * np.float32(256) + np.float32(0.5))


@inlined
def _lanes(pixel: np.uint32) -> np.uint64:
    """Four bytes to four lanes of 16 bits, in the order 0, 2, 1, 3: one multiplication then weighs all channels."""
    word = np.uint64(pixel)
    return np.uint64((word & np.uint64(0xFF00FF)) | ((word & np.uint64(0xFF00FF00)) << np.uint64(24)))
