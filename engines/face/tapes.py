"""Adhesive tapes on skin, pixel by pixel: each lies on a bent patch of the surface and is lit by the light on it.

A patch maps (u, v), cm along the skin, to the picture by a quadratic (engines/face/skin_surface.py); for every pixel
around, that is solved for (u, v), and everything else is drawn there, in centimetres.
"""

from __future__ import annotations

import math

import numpy as np

from engines.face.arrays import Floats, Indices, Picture
from engines.face.skin_light import Real, shade_of
from engines.kernels import kernel

# Columns of a tape's row.  Lengths in cm.
COLUMNS = (
    "half_p", "half_q",  # half its sides
    "round",  # radius of its corners
    "cos", "sin",  # how its p axis lies against the skin's u
    "tilt_0", "tilt_1", "tilt_2", "tilt_3",  # by which each border is cut askew: right, left, upper, lower
    "wave", "wave_at",  # of the borders: amplitude, phase
    "opacity", "rim",  # 0..1 in the middle, and at the border
    "blue", "green", "red",  # albedo against a white sheet
    "grain",  # of its cloth, 0..1
    "crease", "crease_at", "crease_cos", "crease_sin",  # strength, distance from the middle, across which direction
    "lift", "lift_cos", "lift_sin",  # how far a corner stands off, and which
    "disc", "disc_p", "disc_q",  # radius (0 = none) and middle
    "disc_cover", "disc_soft", "disc_blue", "disc_green", "disc_red",  # 0..1, border, colour like the tape's
    "dome", "shine",  # how much the disc bulges, and how shiny it is, 0..1
    "lead_cos", "lead_sin", "lead",  # which way its cable leaves, and how well that shows through the tape, 0..1
)  # fmt: skip
COLUMN = {name: i for i, name in enumerate(COLUMNS)}
(
    HALF_P, HALF_Q, ROUND, COS, SIN, TILT_0, TILT_1, TILT_2, TILT_3, WAVE, WAVE_AT, OPACITY, RIM, BLUE, GREEN, RED,
    GRAIN, CREASE, CREASE_AT, CREASE_COS, CREASE_SIN, LIFT, LIFT_COS, LIFT_SIN, DISC, DISC_P, DISC_Q, DISC_COVER,
    DISC_SOFT, DISC_BLUE, DISC_GREEN, DISC_RED, DOME, SHINE, LEAD_COS, LEAD_SIN, LEAD,
) = range(len(COLUMNS))  # fmt: skip

GRAIN_SIDE = 64  # of the table of cloth texture
_GRAIN_PER_CM = np.float32(36.0)
_RIM_CM = np.float32(0.05)
_SHADOW_CM = np.float32(0.13)  # how far a tape's shadow reaches beyond it
_HEIGHT_CM = np.float32(0.06)  # of a tape above the skin
_TAPE_DEPTH_CM = np.float32(0.45)  # skin that is so much nearer hides a tape
_RIDGE_CM = np.float32(0.07)
_FACING_FROM, _FACING_TO = np.float32(0.04), np.float32(0.18)
_SETTLED_CM = np.float32(0.25)
_NOWHERE = np.float32(1e3)
_MOST_OFF_PX2 = np.float32(1.0)
_FLATLY = np.float32(0.5)  # facing from which on a tape and its shadow cannot reach the head's outline
_ASKEW = np.float32(1.1)  # by which a hand-cut tape may be larger than its sides say
_STIFFNESS = np.float32(0.6)  # of tape against the stretch of skin, 0..1


@kernel
def bend_patches(projected: Floats, vertices: Indices, shares: Floats, out: Floats) -> None:
    """out (n, 6, 3): the factors of 1, u, v, u^2, uv, v^2 of each patch in the picture, px."""
    for i in range(vertices.shape[0]):
        for j in range(6):
            for k in range(3):
                out[i, j, k] = 0
        for m in range(vertices.shape[1]):
            row = vertices[i, m]
            for j in range(6):
                share = shares[i, j, m]
                for k in range(3):
                    out[i, j, k] += share * projected[row, k]


