"""The papers' geometry render: a smooth grey face under five lights, with holes for eyes and mouth, on black.

FACTS 2, EIFER / SMIRK: albedo 180/255, smooth vertex normals, directional lights from (+-1, +-1, 1) and (0, 0, 1) of
intensity 1.7 each, shading = mean over the lights of intensity x max(n . l, 0).  The normals between vertices are
interpolated and not stretched back to length 1, as in the renderer that the papers use.
"""

import numpy as np

from engines.face.arrays import Floats, Indices, Picture, check_out, frozen
from engines.face.normals import picture_normals
from engines.face.normals import warm_up as warm_up_normals
from engines.face.raster import Raster
from engines.face.raster import warm_up as warm_up_raster
from engines.kernels import kernel

ALBEDO = 180 / 255
INTENSITY = 1.7
LIGHTS = ((-1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (-1.0, -1.0, 1.0), (1.0, -1.0, 1.0), (0.0, 0.0, 1.0))
"""Directions towards the lights, x to the picture's right, y up, z to the viewer; made length 1 before use."""


def render_grey(
    raster: Raster,
    projected: Floats,
    triangles: Indices,
    out: Picture | None = None,
    normals: Floats | None = None,
) -> Picture:
    """Draw the mesh alone into the raster and light it.

    raster: its picture size is the render's; it is cleared first, and holds the mesh afterwards.
    projected: (V, 3) float32, triangles: (F, 3) int32, as `Raster.draw` takes them: only the triangles given are seen,
    so leave out eyeballs, mouth and teeth to have holes there.  out: (height, width) uint8; a new one without it.
    normals: (V, 3) float32 to put the picture's normals into; given both, nothing is allocated.
    Returns out: grey 0..255, exactly 0 where nothing is.  Raises BadInput as `Raster.draw` does.
    """
    out = np.empty((raster.height, raster.width), np.uint8) if out is None else out
    check_out(out, np.uint8, (raster.height, raster.width))
    raster.clear()
    raster.draw(projected, triangles)
    seen_from = frozen(picture_normals(projected, triangles, normals))
    out[:] = 0
    _light(seen_from, frozen(triangles), raster.triangle, raster.barycentric, out)
    return out


def warm_up() -> None:
    """Compile (or load) the kernels: call it before time matters."""
    warm_up_raster()
    warm_up_normals()
    corners = np.array([[0, 3, 0], [3, 3, 0], [0, 0, 0]], np.float32)
    render_grey(Raster(4, 4), corners, np.array([[0, 1, 2]], np.int32))


_DIAGONAL = np.float32(3**-0.5)  # a light from a corner of the cube has this in each direction
_GREY = np.float32(255 * ALBEDO * INTENSITY / len(LIGHTS))


@kernel
def _light(normals: Floats, triangles: Indices, triangle: Indices, barycentric: Floats, out: Picture) -> None:
    zero = np.float32(0)
    for py in range(out.shape[0]):
        for px in range(out.shape[1]):
            t = triangle[py, px]
            if t < 0:
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            fa, fb, fc = barycentric[py, px, 0], barycentric[py, px, 1], barycentric[py, px, 2]
            x = (normals[a, 0] * fa + normals[b, 0] * fb + normals[c, 0] * fc) * _DIAGONAL
            y = (normals[a, 1] * fa + normals[b, 1] * fb + normals[c, 1] * fc) * _DIAGONAL
            z = normals[a, 2] * fa + normals[b, 2] * fb + normals[c, 2] * fc
            slant = z * _DIAGONAL
            light = max(slant - x + y, zero) + max(slant + x + y, zero)
            light += max(slant - x - y, zero) + max(slant + x - y, zero) + max(z, zero)
            out[py, px] = np.uint8(light * _GREY + np.float32(0.5))
