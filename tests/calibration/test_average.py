import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration.average import MovingAverage  # noqa: E402
from engines.errors import BadInput  # noqa: E402


def walked(average, network, values):
    for value in values:
        with torch.no_grad():
            network.weight.fill_(value)
        average.update()
    return average.network.weight.item()


def test_is_the_textbook_average_that_forgets_its_beginning():
    network, values = torch.nn.Linear(1, 1), np.random.default_rng(0).normal(size=40)
    mean = network.weight.item()
    found = walked(MovingAverage(network, 0.7), network, values)
    for step, value in enumerate(values, 1):
        decay = min(0.7, step / (step + 10))
        mean = decay * mean + (1 - decay) * value
    assert found == pytest.approx(mean, abs=1e-6)


def test_comes_back_and_teaches_nobody():
    network = torch.nn.Linear(1, 1)
    one, other = MovingAverage(network, 0.9), MovingAverage(torch.nn.Linear(1, 1), 0.9)
    walked(one, network, [1.0, 2.0])
    other.load_state_dict(one.state_dict())
    other._source = network
    assert walked(one, network, [5.0]) == walked(other, network, [5.0])
    assert not any(weights.requires_grad for weights in one.network.parameters())


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_that_cannot_be(decay):
    with pytest.raises(BadInput, match=r"in \[0, 1\)"):
        MovingAverage(torch.nn.Linear(1, 1), decay)