@kernel
def _inverse(patch: Floats, u: Real, v: Real) -> tuple[Real, Real, Real, Real, Real]:
    """Of the patch's map from (u, v) to (x, y): du/dx, du/dy, dv/dx, dv/dy and the map's determinant, at (u, v)."""
    xu = patch[1, 0] + 2 * patch[3, 0] * u + patch[4, 0] * v
    xv = patch[2, 0] + patch[4, 0] * u + 2 * patch[5, 0] * v
    yu = patch[1, 1] + 2 * patch[3, 1] * u + patch[4, 1] * v
    yv = patch[2, 1] + patch[4, 1] * u + 2 * patch[5, 1] * v
    det = xu * yv - xv * yu
    if det > -1e-6:  # y runs down in the picture, so skin that faces the viewer has a negative one
        return np.float32(0), np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    return yv / det, -xv / det, -yu / det, xu / det, det


@kernel
def _edge_cm(p: Real, q: Real, tape: Floats) -> Real:
    """Distance from a hand-cut tape's border, cm, negative inside."""
    right = p + tape[TILT_0] * q - tape[HALF_P]
    left = -p + tape[TILT_1] * q - tape[HALF_P]
    upper = q + tape[TILT_2] * p - tape[HALF_Q]
    lower = -q + tape[TILT_3] * p - tape[HALF_Q]
    turn = tape[WAVE_AT] + np.float32(2.0) * (p - q)
    turn -= math.floor(turn) + np.float32(0.5)
    wave = tape[WAVE] * np.float32(16.0) * turn * (np.float32(0.5) - abs(turn))  # about a sine
    across, along = max(right, left) + tape[ROUND] + wave, max(upper, lower) + tape[ROUND] - wave
    if across > 0 and along > 0:
        return math.sqrt(across * across + along * along) - tape[ROUND]
    return max(across, along) - tape[ROUND]


@kernel
def facing_of(patch: Floats) -> Real:
    """How far the middle of a patch faces the viewer, -1..1."""
    ax, ay, az = patch[1, 0], -patch[1, 1], patch[1, 2]
    bx, by, bz = patch[2, 0], -patch[2, 1], patch[2, 2]
    x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    return z / max(math.sqrt(x * x + y * y + z * z), np.float32(1e-9))


@kernel
def cover_of(facing: Real) -> Real:
    """How far a tape or cable comes into view that turns towards the viewer, 0..1."""
    t = min(max((facing - _FACING_FROM) / (_FACING_TO - _FACING_FROM), np.float32(0)), np.float32(1))
    return t * t * (3 - 2 * t)


@kernel
def _extent_px(patch: Floats, tape: Floats, beyond_cm: Real) -> tuple[Real, Real]:
    """Half the width and half the height of the box around a tape."""
    cos, sin = abs(tape[COS]), abs(tape[SIN])
    u = (tape[HALF_P] * cos + tape[HALF_Q] * sin) * _ASKEW + beyond_cm
    v = (tape[HALF_Q] * cos + tape[HALF_P] * sin) * _ASKEW + beyond_cm
    x = u * abs(patch[1, 0]) + v * abs(patch[2, 0])
    y = u * abs(patch[1, 1]) + v * abs(patch[2, 1])
    x += u * u * abs(patch[3, 0]) + u * v * abs(patch[4, 0]) + v * v * abs(patch[5, 0])
    y += u * u * abs(patch[3, 1]) + u * v * abs(patch[4, 1]) + v * v * abs(patch[5, 1])
    return x + 1, y + 1


