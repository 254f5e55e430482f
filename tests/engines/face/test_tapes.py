"""Tapes on bent patches, against slow twins in plain NumPy."""

import numpy as np
import pytest
from scipy.optimize import fsolve

from engines.face import tapes as kernels
from engines.face.tapes import COLUMN, COLUMNS

SCALE = np.float32(20.0)  # px per cm
HEIGHT, WIDTH = 60, 80
FRONT = np.array([0, 0, 1], np.float32)


def patch(bend=0.0, turn=0.0):
    """A patch in the picture's middle, turned about its height and bent like a cheek."""
    found = np.zeros((6, 3), np.float32)
    found[0] = 40.3, 29.6, 100
    found[1] = np.cos(turn) * SCALE, 0, -np.sin(turn) * SCALE
    found[2] = 0, -SCALE, 0
    found[3] = np.sin(turn) * -bend * SCALE, 0, -bend * SCALE
    found[5] = 0, 0, -bend * SCALE
    return found


def tape(**columns):
    row = np.zeros((1, len(COLUMNS)), np.float32)
    plain = {"half_p": 0.4, "half_q": 0.4, "round": 0.05, "cos": 1, "opacity": 1, "rim": 1}
    plain |= {"blue": 0.9, "green": 0.9, "red": 0.9}
    for name, value in (plain | columns).items():
        row[0, COLUMN[name]] = value
    return row


def lay(row, bent, depth=None, light=(1, 0, 0, 0), strength=0.0, towards=FRONT, level=100):
    picture = np.full((HEIGHT, WIDTH, 3), level, np.uint8)
    mask, lost = np.zeros((HEIGHT, WIDTH), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)
    depth = np.zeros((HEIGHT, WIDTH), np.float32) if depth is None else depth
    grain = np.random.default_rng(0).uniform(-1, 1, (64, 64)).astype(np.float32)
    white = np.full(3, 230, np.float32)
    kernels.lay_tapes(
        *(row, bent[None], SCALE, np.array(light, np.float32), towards, white, np.float32(strength)),
        *(grain, depth, picture, mask, lost),
    )
    return picture, mask, lost


def seen_at(bent, u, v):
    return np.array([1, u, v, u * u, u * v, v * v]) @ bent.astype(np.float64)


@pytest.mark.parametrize("turn", [0.0, 0.6, -0.9])
def test_solving_for_the_skin_undoes_the_map(turn):
    """Against scipy's root finder, all over a tape."""
    bent = patch(0.1, turn)
    flat = kernels._inverse(bent, np.float32(0), np.float32(0))
    quadratic = np.zeros(6, np.float32)
    kernels._unbend(bent, flat, quadratic)
    for u, v in np.random.default_rng(1).uniform(-0.5, 0.5, (30, 2)):
        x, y, _ = seen_at(bent, u, v)
        dx, dy = x - bent[0, 0], y - bent[0, 1]
        slow = fsolve(lambda place: seen_at(bent, *place)[:2] - [x, y], [0, 0])  # noqa: B023
        assert np.allclose(slow, [u, v], atol=1e-6)
        start = flat[0] * dx + flat[1] * dy, flat[2] * dx + flat[3] * dy
        assert np.allclose(kernels._solve(*start, quadratic), [u, v], atol=0.012)  # 0.12 mm


def test_a_flat_tape_covers_its_square():
    row = tape(round=0.0)
    _, mask, _ = lay(row, patch())
    side = 2 * 0.4 * SCALE
    assert mask.sum() / 255 == pytest.approx(side**2, rel=0.02)
    inside = np.s_[24:35, 35:46]
    assert (mask[inside] == 255).all()
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    away = np.maximum(np.abs(x - 40.3), np.abs(y - 29.6)) - side / 2
    slow = np.clip(0.5 - away, 0, 1) * 255
    corner = (np.abs(x - 40.3) > side / 2 - 1) & (np.abs(y - 29.6) > side / 2 - 1)
    assert np.abs(mask - slow)[~corner].max() < 3


