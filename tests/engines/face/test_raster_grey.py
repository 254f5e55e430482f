import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.raster import NOTHING, Raster
from engines.face.raster_grey import render_grey, warm_up

SIZE = 96


def ball(rows=24, columns=48, radius=40.0):
    """A ball in the middle of the picture, seen from its side with columns of triangles; (V, 3), (F, 3)."""
    down, round_ = np.mgrid[0 : rows + 1, 0:columns]
    polar, azimuth = down * np.pi / rows, round_ * 2 * np.pi / columns
    unit = np.stack([np.sin(polar) * np.sin(azimuth), np.cos(polar), np.sin(polar) * np.cos(azimuth)], -1)
    projected = unit.reshape(-1, 3) * [radius, -radius, radius] + [SIZE / 2, SIZE / 2, 0]
    corner = np.arange(unit.shape[0] * columns).reshape(-1, columns)
    right = np.roll(corner, -1, axis=1)
    a, b, c, d = (one.ravel() for one in (corner[:-1], right[:-1], corner[1:], right[1:]))
    triangles = np.concatenate([np.column_stack([a, c, b]), np.column_stack([b, c, d])])
    return projected.astype(np.float32), triangles.astype(np.int32)


def formula(normal):
    """The papers' shading of a unit normal, grey 0..255."""
    lights = np.array([(x, y, 1) for x in (-1, 1) for y in (-1, 1)] + [(0, 0, 1)], float)
    lights /= np.linalg.norm(lights, axis=1, keepdims=True)
    return 180 * np.mean(1.7 * np.clip(normal @ lights.T, 0, None), axis=-1)


def test_a_ball_is_lit_as_the_formula_says():
    projected, triangles = ball()
    raster = Raster(SIZE, SIZE)
    picture = render_grey(raster, projected, triangles)
    y, x = np.mgrid[:SIZE, :SIZE]
    nx, ny = (x - SIZE / 2) / 40, (SIZE / 2 - y) / 40
    inside = nx**2 + ny**2 < 0.9
    normal = np.stack([nx, ny, np.sqrt(np.clip(1 - nx**2 - ny**2, 0, None))], -1)
    assert np.abs(picture - formula(normal))[inside].max() <= 4  # the ball has 24 rows of flat triangles
    assert np.abs(picture - formula(normal))[inside].mean() < 1
    assert picture[SIZE // 2, SIZE // 2] == pytest.approx(180 * 1.7 * (1 + 4 / np.sqrt(3)) / 5, abs=1)


def test_the_background_is_exactly_black_and_so_are_holes():
    projected, triangles = ball()
    middle = projected[triangles].mean(1)
    hole = np.hypot(middle[:, 0] - 50, middle[:, 1] - 45) < 9
    raster, out = Raster(SIZE, SIZE), np.full((SIZE, SIZE), 77, np.uint8)
    assert render_grey(raster, projected, np.ascontiguousarray(triangles[~hole]), out) is out
    np.testing.assert_array_equal(out == 0, raster.triangle == NOTHING)
    assert out[45, 50] == 0
    assert out[45, 70] > 0


def test_what_was_drawn_before_is_gone():
    projected, triangles = ball()
    raster = Raster(SIZE, SIZE)
    expected = render_grey(raster, projected, triangles)
    render_grey(raster, projected + np.float32([9, 5, 0]), triangles)
    normals = np.empty_like(projected)
    np.testing.assert_array_equal(render_grey(raster, projected, triangles, normals=normals), expected)
    assert np.linalg.norm(normals, axis=1).max() == pytest.approx(1, abs=1e-6)


def test_every_grey_follows_from_its_pixels_normal():
    projected, triangles = ball(9, 14)
    projected += np.random.default_rng(0).normal(0, 2, projected.shape).astype(np.float32)
    raster, normals = Raster(SIZE, SIZE), np.empty_like(projected)
    picture = render_grey(raster, projected, triangles, normals=normals)
    expected = formula(raster.interpolate(normals, triangles))
    np.testing.assert_allclose(picture, expected, atol=0.51)


def test_warm_up_compiles_without_leaving_anything():
    warm_up()


def test_the_door_refuses_what_does_not_fit():
    projected, triangles = ball()
    with pytest.raises(BadInput, match="output"):
        render_grey(Raster(SIZE, SIZE), projected, triangles, np.zeros((SIZE, SIZE, 3), np.uint8))
    with pytest.raises(BadInput, match="output"):
        render_grey(Raster(SIZE, SIZE), projected, triangles, normals=np.zeros((3, 3), np.float32))
    with pytest.raises(BadInput, match="not a finite number"):
        render_grey(Raster(SIZE, SIZE), projected * np.float32(np.nan), triangles)
