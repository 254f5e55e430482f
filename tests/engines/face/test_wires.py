"""Cables over a picture, against slow twins."""

from itertools import pairwise

import numpy as np
import pytest

from engines.face import wires as kernels

HEIGHT, WIDTH = 64, 96
SCALE = np.float32(20.0)
FRONT = np.array([0, 0, 1], np.float32)


def curve(count=24, bend=18.0):
    """A bow across the picture."""
    t = np.linspace(0, 1, count)
    return np.stack([8 + 78 * t, 40 - bend * np.sin(np.pi * t), np.full(count, 50.0)], 1).astype(np.float32)


def wire(radius_cm=0.1, shiny=0.0):
    row = np.zeros((1, kernels.CABLE_COLUMNS), np.float32)
    row[0] = radius_cm, 0.2, 0.3, 0.5, shiny, 0
    return row


def lay(points, wires, chain=None, order=None, view=None, depth=None):
    chain = np.zeros(len(points), np.int32) if chain is None else chain
    order = np.flatnonzero(chain[:-1] == chain[1:]).astype(np.int32) if order is None else order
    view = np.ones(len(points), np.float32) if view is None else view
    depth = np.full((HEIGHT, WIDTH), -np.inf, np.float32) if depth is None else depth
    along = np.zeros((len(points), 2), np.float32)
    kernels.directions(points, chain, along)
    picture, mask = np.full((HEIGHT, WIDTH, 3), 120, np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)
    white = np.full(3, 230, np.float32)
    kernels.lay_wires(points, along, view, chain, order, wires, SCALE, FRONT, white, depth, picture, mask)
    return picture, mask