def test_a_turned_tape_is_foreshortened_and_one_that_faces_away_is_hidden():
    areas = [lay(tape(), patch(0.05, turn))[1].sum() / 255 for turn in (0.0, 0.8, 1.3, 1.6)]
    assert areas[1] == pytest.approx(areas[0] * np.cos(0.8), rel=0.12)
    assert areas[0] > areas[1] > areas[2]
    assert areas[3] == 0


def test_nearer_skin_hides_a_tape():
    depth = np.zeros((HEIGHT, WIDTH), np.float32)
    depth[:, 40:] = 100 + 0.5 * SCALE
    _, mask, _ = lay(tape(), patch(), depth)
    assert (mask[:, 40:] == 0).all()
    assert mask[:, :40].max() == 255


def test_a_tape_is_as_white_as_the_light_on_it():
    middle = (30, 40)
    grey = lay(tape(), patch())[0][middle]
    assert np.allclose(grey, 0.9 * 230, atol=1)
    half = lay(tape(), patch(), light=(0.5, 0, 0, 0))[0][middle]
    assert np.allclose(half, 0.45 * 230, atol=1)
    side = (0.6, 0.5, 0, 0.4)  # light from the picture's right
    right, left = (lay(tape(), patch(0, turn), light=side)[0][middle][0] for turn in (0.6, -0.6))
    assert int(right) > int(left) + 60


def test_skin_shows_through_a_translucent_rim():
    picture, mask, _ = lay(tape(opacity=0.8, rim=0.4), patch())
    assert mask[30, 40] == pytest.approx(0.8 * 255, abs=1)
    assert picture[30, 40, 0] == pytest.approx(100 + 0.8 * (207 - 100), abs=1)
    assert 0.2 * 255 < mask[30, 48] < 0.6 * 255


def test_the_disc_is_dark_and_covers():
    picture, mask, _ = lay(tape(opacity=0.6, rim=0.6, disc=0.15, disc_cover=1.0), patch())
    assert picture[30, 40].max() < 10
    assert mask[30, 40] == 255
    assert picture[30, 34].min() > 120


def test_shadows_darken_beside_the_tape_only_and_are_counted():
    plain, mask, lost = lay(tape(), patch(), strength=0.5)
    assert (lost[mask == 255] == 0).all()
    beside = (mask == 0) & (lost > 0)
    assert beside.sum() > 40
    expected = 100 * (1 - lost[beside] / 255)
    assert np.abs(plain[beside][:, 0] - expected).max() <= 1
    assert (plain[(mask == 0) & (lost == 0)] == 100).all()


def test_shadows_fall_away_from_the_lamp():
    lamp = np.array([0.8, 0.0, 0.6], np.float32)  # from the picture's right
    _, _, lost = lay(tape(), patch(), strength=0.5, towards=lamp)
    assert lost[:, :35].sum() > 1.5 * lost[:, 46:].sum()


def test_no_shadow_on_the_wall():
    wall = np.full((HEIGHT, WIDTH), -np.inf, np.float32)
    assert lay(tape(), patch(0, 1.25), wall, strength=0.5)[2].max() == 0
    assert lay(tape(), patch(0, 0.2), wall, strength=0.5)[2].max() > 50


def test_tape_does_not_stretch_like_skin():
    stretched = patch()
    stretched[1] *= 1.3
    wide = lay(tape(), stretched)[1].sum() / lay(tape(), patch())[1].sum()
    assert 1.05 < wide < 1.2


def test_patches_are_the_mixture_they_say():
    rng = np.random.default_rng(3)
    vertices = rng.integers(0, 50, (4, 7)).astype(np.int32)
    shares, mesh = rng.normal(size=(4, 6, 7)).astype(np.float32), rng.normal(size=(50, 3)).astype(np.float32)
    out = np.zeros((4, 6, 3), np.float32)
    kernels.bend_patches(mesh, vertices, shares, out)
    assert np.allclose(out, np.einsum("njk,nkc->njc", shares, mesh[vertices]), atol=1e-5)
