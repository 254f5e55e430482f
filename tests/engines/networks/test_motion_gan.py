"""eMotion-GAN's generators: the paper's size, forms of a flow, and a live size that begins with changing nothing."""

from dataclasses import asdict, replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engines.errors import BadInput  # noqa: E402
from engines.face.flow import clipped, flow_of_polar, polar_of  # noqa: E402
from engines.networks.motion_gan import (  # noqa: E402
    LIVE,
    PAPER,
    CarryingWarp,
    LayerNorm,
    MotionGan,
    MotionGenerator,
    MotionSizes,
    WarpGenerator,
    _read,
    carry,
    decoded,
    encoded,
    initialise_motion,
    into_disc,
)

TINY = replace(PAPER, ngf=2, downs=2, encoder_blocks=1, decoder_blocks=1, warp_ngf=2, warp_downs=2, warp_blocks=1)
OURS = replace(TINY, motion="cartesian", still_start=True, up_kernel=3)


def flows(seed=0, longest=14.0, side=16):
    rng = np.random.default_rng(seed)
    angle, length = rng.uniform(-np.pi, np.pi, (side, side)), rng.uniform(0, longest, (side, side))
    return np.stack([length * np.cos(angle), length * np.sin(angle)], -1).astype(np.float32)


def planes(flow):
    return torch.from_numpy(flow).permute(2, 0, 1)[None]


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_papers_generator_has_the_papers_size():
    with torch.device("meta"):
        assert round(count(MotionGenerator(PAPER)) / 1e6, 1) == 160.7
        assert count(WarpGenerator(PAPER)) < 60e6


def test_the_live_size_fits_a_shipped_bundle():
    assert 2 * count(MotionGan(LIVE)) < 6e6  # float16 bytes


@pytest.mark.parametrize("sizes", [TINY, replace(TINY, motion="cartesian"), OURS])
def test_shapes_and_ranges(sizes):
    network = MotionGan(sizes)
    initialise_motion(network, 1)
    given = encoded(planes(flows()), sizes.motion, sizes.clip_px)
    frontal = network(given, torch.rand(1, 3, 16, 16) * 2 - 1)
    assert frontal.flow.shape == (1, 2, 16, 16)
    assert frontal.face.shape == (1, 3, 16, 16)
    assert frontal.face.abs().max() <= 1
    if sizes.motion == "polar":
        assert frontal.flow.min() >= 0
        assert frontal.flow.max() <= 1
    else:
        assert frontal.flow.square().sum(1).max() <= 1 + 1e-5


def test_without_the_warp():
    sizes = replace(TINY, warp_ngf=0)
    assert MotionGan(sizes)(torch.zeros(1, 2, 16, 16), torch.zeros(1, 3, 16, 16)).face is None
    for warp in (WarpGenerator, CarryingWarp):
        with pytest.raises(BadInput, match="warp_ngf is 0"):
            warp(sizes)


def test_ours_begins_with_changing_nothing():
    network = MotionGan(OURS)
    initialise_motion(network, 3)
    flow, face = encoded(planes(flows(longest=9.0)), "cartesian", 10.0), torch.rand(1, 3, 16, 16) * 2 - 1
    torch.testing.assert_close(network.g_f(flow), flow)
    torch.testing.assert_close(network.g_w(torch.zeros_like(flow), face), face)


