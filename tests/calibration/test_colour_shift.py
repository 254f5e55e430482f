import numpy as np
import pytest

from calibration import colour_shift
from calibration.colour_shift import ColourShift, shifted

GREY = np.full((16, 16, 3), 120, np.uint8)


def slow_colours(picture, shift):
    out = np.empty(picture.shape)
    for y, x in np.ndindex(picture.shape[:2]):
        lit = picture[y, x] * np.array(shift.factors)
        grey = 0.114 * lit[0] + 0.587 * lit[1] + 0.299 * lit[2]
        out[y, x] = shift.saturation * lit + (1 - shift.saturation) * grey
    return np.clip(np.rint(out), 0, 255)


def test_the_slow_twin_agrees():
    picture = np.random.default_rng(0).integers(0, 256, (12, 9, 3), np.uint8)
    shift = ColourShift.draw(3, 5)
    assert np.abs(shift.colours(picture) - slow_colours(picture, shift)).max() <= 1


def test_the_same_number_is_the_same_camera_and_another_is_not():
    assert ColourShift.draw(1, 2) == ColourShift.draw(1, 2)
    assert len({ColourShift.draw(1, number) for number in range(20)}) == 20
    assert ColourShift.draw(1, 2) != ColourShift.draw(2, 2)


def test_all_lie_in_the_stated_ranges_and_use_them():
    drawn = [ColourShift.draw(0, number) for number in range(300)]
    blue, green, red = np.log(np.array([shift.factors for shift in drawn])).T
    warmth, light = (red - blue) / 2, (red + blue) / 2 / np.log(2)
    greenish = green - (red + blue) / 2
    saturation, quality = ([getattr(shift, name) for shift in drawn] for name in ("saturation", "quality"))
    for values, (low, high) in (
        (warmth, colour_shift.WARMTH),
        (light, colour_shift.EXPOSURE_STOPS),
        (greenish, colour_shift.GREEN),
        (saturation, colour_shift.SATURATION),
        (quality, colour_shift.QUALITY),
    ):
        assert low - 1e-9 <= min(values) < low + 0.1 * (high - low)
        assert high + 1e-9 >= max(values) > high - 0.1 * (high - low)


def test_no_shift_changes_nothing_and_no_saturation_is_grey():
    picture = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)
    assert (ColourShift((1, 1, 1), 1, 90).colours(picture) == picture).all()
    grey = ColourShift((1, 1, 1), 0, 90).colours(picture)
    assert (np.ptp(grey, axis=2) == 0).all()


@pytest.mark.parametrize("number", range(4))
def test_only_the_picture_with_electrodes_is_compressed(number):
    rng = np.random.default_rng(number)
    clean = rng.integers(90, 150, (32, 32, 3), np.uint8)
    shift = ColourShift.draw(0, number)
    covered, truth = shifted(clean, clean, shift)
    assert (truth == shift.colours(clean)).all()
    assert (covered == shift.compressed(truth)).all()
    assert (covered != truth).any()
