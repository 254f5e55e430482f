import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional as F  # noqa: E402

from engines.errors import BadInput  # noqa: E402
from engines.networks.blocks import initialise  # noqa: E402
from engines.networks.coarse_to_fine import CoarseToFineGenerator, CoarseToFineSizes  # noqa: E402
from engines.networks.polyphase import polyphase  # noqa: E402

SMALL = CoarseToFineSizes(ngf=8, blocks=1, coarse_ngf=4, coarse_blocks=1)


@pytest.fixture
def network():
    network = CoarseToFineGenerator(SMALL)
    initialise(network, 3)
    return network.eval()


@pytest.fixture
def picture():
    return torch.rand(2, 3, 32, 40, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_with_a_head_of_zeros_it_is_the_coarse_one_enlarged(network, picture):
    network.head.conv.weight.data.zero_()
    variance, level = torch.var_mean(picture, (2, 3), correction=0, keepdim=True)
    contrast = (variance + 0.02**2).sqrt()
    small = F.avg_pool2d((picture - level) / contrast, 2)
    rough = F.interpolate(network.coarse.features(small), scale_factor=2, mode="bilinear")
    with torch.no_grad():
        found = network(picture)
        torch.testing.assert_close(found.colour, (rough[:, :3] * contrast + level).clamp(-1, 1))
        torch.testing.assert_close(found.edit, rough[:, 3:].sigmoid())
        torch.testing.assert_close(found.face, picture + found.edit * (found.colour - picture))


def test_the_head_changes_what_comes_out(network, picture):
    with torch.no_grad():
        before = network(picture).colour
        network.head.conv.weight.data.zero_()
        assert (network(picture).colour - before).abs().max() > 1e-3


def test_another_exposure_of_the_input_is_that_of_the_colour(network, picture):
    with torch.no_grad():
        plain, darker = network(picture * 0.5), network(picture * 0.25 - 0.1)
    inside = (plain.colour.abs() < 0.9) & (darker.colour.abs() < 0.9)
    torch.testing.assert_close(darker.colour[inside], (plain.colour * 0.5 - 0.1)[inside], atol=0.01, rtol=0)


def test_the_folded_copy_computes_the_same(network, picture):
    with torch.no_grad():
        for plain, folded in zip(network(picture), polyphase(network)(picture), strict=True):
            torch.testing.assert_close(plain, folded, atol=1e-5, rtol=1e-4)


def test_the_shipped_sizes_fit_into_a_bundle_of_6_mb():
    parameters = sum(p.numel() for p in CoarseToFineGenerator().parameters())
    assert 1.2e6 < parameters < 3e6  # two bytes each


@pytest.mark.parametrize("wrong", [{"ngf": 7}, {"coarse_ngf": 0}, {"blocks": -1}, {"coarse_blocks": "3"}])
def test_sizes_that_cannot_be(wrong):
    with pytest.raises(BadInput, match=str(*wrong.values())):
        CoarseToFineGenerator(CoarseToFineSizes(**wrong))