def test_everything_learns():
    network = MotionGan(OURS)
    initialise_motion(network, 3)
    with torch.no_grad():
        for head in (network.g_f.decoder.head, network.g_w.decoder.head):
            head.conv.weight.normal_(0, 0.05)
    frontal = network(encoded(planes(flows()), "cartesian", 10.0), torch.rand(1, 3, 16, 16))
    (frontal.face.sum() + frontal.flow.sum()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_the_forms_are_those_of_the_engine():
    flow = flows()
    given = planes(flow)
    for form, numpy_form in (("polar", polar_of(flow)), ("cartesian", clipped(flow))):
        found = encoded(given, form, 10.0)
        np.testing.assert_allclose(found[0].permute(1, 2, 0), numpy_form, atol=1e-5)
        back = decoded(found, form, 10.0)[0].permute(1, 2, 0)
        np.testing.assert_allclose(back, flow_of_polar(polar_of(flow)), atol=1e-4)
    assert encoded(torch.zeros(1, 2, 4, 4), "polar", 10.0).abs().max() == 0


def test_long_vectors_come_into_the_disc():
    x = torch.tensor([[[[3.0, 0.3]], [[4.0, 0.4]]]])
    torch.testing.assert_close(into_disc(x), torch.tensor([[[[0.6, 0.3]], [[0.8, 0.4]]]]))


def test_a_face_is_carried_along():
    face = torch.zeros(1, 1, 16, 16)
    face[0, 0, 5, 4] = 1
    flow = torch.zeros(1, 2, 16, 16)
    flow[:, 0], flow[:, 1] = 3.0, 2.0
    moved = carry(face, flow)
    assert moved[0, 0, 7, 7] == pytest.approx(1, abs=1e-4)
    assert moved.sum() == pytest.approx(1, abs=1e-3)


def test_reading_between_pixels_is_grid_sample():
    values, away = torch.randn(2, 3, 9, 12), torch.randn(2, 2, 9, 12) * 3
    y, x = torch.meshgrid(torch.arange(9.0), torch.arange(12.0), indexing="ij")
    at = torch.stack((x, y))[None] + away
    grid = (2 * at / torch.tensor([11.0, 8.0]).view(1, 2, 1, 1) - 1).permute(0, 2, 3, 1)
    wanted = torch.nn.functional.grid_sample(values, grid, padding_mode="border", align_corners=True)
    inside = ((at >= 0) & (at <= torch.tensor([11.0, 8.0]).view(1, 2, 1, 1))).all(1, keepdim=True)
    found = _read(values, away)
    torch.testing.assert_close(found * inside, wanted * inside, atol=1e-5, rtol=1e-5)


def test_layer_norm_is_group_norm_with_one_group():
    norm, x = LayerNorm(6), torch.randn(2, 6, 5, 5)
    with torch.no_grad():
        norm.weight.normal_()
        norm.bias.normal_()
    wanted = torch.nn.functional.group_norm(x, 1, norm.weight, norm.bias)
    torch.testing.assert_close(norm(x), wanted, atol=1e-5, rtol=1e-5)
    assert norm(x.half()).dtype == torch.float16


def test_the_same_seed_gives_the_same_weights():
    first, second, other = (MotionGan(TINY) for _ in range(3))
    for network, seed in ((first, 5), (second, 5), (other, 6)):
        initialise_motion(network, seed)
    name = "g_f.encoder.0.0.conv.weight"
    assert torch.equal(first.state_dict()[name], second.state_dict()[name])
    assert not torch.equal(first.state_dict()[name], other.state_dict()[name])


@pytest.mark.parametrize(
    "wrong",
    [{"ngf": 0}, {"downs": 7}, {"up_kernel": 4}, {"motion": "complex"}, {"clip_px": 0.0}, {"still_start": 1},
     {"encoder_blocks": 1.5}],
    ids=str,
)  # fmt: skip
def test_sizes_that_cannot_be(wrong):
    with pytest.raises(BadInput, match=next(iter(wrong))):
        replace(PAPER, **wrong)


def test_an_angle_cannot_be_added_to():
    with pytest.raises(BadInput, match="motion = cartesian"):
        replace(PAPER, still_start=True)
    with pytest.raises(BadInput, match="motion = cartesian"):
        CarryingWarp(PAPER)


def test_sizes_are_plain_values():
    assert MotionSizes(**asdict(LIVE)) == LIVE
    assert LIVE.step == 8
    assert PAPER.step == 16
