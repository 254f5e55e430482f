"""Shut lids: a second texture in which the eyes are closed, painted once per person.

The photo shows a few pixels of upper lid.  Stretched over the eye they smear lashes and shadow; so the shut lid is
painted: skin that goes on smoothly from the skin around the eye, a fold, a rounding, and the line of the lashes.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from engines.face.anatomy import Anatomy
from engines.face.arrays import Floats, Indices, Picture
from engines.face.raster import Raster
from engines.kernels import kernel

Doubles = npt.NDArray[np.float64]

FINE = 4  # painting is done so much larger
_ROOM_CM = (2.1, 1.5)  # half width and half height of what is painted, from the eye's middle
OVERLAP_CM = 0.03  # how far a shut upper lid goes past the lower one's edge
_FACTORS = (0.35, 2.6)  # the model's own lid movement, at least and at most times this
_BESIDE_CM = 0.30  # beyond the corners, where lashes and shadow of the open eye lie
_LONG_LASH_CM = 1.3  # above the shut lid's edge: how far up open lashes may lie
_STROKE_GREY = 7.0
_FREE = 0.06  # of a full fall: skin that goes down further is painted


def lid_factor(anatomy: Anatomy, side: int, neutral: Floats) -> Floats:
    """(V,) by which the model's blink must be multiplied so that this person's lids meet, column by column."""
    upper, lower = anatomy.margins[side]
    drop = anatomy.blink_drop_cm[side]
    x = neutral[upper, 0]
    gap = neutral[upper, 1] - np.interp(x, neutral[lower, 0], neutral[lower, 1])
    own = drop[upper] - np.interp(x, neutral[lower, 0], drop[lower])
    wanted = np.clip((gap + OVERLAP_CM) / np.maximum(own, 0.05), *_FACTORS)
    wanted = np.convolve(np.pad(wanted, 2, mode="edge"), [0.1, 0.2, 0.4, 0.2, 0.1], mode="valid")
    factor = np.ones(len(neutral), np.float32)
    falls = np.flatnonzero(drop > 0)
    factor[falls] = np.interp(neutral[falls, 0], x, wanted)
    return factor


@kernel
def meet_lids(
    vertices: Floats,
    upper: Indices,
    lower: Indices,
    falls: Indices,
    share: Floats,
    at_edge: Floats,
    overlap: np.float32,
) -> None:
    """Lift an upper lid that has passed the lower one's edge back onto it, with the skin that hangs on it.

    A lid falls by its own weight, but cheek and squint push the lower lid up: shut lids must still only touch.
    vertices: (V, 3) cm, changed.  upper, lower: the lids' edges, ordered by x.  falls: (n,) vertices of the upper lid,
    share: (n,) how far they go along.  at_edge: (len(upper),) room to work in.
    """
    for k in range(upper.shape[0]):
        x, y = vertices[upper[k], 0], vertices[upper[k], 1]
        j = 1
        while j < lower.shape[0] - 1 and vertices[lower[j], 0] < x:
            j += 1
        x0, x1 = vertices[lower[j - 1], 0], vertices[lower[j], 0]
        f = min(max((x - x0) / max(x1 - x0, np.float32(1e-4)), np.float32(0)), np.float32(1))
        y_low = vertices[lower[j - 1], 1] + f * (vertices[lower[j], 1] - vertices[lower[j - 1], 1])
        at_edge[k] = max(y_low - overlap - y, np.float32(0))
    for n in range(falls.shape[0]):
        v = falls[n]
        x = vertices[v, 0]
        j = 1
        while j < upper.shape[0] - 1 and vertices[upper[j], 0] < x:
            j += 1
        x0, x1 = vertices[upper[j - 1], 0], vertices[upper[j], 0]
        f = min(max((x - x0) / max(x1 - x0, np.float32(1e-4)), np.float32(0)), np.float32(1))
        vertices[v, 1] += share[n] * (at_edge[j - 1] + f * (at_edge[j] - at_edge[j - 1]))


def paint_shut(
    anatomy: Anatomy, side: int, photo: Picture, open_px: Floats, shut_px: Floats, scale: float, out: Picture, seed: int
) -> None:
    """Paint one eye shut into `out`, a copy of the photo.

    open_px, shut_px: (V, 3), the face at rest and with this eye shut, in the photo.  scale: px per cm.
    seed: of the lashes and of the skin's grain.
    """
    upper, _ = anatomy.margins[side]
    middle = (shut_px[upper, :2].mean(0) + open_px[upper, :2].mean(0)) / 2
    half = np.array(_ROOM_CM) * scale
    left, top = (int(v) for v in np.floor(middle - half))
    width, height = (int(v) for v in np.ceil(2 * half))
    raster = Raster(height * FINE, width * FINE)
    fine = shut_px[: len(open_px)].copy()
    fine[:, :2] = (fine[:, :2] - (left, top)) * FINE + (FINE - 1) / 2
    raster.draw(np.ascontiguousarray(fine), anatomy.skin)
    seen = raster.triangle >= 0
    fields = np.zeros((len(open_px), 3), np.float32)
    fields[:, :2] = open_px[:, :2]
    fields[: len(anatomy.lid[side]), 2] = anatomy.lid[side]
    found = raster.interpolate(fields, anatomy.skin)
    base = cv2.remap(photo, found[:, :, 0], found[:, :, 1], cv2.INTER_LINEAR).astype(np.float32)
    edge_y, reach = _edge(fine, anatomy, side, width * FINE)
    share = np.where(seen, found[:, :, 2] / np.maximum(reach, 0.05), 0)
    y = np.arange(height * FINE, dtype=np.float32)[:, None]
    below = (y - edge_y) / (FINE * scale)  # cm under the lid's edge
    within = np.isfinite(edge_y)
    lid = np.where(seen, found[:, :, 2], 0)
    hidden = (
        ((lid > _FREE) | ~seen | (np.abs(below) < 0.10)) & (below < 0.14) & within & ((lid > 0.02) | (below > -0.12))
    )
    hidden |= _upright_strokes(base) & (below < 0) & (below > -_LONG_LASH_CM) & within & (lid > 0.005)
    skin = _membrane(base, hidden)
    rng = np.random.default_rng((seed, side))
    skin *= _relief(share, below, within, rng)[:, :, None]
    lashes = _lashes(edge_y, fine[upper], scale * FINE, skin.shape[:2], rng)
    dark = _lash_colour(photo, open_px[upper], scale)
    skin += lashes[:, :, None] * (dark - skin)
    size = (width, height)
    painted = cv2.resize(skin, size, interpolation=cv2.INTER_AREA)
    # beyond the mesh (behind the ears of a narrow picture) the photo stays
    share_seen = cv2.resize((seen | hidden).astype(np.float32), size, interpolation=cv2.INTER_AREA)[:, :, None]
    rows, columns = (
        slice(max(top, 0), min(top + height, out.shape[0])),
        slice(max(left, 0), min(left + width, out.shape[1])),
    )
    inner = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
    mixed = share_seen[inner] * painted[inner] + (1 - share_seen[inner]) * out[rows, columns]
    out[rows, columns] = np.clip(np.rint(mixed), 0, 255)


def _edge(fine: Floats, anatomy: Anatomy, side: int, width: int) -> tuple[Floats, Floats]:
    """Per column the y of the shut lid's edge (NaN beside the eye) and how far the lid falls there."""
    upper, _ = anatomy.margins[side]
    x = np.arange(width, dtype=np.float32)
    order = np.argsort(fine[upper, 0])
    xs = fine[upper[order], 0]
    beside = _BESIDE_CM * float(xs[-1] - xs[0]) / 2.4  # an eye's opening is about 2.4 cm wide
    edge = np.where((x > xs[0] - beside) & (x < xs[-1] + beside), 0.0, np.nan)
    smooth = np.interp(x, xs, np.convolve(np.pad(fine[upper[order], 1], 1, mode="edge"), [0.25, 0.5, 0.25], "valid"))
    edge = np.where(np.isnan(edge), np.nan, smooth)
    reach = np.interp(x, xs, anatomy.lid[side][upper[order]])
    return edge.astype(np.float32), reach.astype(np.float32)


