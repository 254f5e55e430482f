"""Critics: shapes for every region, and the same seed the same numbers."""

import pytest

torch = pytest.importorskip("torch")

from calibration.expression_critics import FaceCritic, LabelCritic, initialise_critic, layers_for  # noqa: E402


@pytest.mark.parametrize(
    ("height", "width", "depth", "left"),
    [(128, 128, 6, (2, 2)), (40, 92, 4, (2, 5)), (40, 48, 4, (2, 3)), (64, 64, 5, (2, 2)), (12, 16, 2, (3, 4))],
)
def test_what_comes_out(height, width, depth, left):
    critic = FaceCritic(height, width, 17, 2)
    initialise_critic(critic, 0)
    assert critic.depth == layers_for(height, width) == depth
    judged = critic(torch.rand(3, 3, height, width))
    assert judged.real.shape == (3, 1, *left)
    assert judged.labels.shape == (3, 17)


def test_ganimations_size():
    critic = FaceCritic(128, 128, 17, 64)
    widths = [layer.out_channels for layer in critic.layers if isinstance(layer, torch.nn.Conv2d)]
    assert widths == [64, 128, 256, 512, 1024, 2048]
    assert critic.read.kernel_size == (2, 2)
    assert critic.judge.kernel_size == (3, 3)


def test_the_same_seed_gives_the_same_numbers():
    for make in (lambda: FaceCritic(16, 16, 5, 4), lambda: LabelCritic(5, 8)):
        states = []
        for seed in (1, 1, 2):
            critic = make()
            initialise_critic(critic, seed)
            states.append(torch.cat([weight.flatten() for weight in critic.parameters()]))
        assert torch.equal(states[0], states[1])
        assert not torch.equal(states[0], states[2])


def test_the_label_critic_judges_one_by_one():
    critic = LabelCritic(5, 8)
    labels = torch.rand(4, 5)
    torch.testing.assert_close(critic(labels)[2:3], critic(labels[2:3]))
    assert critic(labels).shape == (4, 1)
