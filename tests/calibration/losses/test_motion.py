"""eMotion-GAN's losses against their equations, written the slow way."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration.losses.motion import charbonnier, emotion_loss, end_point_error, judged_real, told_apart  # noqa: E402


def test_the_end_point_error_is_a_distance():
    found, wanted = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    wanted[0, :, 0, 0] = torch.tensor([3.0, 4.0])
    assert end_point_error(found, wanted) == pytest.approx(5 / 4, abs=1e-3)
    weight = torch.zeros(1, 1, 2, 2)
    weight[0, 0, 0, 0] = 0.5
    assert end_point_error(found, wanted, weight) == pytest.approx(5, abs=1e-3)
    assert end_point_error(found, wanted, weight * 0) == 0


def test_charbonnier_is_quadratic_near_and_absolute_far():
    zero = torch.zeros(1)
    for gap in (0.0, 1e-4, 1e-3, 0.5, 7.0):
        assert charbonnier(zero, zero + gap) == pytest.approx(math.sqrt(gap**2 + 1e-6), rel=1e-4)


def test_equal_flows_have_gradients():
    found = torch.zeros(1, 2, 2, 2, requires_grad=True)
    (end_point_error(found, torch.zeros(1, 2, 2, 2)) + charbonnier(found, torch.zeros(1, 2, 2, 2))).backward()
    assert torch.isfinite(found.grad).all()


def test_cross_entropies_of_a_critic():
    logits = np.array([-2.0, 0.3])
    share = 1 / (1 + np.exp(-logits))
    assert judged_real(torch.from_numpy(logits)) == pytest.approx(-np.log(share).mean(), rel=1e-5)
    apart = told_apart(torch.from_numpy(logits), torch.from_numpy(-logits))
    assert apart == pytest.approx((-np.log(share).mean() - np.log(1 - (1 - share)).mean()) / 2, rel=1e-5)


def test_what_shows_no_emotion_does_not_count():
    logits = torch.tensor([[5.0, 0.0], [0.0, 5.0], [0.0, 9.0]])
    assert emotion_loss(logits, torch.tensor([0, 1, -1])) == pytest.approx(math.log(1 + math.exp(-5)), rel=1e-4)
    assert emotion_loss(logits, torch.tensor([-1, -1, -1])) == 0
