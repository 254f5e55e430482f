"""Shares that a network was taught become per cent of the person who sits there, and back."""

import numpy as np
import pytest

from engines.emg.muscle_scale import MuscleScale
from engines.errors import BadInput

REST = np.array([2.0, 4.0, 0.0, 1.0])
REFERENCE = np.array([102.0, 54.0, 200.0, np.nan])


def calibrated(normalisation):
    found = MuscleScale(normalisation, 4)
    found.calibrate(REST, REFERENCE)
    return found


def shares(*values):
    return np.array(values, np.float32)


def test_shares_of_the_own_maximum_are_per_cent_of_it_with_and_without_a_calibration():
    for scale in (MuscleScale("calibration", 4), calibrated("calibration")):
        np.testing.assert_allclose(scale.percent(shares(0, 0.5, 1.2, -0.1)), [0, 50, 120, 0], rtol=1e-6)
        np.testing.assert_allclose(scale.spread(shares(0, 0.1, 0.2, 0.3)), [0, 10, 20, 30], rtol=1e-6)
        assert not scale.of_strongest


def test_shares_of_the_persons_maximum_need_the_calibration_to_become_mvc():
    scale = MuscleScale("maximum", 4)
    assert scale.of_strongest
    np.testing.assert_allclose(scale.percent(shares(0, 0.5, 1, 0)), [0, 50, 100, 0])
    scale.calibrate(REST, REFERENCE)
    assert not scale.of_strongest
    # 200 uV is the loudest reference: a share of 0.26 is 52 uV, of which 50 are above rest, of 100
    found = scale.percent(shares(0.26, 0.145, 1.0, 0.5))
    np.testing.assert_allclose(found[:3], [50, 50, 100], rtol=1e-5)
    assert np.isnan(found[3])  # no reference: nothing can be said
    np.testing.assert_allclose(scale.spread(shares(0.05, 0.025, 0.1, 0.1))[:3], [10, 10, 10], rtol=1e-5)


def test_muscles_go_in_as_they_were_taught_and_unknown_ones_are_at_rest():
    percent, envelope = shares(50, 300, np.nan, 10), shares(52, 80, 7, 40)
    out = np.zeros(4, np.float32)
    assert calibrated("calibration").shares(percent, envelope, 2.0, out)
    np.testing.assert_allclose(out, [0.5, 2.0, 0, 0.1])
    assert calibrated("maximum").shares(percent, envelope, 1.0, out)
    np.testing.assert_allclose(out, [52 / 200, 80 / 200, 0, 40 / 200])


def test_where_nothing_is_known_nothing_goes_in():
    out = np.full(4, 7, np.float32)
    nothing = np.full(4, np.nan, np.float32)
    for normalisation in ("calibration", "maximum"):
        assert not calibrated(normalisation).shares(nothing, np.ones(4, np.float32), 1.0, out)
    assert (out == 7).all()


def test_a_lost_calibration_is_lost():
    scale = calibrated("maximum")
    scale.calibrate(np.full(4, np.nan), np.full(4, np.nan))
    assert scale.of_strongest


def test_what_does_not_fit_is_refused():
    with pytest.raises(BadInput, match="maximum or calibration, found 'mvc'"):
        MuscleScale("mvc", 4)
    with pytest.raises(BadInput, match="has 4 channels"):
        MuscleScale("maximum", 4).calibrate(REST[:3], REFERENCE[:3])
