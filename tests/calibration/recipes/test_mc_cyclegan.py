"""The paper's numbers, the step's order, and that a run is the same however it is cut up."""

import io
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rich.console import Console  # noqa: E402

import engines  # noqa: E402
from calibration.checkpoint import NAME, read_checkpoint  # noqa: E402
from calibration.data.face_set import FaceSet  # noqa: E402
from calibration.distributed import Ranks  # noqa: E402
from calibration.loop import Run, train  # noqa: E402
from calibration.recipes.mc_cyclegan import KIND, NETWORKS, McCycleGan, McCycleGanSettings  # noqa: E402
from calibration.setting_words import changed  # noqa: E402
from calibration.train_order import Order, settings_for, work_folder  # noqa: E402
from engines.bundle import read_bundle  # noqa: E402
from engines.errors import BundleError  # noqa: E402
from rt.errors import BadSettings  # noqa: E402

HERE = Ranks(torch.device("cpu"))
TINY = McCycleGanSettings(ngf=4, ndf=4, blocks=1, size=32, epochs=2, pool=2)  # 2 x 6 steps


def order(faces, out, **run):
    return Order(faces, out, run=Run(work_folder(out), **run))


def trained(recipe, **run):
    recipe.finish, finish = lambda: None, recipe.finish  # most tests need no bundle
    outcome = train(recipe, replace(recipe.order.run, **run), HERE, Console(file=io.StringIO()))
    recipe.finish = finish
    return outcome


def weights(recipe):
    return {f"{name}.{key}": value for name in NETWORKS for key, value in recipe.networks[name].state_dict().items()}


FELT_BIASES = ("head.conv.bias", "layers.0.bias", "layers.11.bias")


def felt(weights):
    """Without the biases that an instance norm takes away: their gradient is rounding, and Adam makes steps of it."""
    return {name: value for name, value in weights.items() if "bias" not in name or name.endswith(FELT_BIASES)}


def same(one, other, distance=0.0):
    assert set(one) == set(other)
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], atol=distance, rtol=0)


def alike(one, other):
    """Up to rounding, but for one weight in a thousand: Adam's first steps are 2e-4 however small a gradient is."""
    one, other = felt(one), felt(other)
    assert set(one) == set(other)
    away = torch.cat([(value - other[name]).abs().flatten() for name, value in one.items()])
    assert (away > 2e-6).float().mean() < 1e-3


def test_the_papers_numbers():
    s = McCycleGanSettings()
    assert (s.ngf, s.blocks, s.size, s.load, s.batch, s.epochs) == (64, 3, 256, 286, 1, 200)
    assert (s.lambda_a, s.lambda_b, s.lambda_idt, s.lambda_mc_a, s.lambda_mc_b) == (10, 10, 5, 0.5, 0.5)
    assert (s.learning_rate, s.beta1, s.beta2, s.pool, s.precision, s.average) == (2e-4, 0.5, 0.999, 50, "fp32", 0)
    assert list(KIND.ablations["network"].values()) == [
        {"ngf": ngf, "blocks": blocks} for ngf in (32, 64) for blocks in (3, 5, 7)
    ]
    lambdas = [own["lambda_mc_a"] for own in KIND.ablations["minimal-change"].values()]
    assert lambdas == [0, 0.1, 0.2, 0.3, 0.4, 0.5]


def test_the_learning_rate_stays_and_falls_as_cyclegans(oval_faces, tmp_path):
    recipe = McCycleGan(order(oval_faces, tmp_path / "b"), changed(TINY, {"epochs": 200}), HERE)
    rates = []
    for _ in range(200):
        rates.append(recipe.generators.optimiser.param_groups[0]["lr"])
        assert recipe.critics.optimiser.param_groups[0]["lr"] == rates[-1]
        recipe.generators.optimiser.step()
        recipe.critics.optimiser.step()
        recipe.epoch_ended()
    # networks.py of CycleGAN: 1 - max(0, epoch + 1 - 100) / 101
    wanted = [2e-4 * (1 - max(0, epoch + 1 - 100) / 101) for epoch in range(200)]
    np.testing.assert_allclose(rates, wanted, rtol=1e-9)
    assert rates[98] == rates[0] > rates[101] > rates[199] > 0


