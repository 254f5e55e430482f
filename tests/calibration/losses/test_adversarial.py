import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration.losses.adversarial import critic_loss, generator_loss  # noqa: E402


@pytest.fixture
def judgements():
    real, fake = np.random.default_rng(0).normal(0.5, 1, (2, 3, 1, 6, 5)).astype(np.float32)
    return real, fake


def test_eq_1_for_a_generator(judgements):
    _, fake = judgements
    assert generator_loss(torch.from_numpy(fake)).item() == pytest.approx(((fake - 1) ** 2).mean(), rel=1e-6)


def test_eq_1_for_a_critic(judgements):
    real, fake = judgements
    twin = 0.5 * (((real - 1) ** 2).mean() + (fake**2).mean())
    assert critic_loss(torch.from_numpy(real), torch.from_numpy(fake)).item() == pytest.approx(twin, rel=1e-6)


def test_who_is_right_pays_nothing():
    one, nought = torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
    assert generator_loss(one).item() == critic_loss(one, nought).item() == 0
    assert (generator_loss(nought).item(), critic_loss(nought, one).item()) == (1, 1)


def test_half_precision_is_summed_in_whole():
    judged = torch.full((1, 1, 64, 64), 0.001, dtype=torch.bfloat16)
    assert generator_loss(judged).dtype == torch.float32
