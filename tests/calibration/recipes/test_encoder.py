"""The recipe learns, is the same however it is cut up, and its bundle says what the network says."""

import io
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rich.console import Console  # noqa: E402

import engines  # noqa: E402
from calibration.data.face_set import FaceSet  # noqa: E402
from calibration.distributed import Ranks  # noqa: E402
from calibration.loop import Run, train  # noqa: E402
from calibration.recipes.encoder import KIND, Encoder, EncoderSettings  # noqa: E402
from calibration.setting_words import changed  # noqa: E402
from calibration.train_order import Order, settings_for, work_folder  # noqa: E402
from engines.bundle import read_bundle  # noqa: E402
from rt.errors import BadSettings  # noqa: E402

HERE = Ranks(torch.device("cpu"))
TINY = EncoderSettings(
    shapes=5, width=0.1, size=32, batch=4, epochs=2, warm_up=0.2, average=0.9, mirror=0.0, variation=0.0
)


def order(faces, out, **run):
    return Order(faces, out, run=Run(work_folder(out), **run))


def trained(recipe, **run):
    recipe.finish, finish = lambda: None, recipe.finish  # most tests need no bundle
    outcome = train(recipe, replace(recipe.order.run, **run), HERE, Console(file=io.StringIO()))
    recipe.finish = finish
    return outcome


def test_losses_fall(grey_faces, tmp_path):
    settings = changed(TINY, {"epochs": 40, "batch": 12, "width": 0.25, "learning_rate": 2e-3})
    recipe = Encoder(order(grey_faces, tmp_path / "e"), settings, HERE)
    batch = recipe.batch(0)  # the same faces again and again: whether it can learn, not whether it generalises
    losses = [recipe.step(batch) for _ in range(40)]
    for name in ("expression", "landmarks"):
        assert losses[-1][name].item() < 0.7 * losses[0][name].item(), name


def test_an_interrupted_run_goes_on_bit_by_bit(grey_faces, tmp_path):
    whole = Encoder(order(grey_faces, tmp_path / "whole"), TINY, HERE)
    assert trained(whole).ending == "finished"
    first = Encoder(order(grey_faces, tmp_path / "cut"), TINY, HERE)
    step, count = first.step, iter(range(9))

    def failing(batch):
        if next(count) == 4:
            raise KeyboardInterrupt
        return step(batch)

    first.step = failing
    with pytest.raises(KeyboardInterrupt):
        trained(first, checkpoint_steps=2)
    second = Encoder(order(grey_faces, tmp_path / "cut"), TINY, HERE)
    assert trained(second, resume=True).steps == 6
    for name, value in whole.encoder.state_dict().items():
        assert torch.equal(value, second.encoder.state_dict()[name]), name
    for name, value in whole.average.network.state_dict().items():
        assert torch.equal(value, second.average.network.state_dict()[name]), name


def test_the_bundle_says_what_the_network_says(grey_faces, tmp_path, monkeypatch):
    monkeypatch.setattr("calibration.face_bundle.find_spec", lambda name: None)  # no ONNX: seconds
    recipe = Encoder(order(grey_faces, tmp_path / "e"), TINY, HERE)
    recipe.step(recipe.batch(0))
    (picture,) = recipe.pictures().values()
    assert (picture.shape, picture.dtype) == ((64, 4 * 32, 3), np.uint8)
    recipe.finish()
    manifest = read_bundle(tmp_path / "e").manifest
    assert (manifest.system, manifest.network, manifest.sizes["profile"]) == ("eifer", "face_encoder", "arkit52")
    assert {f"{what}_{kind}" for what in ("expression", "shape", "landmarks") for kind in ("clean", "covered")} <= set(
        manifest.metrics
    )
    engine = engines.load(tmp_path / "e", backend="torch", device="cpu")
    found = engine.run({"face": np.ascontiguousarray(FaceSet.open(grey_faces).clean[0, 4:36, 4:36])})
    assert found["expression"].shape == (52,)
    assert 0 <= found["expression"].min() <= found["expression"].max() <= 1
    assert 0 < found["confidence"][0] < 1

    again = replace(order(grey_faces, tmp_path / "further"), start_from=tmp_path / "e")
    settings = settings_for(KIND, tmp_path / "e", {"batch": 4, "average": 0.0})
    assert (settings.width, settings.shapes, settings.size, settings.epochs) == (0.1, 5, 32, 10)
    begun = Encoder(again, settings, HERE).encoder.state_dict()
    for name, value in recipe.average.network.state_dict().items():
        torch.testing.assert_close(begun[name], value, atol=1e-2, rtol=1e-2)  # float16


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"profile": "flame55"}, "arkit52, found the profile 'flame55'"),
        ({"size": 16}, "size must be 32"),
        ({"covered": 2.0}, "covered must be 0..1"),
        ({"batch": 0}, "batch must be 1"),
    ],
)
def test_numbers_that_cannot_be(changes, sentence):
    with pytest.raises(BadSettings, match=sentence):
        changed(TINY, changes)


def test_another_number_of_shapes_than_the_faces_know(grey_faces, tmp_path):
    with pytest.raises(BadSettings, match="give --set shapes=5"):
        Encoder(order(grey_faces, tmp_path / "e"), changed(TINY, {"shapes": 7}), HERE)
