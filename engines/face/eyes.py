"""Eyeballs: the white, completed under the lids from what the photo shows of it, and an iris that looks around.

An iris is about 8 px across half a face's width at 640 px, so its hidden parts are filled in from its own other half.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from engines.face.arrays import Floats, Indices, Picture
from engines.kernels import kernel

Doubles = npt.NDArray[np.float64]

DISC = 48  # px, side of an iris' picture
DISC_REACH = 1.25  # radii from its middle to its side's middle
GAZE_CM = (0.50, 0.38)  # how far the iris goes sideways and up or down at weight 1
_ROOM = 1.6  # half of the eye's picture, in openings' widths
_WHITE_SIGMA = 0.45  # of the smoothing that completes the white, in iris radii


@dataclass(frozen=True)
class Eye:
    """One eye of the photo.

    origin: (x, y) px of the pictures' first pixel in the photo.  still: (h, w, 3) uint8, the eye as photographed, with
    the white going on under the lids.  white: (h, w, 3) uint8, without iris.  iris: (DISC, DISC, 4) uint8, BGR and
    cover.  centre: (2,) px in the photo.  radius: px.
    """

    origin: tuple[int, int]
    still: Picture
    white: Picture
    iris: Picture
    centre: tuple[float, float]
    radius: float


def look_at_eye(photo: Picture, opening_px: Doubles, iris_px: Doubles) -> Eye:
    """Take an eye from the photo.

    opening_px: (n, 2), the lids' edges as a closed line.  iris_px: (5, 2), middle and four points on its border.
    """
    centre = iris_px[0]
    radius = float(np.linalg.norm(iris_px[1:] - centre, axis=1).mean())
    low, high = opening_px.min(0), opening_px.max(0)
    middle, half = (low + high) / 2, _ROOM * (high - low).max() / 2
    left, top = (int(v) for v in np.floor(middle - half))
    size = int(np.ceil(2 * half)) + 2
    patch = _cut(photo, left, top, size)
    opening = _polygon(opening_px - (left, top), size)
    y, x = np.mgrid[:size, :size]
    away = np.hypot(x + left - centre[0], y + top - centre[1]) / radius
    white = _complete(patch, cv2.erode(opening, np.ones((3, 3))) * (away > 1.25), radius)
    iris = _disc(patch, opening, centre - (left, top), radius)
    share = cv2.GaussianBlur(cv2.erode(opening, np.ones((2, 2))), (0, 0), 0.7)[:, :, None]
    painted = _with_iris(white, iris, centre - (left, top), radius)
    still = patch * share + painted * (1 - share)
    return Eye((left, top), _bytes(still), _bytes(white), iris, (float(centre[0]), float(centre[1])), radius)


def _cut(photo: Picture, left: int, top: int, size: int) -> Floats:
    rows = np.clip(np.arange(top, top + size), 0, photo.shape[0] - 1)
    columns = np.clip(np.arange(left, left + size), 0, photo.shape[1] - 1)
    return photo[rows][:, columns].astype(np.float32)


def _polygon(points: Doubles, size: int) -> Floats:
    mask = np.zeros((size, size), np.float32)
    cv2.fillPoly(mask, [np.rint(points * 16).astype(np.int32)], 1.0, cv2.LINE_8, 4)
    return mask


def _complete(patch: Floats, known: npt.NDArray[np.floating], radius: float) -> Floats:
    """The known white smoothed and carried on everywhere; three widths, so that far places get something too."""
    known = known.astype(np.float32)
    if known.sum() < 4:  # narrow eyes may show no white at all
        known = np.ones_like(known)
        patch = np.full_like(patch, np.percentile(patch.reshape(-1, 3), 80, axis=0))
    total, weight = np.zeros_like(patch), np.zeros_like(known)
    for sigma, trust in ((_WHITE_SIGMA, 1.0), (1.2, 0.05), (4.0, 0.001)):
        total += trust * cv2.GaussianBlur(patch * known[:, :, None], (0, 0), sigma * radius)
        weight += trust * cv2.GaussianBlur(known, (0, 0), sigma * radius)
    return np.asarray(total / np.maximum(weight, 1e-7)[:, :, None], np.float32)


def _disc(patch: Floats, opening: Floats, centre: Doubles, radius: float) -> Picture:
    """The iris' own picture: seen parts from the photo, hidden ones from the other side, else the ring's mean."""
    step = np.linspace(-DISC_REACH, DISC_REACH, DISC, dtype=np.float32)
    x, y = np.meshgrid(step, step)
    u, v = (np.asarray(axis * radius + c, np.float32) for axis, c in zip((x, y), centre, strict=True))
    colour = cv2.remap(patch, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    seen = cv2.remap(cv2.erode(opening, np.ones((3, 3))), u, v, cv2.INTER_LINEAR)
    away = np.hypot(x, y)
    rings = np.minimum((away * 10).astype(int), 14)
    mean = np.zeros((15, 3))
    for ring in range(15):
        inside = (rings == ring) & (seen > 0.9)
        mean[ring] = colour[inside].mean(0) if inside.any() else mean[max(ring - 1, 0)]
    filled = np.where(seen[:, :, None] > 0.9, colour, mean[rings])
    soft = cv2.GaussianBlur((seen > 0.9).astype(np.float32), (0, 0), 1.5)[:, :, None]
    filled = np.where(seen[:, :, None] > 0.9, soft * colour + (1 - soft) * mean[rings], filled)
    cover = np.clip((1.08 - away) / 0.16, 0, 1)
    return np.dstack([_bytes(filled), _bytes(cover * 255)])


def _with_iris(white: Floats, iris: Picture, centre: Doubles, radius: float) -> Floats:
    y, x = np.mgrid[: white.shape[0], : white.shape[1]].astype(np.float32)
    scale = (DISC - 1) / (2 * DISC_REACH * radius)
    u, v = ((axis - c) * scale + (DISC - 1) / 2 for axis, c in zip((x, y), centre, strict=True))
    disc = cv2.remap(iris, u.astype(np.float32), v.astype(np.float32), cv2.INTER_LINEAR)
    share = disc[:, :, 3:].astype(np.float32) / 255
    return np.asarray(white + share * (disc[:, :, :3] - white), np.float32)


def _bytes(values: npt.NDArray[np.floating]) -> Picture:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


@kernel
def paint_eye(
    triangle: Indices,
    first: int,
    last: int,
    box: tuple[int, int, int, int],
    photo_from_fine: Floats,
    still: Picture,
    white: Picture,
    iris: Picture,
    numbers: Floats,
    out: Picture,
    cover: Picture,
) -> None:
    """Draw the eye where the raster shows a triangle first..last - 1 (the cap behind the lids).

    photo_from_fine: (2, 3).  numbers: origin x, y; iris x, y and radius in the photo, px; gaze 0..1, how far the eye
    is from the photo's own look; gain; lid 0..1, how much darker it is under the upper lid.
    """
    size = still.shape[0]
    ox, oy, cx, cy, radius = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    moved, gain, lid = numbers[5], numbers[6], numbers[7]
    scale = np.float32(DISC - 1) / (2 * np.float32(DISC_REACH) * radius)
    half, top = np.float32(DISC - 1) / 2, np.float32(DISC - 1.001)
    end = np.float32(size - 1.001)
    for x in range(box[2], box[3]):
        under = np.float32(0)  # fine px below the lid's edge
        for y in range(box[0], box[1]):
            t = triangle[y, x]
            if t < first or t >= last:
                under = np.float32(0)
                continue
            under += 1
            px = photo_from_fine[0, 0] * x + photo_from_fine[0, 1] * y + photo_from_fine[0, 2]
            py = photo_from_fine[1, 0] * x + photo_from_fine[1, 1] * y + photo_from_fine[1, 2]
            u, v = min(max(px - ox, np.float32(0)), end), min(max(py - oy, np.float32(0)), end)
            i, j = int(u), int(v)
            fu, fv = u - np.float32(i), v - np.float32(j)
            du = min(max((px - cx) * scale + half, np.float32(0)), top)
            dv = min(max((py - cy) * scale + half, np.float32(0)), top)
            p, q = int(du), int(dv)
            gu, gv = du - np.float32(p), dv - np.float32(q)
            disc = (1 - gv) * ((1 - gu) * iris[q, p, 3] + gu * iris[q, p + 1, 3])
            disc = (disc + gv * ((1 - gu) * iris[q + 1, p, 3] + gu * iris[q + 1, p + 1, 3])) * np.float32(1 / 255)
            shade = gain * (1 - lid * np.exp(-under / (np.float32(0.7) * radius)))
            for k in range(3):
                a = (1 - fv) * ((1 - fu) * still[j, i, k] + fu * still[j, i + 1, k])
                a += fv * ((1 - fu) * still[j + 1, i, k] + fu * still[j + 1, i + 1, k])
                b = (1 - fv) * ((1 - fu) * white[j, i, k] + fu * white[j, i + 1, k])
                b += fv * ((1 - fu) * white[j + 1, i, k] + fu * white[j + 1, i + 1, k])
                c = (1 - gv) * ((1 - gu) * iris[q, p, k] + gu * iris[q, p + 1, k])
                c += gv * ((1 - gu) * iris[q + 1, p, k] + gu * iris[q + 1, p + 1, k])
                b += disc * (c - b)
                value = (a + moved * (b - a)) * shade
                out[y, x, k] = np.uint8(min(value + np.float32(0.5), np.float32(255)))
            cover[y, x] = 255
