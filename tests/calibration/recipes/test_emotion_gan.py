"""eMotion-GAN's training: losses go the right way, the join joins, a cut run is the same, the bundle runs."""

import io
import os
import signal
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rich.console import Console  # noqa: E402

import calibration.recipes.emotion_gan as module  # noqa: E402
from calibration.distributed import Ranks  # noqa: E402
from calibration.loop import Run, train  # noqa: E402
from calibration.motion_bundles import recogniser_manifest, taught_by  # noqa: E402
from calibration.recipes.emotion_gan import KIND, KIND_LIVE, LIVE_CHANGES, EmotionGan, EmotionGanSettings  # noqa: E402
from calibration.setting_words import changed  # noqa: E402
from calibration.train_order import Order, work_folder  # noqa: E402
from engines.bundle import write_bundle  # noqa: E402
from engines.errors import BadInput, BundleError  # noqa: E402
from engines.networks.recogniser import Recogniser, RecogniserSizes, initialise_recogniser  # noqa: E402
from rt.errors import BadSettings  # noqa: E402

HERE = Ranks(torch.device("cpu"))
SMALL = {"ngf": 4, "downs": 2, "encoder_blocks": 0, "decoder_blocks": 1, "warp_ngf": 4, "warp_downs": 2,
         "warp_blocks": 0, "ndf": 4, "size": 32, "batch": 4, "epochs": 2, "joined": 1}  # fmt: skip
PAPER = EmotionGanSettings(**SMALL)  # 24 pairs teach: 6 steps an epoch
LIVE = EmotionGanSettings(**{**LIVE_CHANGES, **SMALL})


@pytest.fixture(scope="module")
def e_fer(drawn_motion, tmp_path_factory):
    """An untaught recogniser of faces, as a bundle."""
    from calibration.data.motion_set import MotionSet

    sizes = RecogniserSizes("face", (4, 4, 4), 8)
    network = Recogniser(sizes)
    initialise_recogniser(network, 1)
    out = tmp_path_factory.mktemp("fer") / "e-fer"
    manifest = recogniser_manifest(sizes, 32, taught_by(MotionSet.open(drawn_motion), 1), {})
    write_bundle(out, manifest, {name: value.numpy() for name, value in network.state_dict().items()
                                 if value.dtype == torch.float32})  # fmt: skip
    return out


def recipe_of(data, out, e_fer, settings=PAPER, **run):
    return EmotionGan(
        Order(data, out, run=Run(work_folder(out), **run)), replace(settings, recogniser=str(e_fer)), HERE
    )


def trained(recipe, **run):
    recipe.finish = lambda: None
    return train(recipe, replace(recipe.order.run, **run), HERE, Console(file=io.StringIO()))


@pytest.mark.parametrize(
    ("settings", "down"),
    [(PAPER, ("epe", "char", "l1", "perc")), (LIVE, ("epe",))],  # what is carried along is near from 0 on
    ids=["paper", "live"],
)
def test_losses_go_down(drawn_motion, e_fer, tmp_path, settings, down):
    fast = replace(settings, epochs=6, rate=3e-3, joined=4, average=0.0, warm_up=0)
    recipe = recipe_of(drawn_motion, tmp_path / "b", e_fer, fast)
    first = {name: float(value) for name, value in recipe.step(recipe.batch(0)).items()}
    trained(recipe)
    last = {name: float(value) for name, value in recipe.step(recipe.batch(0)).items()}
    assert set(first) == {"gan", "epe", "char", "l1", "perc", "fer", "d_p", "d_e"}
    for name in down:
        assert last[name] < 0.9 * first[name], (name, first, last)


def test_the_warp_teaches_the_flow_only_when_joined(drawn_motion, e_fer, tmp_path, monkeypatch):
    nothing = replace(PAPER, lambda_gan=0.0, lambda_epe=0.0, lambda_char=0.0)
    moved = {}
    for number in (0, 6):  # the second epoch's first step is joined
        recipe = recipe_of(drawn_motion, tmp_path / "b", e_fer, nothing)
        recipe.step(recipe.batch(number))
        gradients = [p.grad for p in recipe.gan.g_f.parameters() if p.grad is not None]
        moved[number] = sum(float(g.abs().sum()) for g in gradients)
    assert moved[0] == 0
    assert moved[6] > 0


def test_a_stronger_join_is_a_stronger_gradient(drawn_motion, e_fer, tmp_path):
    found = []
    for weight in (1.0, 3.0):
        settings = replace(PAPER, lambda_gan=0.0, lambda_epe=0.0, lambda_char=0.0, lambda_warp=weight, joined=0)
        recipe = recipe_of(drawn_motion, tmp_path / "b", e_fer, settings)
        sums = []
        recipe.generators.step = lambda loss, most, own=recipe, sums=sums: (
            loss.backward(), sums.append(float(own.gan.g_f.decoder.head.conv.weight.grad.abs().sum()))
        )  # fmt: skip
        recipe.step(recipe.batch(0))
        found += sums
    assert found[1] == pytest.approx(3 * found[0], rel=1e-3)