@kernel
def _stretch(patch: Floats, scale: Real) -> tuple[Real, Real]:
    """By how much tape shrinks against (u, v) because it does not stretch with skin."""
    along_u = math.sqrt(patch[1, 0] ** 2 + patch[1, 1] ** 2 + patch[1, 2] ** 2) / scale
    along_v = math.sqrt(patch[2, 0] ** 2 + patch[2, 1] ** 2 + patch[2, 2] ** 2) / scale
    return 1 + _STIFFNESS * (along_u - 1), 1 + _STIFFNESS * (along_v - 1)


@kernel
def _depth_of(patch: Floats, u: Real, v: Real) -> Real:
    return (
        patch[0, 2]
        + u * patch[1, 2]
        + v * patch[2, 2]
        + u * u * patch[3, 2]
        + u * v * patch[4, 2]
        + v * v * patch[5, 2]
    )


@kernel
def _unbend(patch: Floats, flat: tuple[Real, Real, Real, Real, Real], out: Floats) -> None:
    """out (6,): the quadratic part of a patch in its own (u, v), cm: of u by u^2, uv, v^2, then of v.

    flat: `_inverse` in the patch's middle.
    """
    for k in range(3):
        out[k] = flat[0] * patch[3 + k, 0] + flat[1] * patch[3 + k, 1]
        out[3 + k] = flat[2] * patch[3 + k, 0] + flat[3] * patch[3 + k, 1]


@kernel
def _solve(flat_u: Real, flat_v: Real, bent: Floats) -> tuple[Real, Real]:
    """(u, v) of a bent patch from where a flat one would be, by two rounds of substitution; far away where it fails.

    Patches bend little over a tape: the error stays below 0.1 mm until the skin is seen from the side.
    """
    u, v = flat_u, flat_v
    before = u
    for _ in range(2):
        uu, uv, vv = u * u, u * v, v * v
        before = u + v
        u = flat_u - bent[0] * uu - bent[1] * uv - bent[2] * vv
        v = flat_v - bent[3] * uu - bent[4] * uv - bent[5] * vv
    return (u, v) if abs(u + v - before) < _SETTLED_CM else (_NOWHERE, _NOWHERE)


@kernel
def _off_px2(patch: Floats, u: Real, v: Real, x: Real, y: Real) -> Real:
    """How far from (x, y), px from the patch's middle, a place (u, v) is seen: px squared; far where it faces away."""
    off_x = x - u * patch[1, 0] - v * patch[2, 0] - u * u * patch[3, 0] - u * v * patch[4, 0] - v * v * patch[5, 0]
    off_y = y - u * patch[1, 1] - v * patch[2, 1] - u * u * patch[3, 1] - u * v * patch[4, 1] - v * v * patch[5, 1]
    xu = patch[1, 0] + 2 * patch[3, 0] * u + patch[4, 0] * v
    xv = patch[2, 0] + patch[4, 0] * u + 2 * patch[5, 0] * v
    yu = patch[1, 1] + 2 * patch[3, 1] * u + patch[4, 1] * v
    yv = patch[2, 1] + patch[4, 1] * u + 2 * patch[5, 1] * v
    return off_x * off_x + off_y * off_y if xu * yv < xv * yu else _NOWHERE


@kernel
def lay_tapes(
    tapes: Floats,
    patches: Floats,
    scale: Real,
    light: Floats,
    towards: Floats,
    white: Floats,
    strength: Real,
    grain: Floats,
    depth: Floats,
    picture: Picture,
    mask: Picture,
    lost: Picture,
) -> None:
    """Lay tapes with their discs and shadows over a picture, in order.

    light: (4,) of engines/face/skin_light.py.  towards: (3,) to the lamp.  white: (3,) what a white sheet that faces
    the viewer looks like.  strength: of shadows, 0..1.  grain: (GRAIN_SIDE, GRAIN_SIDE), -1..1.  mask: (H, W), 255 x
    how far a pixel is covered.  lost: (H, W), 255 x how much light shadows take away.
    """
    for i in range(tapes.shape[0]):
        cover = cover_of(facing_of(patches[i]))
        if cover > 0:
            _lay_tape(
                tapes[i], patches[i], scale, cover, light, towards, white, strength, grain, depth, picture, mask, lost
            )


