"""D_P: its layers are those of FACTS 2, and it sees both flows."""

import pytest

torch = pytest.importorskip("torch")

from calibration.motion_critic import MotionCritic  # noqa: E402


def test_layers_and_shape():
    critic = MotionCritic()
    widths = [m.out_channels for m in critic.modules() if isinstance(m, torch.nn.Conv2d)]
    assert widths == [64, 128, 256, 1]
    assert MotionCritic(4)(torch.zeros(2, 2, 32, 48), torch.zeros(2, 2, 32, 48)).shape == (2, 1, 4, 6)


def test_it_sees_what_was_given():
    critic, flow = MotionCritic(4), torch.randn(1, 2, 32, 32)
    first, second = critic(flow, torch.zeros_like(flow)), critic(flow, torch.randn(1, 2, 32, 32))
    assert not torch.allclose(first, second)
