"""The five terms, each against its line of arithmetic."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration.losses.cascade import (  # noqa: E402
    adversarial_loss,
    change_between,
    conditional_loss,
    content_loss,
    gradient_penalty,
    meaning_loss,
    smoothness_loss,
    sparsity_loss,
    truth_loss,
    wasserstein_loss,
)


def some(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_who_wants_what():
    real, fake = some(4, 1, 2, 2), some(4, 1, 2, 2, seed=1)
    assert adversarial_loss(fake).item() == pytest.approx(-np.mean(fake.numpy()))
    assert wasserstein_loss(real, fake).item() == pytest.approx(np.mean(fake.numpy()) - np.mean(real.numpy()))
    assert wasserstein_loss(real + 1, fake) < wasserstein_loss(real, fake)


def test_means_and_squares():
    a, b = some(3, 17), some(3, 17, seed=1)
    for loss in (conditional_loss, meaning_loss):
        assert loss(a, b).item() == pytest.approx(np.mean((a.numpy() - b.numpy()) ** 2))
    x, y = some(2, 3, 8, 8), some(2, 3, 8, 8, seed=1)
    assert content_loss(x, y).item() == pytest.approx(np.mean(np.abs(x.numpy() - y.numpy())), rel=1e-5)


def test_attention_is_sparse_and_smooth():
    attention = some(2, 1, 5, 6)
    assert sparsity_loss(attention).item() == pytest.approx(attention.mean().item())
    total = 0.0
    for picture in attention[:, 0].tolist():
        for y in range(5):
            for x in range(6):
                total += abs(picture[y][x] - picture[y + 1][x]) if y < 4 else 0
                total += abs(picture[y][x] - picture[y][x + 1]) if x < 5 else 0
    assert smoothness_loss(attention).item() == pytest.approx(total / 2, rel=1e-5)
    assert smoothness_loss(attention.repeat(3, 1, 1, 1)).item() == pytest.approx(total / 2, rel=1e-5)


@pytest.mark.parametrize("shape", [(4, 3, 4, 4), (4, 17)])
def test_a_straight_critic_of_slope_one_pays_nothing(shape):
    count = int(np.prod(shape[1:]))
    real, fake, share = some(*shape), some(*shape, seed=1), some(4, seed=2)
    one = gradient_penalty(lambda x: x.flatten(1).sum(1) / count**0.5, real, fake, share)
    assert one.item() == pytest.approx(0, abs=1e-8)
    three = gradient_penalty(lambda x: 3 * x.flatten(1).sum(1) / count**0.5, real, fake, share)
    assert three.item() == pytest.approx(4, rel=1e-4)


def test_the_slope_is_taken_between_real_and_fake():
    real, fake, share = some(3, 5), some(3, 5, seed=1), torch.tensor([0.0, 0.25, 1.0])
    found = gradient_penalty(lambda x: (x**2).sum(1), real, fake, share).item()
    between = share[:, None].numpy() * real.numpy() + (1 - share[:, None].numpy()) * fake.numpy()
    assert found == pytest.approx(np.mean((np.linalg.norm(2 * between, axis=1) - 1) ** 2), rel=1e-5)


def test_the_critics_weights_learn_from_their_slope():
    critic = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    gradient_penalty(critic, some(3, 5), some(3, 5, seed=1), some(3)).backward()
    assert critic[0].weight.grad.abs().sum() > 0


def test_a_change_is_where_something_changes():
    face = some(1, 3, 20, 20)
    truth = face.clone()
    truth[0, 1, 10, 10] += 1.0
    change = change_between(face, truth)[0, 0]
    assert change[10, 10] == change[8, 12] == change[7, 10] > 0.8  # 127.5 / 9 of 16 levels, and two px around
    assert change[5, 10] == change[10, 15] == 0
    assert change_between(face, face).max() == 0


def test_the_truth_counts_where_it_is_known():
    found, truth, change = some(3, 3, 6, 6), some(3, 3, 6, 6, seed=1), some(3, 1, 6, 6, seed=2)
    known = torch.tensor([True, False, True])
    away = np.abs(found.numpy() - truth.numpy())
    there = [(away[n] * change[n].numpy()).mean() / change[n].numpy().mean() for n in range(3)]
    whole = [away[n].mean() for n in range(3)]
    assert truth_loss(found, truth, change, known).item() == pytest.approx(
        (there[0] + there[2] + whole[0] + whole[2]) / 3, rel=1e-5
    )
    assert truth_loss(found, truth, change, known, False).item() == pytest.approx((there[0] + there[2]) / 3, rel=1e-5)
    assert truth_loss(found, truth, 0 * change, known, False).item() == 0
