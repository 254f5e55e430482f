"""What recognises expressions: it learns two of them in a minute of blobs, and says how well on whom."""

import io
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from rich.console import Console  # noqa: E402

import calibration.face_bundle as module  # noqa: E402
from calibration.distributed import Ranks  # noqa: E402
from calibration.loop import Run, train  # noqa: E402
from calibration.motion_bundles import read_recogniser  # noqa: E402
from calibration.recipes.recogniser import RecogniserSettings, RecogniserTraining  # noqa: E402
from calibration.train_order import Order, work_folder  # noqa: E402
from engines.bundle import write_bundle  # noqa: E402
from engines.errors import BundleError  # noqa: E402
from rt.errors import BadSettings  # noqa: E402

HERE = Ranks(torch.device("cpu"))
TINY = RecogniserSettings(widths=(4, 8, 8), hidden=16, size=32, batch=8, epochs=12, learning_rate=5e-3, drop=0.0)


@pytest.mark.parametrize("sees", ["flow", "face"])
def test_it_learns_and_its_bundle_is_read(drawn_motion, tmp_path, monkeypatch, sees):
    def write(out, manifest, network, storage):
        return write_bundle(out, manifest, {k: v.numpy() for k, v in network.state_dict().items() if v.dim()})

    monkeypatch.setattr(module, "write_trained", write)
    out = tmp_path / "r"
    recipe = RecogniserTraining(
        Order(drawn_motion, out, run=Run(work_folder(out))), replace(TINY, sees=sees, motion="cartesian"), HERE
    )
    assert train(recipe, recipe.order.run, HERE, Console(file=io.StringIO())).steps == 36
    network, manifest = read_recogniser(out, sees)
    assert manifest.metrics["accuracy_front"].value >= 0.75
    assert "2 people held out, 8 movements, front" in manifest.metrics["accuracy_front"].on
    assert ("accuracy_still" in manifest.metrics) == (sees == "flow")
    assert network(torch.zeros(1, network.sizes.channels, 32, 32)).shape == (1, 7)
    with pytest.raises(BundleError, match="no recogniser of"):
        read_recogniser(out, "flow" if sees == "face" else "face")


@pytest.mark.parametrize("wrong", [{"size": 40}, {"batch": 0}, {"given": "else"}, {"sees": "face", "given": "still"}])
def test_numbers_that_cannot_be(wrong):
    with pytest.raises(BadSettings):
        replace(TINY, **wrong)


def test_it_is_trained_anew_and_by_people(drawn_motion, tmp_path):
    order = Order(drawn_motion, tmp_path / "r", run=Run(tmp_path))
    with pytest.raises(BadSettings, match="trained anew"):
        RecogniserTraining(replace(order, start_from=tmp_path), TINY, HERE)
    with pytest.raises(BadSettings, match="by people"):
        RecogniserTraining(replace(order, fraction=0.5), TINY, HERE)