def _upright_strokes(base: Floats) -> npt.NDArray[np.bool_]:
    """Thin dark strokes that stand rather than lie: lashes over the lid, not its fold."""
    grey = base.mean(2)
    across = cv2.getStructuringElement(cv2.MORPH_RECT, (4 * FINE + 1, 1))
    thin = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, across)
    return np.asarray(cv2.dilate((thin > _STROKE_GREY).astype(np.uint8), np.ones((FINE, FINE), np.uint8)) > 0)


def _membrane(base: Floats, hidden: npt.NDArray[np.bool_]) -> Floats:
    """Fill what is hidden with the smoothest skin that meets its border (push-pull over a pyramid, then relaxed)."""
    known = (~hidden).astype(np.float32)
    levels = [(base * known[:, :, None], known)]
    while min(levels[-1][1].shape) > 4:
        colour, weight = levels[-1]
        levels.append((cv2.pyrDown(colour), cv2.pyrDown(weight)))
    filled = levels[-1][0] / np.maximum(levels[-1][1], 1e-4)[:, :, None]
    for colour, weight in reversed(levels[:-1]):
        filled = cv2.resize(filled, (weight.shape[1], weight.shape[0]), interpolation=cv2.INTER_LINEAR)
        share = np.minimum(weight, 1)[:, :, None]
        filled = np.where(
            weight[:, :, None] > 1e-3,
            share * colour / np.maximum(weight, 1e-3)[:, :, None] + (1 - share) * filled,
            filled,
        )
    filled = np.where(hidden[:, :, None], filled, base)
    for _ in range(40):
        filled = np.where(hidden[:, :, None], cv2.blur(filled, (9, 9)), base)
    return np.asarray(filled, np.float32)


