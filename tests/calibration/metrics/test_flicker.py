import numpy as np
import pytest

from calibration.metrics.flicker import Flicker
from engines.errors import BadInput


def slow_flicker(found, clean, covered):
    def moved(film):
        total = 0
        for t in range(1, len(film)):
            for y, x in zip(*np.nonzero(covered[t] & covered[t - 1]), strict=True):
                total += np.abs(film[t, y, x].astype(int) - film[t - 1, y, x].astype(int)).sum()
        return total

    wrong = found.astype(int) - clean
    return moved(found) / moved(clean), moved(wrong) / moved(clean)


def measured(found, clean, covered):
    flicker = Flicker()
    for moment in zip(found, clean, covered, strict=True):
        flicker.add(*moment)
    return flicker


def test_the_slow_twin_agrees():
    rng = np.random.default_rng(0)
    found, clean = rng.integers(0, 256, (2, 5, 6, 7, 3), np.uint8)
    covered = rng.random((5, 6, 7)) < 0.6
    flicker = measured(found, clean, covered)
    assert (flicker.of_picture, flicker.of_error) == pytest.approx(slow_flicker(found, clean, covered))


def test_known_values():
    clean = np.zeros((4, 3, 3, 3), np.uint8)
    clean[1::2] = 10
    everywhere = np.ones((4, 3, 3), bool)
    same = measured(clean, clean, everywhere)
    assert (same.of_picture, same.of_error, same.clean_grey_levels) == (1, 0, 10)
    assert measured(3 * clean, clean, everywhere).of_picture == 3
    frozen = measured(np.full_like(clean, 5), clean, everywhere)  # steady, but it does not move with the face
    assert (frozen.of_picture, frozen.of_error) == (0, 1)


def test_clips_are_not_joined():
    flicker = Flicker()
    covered = np.ones((2, 2), bool)
    for level in (0, 0, 200, 204):
        if level == 200:
            flicker.restart()
        picture = np.full((2, 2, 3), level, np.uint8)
        flicker.add(picture, picture, covered)
    assert flicker.clean_grey_levels == 2


def test_nothing_covered_is_no_number_and_another_size_is_refused():
    flicker = Flicker()
    picture = np.zeros((4, 4, 3), np.uint8)
    for _ in range(2):
        flicker.add(picture, picture, np.zeros((4, 4), bool))
    assert (flicker.of_picture, flicker.of_error, flicker.clean_grey_levels) == (None, None, None)
    with pytest.raises(BadInput, match="one size"):
        flicker.add(picture[:3], picture[:3], np.ones((3, 4), bool))
