"""Tapes and cables, pixel by pixel: kernels of engines/face/electrodes.py. Pictures are changed in place.

A ribbon (cable, cap) is first swept over scratch planes, each pixel keeping the nearest piece, and then laid over the
picture once: pieces of one ribbon never darken each other.
"""

from __future__ import annotations

import math

import numpy as np

from engines.face.arrays import Floats, Picture
from engines.kernels import kernel

# Columns of a tape's row, all in cm unless said otherwise.
(CENTRE_X, CENTRE_Y, LEFT_X, LEFT_Y, UP_X, UP_Y, HALF, ROUND, SLANT, BEND, DISC, DISC_X, DISC_Y, DARK, SEEN, SHADE,
 LIFT, CREASE, CREASE_ANGLE, OPACITY) = range(20)  # fmt: skip
TAPE_NUMBERS = 20
_SHADOW_CM = 0.16  # how far a tape's contact shadow reaches
_RIDGE_CM = 0.07  # the tape bulges over the disc's border
GRAIN = 64  # side of the table of cloth texture

# Columns of a ribbon's row.
HALF_PX, BLUE, GREEN, RED, BRAID, SHINE, COVER, FLAT = range(8)
RIBBON_NUMBERS = 8


@kernel
def lay_tape(
    tape: Floats, towards: Floats, white: Floats, dark: Floats, grain: Floats, picture: Picture, mask: Picture
) -> None:
    """One tape with its disc and its shadow.

    tape: (TAPE_NUMBERS,) float32; (LEFT, UP) are px per cm along the tape's sides.  towards: (3,) to the lamp.
    white, dark: (3,) BGR of tape and disc.  grain: (GRAIN, GRAIN), -1..1.
    """
    a, b, c, d = tape[LEFT_X], tape[UP_X], tape[LEFT_Y], tape[UP_Y]
    det = a * d - b * c
    if abs(det) < 1e-6:
        return
    px_per_cm = math.sqrt(abs(det))
    reach = (tape[HALF] * 1.5 + _SHADOW_CM + 0.1) * max(math.hypot(a, c), math.hypot(b, d))
    y0, y1 = max(int(tape[CENTRE_Y] - reach), 0), min(int(tape[CENTRE_Y] + reach) + 2, picture.shape[0])
    x0, x1 = max(int(tape[CENTRE_X] - reach), 0), min(int(tape[CENTRE_X] + reach) + 2, picture.shape[1])
    # the shadow falls away from the lamp: seen in the tape's own axes
    fall_x, fall_y = -towards[0] * np.float32(0.08) * px_per_cm, towards[1] * np.float32(0.08) * px_per_cm
    drop_p, drop_q = (d * fall_x - b * fall_y) / det, (a * fall_y - c * fall_x) / det
    turn_c, turn_s = math.cos(tape[CREASE_ANGLE]), math.sin(tape[CREASE_ANGLE])
    lamp_p, lamp_q = -drop_p / np.float32(0.08), -drop_q / np.float32(0.08)
    for y in range(y0, y1):
        for x in range(x0, x1):
            dx, dy = x - tape[CENTRE_X], y - tape[CENTRE_Y]
            p, q = (d * dx - b * dy) / det, (a * dy - c * dx) / det
            shadow = _edge_cm(p - drop_p, q - drop_q, tape)
            lifted = tape[LIFT] * max(p + q, np.float32(0)) / tape[HALF]  # one corner stands off
            fade = 1 - max(shadow, np.float32(0)) / (_SHADOW_CM * (1 + lifted))
            dim = np.float32(0.42) * max(fade, np.float32(0)) ** 2 * tape[SEEN]
            edge = _edge_cm(p, q, tape)
            cover = min(max(np.float32(0.5) - edge * px_per_cm, np.float32(0)), np.float32(1)) * tape[SEEN]
            if cover == 0 and dim == 0:
                continue
            for k in range(3):
                picture[y, x, k] = np.uint8(picture[y, x, k] * (1 - dim) + np.float32(0.5))
            if cover == 0:
                continue
            rim = min(max(-edge / np.float32(0.06), np.float32(0)), np.float32(1))
            cover *= tape[OPACITY] * (np.float32(0.8) + np.float32(0.2) * rim)
            radius = math.hypot(p - tape[DISC_X], q - tape[DISC_Y])
            ridge = math.exp(-(((radius - tape[DISC]) / _RIDGE_CM) ** 2))
            slope = ((p - tape[DISC_X]) * lamp_p + (q - tape[DISC_Y]) * lamp_q) / max(radius, np.float32(0.02))
            bright = tape[SHADE] * (1 + np.float32(0.16) * ridge * slope)
            crease = (p * turn_c + q * turn_s) / np.float32(0.035)
            bright *= 1 - tape[CREASE] * math.exp(-crease * crease)
            bright *= 1 + np.float32(0.02) * grain[int(p * 40) % GRAIN, int(q * 40) % GRAIN]
            bright *= 1 + np.float32(0.10) * lifted
            disc = min(max(np.float32(0.5) - (radius - tape[DISC]) * px_per_cm, np.float32(0)), np.float32(1))
            disc *= tape[DARK] * (1 - np.float32(0.25) * max(slope, np.float32(0)) * radius / tape[DISC])
            for k in range(3):
                value = bright * (white[k] + disc * (dark[k] - white[k]))
                value = picture[y, x, k] + cover * (value - picture[y, x, k])
                picture[y, x, k] = np.uint8(min(max(value + np.float32(0.5), np.float32(0)), np.float32(255)))
            mask[y, x] = np.uint8(max(np.float32(mask[y, x]), 255 * cover))