@kernel
def _lay_tape(
    tape: Floats,
    patch: Floats,
    scale: Real,
    seen: Real,
    light: Floats,
    towards: Floats,
    white: Floats,
    strength: Real,
    grain: Floats,
    depth: Floats,
    picture: Picture,
    mask: Picture,
    lost: Picture,
) -> None:
    height, width = mask.shape
    one, none = np.float32(1), np.float32(0)
    flat = _inverse(patch, none, none)
    if flat[4] == 0:
        return
    reach = _SHADOW_CM * (1 + 2 * tape[LIFT])
    half_x, half_y = _extent_px(patch, tape, reach + _HEIGHT_CM)
    stretch_u, stretch_v = _stretch(patch, scale)
    squeezed = max(np.float32(0.92) - min(stretch_u, stretch_v), none)  # of skin that bunches up: tape crumples
    crease = min(tape[CREASE] + 6 * squeezed, np.float32(0.7))
    # where the shadow comes from, along p and q: towards the lamp
    fall_x, fall_y = -towards[0] * _HEIGHT_CM * scale, towards[1] * _HEIGHT_CM * scale
    fall_u, fall_v = flat[0] * fall_x + flat[1] * fall_y, flat[2] * fall_x + flat[3] * fall_y
    fall_u, fall_v = min(max(fall_u, -reach), reach), min(max(fall_v, -reach), reach)
    fall_p, fall_q = fall_u * tape[COS] + fall_v * tape[SIN], fall_v * tape[COS] - fall_u * tape[SIN]
    per_cm = min(one / max(math.hypot(flat[0], flat[1]), math.hypot(flat[2], flat[3])), scale)  # px
    flatly_seen = facing_of(patch) > _FLATLY
    bent, frame = np.empty(6, np.float32), np.empty((5, 3), np.float32)
    _unbend(patch, flat, bent)
    _frame(patch, tape, frame)
    most = reach + math.hypot(fall_p, fall_q)
    out_of_reach = (max(tape[HALF_P], tape[HALF_Q]) * np.float32(1.42) + most) ** 2
    for y in range(max(int(patch[0, 1] - half_y), 0), min(int(patch[0, 1] + half_y) + 2, height)):
        for x in range(max(int(patch[0, 0] - half_x), 0), min(int(patch[0, 0] + half_x) + 2, width)):
            dx, dy = np.float32(x) - patch[0, 0], np.float32(y) - patch[0, 1]
            u, v = flat[0] * dx + flat[1] * dy, flat[2] * dx + flat[3] * dy
            if u * u + v * v > np.float32(1.5) * out_of_reach:
                continue
            u, v = _solve(u, v, bent)
            s, t = u * stretch_u, v * stretch_v
            p, q = s * tape[COS] + t * tape[SIN], t * tape[COS] - s * tape[SIN]
            edge = _edge_cm(p, q, tape)
            if edge > most or depth[y, x] > _depth_of(patch, u, v) + _TAPE_DEPTH_CM * scale:
                continue
            if not flatly_seen and _off_px2(patch, u, v, dx, dy) > _MOST_OFF_PX2:  # beyond where the skin turns away
                continue
            cover = min(max(np.float32(0.5) - edge * per_cm, none), one) * seen
            if cover < one and (flatly_seen or depth[y, x] > -np.inf):  # else its shadow could fall on the wall
                beyond = max(_edge_cm(p - fall_p, q - fall_q, tape), none)
                lifted = max(p * tape[LIFT_COS] + q * tape[LIFT_SIN], none) / tape[HALF_P]
                fade = one - beyond / (_SHADOW_CM * (one + 2 * tape[LIFT] * lifted))
                if fade > 0:
                    dim(strength * seen * fade * fade * (one - cover), y, x, picture, lost)
            if cover <= 0:
                continue
            inner = min(max(-edge / _RIM_CM, none), one)
            cover *= tape[RIM] + (tape[OPACITY] - tape[RIM]) * inner
            slope_p, slope_q, disc = _relief(tape, p, q, per_cm, crease)
            bright, mirror = _lit(frame, u, v, slope_p, slope_q, light, towards)
            bright *= one + tape[GRAIN] * _cloth(grain, p, q)
            shine = tape[SHINE] * mirror * (np.float32(0.15) + disc)
            whole = max(cover, disc * seen)
            for k in range(3):
                value = tape[BLUE + k] + disc * (tape[DISC_BLUE + k] - tape[BLUE + k])
                value = white[k] * (value * bright + shine)
                if value > 232:  # a camera's highlights roll off
                    value = 232 + 23 * (one - math.exp((232 - value) / 23))
                value = picture[y, x, k] + whole * (value - picture[y, x, k])
                picture[y, x, k] = np.uint8(min(max(value + np.float32(0.5), none), np.float32(255)))
            left = (255 - np.float32(mask[y, x])) * (one - whole)
            mask[y, x] = np.uint8(255 - left + np.float32(0.5))


