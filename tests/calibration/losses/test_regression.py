"""Losses against sums written out; the Gaussian one finds the mean and the spread of what it is shown."""

import math

import pytest

torch = pytest.importorskip("torch")

from calibration.losses.regression import amplitude_weights, gaussian_loss, weighted_error  # noqa: E402


def test_weights_leave_out_and_count():
    mean, target = torch.tensor([[1.0, 5.0, 2.0]]), torch.tensor([[0.0, 0.0, 0.0]])
    weight = torch.tensor([[1.0, 0.0, 3.0]])
    assert weighted_error(mean, target, weight).item() == pytest.approx((1 + 3 * 4) / 4)
    assert weighted_error(mean, target, torch.zeros(1, 3)).item() == 0


def test_the_likelihood_is_the_textbooks_where_beta_does_nothing():
    mean, target = torch.tensor([[0.5]]), torch.tensor([[2.0]])
    assert gaussian_loss(mean, torch.zeros(1, 1), target, torch.ones(1, 1)).item() == pytest.approx(0.5 * 1.5**2)
    found = gaussian_loss(mean, torch.full((1, 1), 1.2), target, torch.ones(1, 1)).item()
    assert found == pytest.approx(0.5 * math.exp(0.6) * (1.5**2 * math.exp(-1.2) + 1.2))


def test_it_finds_mean_and_spread():
    draws = 3 + 0.5 * torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    mean, spread = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    adam = torch.optim.Adam([mean, spread], 0.05)
    for _ in range(400):
        adam.zero_grad()
        shape = draws.shape
        gaussian_loss(mean.expand(shape), spread.expand(shape), draws, torch.ones(shape)).backward()
        adam.step()
    assert mean.item() == pytest.approx(3, abs=0.03)
    assert math.exp(spread.item() / 2) == pytest.approx(0.5, abs=0.02)


def test_what_is_strong_counts_more():
    torch.testing.assert_close(amplitude_weights(torch.tensor([0.0, -0.5, 1.0]), 3.0), torch.tensor([1.0, 2.5, 4.0]))
