import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.raster import Raster
from engines.face.supersample import coverage, doubled, lay_over, warm_up

HEIGHT, WIDTH = 12, 17


def half_plane(angle, offset):
    """Two triangles that fill the picture on one side of a line; offset: px from the picture's middle."""
    along, away = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    middle = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2]) + offset * away
    corners = [middle + s * 90 * along + d * 90 * away for s, d in ((-1, 0), (1, 0), (-1, 1), (1, 1))]
    projected = np.column_stack([corners, np.zeros(4)]).astype(np.float32)
    return projected, np.array([[0, 1, 2], [1, 3, 2]], np.int32), away, middle


def drawn(projected, triangles):
    big = Raster(2 * HEIGHT, 2 * WIDTH)
    big.draw(doubled(projected), triangles, both_sides=True)
    return big


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.0, 2.2, np.pi / 2])
def test_coverage_is_the_filled_share_of_each_pixel(angle):
    projected, triangles, away, middle = half_plane(angle, 0.3)
    found = coverage(drawn(projected, triangles)) / 255
    fine = 16  # the share, counted on a 16 x 16 grid in each pixel
    y, x = ((np.mgrid[: HEIGHT * fine, : WIDTH * fine] + 0.5) / fine) - 0.5
    side = (x - middle[0]) * away[0] + (y - middle[1]) * away[1] > 0
    share = side.reshape(HEIGHT, fine, WIDTH, fine).mean((1, 3))
    assert np.abs(found - share).max() <= 0.5
    assert np.abs(found - share).mean() < 0.02
    np.testing.assert_array_equal(found[(share == 0) | (share == 1)], share[(share == 0) | (share == 1)])


def test_coverage_of_some_triangles_only():
    projected, triangles, *_ = half_plane(0.4, 0.0)
    big = drawn(projected, triangles)
    both = coverage(big, first=0, count=1).astype(int) + coverage(big, first=1)
    assert np.abs(both - coverage(big)).max() <= 1  # rounding
    assert not coverage(big, first=2).any()
    out = np.full((HEIGHT, WIDTH), 7, np.uint8)
    assert coverage(big, out) is out


def test_lay_over_blends_by_coverage_and_lets_nothing_around_the_mesh_bleed_in():
    projected, triangles, *_ = half_plane(0.7, -0.4)
    big = drawn(projected, triangles)
    picture = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    around = np.where(big.triangle[..., None] < 0, 255, [200, 100, 0]).astype(np.uint8)
    lay_over(picture, big, around)
    share = coverage(big)[..., None] / 255
    np.testing.assert_allclose(picture, share * [200, 100, 0] + (1 - share) * 40, atol=1)


def test_where_nothing_is_the_picture_keeps_every_bit():
    picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    before = picture.copy()
    lay_over(picture, Raster(2 * HEIGHT, 2 * WIDTH), np.zeros((2 * HEIGHT, 2 * WIDTH, 3), np.uint8))
    np.testing.assert_array_equal(picture, before)


def test_warm_up_runs_every_kernel():
    warm_up()


def test_the_door_refuses_what_does_not_fit():
    big = Raster(2 * HEIGHT, 2 * WIDTH)
    with pytest.raises(BadInput, match="even sides"):
        coverage(Raster(5, 4))
    with pytest.raises(BadInput, match="output"):
        coverage(big, np.zeros((HEIGHT, WIDTH + 1), np.uint8))
    with pytest.raises(BadInput, match="twice the size"):
        lay_over(np.zeros((HEIGHT, WIDTH, 3), np.uint8), big, np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    with pytest.raises(BadInput, match="projected vertices"):
        doubled(np.zeros((3, 2), np.float32))
