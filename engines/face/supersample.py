"""Edges without stairs: draw at twice the size, then lay the halved result over a picture.

    big = Raster(2 * height, 2 * width)
    big.draw(doubled(projected), triangles)
    lay_over(picture, big, big.texture(uvs, triangle_uvs, texture))

Each picture pixel holds 2 x 2 big ones; how many of them show the mesh is its coverage, 0, 1/4 .. 1.
"""

import numpy as np

from engines.errors import BadInput
from engines.face.arrays import Floats, Indices, Picture, check_array, check_out, frozen
from engines.face.raster import Raster
from engines.kernels import kernel

_ALL = np.iinfo(np.int32).max


def doubled(projected: Floats, out: Floats | None = None) -> Floats:
    """Projected vertices for a picture of twice the size.

    projected: (V, 3) float32 as (x px, y px, z_px), pixel centres at integers.  out: (V, 3) float32; a new one
    without it.  Returns out.  Raises BadInput when a shape or type does not fit.
    """
    check_array(projected, "projected vertices", np.float32, (None, 3))
    out = np.empty_like(projected) if out is None else out
    check_out(out, np.float32, projected.shape)
    np.multiply(projected, np.float32(2), out=out)
    out[:, :2] += np.float32(0.5)  # a pixel's centre comes to lie between the centres of its four
    return out


def coverage(big: Raster, out: Picture | None = None, first: int = 0, count: int = _ALL) -> Picture:
    """How far the mesh fills each pixel.

    big: of twice the picture's size, drawn.  first, count: which of its triangles are meant; all unless told.
    out: (height, width) uint8; a new one without it.  Returns out: 0 nothing, 64, 128, 191, 255 all.
    Raises BadInput when big's sides are odd or out does not fit.
    """
    shape = _half(big)
    out = np.empty(shape, np.uint8) if out is None else out
    check_out(out, np.uint8, shape)
    _coverage(big.triangle, first, min(first + count, _ALL), out)
    return out


def lay_over(picture: Picture, big: Raster, drawn: Picture) -> None:
    """Put what was drawn at twice the size over a picture, in place.

    picture: (height, width, 3) uint8.  big: the raster, (2 height, 2 width).  drawn: (2 height, 2 width, 3) uint8;
    only pixels where big shows a triangle count, so what lies around the mesh does not bleed in.
    Raises BadInput when a shape or type does not fit.
    """
    check_out(picture, np.uint8, (*_half(big), 3))
    check_array(drawn, "picture drawn at twice the size", np.uint8, (big.height, big.width, 3))
    _lay_over(picture, big.triangle, frozen(drawn))


def warm_up() -> None:
    """Compile (or load) the kernels: call it before time matters."""
    big = Raster(4, 4)
    coverage(big)
    lay_over(np.zeros((2, 2, 3), np.uint8), big, np.zeros((4, 4, 3), np.uint8))


def _half(big: Raster) -> tuple[int, int]:
    if big.height % 2 or big.width % 2:
        raise BadInput(f"a raster of twice a picture's size has even sides, found {big.height} x {big.width}")
    return big.height // 2, big.width // 2


@kernel
def _coverage(triangle: Indices, first: int, end: int, out: Picture) -> None:
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            filled = 0
            for dy in range(2):
                for dx in range(2):
                    t = triangle[2 * y + dy, 2 * x + dx]
                    filled += first <= t < end
            out[y, x] = (filled * 255 + 2) >> 2


@kernel
def _lay_over(picture: Picture, triangle: Indices, drawn: Picture) -> None:
    for y in range(picture.shape[0]):
        for x in range(picture.shape[1]):
            filled, blue, green, red = 0, 0, 0, 0
            for dy in range(2):
                for dx in range(2):
                    v, u = 2 * y + dy, 2 * x + dx
                    if triangle[v, u] >= 0:
                        filled += 1
                        blue += drawn[v, u, 0]
                        green += drawn[v, u, 1]
                        red += drawn[v, u, 2]
            if filled > 0:
                rest = 4 - filled
                picture[y, x, 0] = np.uint8((blue + rest * picture[y, x, 0] + 2) >> 2)
                picture[y, x, 1] = np.uint8((green + rest * picture[y, x, 1] + 2) >> 2)
                picture[y, x, 2] = np.uint8((red + rest * picture[y, x, 2] + 2) >> 2)
