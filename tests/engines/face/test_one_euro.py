import math

import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.one_euro import OneEuro, OneEuroSettings


def one_euro_by_the_book(values, times, settings):
    """Casiez 2012, one scalar at a time, no tricks."""

    def alpha(cutoff, dt):
        return 1 / (1 + 1 / (2 * math.pi * cutoff) / dt)

    out, speed = [values[0]], 0.0
    for k in range(1, len(values)):
        dt = times[k] - times[k - 1]
        a = alpha(settings.d_cutoff_hz, dt)
        speed = a * (values[k] - out[-1]) / dt + (1 - a) * speed
        a = alpha(settings.min_cutoff_hz + settings.beta * abs(speed), dt)
        out.append(a * values[k] + (1 - a) * out[-1])
    return out


def test_equals_its_slow_twin_at_irregular_times():
    rng = np.random.default_rng(1)
    values, times = rng.normal(size=(200, 3)), np.cumsum(rng.uniform(0.005, 0.2, 200))
    settings = OneEuroSettings(min_cutoff_hz=1.2, beta=0.7)
    one_euro = OneEuro(settings)
    fast = np.array([one_euro(v, t) for v, t in zip(values, times, strict=True)])
    slow = np.column_stack([one_euro_by_the_book(values[:, c], times, settings) for c in range(3)])
    np.testing.assert_allclose(fast, slow, rtol=1e-12)


def test_calms_noise_at_rest_and_follows_fast_motion():
    rng = np.random.default_rng(2)
    times = np.arange(300) / 30
    noise = 0.001 * rng.normal(size=300)
    still = OneEuro()
    rest = np.array([still([x], t)[0] for x, t in zip(noise, times, strict=True)])
    assert rest[30:].std() < 0.5 * noise[30:].std()
    moving = OneEuro()
    ramp = np.array([moving([2 * t], t)[0] for t in times])  # two units a second
    assert np.abs(ramp - 2 * times)[60:].max() < 2 * 0.010  # lags less than 10 ms


def test_the_unit_makes_pixels_and_radians_alike():
    times = np.arange(20) / 30
    plain, scaled = OneEuro(), OneEuro()
    a = [plain([math.sin(3 * t)], t)[0] for t in times]
    b = [scaled([100 * math.sin(3 * t)], t, unit=[100.0])[0] for t in times]
    np.testing.assert_allclose(np.array(b) / 100, a)


def test_repeated_stamp_changes_nothing():
    one_euro = OneEuro()
    one_euro([0.0], 0.0)
    first = one_euro([1.0], 0.1)
    assert one_euro([50.0], 0.1) == first


def test_restarts_when_the_clock_runs_back_or_the_vector_changes():
    one_euro = OneEuro()
    one_euro([0.0], 10.0)
    assert one_euro([5.0], 9.0) == [5.0]
    np.testing.assert_array_equal(one_euro([1.0, 2.0], 9.1), [1.0, 2.0])


def test_the_answer_belongs_to_the_caller():
    one_euro = OneEuro()
    one_euro([1.0], 0.0)[0] = 99.0
    assert one_euro([1.0], 0.1) == [1.0]


@pytest.mark.parametrize(("value", "t_s"), [([np.nan], 0.0), ([np.inf], 0.0), ([1.0], np.nan)])
def test_refuses_what_is_not_finite(value, t_s):
    with pytest.raises(BadInput, match="not finite"):
        OneEuro()(value, t_s)


@pytest.mark.parametrize("bad", [{"min_cutoff_hz": 0.0}, {"beta": -1.0}, {"d_cutoff_hz": -0.1}])
def test_refuses_impossible_settings(bad):
    with pytest.raises(BadInput):
        OneEuroSettings(**bad)
