import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration.planes import centre, pictures_of, planes_of, resized  # noqa: E402


def test_planes_are_rgb_from_minus_one_to_one():
    picture = np.zeros((2, 3, 3), np.uint8)
    picture[1, 2] = (255, 128, 0)  # BGR
    planes = planes_of([picture, picture])
    assert planes.shape == (2, 3, 2, 3)
    np.testing.assert_allclose(planes[1, :, 1, 2], [-1, 128 / 127.5 - 1, 1], atol=1e-6)
    assert planes[0, :, 0, 0].tolist() == [-1, -1, -1]


def test_every_grey_level_comes_back():
    picture = np.arange(256 * 3, dtype=np.int64).reshape(16, 16, 3) % 256
    back = pictures_of(planes_of([picture.astype(np.uint8)]))
    np.testing.assert_array_equal(back[0], picture)


def test_planes_outside_the_range_are_clipped():
    assert pictures_of(torch.full((1, 3, 1, 1), 1.4)).tolist() == [[[[255, 255, 255]]]]


def test_sizes():
    picture = np.random.default_rng(0).integers(0, 256, (36, 36, 3)).astype(np.uint8)
    assert resized(picture, 36) is picture
    np.testing.assert_allclose(resized(picture, 18).mean(), picture.mean(), atol=1)
    assert resized(picture, 50).shape == (50, 50, 3)
    np.testing.assert_array_equal(centre(picture, 32), picture[2:34, 2:34])
    np.testing.assert_array_equal(centre(picture[:, :, 0], 31), picture[2:33, 2:33, 0])
