import pytest

torch = pytest.importorskip("torch")

from calibration import descent as descent_file  # noqa: E402
from calibration.descent import Descent, frozen, precision  # noqa: E402
from calibration.distributed import Ranks  # noqa: E402
from rt.errors import BadSettings  # noqa: E402

HERE = Ranks(torch.device("cpu"))


def trained(name, steps=20):
    torch.manual_seed(0)
    network, x = torch.nn.Linear(4, 1), torch.randn(16, 4)
    descent = Descent(torch.optim.Adam(network.parameters(), 0.05), HERE, name)
    for _ in range(steps):
        with descent.precision():
            found = network(x)
        descent.step((found.float() - x.sum(1, keepdim=True)).square().mean())
    return network, found


def test_fp32_is_plain_pytorch():
    torch.manual_seed(0)
    network, x = torch.nn.Linear(4, 1), torch.randn(16, 4)
    adam = torch.optim.Adam(network.parameters(), 0.05)
    for _ in range(20):
        adam.zero_grad()
        (network(x) - x.sum(1, keepdim=True)).square().mean().backward()
        adam.step()
    assert torch.equal(trained("fp32")[0].weight, network.weight)


def test_bf16_multiplies_coarsely_and_keeps_fine_weights():
    network, found = trained("bf16")
    assert (network.weight.dtype, found.dtype) == (torch.float32, torch.bfloat16)
    torch.testing.assert_close(network.weight, trained("fp32")[0].weight, atol=0.05, rtol=0)
    assert not torch.equal(network.weight, trained("fp32")[0].weight)


@pytest.mark.parametrize(("name", "sentence"), [("fp16", "fp16 is for GPUs"), ("fp8", "one of fp32, bf16, fp16")])
def test_a_precision_that_cannot_be(name, sentence):
    with pytest.raises(BadSettings, match=sentence), precision(torch.device("cpu"), name):
        pass


def test_frozen_networks_let_gradients_through():
    before, critic = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
    with frozen(critic):
        critic(before(torch.ones(1, 2))).sum().backward()
    assert before.weight.grad is not None
    assert critic.weight.grad is None
    assert all(weights.requires_grad for weights in critic.parameters())


def test_a_descent_comes_back():
    network = torch.nn.Linear(1, 1)
    descent = Descent(torch.optim.Adam(network.parameters()), HERE)
    descent.step(network(torch.ones(1, 1)).sum())
    other = Descent(torch.optim.Adam(network.parameters()), HERE)
    other.load_state_dict(descent.state_dict())
    assert other.optimiser.state_dict()["state"][0]["step"] == 1


def test_a_step_that_overflows_in_fp16_is_left_out_and_the_scale_falls(monkeypatch):
    monkeypatch.setattr(descent_file, "_dtype", lambda device, name: torch.bfloat16)  # the scaler's own part
    network = torch.nn.Linear(1, 1)
    descent = Descent(torch.optim.SGD(network.parameters(), 0.1), HERE, "fp16")
    scale, before = descent.state_dict()["scaler"]["scale"], network.weight.item()
    descent.step(network(torch.ones(1, 1)).sum() * float("inf"))
    assert network.weight.item() == before
    fallen = descent.state_dict()
    assert fallen["scaler"]["scale"] == scale / 2
    descent.step(network(torch.ones(1, 1)).sum())
    assert network.weight.item() == pytest.approx(before - 0.1)
    other = Descent(torch.optim.SGD(network.parameters(), 0.1), HERE, "fp16")
    other.load_state_dict(fallen)
    assert other.state_dict()["scaler"]["scale"] == scale / 2
