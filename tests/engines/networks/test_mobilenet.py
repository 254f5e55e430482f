import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engines.errors import BadInput  # noqa: E402
from engines.networks.mobilenet import MobileNet, initialise_mobilenet, rounded  # noqa: E402


def count(network):
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(("layout", "features", "parameters"), [("small", 576, 428_888), ("large", 960, 1_413_208)])
def test_sizes_are_those_of_the_published_networks(layout, features, parameters):
    # By hand, from the paper's tables without squeeze-and-excite: 1.41 M + classifier (960 x 1280, 1280 x 1000) = 3.9 M
    network = MobileNet(layout).eval()
    assert (network.features, count(network)) == (features, parameters)
    assert network(torch.zeros(1, 3, 224, 224)).shape == (1, features, 7, 7)


def test_nothing_but_small_kernels_and_relu():
    kinds = {type(module).__name__ for module in MobileNet("large").modules()} - {"MobileNet", "Sequential"}
    assert kinds == {"Conv2d", "BatchNorm2d", "ReLU", "InvertedResidual"}
    kernels = {module.kernel_size for module in MobileNet("large").modules() if isinstance(module, torch.nn.Conv2d)}
    assert kernels == {(1, 1), (3, 3)}


def test_width_narrows_every_layer():
    half = MobileNet("large", 0.5)
    assert half.features == 480
    assert count(half) < 0.35 * count(MobileNet("large"))


@pytest.mark.parametrize(("channels", "found"), [(16, 16), (12, 16), (18, 24), (72 * 0.75, 56), (3, 8), (480, 480)])
def test_channels_are_multiples_of_eight_and_never_much_fewer(channels, found):
    assert rounded(channels) == found
    assert rounded(channels) >= 0.9 * channels


def test_features_keep_their_size_through_the_layers():
    # He's start: neither dying nor exploding over 45 convolutions
    network = MobileNet("large")
    initialise_mobilenet(network, 3)
    seen = network(torch.rand(4, 3, 64, 64))
    assert 0.1 < seen.std() < 10


def test_the_same_seed_gives_the_same_weights():
    networks = [MobileNet("small", 0.25) for _ in range(3)]
    for network, seed in zip(networks, (1, 1, 2), strict=True):
        initialise_mobilenet(network, seed)
    first, again, other = (next(network.parameters()).detach().numpy() for network in networks)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("layout", "width"), [("medium", 1.0), ("large", 0.0), ("large", 9.0)])
def test_sizes_that_cannot_be(layout, width):
    with pytest.raises(BadInput, match="MobileNet"):
        MobileNet(layout, width)
