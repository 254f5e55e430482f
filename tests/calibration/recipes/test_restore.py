"""Ours: a step lowers what it should, a run is the same however it is cut up, and the bundle says what it is."""

import io
import os
import signal
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rich.console import Console  # noqa: E402

import engines  # noqa: E402
import engines.weights  # noqa: E402
from calibration.distributed import Ranks  # noqa: E402
from calibration.loop import Run, train  # noqa: E402
from calibration.recipes.restore import Restore, RestoreSettings  # noqa: E402
from calibration.setting_words import changed  # noqa: E402
from calibration.train_order import Order, work_folder  # noqa: E402
from engines.bundle import read_bundle  # noqa: E402
from rt.errors import BadSettings  # noqa: E402

HERE = Ranks(torch.device("cpu"))
TINY = RestoreSettings(ngf=4, ndf=4, blocks=1, size=32, batch=2, epochs=3, variation=0.0, bare=0.0)  # 3 x 3 steps


def recipe_of(faces, out, settings=TINY, **run):
    return Restore(Order(faces, out, run=Run(work_folder(out), **run)), settings, HERE)


def trained(recipe, bundle=False, **run):
    if not bundle:
        recipe.finish = lambda: None
    return train(recipe, replace(recipe.order.run, **run), HERE, Console(file=io.StringIO()))


def cost(recipe):
    return sum(value.item() for value in recipe.step(recipe.batch(0)).values())


def test_it_learns(oval_faces, tmp_path):
    settings = changed(TINY, {"epochs": 25, "learning_rate": 5e-3})
    recipe = recipe_of(oval_faces, tmp_path / "b", settings)
    first = cost(recipe)
    assert trained(recipe).steps == 75
    last = cost(recipe)
    assert last < 0.7 * first


def test_the_rate_rises_and_falls(oval_faces, tmp_path):
    recipe = recipe_of(oval_faces, tmp_path / "b", changed(TINY, {"epochs": 100, "warm_up": 0.1}))
    rates = [recipe._rate(step, 300) for step in range(301)]
    assert rates[0] == 0
    assert np.argmax(rates) == 30
    assert rates[300] == pytest.approx(0.02)
    assert (np.diff(rates[31:]) < 0).all()


@pytest.mark.parametrize("changes", [{}, {"lambda_gan": 0.5, "average": 0.0, "precision": "bf16", "variation": 1.0}])
def test_an_interrupted_run_goes_on_bit_by_bit(oval_faces, tmp_path, changes):
    settings = changed(TINY, changes)
    whole = recipe_of(oval_faces, tmp_path / "whole", settings)
    assert trained(whole).ending == "finished"
    first = recipe_of(oval_faces, tmp_path / "cut", settings)
    step, count = first.step, iter(range(9))

    def stopping(batch):
        if next(count) == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return step(batch)

    first.step = stopping
    assert trained(first).ending == "stopped"
    second = recipe_of(oval_faces, tmp_path / "cut", settings)
    assert trained(second, resume=True).ending == "finished"
    for name, value in whole.generator.state_dict().items():
        assert torch.equal(value, second.generator.state_dict()[name]), name


def test_the_bundle_gives_what_the_live_stage_wants(oval_faces, tmp_path):
    out = tmp_path / "bundle"
    trained(recipe_of(oval_faces, out), bundle=True)
    manifest = read_bundle(out).manifest
    assert (manifest.system, manifest.network) == ("mc_cyclegan", "attentive_generator")
    assert [spec.name for spec in manifest.outputs] == ["face", "edit", "colour"]
    assert manifest.training.people == 2
    assert manifest.training.synthetic
    assert "1 person held out" in manifest.metrics["psnr_covered"].on
    engine = engines.load(out, device="cpu")
    face = np.full((32, 32, 3), 90, np.uint8)
    found = engine.run({"face": face})
    assert found["edit"].shape == (32, 32)
    assert found["colour"].dtype == np.uint8
    engine.close()


def test_a_bundle_is_trained_further(oval_faces, tmp_path):
    trained(recipe_of(oval_faces, tmp_path / "first"), bundle=True)
    order = Order(oval_faces, tmp_path / "second", ("p3",), start_from=tmp_path / "first")
    recipe = Restore(replace(order, run=Run(work_folder(order.out))), changed(TINY, {"epochs": 1}), HERE)
    assert recipe.parts.train.people == ("p3",)
    trained(recipe, bundle=True)
    assert "from the bundle first on" in read_bundle(tmp_path / "second").manifest.training.data


def test_a_larger_network_begins_with_what_a_smaller_one_knows(oval_faces, tmp_path):
    trained(recipe_of(oval_faces, tmp_path / "small"), bundle=True)
    settings = changed(TINY, {"ngf": 8, "coarse_ngf": 4, "coarse_blocks": 1, "size": 64, "epochs": 1})
    order = Order(oval_faces, tmp_path / "large", start_from=tmp_path / "small")
    recipe = Restore(replace(order, run=Run(work_folder(order.out))), settings, HERE)
    kept = engines.weights.unpack(read_bundle(tmp_path / "small").arrays)
    for name, value in recipe.generator.coarse.state_dict().items():
        assert np.array_equal(value.numpy(), kept[name]), name
    trained(recipe, bundle=True)
    manifest = read_bundle(tmp_path / "large").manifest
    assert manifest.network == "coarse_to_fine_generator"
    assert manifest.training.people == 2  # the same two
    engine = engines.load(tmp_path / "large", device="cpu")
    assert engine.run({"face": np.full((64, 64, 3), 90, np.uint8)})["edit"].shape == (64, 64)
    engine.close()


@pytest.mark.parametrize(
    "wrong", [{"size": 30}, {"batch": 0}, {"variation": 2.0}, {"load_ratio": 0.5}, {"ngf": 0}], ids=str
)
def test_numbers_that_cannot_be(wrong):
    with pytest.raises((BadSettings, engines.errors.BadInput), match=str(*wrong.values())):
        changed(TINY, wrong)
