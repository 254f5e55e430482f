import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engines.networks.blocks import InstanceNorm, ReflectConv, ResidualBlock, UpConv, initialise  # noqa: E402


def picture(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def naive_norm(x):
    """Textbook: every channel of every picture by itself, float64."""
    out = np.empty(x.shape)
    for n, c in np.ndindex(*x.shape[:2]):
        plane = x[n, c].astype(np.float64)
        out[n, c] = (plane - plane.mean()) / np.sqrt(plane.var() + 1e-5)
    return out


def test_instance_norm_is_the_textbooks():
    x = picture(2, 3, 7, 5) * 9 + 4
    np.testing.assert_allclose(InstanceNorm()(x).numpy(), naive_norm(x.numpy()), atol=1e-5)


def test_instance_norm_sums_in_float32_whatever_it_is_given():
    x = (picture(1, 2, 64, 64) + 300).half()  # the sum of 4096 of them leaves float16's range
    y = InstanceNorm()(x)
    assert y.dtype == torch.float16
    np.testing.assert_allclose(y.float().numpy(), naive_norm(x.numpy()), atol=2e-3)


def test_the_gpus_way_to_normalise_gives_the_same_and_keeps_the_layout():
    x = picture(2, 3, 8, 6).to(memory_format=torch.channels_last)
    y = InstanceNorm().keeping_layout(x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(y.numpy(), naive_norm(x.numpy()), atol=1e-5)


def test_reflect_conv_sees_the_mirrored_picture():
    block = ReflectConv(1, 1, 3)
    x = picture(1, 1, 4, 5)
    padded = np.pad(x[0, 0].numpy(), 1, mode="reflect")
    weight, bias = block.conv.weight.detach().numpy()[0, 0], block.conv.bias.item()
    expected = [[(padded[r : r + 3, c : c + 3] * weight).sum() + bias for c in range(5)] for r in range(4)]
    np.testing.assert_allclose(block(x).detach().numpy()[0, 0], expected, atol=1e-5)


def test_up_conv_doubles_by_repeating():
    block = UpConv(2, 3)
    x = picture(1, 2, 3, 4)
    doubled = torch.from_numpy(x.numpy().repeat(2, 2).repeat(2, 3))
    torch.testing.assert_close(block(x), block.conv(doubled))
    assert block(x).shape == (1, 3, 6, 8)


def test_a_residual_block_adds_to_its_input():
    block = ResidualBlock(4)
    initialise(block, 0)
    x = picture(1, 4, 8, 8)
    torch.testing.assert_close(block(x) - x, block.second(block.first(x)))


def test_initialising_is_cyclegans_and_repeatable():
    one, two = ReflectConv(16, 32, 7), ReflectConv(16, 32, 7)
    initialise(one, 3)
    initialise(two, 3)
    torch.testing.assert_close(one.conv.weight, two.conv.weight, rtol=0, atol=0)
    assert one.conv.weight.std().item() == pytest.approx(0.02, rel=0.03)
    assert one.conv.bias.abs().max() == 0
    initialise(two, 4)
    assert not torch.equal(one.conv.weight, two.conv.weight)
