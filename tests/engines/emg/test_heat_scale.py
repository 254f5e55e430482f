"""The heat map's colours: even steps, and an order that no colour vision is needed for."""

import numpy as np
import pytest

from engines.emg.heat_scale import heat_colours, heat_scale
from engines.errors import BadInput

# Machado, Oliveira and Fernandes 2009, full severity, on linear RGB
BLINDNESS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(scale):
    share = scale / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def oklab(rgb):
    """Ottosson 2020, forwards: the inverse of what the scale is made with, with his own published matrices."""
    lms = rgb @ np.array(
        [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
         [0.0883024619, 0.2817188376, 0.6299787005]]
    ).T  # fmt: skip
    return np.cbrt(np.maximum(lms, 0)) @ np.array(
        [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
         [0.0259040371, 0.7827717662, -0.8086757660]]
    ).T  # fmt: skip


def test_steps_look_equal():
    lab = oklab(linear(heat_scale(33)))
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert steps.max() < 1.2 * steps.min()  # bytes, and colours that no screen has, cost some evenness


@pytest.mark.parametrize("kind", ["full colour vision", *BLINDNESS])
def test_the_order_is_seen_by_everybody(kind):
    rgb = linear(heat_scale(33))
    seen = np.clip(rgb @ np.array(BLINDNESS[kind]).T, 0, 1) if kind in BLINDNESS else rgb
    lab = oklab(seen)
    assert (np.diff(lab[:, 0]) < -0.005).all()  # darker at each step
    apart = np.linalg.norm(lab[::8, None] - lab[None, ::8], axis=-1)[np.triu_indices(5, 1)]
    assert apart.min() > 0.08  # quarters of the scale are told apart


def test_colours_follow_the_scale_and_stop_at_its_ends():
    scale = heat_scale(256)
    np.testing.assert_array_equal(heat_colours([0, 100, 250, -5, np.nan]), scale[[0, 255, 255, 0, 0]])
    np.testing.assert_array_equal(heat_colours([[50.0]]), scale[[[128]]])


def test_one_step_is_no_scale():
    with pytest.raises(BadInput, match="2 steps or more, got 1"):
        heat_scale(1)
