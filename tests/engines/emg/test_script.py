import numpy as np
import pytest

from engines.emg.montage import FRIDLUND
from engines.emg.script import BROW_RAISE, SMILE, ActivationScript, Task
from engines.errors import BadInput


def test_the_left_side_is_weaker_and_the_left_eye_moves_along():
    script = ActivationScript()
    strength = script.activation(np.array([1.0, 8.5]))
    assert strength.shape == (2, 22)
    assert not strength[0].any()
    right, left, eye_left = (FRIDLUND.column(c) for c in ("F19", "F20", "F18"))
    assert strength[1, right] == pytest.approx(0.9)
    assert strength[1, left] == pytest.approx(0.4)
    assert strength[1, eye_left] > 0.3
    assert script.task_at(8.5) == "Smile-Closed"
    assert script.task_at(1.0) == "Face-At-Rest"


def test_the_face_lags_the_muscle():
    script = ActivationScript(delay_s=0.1)
    times = np.arange(2.0, 5.5, 0.01)
    muscle = script.activation(times)[:, FRIDLUND.column("F1")] / 0.85
    face = np.array([script.expression(t)["browInnerUp"] for t in times]) / 0.7
    np.testing.assert_allclose(face[10:], muscle[:-10], atol=1e-9)
    assert set(script.expression(0.0)) == set(script.expression(8.5))
    assert all(0 <= v <= 1 for t in np.arange(0, 30, 0.1) for v in script.expression(float(t)).values())


def test_activation_is_periodic_smooth_and_bounded():
    script = ActivationScript(tasks=(BROW_RAISE, SMILE))
    times = np.arange(0, script.period_s, 0.001)
    strength = script.activation(times)
    assert 0 <= strength.min() <= strength.max() <= 1
    np.testing.assert_allclose(script.activation(times + script.period_s), strength, atol=1e-9)
    assert np.abs(np.diff(strength, axis=0)).max() < 0.01


def test_its_drive_is_one_period_of_its_activation():
    script = ActivationScript(rest_s=1.03)
    drive = script.drive
    assert drive.period_s == pytest.approx(script.period_s)
    times = np.arange(len(drive.activation)) / drive.rate_hz
    np.testing.assert_allclose(drive.activation, script.activation(times), atol=1e-6)
    assert not drive.fatigue.any()
    assert not drive.lids.any()


def test_what_does_not_fit_is_refused():
    with pytest.raises(BadInput, match="unknown: biceps"):
        ActivationScript(tasks=(Task("Curl", (("biceps", 1.0, 1.0),), ()),))
    with pytest.raises(BadInput):
        ActivationScript(ramp_s=5.0)
