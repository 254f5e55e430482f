import pytest

torch = pytest.importorskip("torch")

from engines.networks.blocks import ReflectConv, UpConv, initialise  # noqa: E402
from engines.networks.polyphase import BlockConv, TransposedUpConv, polyphase  # noqa: E402
from engines.networks.resnet_generator import AttentiveGenerator, GeneratorSizes, ResnetGenerator  # noqa: E402


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (2, 3, 5, 7), (1, 3, 2, 3)])
def test_the_transposed_convolution_is_the_upsampling_one(shape):
    plain = UpConv(3, 4).double()
    x = torch.rand(*shape, dtype=torch.float64)
    torch.testing.assert_close(TransposedUpConv(plain).double()(x), plain(x), atol=1e-12, rtol=0)


@pytest.mark.parametrize("kernel", [3, 7])
def test_the_convolution_of_blocks_is_the_plain_one(kernel):
    plain = ReflectConv(3, 4, kernel).double()
    x = torch.rand(2, 3, 12, 8, dtype=torch.float64)
    torch.testing.assert_close(BlockConv(plain).double()(x), plain(x), atol=1e-12, rtol=0)


@pytest.mark.parametrize("kind", [ResnetGenerator, AttentiveGenerator])
def test_a_whole_network_computes_the_same(kind):
    network = kind(GeneratorSizes(ngf=8, blocks=2)).eval()
    initialise(network, 1)
    folded = polyphase(network)
    kinds = [type(module) for module in folded.modules()]
    assert kinds.count(TransposedUpConv) == 2
    assert kinds.count(BlockConv) == 1
    x = torch.rand(1, 3, 16, 24) * 2 - 1
    torch.testing.assert_close(folded(x), network(x), atol=2e-5, rtol=0)


def test_the_original_is_left_alone_and_wide_heads_stay():
    network = ResnetGenerator(GeneratorSizes(ngf=4, blocks=0, out_channels=5)).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded = polyphase(network)
    assert isinstance(folded.head, ReflectConv)
    assert not folded.training
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert any(isinstance(module, UpConv) for module in network.modules())