def _relief(
    share: npt.NDArray[np.floating], below: Floats, within: npt.NDArray[np.bool_], rng: np.random.Generator
) -> Floats:
    """Brightness of the lid: the fold's shadow, the eyeball's rounding, darker to the lashes; a little grain."""
    fold = 1 - 0.05 * np.exp(-(((share - 0.20) / 0.10) ** 2))
    round_ = 1 + 0.06 * np.exp(-(((share - 0.55) / 0.2) ** 2))
    edge = 1 - 0.16 * np.clip((share - 0.75) / 0.25, 0, 1) ** 2
    under = np.where(within & (below > 0), 1 - 0.12 * np.exp(-((np.maximum(below, 0) / 0.08) ** 2)), 1)
    grain = cv2.GaussianBlur(rng.normal(0, 1, share.shape).astype(np.float32), (0, 0), 0.35 * FINE)
    lid = np.clip(share / 0.3, 0, 1)
    inside = np.flatnonzero(within)
    x = np.arange(share.shape[1])
    ends = np.minimum(x - inside[0], inside[-1] - x) / max(inside[-1] - inside[0], 1) if len(inside) else x * 0.0
    taper = np.clip((ends - 0.12) / 0.18, 0, 1)
    return np.asarray(
        (1 + taper * (np.where(share > 0, fold * round_ * edge, 1) - 1)) * under * (1 + 0.022 * grain * lid), np.float32
    )


def _lashes(edge_y: Floats, upper: Floats, scale: float, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """(h, w) cover of the lash line and of single lashes that hang from it."""
    x = np.flatnonzero(np.isfinite(edge_y))
    cover = np.zeros(shape, np.float32)
    if len(x) < 8:
        return cover
    t = (x - x[0]) / max(x[-1] - x[0], 1)
    taper = np.clip(np.minimum(t, 1 - t) / 0.12, 0, 1)
    rows = np.arange(shape[0], dtype=np.float32)[:, None]
    thick = 0.055 * scale
    cover[:, x] = 0.9 * taper * np.exp(-(((rows - edge_y[x] + 0.025 * scale) / thick) ** 2))
    middle = (x[0] + x[-1]) / 2
    for start in np.arange(x[0], x[-1], 0.055 * scale):
        start = int(np.clip(start + rng.normal(0, 0.02 * scale), x[0], x[-1]))
        outwards = (start - middle) / (x[-1] - x[0]) * 2
        length = (
            (0.17 + 0.09 * rng.random()) * scale * (0.5 + 0.5 * np.clip(2.5 * min(1 + outwards, 1 - outwards), 0, 1))
        )
        turn = outwards * 0.7 + rng.normal(0, 0.10)
        s = np.linspace(0, 1, 12)
        xs = start + length * (turn * s)
        ys = edge_y[start] + length * (s * 0.85 - 0.15 * s**2)
        stroke = np.zeros(shape, np.float32)
        points = np.rint(np.stack([xs, ys], 1) * 16).astype(np.int32)
        cv2.polylines(stroke, [points], False, 0.5, 1, cv2.LINE_AA, 4)
        cover = 1 - (1 - cover) * (1 - stroke)
    return np.asarray(np.minimum(cv2.GaussianBlur(cover, (0, 0), 0.2 * FINE), 0.85), np.float32)


def _lash_colour(photo: Picture, upper: Floats, scale: float) -> Floats:
    """BGR of the darkest third along the open upper lid's edge."""
    rows = np.clip(np.rint(upper[:, 1]).astype(int)[:, None] + np.arange(-2, 2), 0, photo.shape[0] - 1)
    columns = np.clip(np.rint(upper[:, 0]).astype(int), 0, photo.shape[1] - 1)[:, None]
    colours = photo[rows, columns].reshape(-1, 3).astype(np.float32)
    order = np.argsort(colours.sum(1))
    return np.asarray(0.8 * colours[order[: max(len(order) // 3, 1)]].mean(0), np.float32)
