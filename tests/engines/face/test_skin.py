import numpy as np
import pytest

from engines.face import skin
from engines.face.raster import Raster


def bilinear(picture, u, v):
    i, j = int(u), int(v)
    fu, fv = u - i, v - j
    p = picture.astype(float)
    above = (1 - fu) * p[j, i] + fu * p[j, i + 1]
    return (1 - fv) * above + fv * ((1 - fu) * p[j + 1, i] + fu * p[j + 1, i + 1])


@pytest.fixture
def scene():
    """Two triangles over a 20 x 24 picture, with random textures and numbers."""
    rng = np.random.default_rng(1)
    corners = np.array([[1, 1, 0], [1, 18, 0], [22, 17, 0], [21, 2, 0]], np.float32)
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    raster = Raster(20, 24)
    raster.draw(corners, triangles)
    photo, shut = (rng.integers(0, 256, (30, 40, 3)).astype(np.uint8) for _ in range(2))
    furrows = rng.integers(90, 160, (30, 40, 2)).astype(np.uint8)
    fixed = rng.uniform(3, 26, (4, skin.FIXED)).astype(np.float32)
    fixed[:, skin.ALPHA] = rng.uniform(0.2, 1, 4)
    moving = rng.uniform(0, 1, (4, skin.MOVING)).astype(np.float32)
    return raster, triangles, fixed, moving, photo, shut, furrows


def painted(scene):
    raster, triangles, fixed, moving, photo, shut, furrows = scene
    out, cover = np.zeros((20, 24, 3), np.uint8), np.zeros((20, 24), np.uint8)
    box = (0, 20, 0, 24)
    skin.paint_skin(
        raster.triangle, raster.barycentric, box, triangles, fixed, moving, photo, shut, furrows, out, cover
    )
    return out, cover


def test_skin_is_what_the_textbook_says(scene):
    raster, triangles, fixed, moving, photo, shut, furrows = scene
    out, cover = painted(scene)
    for y, x in np.argwhere(raster.triangle >= 0):
        corner, weight = triangles[raster.triangle[y, x]], raster.barycentric[y, x]
        f, m = weight @ fixed[corner], weight @ moving[corner]
        colour = bilinear(photo, f[skin.U], f[skin.V])
        colour = colour + m[skin.SHUT] * (bilinear(shut, f[skin.SHUT_U], f[skin.SHUT_V]) - colour)
        folds = bilinear(furrows, f[skin.U], f[skin.V]) - skin.FURROW_MIDDLE
        gain = m[skin.SHADE] * (1 + (m[skin.RAISED] * folds[0] + m[skin.PULLED] * folds[1]) / 256)
        np.testing.assert_allclose(out[y, x], np.clip(colour * gain, 0, 255), atol=1.01)
        assert cover[y, x] == pytest.approx(255 * f[skin.ALPHA], abs=1.01)
    assert (out[raster.triangle < 0] == 0).all()


def test_lay_over_mixes_by_cover_and_fades_at_the_outline():
    face = np.full((1, 4, 3), 200, np.uint8)
    cover, soft = np.array([[0, 255, 255, 128]], np.uint8), np.array([[0, 255, 192, 255]], np.uint8)
    picture = np.full((1, 4, 3), 100, np.uint8)
    skin.lay_over(face, cover, soft, picture)
    shares = np.array([0, 255, 129, 128])
    np.testing.assert_array_equal(cover[0], shares)
    np.testing.assert_allclose(picture[0, :, 0], 100 + 100 * shares / 255, atol=0.6)


def test_settle_averages_what_is_covered():
    rng = np.random.default_rng(2)
    fine, cover = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8), rng.integers(0, 256, (6, 8)).astype(np.uint8)
    before = rng.integers(0, 256, (5, 5, 3)).astype(np.uint8)
    picture = before.copy()
    skin.settle(fine, cover, 3, 4, 1, 2, picture)  # its right column hangs out of the picture
    mask = np.zeros((5, 5), np.uint8)
    skin.settle_cover(cover, 3, 4, 1, 2, mask)
    for y in range(3):
        for x in range(3):
            w = cover[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].astype(float)
            colour = (w[..., None] * fine[2 * y : 2 * y + 2, 2 * x : 2 * x + 2]).sum((0, 1))
            wanted = (colour + (1020 - w.sum()) * before[1 + y, 2 + x]) / 1020
            np.testing.assert_allclose(picture[1 + y, 2 + x], wanted, atol=0.51)
            assert mask[1 + y, 2 + x] == int(w.sum()) // 4
    np.testing.assert_array_equal(picture[:, :2], before[:, :2])


def test_lids_and_lashes_fade_in_apart():
    share = np.array([[0.5, 1.0, 0.0], [0.0, 0.0, 0.8]], np.float32)
    lower = np.array([[False, True, False], [False, False, False]])
    moving = np.zeros((3, skin.MOVING), np.float32)
    skin.shut_lids(share, lower, np.array([0.6, 1.0], np.float32), np.array([0.2, 0.0], np.float32), moving)
    np.testing.assert_allclose(moving[:, skin.SHUT], [0.3, 0.2, 0.8], rtol=1e-6)
