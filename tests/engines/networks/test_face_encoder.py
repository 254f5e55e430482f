import dataclasses

import pytest

torch = pytest.importorskip("torch")

from engines.errors import BadInput  # noqa: E402
from engines.networks.face_encoder import (  # noqa: E402
    LIVE,
    EncoderSizes,
    FaceEncoder,
    deviation_of,
    initialise_encoder,
)

TINY = EncoderSizes(width=0.1, shapes=5)


def encoder(sizes, seed=1):
    network = FaceEncoder(sizes)
    initialise_encoder(network, seed)
    return network.eval()


@pytest.mark.parametrize(("profile", "count"), [("arkit52", 52), ("flame55", 55)])
@pytest.mark.parametrize("arrangement", ["three", "shared"])
def test_what_comes_out(profile, count, arrangement):
    found = encoder(dataclasses.replace(TINY, profile=profile, arrangement=arrangement))(torch.rand(2, 3, 64, 64))
    confidences = 1 if arrangement == "shared" else 0
    assert [tuple(part.shape) for part in found] == [(2, count), (2, 5), (2, 3), (2, 3), (2, confidences)]


def test_the_papers_three_backbones():
    network = FaceEncoder(EncoderSizes("flame55", 300))
    features = {name: head.in_features for name, head in network.heads.items()}
    assert features == {"pose": 576, "camera": 576, "shape": 960, "expression": 960}
    assert network.heads["shape"].out_features == 300


def test_the_live_one_is_small():
    network = FaceEncoder(LIVE)
    assert len(network.backbones) == 1
    assert sum(weight.numel() for weight in network.parameters()) <= 1_500_000


def test_it_starts_as_smirk_does():
    found = encoder(TINY)(torch.rand(3, 3, 64, 64))
    assert found.shape.abs().max() == 0
    assert found.pose.abs().max() < 0.05
    assert (found.camera - torch.tensor([7.0, 0, 0])).abs().max() < 0.05
    assert (found.expression - torch.sigmoid(torch.tensor(-3.0))).abs().max() < 0.1


def test_flames_expression_keeps_its_ranges():
    network = encoder(dataclasses.replace(TINY, profile="flame55"))
    torch.nn.init.normal_(network.heads["expression"].bias, 0, 3, torch.Generator().manual_seed(0))
    (found,) = network(torch.rand(1, 3, 64, 64)).expression
    free, lids, opened, aside = found[:50], found[50:52], found[52], found[53:]
    assert free.min() < -1
    assert free.max() > 1
    assert ((lids >= 0) & (lids <= 1)).all()
    assert opened >= 0
    assert (aside.abs() <= 0.2 + 1e-6).all()


def test_a_confidence_is_a_claim_about_the_error():
    claimed = deviation_of(torch.tensor([0.5, 0.9, 0.99, 0.01]))
    assert claimed[0] == pytest.approx(0.1)
    assert claimed[3] > claimed[0] > claimed[1] > claimed[2] > 0


def test_the_best_confidence_under_a_normal_score_is_the_true_error():
    confidence = torch.linspace(0.01, 0.99, 981)
    deviation = deviation_of(confidence)
    score = 0.5 * 0.07**2 / deviation**2 + deviation.log()  # errors of 0.07
    assert deviation[score.argmin()] == pytest.approx(0.07, abs=0.002)


def test_the_same_seed_gives_the_same_network():
    x = torch.rand(1, 3, 64, 64)
    first, again, other = (encoder(LIVE_TINY, seed)(x).expression for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


LIVE_TINY = dataclasses.replace(LIVE, width=0.1)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"profile": "arkit"}, "profile is arkit52 or flame55, found 'arkit'"),
        ({"arrangement": "two"}, "three or shared, found 'two'"),
        ({"shapes": 0}, "shapes .* found 0"),
        ({"width": 5.0}, "width .* found 5.0"),
    ],
)
def test_sizes_that_cannot_be(change, sentence):
    with pytest.raises(BadInput, match=sentence):
        EncoderSizes(**change)
