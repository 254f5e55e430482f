"""Measures of a predicted course against slow twins and against courses whose answer is known."""

import math

import numpy as np
import pytest
from scipy import stats

from calibration.metrics.emg import Contraction, contractions, onset_delay_s, slope, smape, spearman, squared_error
from engines.errors import BadInput

FPS = 30.0


def bumps(height=1.0, late_s=0.0, seconds=20.0):
    """Four contractions of rising strength."""
    t = np.arange(round(seconds * FPS)) / FPS
    strong = {3: 0.3, 8: 0.5, 12: 0.8, 17: 1.0}  # seconds: level
    return height * sum(level * np.exp(-0.5 * ((t - at - late_s) / 0.4) ** 2) for at, level in strong.items())


def test_errors_are_the_textbooks():
    rng = np.random.default_rng(0)
    p, t = rng.random(50), rng.random(50)
    assert squared_error(p, t) == pytest.approx(sum((a - b) ** 2 for a, b in zip(p, t, strict=True)) / 50)
    slow = sum(100 * abs(a - b) / ((abs(a) + abs(b)) / 2 + 1e-3) for a, b in zip(p, t, strict=True)) / 50
    assert smape(p, t) == pytest.approx(slow)
    assert 0 <= smape(p, t) <= 200
    assert smape(np.zeros(3), np.zeros(3)) == 0


def test_spearman_shares_ties():
    p, t = np.array([0, 0, 1, 2, 2, 5.0]), np.array([1, 0, 1, 3, 2, 2.0])
    assert spearman(p, t) == pytest.approx(stats.spearmanr(p, t).statistic)
    assert spearman(t**3, t) == pytest.approx(1)


def test_spearman_of_a_constant_is_undefined():
    assert math.isnan(spearman(np.zeros(5), np.arange(5.0)))
    assert math.isnan(spearman(np.arange(5.0), np.zeros(5)))


@pytest.mark.parametrize("height", [0.4, 1.0, 1.3])
def test_the_slope_is_how_much_of_the_peaks_is_there(height):
    found = contractions([bumps(height)], [bumps()], FPS)
    assert len(found) == 4
    assert slope(found) == pytest.approx(height, abs=0.01)


@pytest.mark.parametrize("late_s", [-0.1, 0.0, 0.15])
def test_an_onset_is_found_between_frames_whatever_the_height(late_s):
    found = contractions([0.5 * bumps(late_s=late_s)], [bumps()], FPS)
    assert onset_delay_s(found) == pytest.approx(late_s, abs=0.005)


def test_a_missed_contraction_lowers_the_slope_and_has_no_onset():
    found = contractions([np.zeros(600)], [bumps()], FPS)
    assert slope(found) == pytest.approx(0, abs=1e-6)
    assert math.isnan(onset_delay_s(found))
    one = [Contraction(1.0, 1.0, 0.1), Contraction(1.0, 0.0, math.nan)]
    assert slope(one) == 0.5
    assert onset_delay_s(one) == 0.1


def test_nothing_moves_nothing_is_found():
    assert contractions([np.zeros(60)], [np.zeros(60)], FPS) == []
    assert math.isnan(slope([]))


def test_weak_contractions_do_not_count():
    true = bumps()
    true[:200] *= 0.3  # the first is 9 % of the range
    assert len(contractions([true], [true], FPS)) == 3


@pytest.mark.parametrize(("p", "t"), [(np.zeros(3), np.zeros(4)), (np.zeros((3, 1)), np.zeros((3, 1))), ([], [])])
def test_other_shapes_are_refused(p, t):
    with pytest.raises(BadInput, match="two courses of one length"):
        squared_error(np.asarray(p), np.asarray(t))
