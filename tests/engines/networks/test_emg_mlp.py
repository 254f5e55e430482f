"""Between expression and muscle: the paper's shape, scales that go there and back, a spread that is right."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engines.errors import BadInput  # noqa: E402
from engines.networks.emg_mlp import EmgMlp, MlpSizes, Scaled, initialise_mlp  # noqa: E402


def made(**sizes):
    network = EmgMlp(MlpSizes(**{"inputs": 5, "outputs": 3, "widths": (8, 8), **sizes}))
    initialise_mlp(network, 1)
    return network


def test_the_papers_network_has_six_layers():
    network = EmgMlp(MlpSizes(22, 55, end="tanh"))
    layers = [module for module in network.modules() if isinstance(module, torch.nn.Linear)]
    assert len(layers) == 6
    assert sum(layer.weight.numel() + layer.bias.numel() for layer in layers) == pytest.approx(0.34e6, rel=0.02)


@pytest.mark.parametrize(("end", "low", "high"), [("tanh", -1, 1), ("relu", 0, np.inf), ("open", -np.inf, np.inf)])
def test_the_end_is_what_the_paper_says(end, low, high):
    x = 100 * torch.randn(64, 1, 5, generator=torch.Generator().manual_seed(0))
    mean = made(end=end)(x).mean
    assert low <= mean.min()
    assert mean.max() <= high
    assert (mean.min() < 0) == (end != "relu")


def test_plain_is_the_plain_chain_of_layers():
    network, x = made(end="relu", taps=2), torch.rand(4, 2, 5)
    y = x.flatten(1)
    for layer in network.body:
        y = torch.relu(y @ layer[0].weight.T + layer[0].bias)
    expected = torch.relu(y @ network.head.weight.T + network.head.bias)
    torch.testing.assert_close(network.estimate(network(x)).value, expected)


@pytest.mark.parametrize("scaling", ["plain", "robust", "root"])
def test_targets_come_back_from_their_scale(scaling):
    network = made(scaling=scaling, end="open")
    if scaling != "plain":
        network.set_gains([1.0] * 5, [0.5, 2.0, 100.0])
    y = torch.tensor([[0.0, 1.5, -40.0], [0.3, -2.0, 400.0]])
    torch.testing.assert_close(network.estimate(Scaled(network.scaled_targets(y), None)).value, y)


def test_plain_has_no_gains():
    with pytest.raises(BadInput, match="scaling is plain has no gains"):
        made().set_gains([1.0] * 5, [1.0] * 3)


def test_root_lifts_what_is_quiet():
    network = made(scaling="root", end="open")
    small = network.scaled_targets(torch.full((1, 3), 0.01))
    torch.testing.assert_close(small, torch.full((1, 3), 0.1))


@pytest.mark.parametrize("scaling", ["robust", "root"])
def test_the_spread_is_that_of_drawn_numbers(scaling):
    network = made(scaling=scaling, end="open", uncertainty=True)
    network.set_gains([1.0] * 5, [2.0, 2.0, 2.0])
    m, s = 0.8, 0.1
    drawn = Scaled(m + s * torch.randn(200_000, 3, generator=torch.Generator().manual_seed(0)), None)
    expected = network.estimate(drawn).value.std()
    given = Scaled(torch.full((1, 3), m), torch.full((1, 3), 2 * float(np.log(s))))
    assert network.estimate(given).sd.mean() == pytest.approx(float(expected), rel=0.02)


@pytest.mark.parametrize("scaling", ["plain", "robust", "root"])
def test_rest_is_flat_and_what_lies_above_is_left_alone(scaling):
    network = made(scaling=scaling, end="open", rest=True)
    network.set_rest([0.2, 0.0, 0.3], [0.1, 0.0, 0.3])
    values = torch.linspace(-0.5, 1.0, 301)[:, None].expand(-1, 3)
    found = network.estimate(Scaled(network.scaled_targets(values), None)).value
    for column, (until, level, met) in enumerate([(0.2, 0.1, 0.25), (0.0, 0.0, 0.0), (0.3, 0.3, 0.3)]):
        one, given = found[:, column], values[:, column]
        assert one[given < until - 0.01].unique().numpy() == pytest.approx([level])
        torch.testing.assert_close(one[given > met + 0.01], given[given > met + 0.01])
        steps = one.diff()
        assert steps.min() >= -1e-6
        assert steps.max() < 3.1 * 0.005  # no jump


def test_nothing_rests_until_it_is_told_to_nor_when_that_is_forgotten():
    x = 10 * torch.randn(64, 1, 5, generator=torch.Generator().manual_seed(0))
    free, rested = made(end="open"), made(end="open", rest=True)
    said = free.estimate(free(x)).value
    assert said.min() < 0  # those that go both ways, too
    torch.testing.assert_close(rested.estimate(rested(x)).value, said)
    rested.set_rest([0.1] * 3, [0.0] * 3)
    assert not torch.allclose(rested.estimate(rested(x)).value, said)
    rested.forget_rest()
    torch.testing.assert_close(rested.estimate(rested(x)).value, said)


def test_rest_that_cannot_be_is_refused():
    with pytest.raises(BadInput, match="a network without rest tells none"):
        made().set_rest([0.0] * 3, [0.0] * 3)
    with pytest.raises(BadInput, match="rest must lie where it is told or below"):
        made(rest=True).set_rest([0.1] * 3, [0.1, 0.2, 0.1])


def test_the_same_seed_gives_the_same_weights():
    for one, other in zip(made().parameters(), made().parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ({"inputs": 0}, "inputs of an EMG network must be a whole number 1..4096, found 0"),
        ({"widths": (8, 2.5)}, "a width .* found 2.5"),
        ({"widths": ()}, "1 to 16 widths, found 0"),
        ({"end": "sigmoid"}, "end of an EMG network is tanh, relu, open; found 'sigmoid'"),
        ({"scaling": "log"}, "scaling .* found 'log'"),
        ({"uncertainty": 1}, "uncertainty .* true or false, found 1"),
        ({"rest": "yes"}, "rest .* true or false, found 'yes'"),
    ],
)
def test_sizes_that_cannot_be_are_refused(sizes, sentence):
    with pytest.raises(BadInput, match=sentence):
        made(**sizes)
