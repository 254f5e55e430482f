import math

import numpy as np
import pytest

from calibration.metrics.psnr import mean_squared_error, psnr_db
from engines.errors import BadInput


def slow_psnr(found, truth, weights):
    total = weight = 0.0
    for y in range(found.shape[0]):
        for x in range(found.shape[1]):
            for k in range(3):
                total += weights[y, x] * (float(found[y, x, k]) - float(truth[y, x, k])) ** 2
                weight += weights[y, x]
    return 10 * math.log10(255**2 / (total / weight))


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (2, 9, 7, 3), np.uint8)


def test_black_against_white_is_nothing_and_one_level_is_48_13_db():
    black = np.zeros((4, 4, 3), np.uint8)
    assert psnr_db(black, black + 255) == 0
    assert psnr_db(black, black + 1) == pytest.approx(48.1308, abs=1e-4)
    assert psnr_db(black, black) == math.inf


def test_the_slow_twin_agrees(pair):
    weights = np.random.default_rng(1).random((9, 7))
    assert psnr_db(*pair) == pytest.approx(slow_psnr(*pair, np.ones((9, 7))))
    assert psnr_db(*pair, weights) == pytest.approx(slow_psnr(*pair, weights))


def test_what_has_no_weight_does_not_count(pair):
    found, truth = pair
    inside = np.zeros((9, 7), bool)
    inside[2:5, 1:4] = True
    other = np.where(inside[..., None], found, 0).astype(np.uint8)
    assert psnr_db(found, truth, inside) == psnr_db(other, truth, inside)
    assert mean_squared_error(found, truth, inside) == mean_squared_error(found[2:5, 1:4], truth[2:5, 1:4])


def test_what_does_not_fit_is_refused(pair):
    found, truth = pair
    with pytest.raises(BadInput, match="one size"):
        psnr_db(found, truth[:5])
    with pytest.raises(BadInput, match="nothing to measure"):
        psnr_db(found, truth, np.zeros((9, 7), bool))
    with pytest.raises(BadInput, match="one per pixel"):
        psnr_db(found, truth, np.ones((7, 9)))
    with pytest.raises(BadInput, match="negative"):
        psnr_db(found, truth, np.full((9, 7), -1.0))