def naive_step(recipe, batch):
    """One step as the public CycleGAN writes it, on copies of the networks."""
    import copy

    g_a, g_b, d_a, d_b = (copy.deepcopy(recipe.networks[name]) for name in NETWORKS)
    adam = [
        torch.optim.Adam([*one.parameters(), *other.parameters()], lr=2e-4, betas=(0.5, 0.999))
        for one, other in ((g_a, g_b), (d_a, d_b))
    ]
    mse, mae = torch.nn.MSELoss(), torch.nn.L1Loss()
    a, b = batch.covered, batch.clean
    fake_b, fake_a = g_a(a), g_b(b)
    judged_b, judged_a = d_a(fake_b), d_b(fake_a)
    loss = mse(judged_b, torch.ones_like(judged_b)) + mse(judged_a, torch.ones_like(judged_a))
    loss = loss + 10 * mae(g_b(fake_b), a) + 10 * mae(g_a(fake_a), b)
    loss = loss + 0.5 * 10 * (mae(g_b(a), a) + mae(g_a(b), b))
    loss = loss + 0.5 * mae(fake_a, b) + 0.5 * mae(fake_b, a)
    adam[0].zero_grad()
    loss.backward()
    adam[0].step()
    adam[1].zero_grad()
    for critic, real, fake in ((d_a, b, fake_b.detach()), (d_b, a, fake_a.detach())):
        yes, no = critic(real), critic(fake)
        (0.5 * (mse(yes, torch.ones_like(yes)) + mse(no, torch.zeros_like(no)))).backward()
    adam[1].step()
    networks = dict(zip(NETWORKS, (g_a, g_b, d_a, d_b), strict=True))
    return {f"{name}.{key}": value for name, net in networks.items() for key, value in net.state_dict().items()}, loss


def test_a_step_is_cyclegans_with_minimal_change(oval_faces, tmp_path):
    recipe = McCycleGan(order(oval_faces, tmp_path / "b"), TINY, HERE)
    batch = recipe.batch(0)
    wanted, loss = naive_step(recipe, batch)
    found = recipe.step(batch)
    terms = ("gan", "cycle", "identity", "minimal_change")
    assert sum(found[name].item() for name in terms) == pytest.approx(loss.item(), rel=1e-5)
    alike(weights(recipe), wanted)


def test_the_weights_of_eq_4_matter(oval_faces, tmp_path):
    plain = changed(TINY, {"lambda_mc_a": 0.0, "lambda_mc_b": 0.0})
    recipe = McCycleGan(order(oval_faces, tmp_path / "b"), plain, HERE)
    assert recipe.step(recipe.batch(0))["minimal_change"].item() == 0


@pytest.mark.parametrize("changes", [{}, {"precision": "bf16", "average": 0.9, "batch": 2}])
def test_an_interrupted_run_goes_on_bit_by_bit(oval_faces, tmp_path, changes):
    settings = changed(TINY, changes)
    whole = McCycleGan(order(oval_faces, tmp_path / "whole"), settings, HERE)
    assert trained(whole).ending == "finished"

    first = McCycleGan(order(oval_faces, tmp_path / "cut"), settings, HERE)
    step, count = first.step, iter(range(9))

    def stopping(batch):
        if next(count) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return step(batch)

    first.step = stopping
    assert trained(first).ending == "stopped"
    second = McCycleGan(order(oval_faces, tmp_path / "cut"), settings, HERE)
    assert trained(second, resume=True).ending == "finished"
    same(weights(second), weights(whole))
    if changes:
        same(second.average.network.state_dict(), whole.average.network.state_dict())


SHARED = """
import io, sys
from pathlib import Path
from rich.console import Console
from calibration.distributed import ranks
from calibration.loop import Run, train
from calibration.recipes.mc_cyclegan import McCycleGan, McCycleGanSettings
from calibration.train_order import Order
faces, work = map(Path, sys.argv[1:])
with ranks("cpu") as processes:
    assert processes.size == 2
    settings = McCycleGanSettings(ngf=4, ndf=4, blocks=1, size=32, epochs=1, pool=2, batch=2)
    recipe = McCycleGan(Order(faces, work, run=Run(work)), settings, processes)
    recipe.finish = lambda: None
    train(recipe, recipe.order.run, processes, Console(file=io.StringIO()))
"""


