import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration.critics import PatchCritic, PicturePool  # noqa: E402
from calibration.recipe import chance  # noqa: E402
from engines.errors import BadInput  # noqa: E402


def test_the_published_size():
    assert sum(weights.numel() for weights in PatchCritic().parameters()) == 2_764_737  # CycleGAN, with biases


@pytest.mark.parametrize(("side", "patches"), [(24, 1), (32, 2), (256, 30)])
def test_one_judgement_per_patch(side, patches):
    assert PatchCritic(4)(torch.zeros(2, 3, side, side)).shape == (2, 1, patches, patches)


def test_a_judgement_sees_70_pixels():
    convolutions = [layer for layer in PatchCritic(2).layers if isinstance(layer, torch.nn.Conv2d)]
    bare = torch.nn.Sequential(*convolutions)  # a norm would see the whole picture
    x = torch.rand(1, 3, 128, 128, requires_grad=True)
    bare(x)[0, 0, 7, 7].backward()
    rows = np.flatnonzero(x.grad.abs().sum((0, 1, 3)).numpy())
    assert rows[-1] - rows[0] + 1 == 70


def naive_pool(size, seed, name, batches):
    """CycleGAN's image pool, one picture after the other."""
    held, shown = [], []
    for number, batch in enumerate(batches):
        drawn = chance(seed, name, number)
        for fake in batch:
            if len(held) < size:
                held.append(fake)
                shown.append(fake)
            elif drawn.random() < 0.5:
                shown.append(fake)
            else:
                place = int(drawn.integers(size))
                shown.append(held[place])
                held[place] = fake
    return shown


def test_a_pool_shows_older_fakes_every_other_time():
    batches = [[float(2 * n), float(2 * n + 1)] for n in range(100)]
    pool = PicturePool(50, 3, "pool")
    shown = [pool.exchange(torch.tensor(batch).reshape(-1, 1, 1, 1), number) for number, batch in enumerate(batches)]
    flat = torch.cat(shown).flatten().tolist()
    assert flat == naive_pool(50, 3, "pool", batches)
    assert flat[:50] == list(range(50))
    older = np.mean(np.array(flat[50:]) != np.arange(50, 200))
    assert 0.35 < older < 0.65


def test_a_pool_comes_back():
    pool, other = PicturePool(3, 0, "p"), PicturePool(3, 0, "p")
    for number in range(5):
        pool.exchange(torch.full((1, 1, 1, 1), float(number)), number)
    other.load_state_dict(pool.state_dict())
    for number in range(5, 30):
        fake = torch.full((1, 1, 1, 1), float(number))
        assert pool.exchange(fake, number) == other.exchange(fake, number)


def test_no_pool_hands_through():
    fakes = torch.rand(4, 3, 2, 2)
    assert PicturePool(0, 0, "p").exchange(fakes, 0) is fakes
    with pytest.raises(BadInput, match="0 or more"):
        PicturePool(-1, 0, "p")


def test_what_a_pool_holds_does_not_change_under_it():
    pool, fake = PicturePool(1, 0, "p"), torch.ones(1, 1, 1, 1)
    pool.exchange(fake, 0)
    fake.zero_()
    assert pool.state_dict()["pictures"][0].item() == 1