def away_px(points):
    """(H, W): every pixel's distance from a chain of points, one segment after the other."""
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    best = np.full((HEIGHT, WIDTH), np.inf)
    for (ax, ay, _), (bx, by, _) in pairwise(points):
        ex, ey = bx - ax, by - ay
        t = np.clip(((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey), 0, 1)
        best = np.minimum(best, np.hypot(x - ax - t * ex, y - ay - t * ey))
    return best


def test_a_cable_covers_what_is_near_its_line():
    points = curve()
    _, mask = lay(points, wire())
    radius = 0.1 * SCALE
    slow = np.clip(radius + 0.5 - away_px(points), 0, 1) * 255
    x = np.arange(WIDTH)
    inside = (x > 11) & (x < 83)  # the ends are cut off square
    assert np.abs(mask[:, inside].astype(float) - slow[:, inside]).max() < 30
    assert mask[:, inside].sum() == pytest.approx(slow[:, inside].sum(), rel=0.01)


def test_joints_neither_overlap_nor_gape():
    """A finely cut cable looks like a coarsely cut one: each pixel belongs to one segment."""
    coarse, fine = lay(curve(20), wire())[1], lay(curve(120), wire())[1]
    assert np.abs(coarse.astype(int) - fine).mean() < 1.0
    assert coarse.sum() == pytest.approx(int(fine.sum()), rel=0.02)


def test_thin_cables_get_fainter_not_thinner():
    heavy, light = lay(curve(), wire(0.02))[1], lay(curve(), wire(0.01))[1]
    assert light.max() < 0.6 * heavy.max()
    assert ((heavy > 0) == (light > 0)).mean() > 0.97
    assert light.sum() == pytest.approx(heavy.sum() / 2, rel=0.1)


def test_nearer_skin_hides_a_cable():
    depth = np.full((HEIGHT, WIDTH), -np.inf, np.float32)
    depth[:, 48:] = 50 + 0.5 * SCALE
    _, mask = lay(curve(), wire(), depth=depth)
    assert mask[:, 48:].max() == 0
    assert mask[:, :48].max() > 200


def test_the_later_in_order_lies_on_top():
    points = np.concatenate([curve(10, 0), np.float32([[48, 5, 50], [48, 30, 50], [48, 60, 50]])])
    chain = np.array([0] * 10 + [1] * 3, np.int32)
    wires = np.concatenate([wire(), wire()])
    wires[1, 1:4] = 0.9
    segments = np.flatnonzero(chain[:-1] == chain[1:]).astype(np.int32)
    upper, _ = lay(points, wires, chain, segments)
    lower, _ = lay(points, wires, chain, segments[::-1].copy())
    assert upper[40, 48, 0] > 150
    assert lower[40, 48, 0] < 80


def test_a_cable_is_round():
    """Brighter where it faces the lamp."""
    picture, mask = lay(curve(10, 0), wire(0.4))
    column = picture[32:49, 48, 2].astype(int)
    assert (mask[34:47, 48] == 255).all()
    assert column[8] > column[2] + 10
    assert column[8] > column[14] + 10


def test_what_is_out_of_view_fades():
    view = np.linspace(1, 0, 24).astype(np.float32)
    _, mask = lay(curve(24, 0), wire(), view=view)
    row = mask[40].astype(int)
    assert row[12] > 230
    assert 90 < row[46] < 160
    assert row[84] < 30


def test_views_follow_the_skin_and_slip_away():
    facing = np.linspace(1, -1, 21).astype(np.float32)
    chain = np.zeros(21, np.int32)
    out, later = np.zeros(21, np.float32), np.zeros(21, np.float32)
    kernels.views(facing, chain, np.zeros(21, np.float32), out)
    kernels.views(facing, chain, np.full(21, 0.3, np.float32), later)
    assert out[0] == 1
    assert out[-1] == 0
    assert (np.diff(out) <= 0).all()
    assert later.sum() < out.sum() - 2


def shade(height_cm=0.1, facing=1.0, depth=None, lamp=FRONT):
    points, chain = curve(10, 0), np.zeros(10, np.int32)
    shadow = np.zeros((HEIGHT, WIDTH), np.uint8)
    box = np.array([HEIGHT, 0, WIDTH, 0], np.int32)
    depth = np.full((HEIGHT, WIDTH), 45.0, np.float32) if depth is None else depth
    ones = np.ones(10, np.float32)
    kernels.shade_wires(
        *(
            points,
            ones,
            facing * ones,
            height_cm * ones,
            chain,
            wire(),
            SCALE,
            lamp,
            np.float32(0.4),
            depth,
            shadow,
            box,
        )
    )
    return shadow, box


def test_a_shadow_is_soft_bounded_and_boxed():
    shadow, box = shade()
    assert 0.2 * 255 < shadow.max() <= 0.4 * 255
    rows, columns = np.nonzero(shadow)
    assert box[0] <= rows.min()
    assert rows.max() < box[1]
    assert box[2] <= columns.min()
    assert columns.max() < box[3]
    picture, lost = np.full((HEIGHT, WIDTH, 3), 200, np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)
    before = shadow.copy()
    kernels.darken(shadow, box, picture, lost)
    assert np.abs(picture[..., 0] - 200 * (1 - before / 255)).max() <= 1
    assert np.array_equal(lost, before)
    assert shadow.max() == 0


def test_a_shadow_falls_away_from_the_lamp():
    middle = [(shade(0.3, lamp=np.float32([0, y, 0.8]))[0].sum(1) * np.arange(HEIGHT)).sum() for y in (0.6, -0.6)]
    total = shade(0.3)[0].sum()
    assert (middle[0] - middle[1]) / total > 0.4 * SCALE * 0.3  # lamp above: the shadow lies lower


def test_no_shadow_from_what_hangs_free_or_on_the_wall():
    assert shade(height_cm=9.0)[0].max() == 0
    wall = np.full((HEIGHT, WIDTH), -np.inf, np.float32)
    assert shade(facing=0.2, depth=wall)[0].max() == 0
    assert shade(facing=0.8, depth=wall)[0].max() > 0
