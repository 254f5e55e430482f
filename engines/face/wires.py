"""Cables over a picture, segment by segment: round, lit, hidden by what is nearer.

A cable is a chain of points.  Each pixel near it belongs to one segment only (they are parted along the bisectors of
their joints), so a cable never covers itself twice and its soft border stays as soft.
"""

from __future__ import annotations

import math

import numpy as np

from engines.face.arrays import Floats, Indices, Picture
from engines.face.tapes import cover_of, dim
from engines.kernels import kernel

# Columns of a cable's row
RADIUS, CABLE_BLUE, CABLE_GREEN, CABLE_RED, SHINY, STREAK = range(6)
CABLE_COLUMNS = 6
_HIDDEN_CM = np.float32(0.3)  # skin that is so much nearer hides a cable
_BLUR_CM = np.float32(0.1)  # of a cable's shadow
_FLATLY = np.float32(0.4)  # facing from which on a cable's shadow cannot miss the head
_THINNEST_PX = np.float32(0.42)  # a cable does not get thinner in a small picture, only fainter


@kernel
def directions(points: Floats, chain: Indices, out: Floats) -> None:
    """out (n, 2): unit vectors in the picture along each cable at its points, from one neighbour to the other.

    chain: (n,) which cable a point belongs to.
    """
    count = points.shape[0]
    for i in range(count):
        before = i - 1 if i > 0 and chain[i - 1] == chain[i] else i
        after = i + 1 if i + 1 < count and chain[i + 1] == chain[i] else i
        x, y = points[after, 0] - points[before, 0], points[after, 1] - points[before, 1]
        length = math.hypot(x, y)
        out[i, 0], out[i, 1] = (x / length, y / length) if length > 1e-6 else (np.float32(1), np.float32(0))


@kernel
def views(facing: Floats, chain: Indices, slips: Floats, out: Floats) -> None:
    """out (n,): how far each point is in view, 0..1, from how the skin under it faces, evened out along its cable.

    slips: (n,) subtracted from that.
    """
    count = facing.shape[0]
    for i in range(count):
        total, n = np.float32(0), 0
        for j in range(max(i - 2, 0), min(i + 3, count)):
            if chain[j] == chain[i]:
                total += facing[j]
                n += 1
        out[i] = cover_of(total / n + np.float32(0.1) - slips[i])


@kernel
def shade_wires(
    points: Floats,
    view: Floats,
    facing: Floats,
    height_cm: Floats,
    chain: Indices,
    wires: Floats,
    scale: float,
    towards: Floats,
    strength: float,
    depth: Floats,
    shadow: Picture,
    box: Indices,
) -> None:
    """Mark where cables shade the skin.

    facing: (n,) how far the skin under each point faces the viewer.  height_cm: (n,) above it, very large where no skin
    is near.
    """
    rows, columns = shadow.shape
    one, none = np.float32(1), np.float32(0)
    for i in range(points.shape[0] - 1):
        if chain[i] != chain[i + 1] or view[i] <= 0 or height_cm[i] > np.float32(1.0):
            continue
        lift = height_cm[i] * scale
        reach = (
            max(wires[chain[i], RADIUS] * scale, np.float32(0.5)) + (_BLUR_CM + np.float32(0.35) * height_cm[i]) * scale
        )
        ax, ay = points[i, 0] - towards[0] * lift, points[i, 1] + towards[1] * lift
        ex, ey = points[i + 1, 0] - points[i, 0], points[i + 1, 1] - points[i, 1]
        square = ex * ex + ey * ey
        if square < 1e-6:
            continue
        x0, x1 = max(int(min(ax, ax + ex) - reach), 0), min(int(max(ax, ax + ex) + reach) + 2, columns)
        y0, y1 = max(int(min(ay, ay + ey) - reach), 0), min(int(max(ay, ay + ey) + reach) + 2, rows)
        if x1 <= x0 or y1 <= y0:
            continue
        inverse, over = one / square, one / (reach * reach)
        dark = 255 * strength * view[i] / (1 + 2 * height_cm[i])
        far = points[i, 2] + _HIDDEN_CM * scale
        wall = -np.inf if facing[i] > _FLATLY else np.float32(-1e30)  # near its outline a head's shadow could miss it
        for y in range(y0, y1):
            for x in range(x0, x1):
                dx, dy = x - ax, y - ay
                t = min(max((dx * ex + dy * ey) * inverse, none), one)
                dx -= t * ex
                dy -= t * ey
                fade = 1 - (dx * dx + dy * dy) * over
                if fade > 0 and wall <= depth[y, x] < far:
                    shadow[y, x] = max(shadow[y, x], np.uint8(dark * fade * fade))
        box[0], box[1], box[2], box[3] = min(box[0], y0), max(box[1], y1), min(box[2], x0), max(box[3], x1)


