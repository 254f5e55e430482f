"""The light on a face, read off the picture of its skin, so that what is put on it is lit as it is.

Skin is close to matt and, cheeks and forehead taken together, of one colour: how bright it is where it faces this way
or that says where light comes from.  A plane is fitted to brightness over the normal (spherical harmonics up to order
one), with spots that do not fit (beard, shine) left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engines.face.arrays import Floats, Indices, Picture, frozen
from engines.face.normals import across
from engines.face.skin_surface import SkinSurface
from engines.kernels import kernel

Real = Any  # a number inside a kernel: Numba's float32 or float64

# cm in the model: cheeks, forehead, nose, chin; each (x from, to), (y from, to), both sides
_SPOTS = (((0.3, 5.2), (6.2, 9.0)), ((2.0, 6.0), (-3.2, 1.2)), ((0.0, 0.6), (0.0, 2.6)), ((0.3, 2.2), (-7.0, -5.6)))
_SPACING_CM = 0.55
_FEWEST = 30  # spots that must be seen
_DARKEST, _BRIGHTEST = 0.35, 1.45  # of a shade
_ROUNDS = 2
EVEN: Floats = np.array([1, 0, 0, 0], np.float32)  # light from everywhere


class SkinLight:
    """Reads light off pictures of one face model's head."""

    def __init__(self, surface: SkinSurface) -> None:
        """surface: of the whole head."""
        points = []
        for (x0, x1), (y0, y1) in _SPOTS:
            x, y = np.meshgrid(np.arange(x0, x1, _SPACING_CM), np.arange(y0, y1, _SPACING_CM))
            points += [np.stack([sign * x.ravel(), y.ravel(), np.full(x.size, 12.0)], 1) for sign in (1, -1)]
        wanted = np.concatenate(points)
        forward = np.tile([0.0, 0.0, 1.0], (len(wanted), 1))
        for _ in range(4):  # slide along z until the nearest skin lies right behind
            places = surface.nearest(wanted, forward)
            wanted[:, 2] = places.points[:, 2] + 0.1
        self._corners: Indices = frozen(places.corners)
        self._samples = np.zeros((len(wanted), 5), np.float32)

    def read(self, picture: Picture, projected: Floats, depth: Floats, scale: float) -> Floats:
        """(4,) float32: a normal n (x right, y up, z to the viewer) is lit by [0] + n @ [1:], 1 = facing the viewer.

        picture: (H, W, 3) uint8 BGR.  projected: (V, 3).  depth: (H, W), of the skin.  scale: px per cm.
        Light from everywhere when hardly any skin is seen.
        """
        count = _look(frozen(picture), frozen(projected), self._corners, frozen(depth), 0.4 * scale, self._samples)
        return _plane(self._samples[:count].astype(np.float64)) if count >= _FEWEST else EVEN


def _plane(samples: npt.NDArray[np.float64]) -> Floats:
    """Fit (4,) to samples (n, 5): 1, normal, brightness; robust."""
    form, bright = samples[:, :4], samples[:, 4]
    keep = np.ones(len(bright), bool)
    prior = np.diag([0.0, 1, 1, 1]) * 0.008 * len(bright)
    for _ in range(_ROUNDS):
        mean = float(np.median(bright[keep]))
        found = np.linalg.solve(form[keep].T @ form[keep] + prior, form[keep].T @ bright[keep])
        rest = bright - form @ found
        keep = np.abs(rest) < 2.0 * max(float(np.median(np.abs(rest[keep]))) * 1.48, 0.02 * mean, 0.5)
    front = found[0] + found[3]
    return np.asarray(found / front, np.float32) if front > 4 else EVEN


@kernel
def shade_of(light: Floats, x: Real, y: Real, z: Real) -> Real:
    """Shade of a unit normal under `SkinLight.read`'s light, within what pictures hold."""
    shade = light[0] + light[1] * x + light[2] * y + light[3] * z
    return min(max(shade, np.float32(_DARKEST)), np.float32(_BRIGHTEST))


@kernel
def _look(picture: Picture, projected: Floats, corners: Indices, depth: Floats, near: float, samples: Floats) -> int:
    """Fill samples (n, 5): 1, normal, brightness at the middles of triangles that are seen; returns how many."""
    height, width = depth.shape
    count = 0
    for i in range(corners.shape[0]):
        a, b, c = corners[i, 0], corners[i, 1], corners[i, 2]
        x = int(np.rint((projected[a, 0] + projected[b, 0] + projected[c, 0]) / 3))
        y = int(np.rint((projected[a, 1] + projected[b, 1] + projected[c, 1]) / 3))
        z = (projected[a, 2] + projected[b, 2] + projected[c, 2]) / 3
        if x < 1 or y < 1 or x >= width - 1 or y >= height - 1 or not abs(depth[y, x] - z) < near:
            continue
        nx, ny, nz = across(projected, a, b, c)
        length = np.sqrt(nx * nx + ny * ny + nz * nz)
        if not nz > 0.25 * length:
            continue
        total = np.float32(0)
        for row in range(y - 1, y + 2):
            for column in range(x - 1, x + 2):
                total += (
                    np.float32(0.114) * picture[row, column, 0]
                    + np.float32(0.587) * picture[row, column, 1]
                    + np.float32(0.299) * picture[row, column, 2]
                )
        samples[count, 0] = 1
        samples[count, 1], samples[count, 2], samples[count, 3] = nx / length, ny / length, nz / length
        samples[count, 4] = total / 9
        count += 1
    return count
