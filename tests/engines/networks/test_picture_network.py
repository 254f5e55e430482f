import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from engines.errors import BundleError  # noqa: E402
from engines.networks.picture_network import PictureNetwork  # noqa: E402
from engines.spec import ArraySpec  # noqa: E402

FACE = ArraySpec("face", "height, width, colour", "uint8", (0, 255), "grey level", "BGR", (4, 6, 3))
PLANE = ArraySpec("edit", "height, width", "uint8", (0, 255), "1/255", None, (4, 6))


class Seen(nn.Module):
    """Gives back what it gets, and remembers it."""

    value_range = (-1.0, 1.0)
    output_ranges = {"face": (-1.0, 1.0)}

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        self.x = x
        return x[:, :3]


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)


def test_the_network_sees_rgb_from_minus_one_to_one():
    network = Seen()
    face = picture()
    PictureNetwork(network, [FACE], [FACE])(torch.from_numpy(face))
    expected = face[:, :, ::-1].transpose(2, 0, 1)[None] / 127.5 - 1
    np.testing.assert_allclose(network.x.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("colour", ["BGR", "RGB"])
def test_bytes_that_pass_through_come_back_as_they_were(colour):
    spec = dataclasses.replace(FACE, colour=colour)
    face = picture(1)
    (found,) = PictureNetwork(Seen(), [spec], [spec])(torch.from_numpy(face))
    assert found.dtype == torch.uint8
    assert found.is_contiguous()
    np.testing.assert_array_equal(found.numpy(), face)


def test_bgr_in_rgb_out_swaps():
    face = picture(2)
    (found,) = PictureNetwork(Seen(), [FACE], [dataclasses.replace(FACE, colour="RGB")])(torch.from_numpy(face))
    np.testing.assert_array_equal(found.numpy(), face[:, :, ::-1])


def test_several_inputs_are_put_behind_one_another():
    network = Seen()
    plane = np.arange(24, dtype=np.uint8).reshape(4, 6)
    PictureNetwork(network, [FACE, PLANE], [FACE])(torch.from_numpy(picture()), torch.from_numpy(plane))
    assert network.x.shape == (1, 4, 4, 6)
    np.testing.assert_allclose(network.x[0, 3].numpy(), plane / 127.5 - 1, atol=1e-6)


def test_a_float_output_keeps_its_fractions():
    spec = dataclasses.replace(FACE, dtype="float32", range=(0, 1))
    face = np.random.default_rng(3).random((4, 6, 3), np.float32)
    (found,) = PictureNetwork(Seen(), [spec], [spec])(torch.from_numpy(face))
    np.testing.assert_allclose(found.numpy(), face, atol=1e-6)


def test_what_leaves_the_range_is_clipped_not_wrapped():
    network = Seen()
    network.forward = lambda x: torch.full((1, 3, 4, 6), 1.5)
    (found,) = PictureNetwork(network, [FACE], [FACE])(torch.from_numpy(picture()))
    assert found.min() == 255


def test_the_network_itself_runs_in_the_precision_of_its_weights():
    network = Seen().half()
    face = picture(4)
    (found,) = PictureNetwork(network, [FACE], [FACE])(torch.from_numpy(face))
    assert network.x.dtype == torch.float16
    np.testing.assert_array_equal(found.numpy(), face)  # float16 holds 256 levels between -1 and 1


@pytest.mark.parametrize(
    "change",
    [
        {"shape": None},
        {"shape": (4, 6, 4)},
        {"colour": None},
        {"colour": "YUV"},
        {"dtype": "int64"},
        {"layout": "colour, height, width"},
        {"layout": "height, width"},
        {"range": (0, 0)},
    ],
)
def test_what_is_no_picture_is_refused(change):
    with pytest.raises(BundleError, match="'face' of a picture network must be"):
        PictureNetwork(Seen(), [dataclasses.replace(FACE, **change)], [FACE])


def test_an_output_that_the_network_lacks_is_refused():
    with pytest.raises(BundleError, match="no output 'edit': it has face"):
        PictureNetwork(Seen(), [FACE], [PLANE])