def test_two_processes_with_half_the_batch_are_one_with_all_of_it(oval_faces, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    there = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SHARED, str(oval_faces), str(tmp_path / "shared")]
    root = Path(engines.__file__).parents[1]
    started = [
        subprocess.Popen(command, cwd=root, env={**os.environ, **there, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(2)
    ]
    alone = McCycleGan(order(oval_faces, tmp_path / "alone"), changed(TINY, {"batch": 2, "epochs": 1}), HERE)
    trained(alone)
    assert [process.wait(100) for process in started] == [0, 0]
    shared = read_checkpoint(tmp_path / "shared" / NAME)
    assert shared.steps == 3
    states = {f"{name}.{key}": value for name in NETWORKS for key, value in shared.states[name].items()}
    alike(states, weights(alone))
    untrained = McCycleGan(order(oval_faces, tmp_path / "new"), changed(TINY, {"batch": 2}), HERE)
    with pytest.raises(AssertionError):
        alike(states, weights(untrained))


@pytest.fixture(scope="module")
def bundle(oval_faces, tmp_path_factory):
    """A bundle, with its training beside it."""
    out = tmp_path_factory.mktemp("trained") / "general"
    recipe = McCycleGan(order(oval_faces, out), TINY, HERE)
    trained(recipe)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("calibration.face_bundle.find_spec", lambda name: None)  # no ONNX: it takes seconds
        recipe.finish()
    return out


def test_the_bundle_runs_and_says_what_taught_it(bundle, oval_faces):
    manifest = read_bundle(bundle, "mc_cyclegan").manifest
    assert (manifest.network, manifest.sizes["ngf"], manifest.sizes["blocks"]) == ("resnet_generator", 4, 1)
    training = manifest.training
    assert (training.data, training.people, training.synthetic) == (
        "ovals drawn for a test; people and splits of seed 0",
        2,
        True,
    )
    assert (training.licence, training.seed) == ("CC0", 1)
    assert {"psnr_covered", "psnr_covered_before", "psnr_uncovered", "change_of_clean"} <= set(manifest.metrics)
    assert manifest.metrics["psnr_covered"].on == "1 person held out, where electrodes cover"
    engine = engines.load(bundle, backend="torch", device="cpu")
    face = np.ascontiguousarray(FaceSet.open(oval_faces).covered[6, 2:34, 2:34])
    found = engine.run({"face": face})["face"]
    assert (found.shape, found.dtype) == ((32, 32, 3), np.uint8)


def test_fine_tuning_begins_where_the_bundle_ended(bundle, oval_faces, tmp_path, monkeypatch):
    monkeypatch.setattr("calibration.face_bundle.find_spec", lambda name: None)  # no ONNX: seconds
    settings = settings_for(KIND, bundle, {"ndf": 4, "pool": 2})
    assert (settings.ngf, settings.blocks, settings.size, settings.epochs) == (4, 1, 32, 5)
    asked = replace(order(oval_faces, tmp_path / "own"), people=("p3",), fraction=0.4, start_from=bundle)
    recipe = McCycleGan(asked, settings, HERE)
    before = read_checkpoint(work_folder(bundle) / NAME).states
    for name in NETWORKS[1:]:
        same(recipe.networks[name].state_dict(), before[name])
    same(recipe.g_a.state_dict(), before["g_a"], 1e-3)  # as the bundle stores it: float16
    assert recipe.parts.train.people == ("p3",)
    recipe.finish()
    training = read_bundle(tmp_path / "own").manifest.training
    assert training.people == 3
    assert "from the bundle general on" in training.data


def test_fine_tuning_needs_the_same_sizes(bundle, oval_faces, tmp_path):
    asked = replace(order(oval_faces, tmp_path / "own"), start_from=bundle)
    with pytest.raises(BundleError, match="networks of other sizes"):
        McCycleGan(asked, changed(TINY, {"ngf": 8}), HERE)


def test_the_picture_shows_both_ways(oval_faces, tmp_path):
    recipe = McCycleGan(order(oval_faces, tmp_path / "b"), TINY, HERE)
    assert recipe.pictures() == {}
    batch = recipe.batch(0)
    recipe.step(batch)
    (picture,) = recipe.pictures().values()
    assert (picture.shape, picture.dtype) == ((64, 96, 3), np.uint8)
    wanted = ((batch.covered[0, 0] + 1) * 127.5).round().numpy()  # red, first: RGB
    np.testing.assert_array_equal(picture[:32, :32, 0], wanted)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"size": 30}, "size must divide by 4"),
        ({"size": 16}, "24 or more, found 16"),
        ({"decay": 1.5}, "decay must be 0..1"),
        ({"load_ratio": 0.9}, "load_ratio 1 or more"),
        ({"batch": 0}, "batch must be 1 or more"),
    ],
)
def test_numbers_that_cannot_be(changes, sentence):
    with pytest.raises(BadSettings, match=sentence):
        changed(TINY, changes)
