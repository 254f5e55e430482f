from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("torch")

from calibration.checkpoint import NAME
from calibration.loop import Run
from calibration.train_log import FOLDER
from calibration.train_order import Kind, Order, clear, order_for, settings_for, work_folder
from engines.bundle import MANIFEST
from engines.errors import BundleError
from rt.errors import BadSettings


@dataclass(frozen=True)
class Settings:
    size: int = 256
    ngf: int = 64
    epochs: int = 200


KIND = Kind(Settings(), lambda order, settings, console: None, fine_tuning={"epochs": 5})


def ask(out, resume=False, **changes):
    return Order(Path("faces"), out, run=Run(out, resume), **changes)


def test_the_training_lies_beside_the_bundle(tmp_path):
    assert order_for(ask(tmp_path / "b"), False).run.folder == tmp_path / "b.training" == work_folder(tmp_path / "b")


@pytest.mark.parametrize("there", ["b", "b.training"])
def test_what_is_there_is_not_replaced_unasked(tmp_path, there):
    (tmp_path / there).mkdir()
    if there == "b":
        (tmp_path / "b" / MANIFEST).touch()
    with pytest.raises(BadSettings, match=r"exists: --resume goes on with that training, --force replaces it"):
        order_for(ask(tmp_path / "b"), False)
    order_for(ask(tmp_path / "b", resume=True), False)
    order_for(ask(tmp_path / "b"), True)


def test_a_folder_of_something_else_is_left_alone_even_by_force(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(BadSettings, match="holds something else than a bundle"):
        order_for(ask(tmp_path), True)
    with pytest.raises(BadSettings, match="is a file"):
        order_for(ask(tmp_path / "thesis.txt"), True)


@pytest.mark.parametrize("fraction", [0, 1.5, -1, float("nan")])
def test_a_fraction_that_cannot_be(tmp_path, fraction):
    with pytest.raises(BadSettings, match="--fraction is more than 0"):
        order_for(ask(tmp_path / "b", fraction=fraction), False)


def test_clearing_takes_the_training_and_nothing_else(tmp_path):
    order = order_for(ask(tmp_path / "b"), False)
    (order.run.folder / FOLDER).mkdir(parents=True)
    for name in (NAME, f"{FOLDER}/events", "notes.txt"):
        (order.run.folder / name).touch()
    clear(order)
    assert [path.name for path in order.run.folder.iterdir()] == ["notes.txt"]
    clear(order)


def test_a_bundle_that_is_trained_further_brings_its_sizes(tmp_path):
    from engines.bundle import Manifest, Training, write_bundle
    from engines.spec import ArraySpec

    face = ArraySpec("face", "height, width, colour", "uint8", (0, 255), "grey level", "BGR", (128, 128, 3))
    training = Training("-", 1, True, "-", 0)
    write_bundle(tmp_path / "b", Manifest("s", "n", {"ngf": 32, "other": 1}, (face,), (face,), training), {})
    assert settings_for(KIND, tmp_path / "b", {}) == Settings(128, 32, 5)
    assert settings_for(KIND, tmp_path / "b", {"epochs": "7"}).epochs == 7
    assert settings_for(KIND, None, {"ngf": 8}) == Settings(ngf=8)
    with pytest.raises(BundleError):
        settings_for(KIND, tmp_path, {})
