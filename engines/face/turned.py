"""The surroundings of a head that is turned far, or that stands before another backdrop: a shell cut from the photo.

Up to some ten degrees the photo is warped as a whole (engines/face/surroundings.py).  Beyond, parts hide each other, so
the nodes become a mesh of their own with depth, drawn by z-buffer, and the wall a picture that stays where it is.
"""

from __future__ import annotations

import numpy as np

from engines.face.arrays import Floats, Indices, Picture
from engines.face.surroundings import LATTICE_PX
from engines.kernels import kernel


@kernel
def place_nodes(
    place: Floats, follow: Floats, displaced: Floats, turn: Floats, out_from_photo: Floats, out: Floats
) -> None:
    """Nodes in the picture: (N, 3) x px, y px, z_px."""
    zoom = out_from_photo[0, 0]
    for n in range(place.shape[0]):
        x, y = place[n, 0] + displaced[n, 0], place[n, 1] + displaced[n, 1]
        turned = turn[2, 0] * place[n, 0] + turn[2, 1] * place[n, 1] + turn[2, 2] * place[n, 2] + turn[2, 3]
        out[n, 0] = out_from_photo[0, 0] * x + out_from_photo[0, 1] * y + out_from_photo[0, 2]
        out[n, 1] = out_from_photo[1, 0] * x + out_from_photo[1, 1] * y + out_from_photo[1, 2]
        out[n, 2] = zoom * (place[n, 2] + follow[n] * (turned - place[n, 2]))


@kernel
def flat(photo_from_out: Floats, lattice: Floats) -> None:
    """The lattice of a wall that does not move: (h, w, 3) x px, y px, shade."""
    for j in range(lattice.shape[0]):
        for i in range(lattice.shape[1]):
            x, y = np.float32(i * LATTICE_PX), np.float32(j * LATTICE_PX)
            lattice[j, i, 0] = photo_from_out[0, 0] * x + photo_from_out[0, 1] * y + photo_from_out[0, 2]
            lattice[j, i, 1] = photo_from_out[1, 0] * x + photo_from_out[1, 1] * y + photo_from_out[1, 2]
            lattice[j, i, 2] = 0


@kernel
def paint_shell(
    triangle: Indices,
    barycentric: Floats,
    triangles: Indices,
    place: Floats,
    displaced: Floats,
    cutout: Picture,
    cover: Picture,
    far_shade: np.float32,
    out: Picture,
) -> None:
    """Lay the person's cut-out over the picture where the raster shows a triangle of nodes."""
    height, width = cover.shape
    right, bottom = np.float32(width - 1.001), np.float32(height - 1.001)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            t = triangle[y, x]
            if t < 0:
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            fa, fb, fc = barycentric[y, x, 0], barycentric[y, x, 1], barycentric[y, x, 2]
            u = fa * place[a, 0] + fb * place[b, 0] + fc * place[c, 0]
            v = fa * place[a, 1] + fb * place[b, 1] + fc * place[c, 1]
            if u < -1 or u > width or v < -1:
                continue  # what the photo cuts off at its sides stays cut off; below, clothes go on
            shade = far_shade + fa * displaced[a, 2] + fb * displaced[b, 2] + fc * displaced[c, 2]
            u, v = min(max(u, np.float32(0)), right), min(max(v, np.float32(0)), bottom)
            i, j = int(u), int(v)
            fu, fv = u - np.float32(i), v - np.float32(j)
            w00, w01, w10, w11 = (1 - fu) * (1 - fv), fu * (1 - fv), (1 - fu) * fv, fu * fv
            share = w00 * cover[j, i] + w01 * cover[j, i + 1] + w10 * cover[j + 1, i] + w11 * cover[j + 1, i + 1]
            share *= np.float32(1 / 255)
            if share < 0.01:
                continue
            for k in range(3):
                value = w00 * cutout[j, i, k] + w01 * cutout[j, i + 1, k]
                value += w10 * cutout[j + 1, i, k] + w11 * cutout[j + 1, i + 1, k]
                value = min(value * shade, np.float32(255))
                out[y, x, k] = np.uint8(out[y, x, k] + share * (value - out[y, x, k]) + np.float32(0.5))