@kernel
def dim(share: Real, y: int, x: int, picture: Picture, lost: Picture) -> None:
    """Take light away from a pixel.  Shadows on skin are a little warmer than grey: light comes through it."""
    keep = 1 - share
    picture[y, x, 0] = np.uint8(picture[y, x, 0] * keep + np.float32(0.5))
    picture[y, x, 1] = np.uint8(picture[y, x, 1] * keep + np.float32(0.5))
    picture[y, x, 2] = np.uint8(picture[y, x, 2] * (keep + np.float32(0.1) * share) + np.float32(0.5))
    lost[y, x] = np.uint8(255 - (255 - np.float32(lost[y, x])) * keep + np.float32(0.5))


@kernel
def _frame(patch: Floats, tape: Floats, out: Floats) -> None:
    """out (5, 3): a patch's normal in its middle, the normal's change per cm of u and of v, unit vectors along the
    tape's p and q; in the picture's axes with y up.
    """
    for step in range(3):  # the middle last
        u = np.float32(0.2) if step == 0 else np.float32(0)
        v = np.float32(0.2) if step == 1 else np.float32(0)
        ax, ay = (
            patch[1, 0] + 2 * patch[3, 0] * u + patch[4, 0] * v,
            patch[1, 1] + 2 * patch[3, 1] * u + patch[4, 1] * v,
        )
        bx, by = (
            patch[2, 0] + patch[4, 0] * u + 2 * patch[5, 0] * v,
            patch[2, 1] + patch[4, 1] * u + 2 * patch[5, 1] * v,
        )
        az = patch[1, 2] + 2 * patch[3, 2] * u + patch[4, 2] * v
        bz = patch[2, 2] + patch[4, 2] * u + 2 * patch[5, 2] * v
        nx, ny, nz = -ay * bz + az * by, az * bx - ax * bz, -ax * by + ay * bx
        length = max(math.sqrt(nx * nx + ny * ny + nz * nz), np.float32(1e-6))
        row = (step + 1) % 3
        out[row, 0], out[row, 1], out[row, 2] = nx / length, ny / length, nz / length
    for k in range(3):
        out[1, k] = (out[1, k] - out[0, k]) * 5
        out[2, k] = (out[2, k] - out[0, k]) * 5
    la = 1 / math.sqrt(ax * ax + ay * ay + az * az + np.float32(1e-12))
    lb = 1 / math.sqrt(bx * bx + by * by + bz * bz + np.float32(1e-12))
    for k, (a, b) in enumerate(((ax * la, bx * lb), (-ay * la, -by * lb), (az * la, bz * lb))):
        out[3, k] = tape[COS] * a + tape[SIN] * b
        out[4, k] = tape[COS] * b - tape[SIN] * a


