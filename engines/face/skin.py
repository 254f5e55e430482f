"""Skin: the photo on the moving mesh, with lids, furrows and light.

Two textures: the photo, and the photo with painted shut lids (engines/face/lids.py), each at its own place per vertex;
a lid goes from the one to the other as it falls.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engines.face.arrays import Floats, Indices, Picture
from engines.kernels import kernel

# columns of a vertex' fixed numbers
U, V, SHUT_U, SHUT_V, ALPHA = range(5)
FIXED = 5
# columns of a vertex' numbers of this frame
SHADE, SHUT, RAISED, PULLED = range(4)
MOVING = 4
FURROW_MIDDLE = 128  # in the furrows' picture: no change; one step is 1/256 of the brightness


@kernel
def paint_skin(
    triangle: Indices,
    barycentric: Floats,
    box: tuple[int, int, int, int],
    triangles: Indices,
    fixed: Floats,
    moving: Floats,
    photo: Picture,
    shut: Picture,
    furrows: Picture,
    out: Picture,
    cover: Picture,
) -> None:
    """Draw the skin seen by a raster.

    triangle, barycentric: of the raster; indices at and beyond len(triangles) are not skin.  box: rows from, to,
    columns from, to.  fixed: (V, FIXED), moving: (V, MOVING).  photo, shut: (H, W, 3).  furrows: (H, W, 2).
    out: picture of the raster's size; it gets the skin's plain colour.  cover: (h, w), 255 x how far the skin hides
    what is behind.
    """
    height, width = photo.shape[:2]
    right, bottom = np.float32(width - 1.001), np.float32(height - 1.001)
    for y in range(box[0], box[1]):
        for x in range(box[2], box[3]):
            t = triangle[y, x]
            if t < 0 or t >= triangles.shape[0]:
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            fa, fb, fc = barycentric[y, x, 0], barycentric[y, x, 1], barycentric[y, x, 2]
            alpha = fa * fixed[a, ALPHA] + fb * fixed[b, ALPHA] + fc * fixed[c, ALPHA]
            if alpha <= 0.004:
                cover[y, x] = 0
                continue
            u = fa * fixed[a, U] + fb * fixed[b, U] + fc * fixed[c, U]
            v = fa * fixed[a, V] + fb * fixed[b, V] + fc * fixed[c, V]
            gain = fa * moving[a, SHADE] + fb * moving[b, SHADE] + fc * moving[c, SHADE]
            u, v = min(max(u, np.float32(0)), right), min(max(v, np.float32(0)), bottom)
            i, j = int(u), int(v)
            fu, fv = u - np.float32(i), v - np.float32(j)
            w00, w01, w10, w11 = (1 - fu) * (1 - fv), fu * (1 - fv), (1 - fu) * fv, fu * fv
            raised = fa * moving[a, RAISED] + fb * moving[b, RAISED] + fc * moving[c, RAISED]
            pulled = fa * moving[a, PULLED] + fb * moving[b, PULLED] + fc * moving[c, PULLED]
            if raised > 0.01 or pulled > 0.01:
                first = w00 * furrows[j, i, 0] + w01 * furrows[j, i + 1, 0]
                first += w10 * furrows[j + 1, i, 0] + w11 * furrows[j + 1, i + 1, 0] - FURROW_MIDDLE
                second = w00 * furrows[j, i, 1] + w01 * furrows[j, i + 1, 1]
                second += w10 * furrows[j + 1, i, 1] + w11 * furrows[j + 1, i + 1, 1] - FURROW_MIDDLE
                gain *= 1 + (raised * first + pulled * second) * np.float32(1 / 256)
            lid = fa * moving[a, SHUT] + fb * moving[b, SHUT] + fc * moving[c, SHUT]
            su = sv = np.float32(0)
            p = q = 0
            if lid > 0.004:
                su = fa * fixed[a, SHUT_U] + fb * fixed[b, SHUT_U] + fc * fixed[c, SHUT_U]
                sv = fa * fixed[a, SHUT_V] + fb * fixed[b, SHUT_V] + fc * fixed[c, SHUT_V]
                su, sv = min(max(su, np.float32(0)), right), min(max(sv, np.float32(0)), bottom)
                p, q = int(su), int(sv)
                su, sv = su - np.float32(p), sv - np.float32(q)
            for k in range(3):
                value = w00 * photo[j, i, k] + w01 * photo[j, i + 1, k]
                value += w10 * photo[j + 1, i, k] + w11 * photo[j + 1, i + 1, k]
                if lid > 0.004:
                    upper = (1 - su) * shut[q, p, k] + su * shut[q, p + 1, k]
                    lower = (1 - su) * shut[q + 1, p, k] + su * shut[q + 1, p + 1, k]
                    value += lid * ((1 - sv) * upper + sv * lower - value)
                value *= gain
                out[y, x, k] = np.uint8(min(value + np.float32(0.5), np.float32(255)))
            cover[y, x] = np.uint8(alpha * 255)


@kernel
def lay_over(skin: Picture, cover: Picture, soft: Picture, picture: Picture) -> None:
    """Mix the skin into the picture.  soft: the cover, blurred; so the skin's outline fades in over a few pixels.

    cover becomes what was really mixed in.
    """
    for y in range(picture.shape[0]):
        for x in range(picture.shape[1]):
            share = int(cover[y, x])
            if share == 0:
                continue
            share = min(share, max(2 * int(soft[y, x]) - 255, 0))
            cover[y, x] = share
            for k in range(3):
                value = skin[y, x, k] * share + picture[y, x, k] * (255 - share)
                picture[y, x, k] = (value + 127) // 255


@kernel
def settle(fine: Picture, cover: Picture, rows: int, columns: int, top: int, left: int, picture: Picture) -> None:
    """Average each 2 x 2 of a finely drawn detail and lay it over the picture by its cover.

    fine: (2 x rows.., 2 x columns.., 3).  top, left: where the detail's first pixel lies in the picture.
    """
    for y in range(rows):
        oy = top + y
        if oy < 0 or oy >= picture.shape[0]:
            continue
        for x in range(columns):
            ox = left + x
            if ox < 0 or ox >= picture.shape[1]:
                continue
            total = 0
            blue = green = red = 0
            for j in range(2 * y, 2 * y + 2):
                for i in range(2 * x, 2 * x + 2):
                    w = int(cover[j, i])
                    total += w
                    blue += w * fine[j, i, 0]
                    green += w * fine[j, i, 1]
                    red += w * fine[j, i, 2]
            if total == 0:
                continue
            rest = 1020 - total
            picture[oy, ox, 0] = (blue + rest * picture[oy, ox, 0] + 510) // 1020
            picture[oy, ox, 1] = (green + rest * picture[oy, ox, 1] + 510) // 1020
            picture[oy, ox, 2] = (red + rest * picture[oy, ox, 2] + 510) // 1020


@kernel
def settle_cover(cover: Picture, rows: int, columns: int, top: int, left: int, mask: Picture) -> None:
    """The detail's cover into the picture's, where it hides more."""
    for y in range(rows):
        oy = top + y
        if oy < 0 or oy >= mask.shape[0]:
            continue
        for x in range(columns):
            ox = left + x
            if ox < 0 or ox >= mask.shape[1]:
                continue
            total = int(cover[2 * y, 2 * x]) + int(cover[2 * y, 2 * x + 1])
            total += int(cover[2 * y + 1, 2 * x]) + int(cover[2 * y + 1, 2 * x + 1])
            mask[oy, ox] = max(mask[oy, ox], np.uint8(total // 4))


@kernel
def shut_lids(share: Floats, lower: npt.NDArray[np.bool_], upper: Floats, lashes: Floats, moving: Floats) -> None:
    """moving[:, SHUT]: how far each vertex shows the painted lid.

    share: (2, V).  lower: (2, V), vertices that only show lashes.  upper, lashes: (2,), how far lids and lashes are
    the painted ones.
    """
    for v in range(moving.shape[0]):
        found = np.float32(0)
        for side in range(2):
            if share[side, v] > 0:
                found = max(found, share[side, v] * (lashes[side] if lower[side, v] else upper[side]))
        moving[v, SHUT] = found