def test_an_interrupted_run_goes_on_bit_by_bit(drawn_motion, e_fer, tmp_path):
    whole = recipe_of(drawn_motion, tmp_path / "whole", e_fer, replace(LIVE, precision="bf16"))
    assert trained(whole).ending == "finished"
    first = recipe_of(drawn_motion, tmp_path / "cut", e_fer, replace(LIVE, precision="bf16"))
    step, count = first.step, iter(range(99))

    def stopping(batch):
        if next(count) == 7:
            os.kill(os.getpid(), signal.SIGINT)
        return step(batch)

    first.step = stopping
    assert trained(first).ending == "stopped"
    second = recipe_of(drawn_motion, tmp_path / "cut", e_fer, replace(LIVE, precision="bf16"))
    assert trained(second, resume=True).ending == "finished"
    for name, value in whole.gan.state_dict().items():
        assert torch.equal(value, second.gan.state_dict()[name]), name


def test_the_bundle_says_what_it_is(drawn_motion, e_fer, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(module, "write_trained", lambda *arguments: written.append(arguments))
    recipe = recipe_of(drawn_motion, tmp_path / "b", e_fer, LIVE)
    recipe.step(recipe.batch(0))
    picture = recipe.pictures()
    assert next(iter(picture.values())).shape == (32, 6 * 32, 3)
    recipe.finish()
    out, manifest, _, storage = written[0]
    assert (out, storage) == (tmp_path / "b", "float16")
    assert (manifest.system, manifest.network) == ("emotion_gan", "motion_gan")
    assert [spec.name for spec in manifest.inputs] == ["flow", "face"]
    assert manifest.training.people == 6
    assert "2 people held out" in manifest.metrics["epe"].on
    assert manifest.metrics["epe_given"].value > 0
    assert np.isfinite([metric.value for metric in manifest.metrics.values()]).all()


def test_folds_hold_people_out(drawn_motion, e_fer, tmp_path):
    recipe = recipe_of(drawn_motion, tmp_path / "b", e_fer, replace(PAPER, fold=1))
    assert set(recipe.held_out.who) == {"p01", "p11"}
    assert not set(recipe.train.who) & set(recipe.held_out.who)
    assert set(KIND.ablations["folds"]) == {f"fold_{n}" for n in range(10)}


def test_every_ablation_can_be_trained():
    for kind in (KIND, KIND_LIVE):
        for row in kind.ablations.values():
            for label, changes in row.items():
                assert changed(kind.settings, changes), label


def test_the_rate_falls_from_the_joining_epoch_on(drawn_motion, e_fer, tmp_path):
    recipe = recipe_of(drawn_motion, tmp_path / "b", e_fer, replace(PAPER, epochs=15, joined=5))
    gains = [recipe._gain(epoch * recipe.steps_per_epoch) for epoch in range(15)]
    assert gains[:6] == [1.0] * 6
    assert (np.diff(gains[5:]) < 0).all()
    assert gains[-1] > 0
    slow = recipe_of(drawn_motion, tmp_path / "b", e_fer, replace(PAPER, warm_up=4))
    assert [slow._gain(step) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_e_fer_is_asked_for(drawn_motion, tmp_path):
    order = Order(drawn_motion, tmp_path / "b", run=Run(tmp_path / "w"))
    with pytest.raises(BadSettings, match="myomirror train recogniser"):
        EmotionGan(order, PAPER, HERE)
    without = EmotionGan(order, replace(PAPER, alpha_fer=0.0, alpha_perc=0.0), HERE)
    assert set(without.step(without.batch(0))) == {"gan", "epe", "char", "l1", "d_p", "d_e"}
    with pytest.raises(BundleError, match="is no bundle"):
        EmotionGan(order, replace(PAPER, recogniser=str(tmp_path)), HERE)


@pytest.mark.parametrize(
    "wrong",
    [{"size": 40}, {"batch": 0}, {"frontal": 2.0}, {"joined": -1}, {"warm_up": -1}, {"ngf": 0}, {"motion": "x"}],
    ids=str,
)
def test_numbers_that_cannot_be(wrong):
    with pytest.raises((BadSettings, BadInput), match=next(iter(wrong))):
        changed(PAPER, wrong)


def test_more_than_the_set_holds_is_refused(drawn_motion, e_fer, tmp_path):
    with pytest.raises(BadSettings, match="flows of 32 px"):
        recipe_of(drawn_motion, tmp_path / "b", e_fer, replace(PAPER, size=64))
