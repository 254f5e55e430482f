import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.sensor_noise import SensorNoise

GREY = np.full((48, 64, 3), 128, np.uint8)


def noise(number=0, seed=0, picture=GREY):
    return SensorNoise(48, 64, seed).add(picture.copy(), number).astype(float) - picture


def test_it_is_noise_around_nothing_of_a_few_grey_levels():
    many = np.array([noise(number) for number in range(20)])
    assert abs(many.mean()) < 0.1
    assert 1.5 < many.std() < 3.5
    beside = np.corrcoef(many[:, :, :-1].ravel(), many[:, :, 1:].ravel())[0, 1]
    colours = np.corrcoef(many[..., 0].ravel(), many[..., 2].ravel())[0, 1]
    assert 0.05 < beside < 0.5
    assert 0.3 < colours < 0.95


def test_each_picture_and_seed_has_its_own_and_always_the_same():
    np.testing.assert_array_equal(noise(5), noise(5))
    for other in (noise(6), noise(5, seed=1)):
        assert abs(np.corrcoef(noise(5).ravel(), other.ravel())[0, 1]) < 0.1
    assert len({noise(number).tobytes() for number in range(50)}) == 50


def test_black_and_white_do_not_wrap_round():
    for level in (0, 255):
        assert np.abs(noise(picture=np.full_like(GREY, level))).max() < 20


def test_it_works_in_place():
    picture = GREY.copy()
    assert SensorNoise(48, 64).add(picture, 1) is picture
    assert not np.array_equal(picture, GREY)


def test_what_does_not_fit_is_refused():
    with pytest.raises(BadInput, match="48"):
        SensorNoise(48, 64).add(np.zeros((48, 60, 3), np.uint8), 0)
    with pytest.raises(BadInput, match="at least one pixel"):
        SensorNoise(0, 64)
