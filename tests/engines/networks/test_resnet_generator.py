import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional as F  # noqa: E402

from engines.errors import BadInput  # noqa: E402
from engines.networks.blocks import initialise  # noqa: E402
from engines.networks.resnet_generator import AttentiveGenerator, GeneratorSizes, ResnetGenerator  # noqa: E402


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def by_the_paper(x, weights):
    """The generator written down once more, from FACTS 2 alone: weights in the order in which they are used."""
    weights = iter(weights)

    def conv(y, pad=0, stride=1, zeros=0):
        if pad:
            y = F.pad(y, (pad,) * 4, mode="reflect")
        return F.conv2d(y, next(weights), next(weights), stride, zeros)

    def norm(y):
        mean = y.mean((2, 3), keepdim=True)
        return (y - mean) / (((y - mean) ** 2).mean((2, 3), keepdim=True) + 1e-5).sqrt()

    y = norm(conv(x, pad=3)).relu()
    for _ in range(2):
        y = norm(conv(y, stride=2, zeros=1)).relu()
    for _ in range(3):
        y = y + norm(conv(norm(conv(y, pad=1)).relu(), pad=1))
    for _ in range(2):
        y = y.repeat_interleave(2, 2).repeat_interleave(2, 3)
        y = norm(conv(y, pad=1)).relu()
    return conv(y, pad=3).tanh()


def test_the_default_is_mc_cyclegans_with_4_3_million_parameters():
    assert parameters(ResnetGenerator()) == pytest.approx(4.3e6, rel=0.02)


def test_eifers_has_11_4_million():
    assert parameters(ResnetGenerator(GeneratorSizes(blocks=9, in_channels=6))) == pytest.approx(11.4e6, rel=0.02)


def test_it_computes_what_the_paper_says():
    network = ResnetGenerator(GeneratorSizes(ngf=4)).double()
    initialise(network, 1)
    x = torch.rand(2, 3, 16, 24, dtype=torch.float64) * 2 - 1
    expected = by_the_paper(x, list(network.state_dict().values()))
    torch.testing.assert_close(network(x), expected, atol=1e-5, rtol=0)  # the network normalises in float32
    assert network(x).abs().max() <= 1


def test_where_nothing_is_edited_the_input_comes_through_untouched():
    network = AttentiveGenerator(GeneratorSizes(ngf=4, blocks=0))
    initialise(network, 2)
    with torch.no_grad():
        network.head.conv.bias[3] = -200.0
    x = torch.rand(1, 3, 8, 8) * 2 - 1
    found = network(x)
    assert found.edit.max() == 0
    np.testing.assert_array_equal(found.face.detach().numpy(), x.numpy())


def test_the_edit_mask_mixes_colour_and_input():
    network = AttentiveGenerator(GeneratorSizes(ngf=4, blocks=1, in_channels=6))
    initialise(network, 2)
    x = torch.rand(2, 6, 8, 12) * 2 - 1
    found = network(x)
    assert found.edit.shape == (2, 1, 8, 12)
    assert 0 <= found.edit.min() <= found.edit.max() <= 1
    torch.testing.assert_close(found.face, found.edit * found.colour + (1 - found.edit) * x[:, :3])


def test_another_camera_of_the_input_is_that_of_what_is_filled_in():
    """Gain and offset of each colour, as another white balance and exposure; the edit stays where it was."""
    network = AttentiveGenerator(GeneratorSizes(ngf=8, blocks=1))
    initialise(network, 3)
    x = torch.rand(1, 3, 16, 20) * 1.2 - 0.6
    gain, offset = torch.tensor([1.1, 0.8, 0.6]).view(1, 3, 1, 1), torch.tensor([0.05, 0.0, -0.1]).view(1, 3, 1, 1)
    one, other = network(x), network(x * gain + offset)
    assert one.colour.abs().max() < 0.8  # nothing is cut off
    torch.testing.assert_close(other.colour, one.colour * gain + offset, atol=5e-3, rtol=0)
    torch.testing.assert_close(other.edit, one.edit, atol=5e-3, rtol=0)
    assert one.colour.std() > 0.02


@pytest.mark.parametrize("level", [-1.0, 0.3, 1.0])
def test_an_empty_picture_stays_a_picture(level):
    network = AttentiveGenerator(GeneratorSizes(ngf=4, blocks=1))
    initialise(network, 3)
    found = network(torch.full((1, 3, 8, 8), level))
    assert all(torch.isfinite(part).all() for part in found)
    assert found.face.abs().max() <= 1


def test_gradients_reach_every_weight():
    network = AttentiveGenerator(GeneratorSizes(ngf=4, blocks=2))
    initialise(network, 0)
    found = network(torch.rand(1, 3, 16, 16) * 2 - 1)
    (found.face.square().mean() + found.edit.mean()).backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    # a bias before a normalisation is taken out again; rounding leaves it a gradient, or none
    assert [name for name in silent if not name.endswith("bias")] == []


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ({"ngf": 0}, "ngf of a ResNet generator must be a whole number 1..512, found 0"),
        ({"blocks": 2.0}, "blocks .* found 2.0"),
        ({"in_channels": True}, "in_channels .* found True"),
    ],
)
def test_impossible_sizes_are_refused(sizes, sentence):
    with pytest.raises(BadInput, match=sentence):
        GeneratorSizes(**sizes)


def test_an_attentive_generator_needs_the_picture_that_it_edits():
    with pytest.raises(BadInput, match="in_channels must be at least out_channels"):
        AttentiveGenerator(GeneratorSizes(in_channels=1))