@kernel
def lay_wires(
    points: Floats,
    along: Floats,
    view: Floats,
    chain: Indices,
    order: Indices,
    wires: Floats,
    scale: float,
    towards: Floats,
    white: Floats,
    depth: Floats,
    picture: Picture,
    mask: Picture,
) -> None:
    """Lay cables over a picture.

    points: (n, 3) px.  along: (n, 2) of `directions`.  order: (m,) segments by their first point, the lowest first.
    wires: (cable, CABLE_COLUMNS): radius cm, BGR 0..1 against a white sheet, shine and streaks 0..1.
    """
    rows, columns = mask.shape
    one, none = np.float32(1), np.float32(0)
    for m in range(order.shape[0]):
        i = order[m]
        j = i + 1
        seen = np.float32(0.5) * (view[i] + view[j])
        if seen <= 0:
            continue
        wire = wires[chain[i]]
        radius = wire[RADIUS] * scale
        if radius < _THINNEST_PX:
            seen *= radius / _THINNEST_PX
            radius = _THINNEST_PX
        ax, ay, az = points[i, 0], points[i, 1], points[i, 2]
        bx, by, bz = points[j, 0], points[j, 1], points[j, 2]
        reach = radius + 1
        x0, x1 = max(int(min(ax, bx) - reach), 0), min(int(max(ax, bx) + reach) + 2, columns)
        y0, y1 = max(int(min(ay, by) - reach), 0), min(int(max(ay, by) + reach) + 2, rows)
        ex, ey = bx - ax, by - ay
        length = math.hypot(ex, ey)
        if x1 <= x0 or y1 <= y0 or length < 1e-3:
            continue
        ex, ey = ex / length, ey / length
        most = min(one, 2 * radius)
        hidden = max(az, bz) + _HIDDEN_CM * scale
        # across the cable, picture axes with y up, pointing to where `side` grows
        lamp_side = -ey * towards[0] - ex * towards[1]
        lamp_front = towards[2]
        streak = one - wire[STREAK] * (np.float32(0.5) + np.float32(0.5) * math.sin(np.float32(1.7) * i + 3 * chain[i]))
        for y in range(y0, y1):
            for x in range(x0, x1):
                dx, dy = x - ax, y - ay
                side = dy * ex - dx * ey
                cover = min(radius + np.float32(0.5) - abs(side), most)
                if cover <= 0 or dx * along[i, 0] + dy * along[i, 1] < 0:
                    continue
                if (x - bx) * along[j, 0] + (y - by) * along[j, 1] >= 0 or depth[y, x] > hidden:
                    continue
                cover *= seen
                across = min(max(side / (radius + np.float32(0.3)), -one), one)
                front = math.sqrt(one - across * across)
                lit = max(across * lamp_side + front * lamp_front, none)
                bright = (np.float32(0.58) + np.float32(0.42) * lit) * streak
                glint = wire[SHINY] * lit**12
                for k in range(3):
                    value = white[k] * min(wire[CABLE_BLUE + k] * bright + glint, np.float32(1.06))
                    value = picture[y, x, k] + cover * (value - picture[y, x, k])
                    picture[y, x, k] = np.uint8(min(max(value + np.float32(0.5), none), np.float32(255)))
                left = (255 - np.float32(mask[y, x])) * (1 - cover)
                mask[y, x] = np.uint8(255 - left + np.float32(0.5))


@kernel
def darken(shadow: Picture, box: Indices, picture: Picture, lost: Picture) -> None:
    """Take light away where `shadow` says so, add that to `lost` (H, W), and clear shadow and box."""
    for y in range(box[0], box[1]):
        for x in range(box[2], box[3]):
            if shadow[y, x] > 0:
                dim(shadow[y, x] * np.float32(1 / 255), y, x, picture, lost)
                shadow[y, x] = 0
    box[0], box[1], box[2], box[3] = shadow.shape[0], 0, shadow.shape[1], 0