@kernel
def _edge_cm(p: float, q: float, tape: Floats) -> float:
    """Signed distance from a hand-cut rounded square, cm; negative inside."""
    across = p * (1 + tape[SLANT] * q / tape[HALF])
    along = q * (1 - tape[SLANT] * p / tape[HALF]) + tape[BEND] * p * p
    u, v = abs(across) - tape[HALF] + tape[ROUND], abs(along) - tape[HALF] + tape[ROUND]
    outside = math.hypot(max(u, np.float32(0)), max(v, np.float32(0)))
    return float(outside + min(max(u, v), np.float32(0)) - tape[ROUND])


@kernel
def sweep(points: Floats, halves: Floats, soft: np.float32, planes: Floats, box: np.ndarray) -> None:
    """Mark a ribbon along points (n, 2) px, `halves` (n,) px to either side, its border `soft` px wide.

    planes: (3, H, W) float32, zero where nothing was swept: cover 0..1, across (1 = the border), along px.  box: (4,)
    int64, set to what was touched (top, bottom, left, right; bottom and right not included).
    """
    height, width = planes.shape[1], planes.shape[2]
    one, none, middle = np.float32(1), np.float32(0), np.float32(0.5)
    box[0], box[1], box[2], box[3] = height, 0, width, 0
    along = none
    for i in range(points.shape[0] - 1):
        ax, ay = points[i, 0], points[i, 1]
        ex, ey = points[i + 1, 0] - ax, points[i + 1, 1] - ay
        square = ex * ex + ey * ey
        if square < np.float32(1e-6):
            continue
        length, inverse, grows = np.float32(math.sqrt(square)), one / square, halves[i + 1] - halves[i]
        reach = max(halves[i], halves[i + 1]) + middle * soft
        far = reach * reach
        y0, y1 = max(int(min(ay, ay + ey) - reach), 0), min(int(max(ay, ay + ey) + reach) + 2, height)
        x0, x1 = max(int(min(ax, ax + ex) - reach), 0), min(int(max(ax, ax + ex) + reach) + 2, width)
        for y in range(y0, y1):
            for x in range(x0, x1):
                dx, dy = np.float32(x) - ax, np.float32(y) - ay
                t = min(max((dx * ex + dy * ey) * inverse, none), one)
                qx, qy = dx - t * ex, dy - t * ey
                away = qx * qx + qy * qy
                if away >= far:
                    continue
                away, half = np.float32(math.sqrt(away)), halves[i] + t * grows
                cover = min((half + middle * soft - away) / soft, one)
                if cover > 0 and (planes[0, y, x] == 0 or away < abs(planes[1, y, x]) * half):
                    planes[0, y, x] = cover
                    planes[1, y, x] = (away if dx * ey > dy * ex else -away) / half
                    planes[2, y, x] = along + t * length
        along += length
        if y1 > y0 and x1 > x0:
            box[0], box[1], box[2], box[3] = min(box[0], y0), max(box[1], y1), min(box[2], x0), max(box[3], x1)


@kernel
def cast(strength: np.float32, planes: Floats, box: np.ndarray, picture: Picture) -> None:
    """Darken the picture under what was swept, and clear it."""
    for y in range(box[0], box[1]):
        for x in range(box[2], box[3]):
            cover = planes[0, y, x]
            if cover > 0:
                planes[0, y, x] = 0
                keep = np.float32(1) - strength * cover * cover * (np.float32(3) - np.float32(2) * cover)
                for k in range(3):
                    picture[y, x, k] = np.uint8(picture[y, x, k] * keep + np.float32(0.5))


@kernel
def lay_ribbon(ribbon: Floats, shade: float, planes: Floats, box: np.ndarray, picture: Picture, mask: Picture) -> None:
    """Lay what was swept over the picture as a round cable (or woven cloth), and clear it.

    ribbon: (RIBBON_NUMBERS,) float32: half width px (of the braid), BGR, braid 0..1 (turns show), shine 0..1, cover
    0..1, flat 0..1 (1: cloth, 0: round).
    """
    turn = np.float32(1.3) / max(ribbon[HALF_PX], np.float32(0.8))
    for y in range(box[0], box[1]):
        for x in range(box[2], box[3]):
            cover = planes[0, y, x] * ribbon[COVER]
            if cover <= 0:
                continue
            planes[0, y, x] = 0
            across, along = planes[1, y, x], planes[2, y, x]
            round_ = np.float32(0.45) * (1 - ribbon[FLAT])
            bright = 1 - round_ * (1 - math.sqrt(max(1 - across * across, np.float32(0))))
            bright *= 1 - ribbon[BRAID] * (np.float32(0.5) + np.float32(0.5) * math.sin(along * turn + 3 * across))
            bright *= shade
            shine = ribbon[SHINE] * math.exp(-(((across + np.float32(0.35)) / np.float32(0.28)) ** 2))
            for k in range(3):
                value = bright * ribbon[BLUE + k] + shine * shade * 90
                value = picture[y, x, k] + cover * (value - picture[y, x, k])
                picture[y, x, k] = np.uint8(min(max(value + np.float32(0.5), np.float32(0)), np.float32(255)))
            mask[y, x] = np.uint8(max(np.float32(mask[y, x]), 255 * cover))