@kernel
def _relief(tape: Floats, p: Real, q: Real, per_cm: Real, crease: Real) -> tuple[Real, Real, Real]:
    """Slopes along p and q of a tape over what lies under it, and how far the disc shows through."""
    one, none = np.float32(1), np.float32(0)
    slope_p = slope_q = disc = none
    dp, dq = p - tape[DISC_P], q - tape[DISC_Q]
    if tape[DISC] > 0:
        away = math.sqrt(dp * dp + dq * dq)
        disc = min(max(np.float32(0.5) - (away - tape[DISC]) / max(tape[DISC_SOFT], one / per_cm), none), one)
        disc *= tape[DISC_COVER]
        step = (away - tape[DISC]) / _RIDGE_CM - np.float32(0.5)
        fall = -tape[DOME] * _bell(step) / max(away, np.float32(0.01))
        slope_p += fall * dp
        slope_q += fall * dq
        if dp * tape[LEAD_COS] + dq * tape[LEAD_SIN] > 0:
            beside = (dq * tape[LEAD_COS] - dp * tape[LEAD_SIN]) / np.float32(0.05)
            bump = _bell(beside)
            slope_p += tape[DOME] * beside * bump * tape[LEAD_SIN]
            slope_q -= tape[DOME] * beside * bump * tape[LEAD_COS]
            disc = max(disc, tape[LEAD] * bump)
    fold = (p * tape[CREASE_COS] + q * tape[CREASE_SIN] - tape[CREASE_AT]) / np.float32(0.045)
    push = 2 * crease * fold * _bell(fold)
    slope_p += push * tape[CREASE_COS]
    slope_q += push * tape[CREASE_SIN]
    if tape[LIFT] > 0:
        corner = max(p * tape[LIFT_COS] + q * tape[LIFT_SIN] - np.float32(0.4) * tape[HALF_P], none) / tape[HALF_P]
        slope_p += tape[LIFT] * corner * tape[LIFT_COS]
        slope_q += tape[LIFT] * corner * tape[LIFT_SIN]
    return slope_p, slope_q, disc


@kernel
def _bell(x: Real) -> Real:
    """About exp(-x^2)."""
    t = max(1 - x * x * np.float32(0.25), np.float32(0))
    return t * t * t * t


@kernel
def _lit(
    frame: Floats, u: Real, v: Real, slope_p: Real, slope_q: Real, light: Floats, towards: Floats
) -> tuple[Real, Real]:
    """Shade of a point of a tape, and how much of the lamp it mirrors."""
    mx = frame[0, 0] + u * frame[1, 0] + v * frame[2, 0] - slope_p * frame[3, 0] - slope_q * frame[4, 0]
    my = frame[0, 1] + u * frame[1, 1] + v * frame[2, 1] - slope_p * frame[3, 1] - slope_q * frame[4, 1]
    mz = frame[0, 2] + u * frame[1, 2] + v * frame[2, 2] - slope_p * frame[3, 2] - slope_q * frame[4, 2]
    inverse = 1 / math.sqrt(mx * mx + my * my + mz * mz + np.float32(1e-12))
    mx, my, mz = mx * inverse, my * inverse, mz * inverse
    lamp = mx * towards[0] + my * towards[1] + mz * towards[2]
    flat = frame[0, 0] * towards[0] + frame[0, 1] * towards[1] + frame[0, 2] * towards[2]
    bright = shade_of(light, mx, my, mz) * (1 + np.float32(0.35) * (lamp - flat))
    mirror = max(2 * lamp * mz - towards[2], np.float32(0))
    mirror *= mirror
    mirror *= mirror
    mirror *= mirror
    return bright, mirror * mirror


@kernel
def _cloth(grain: Floats, p: Real, q: Real) -> Real:
    x, y = math.floor(p * _GRAIN_PER_CM), math.floor(q * _GRAIN_PER_CM)
    return grain[y & (GRAIN_SIDE - 1), x & (GRAIN_SIDE - 1)]
