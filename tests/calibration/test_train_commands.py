"""`myomirror train` as people type it: what it refuses, what it makes, how it goes on."""

import json
import os
import signal
import sys

import pytest

pytest.importorskip("torch")

from calibration.recipes import mc_cyclegan
from engines.bundle import read_bundle
from rt import cli

TINY = ("--size", 32, "--ngf", 4, "--set", "ndf=4", "--set", "blocks=0", "--epochs", 1, "--device", "cpu")


@pytest.fixture
def main(monkeypatch, capfd, tmp_path, oval_faces):
    """main(*arguments) in an empty folder beside FACES; returns (exit code, out, err)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        words = [str(oval_faces) if word == "FACES" else str(word) for word in arguments]
        monkeypatch.setattr(sys, "argv", ["myomirror", "train", *words])
        try:
            cli.main()
            code = 0
        except SystemExit as caught:
            code = caught.code or 0
        return code, *capfd.readouterr()

    return call


@pytest.fixture
def no_onnx(monkeypatch):
    """Exporting takes seconds, and is tested elsewhere."""
    monkeypatch.setattr("calibration.face_bundle.find_spec", lambda name: None)


REFUSED = {
    "unknown recipe": ("mc_cyclgan", ("no recipe 'mc_cyclgan'", "nearest one is 'mc_cyclegan'")),
    "unknown setting": ("mc_cyclegan --set lamda_a=3", ("no setting 'lamda_a'", "'lambda_a'")),
    "no number": ("mc_cyclegan --set ngf=many", ("ngf must be a whole number",)),
    "no assignment": ("mc_cyclegan --set ngf", ("name=value",)),
    "size": ("mc_cyclegan --size 30", ("size must divide by 4",)),
    "epochs": ("mc_cyclegan --epochs 0", ("epochs must be 1 or more",)),
    "minutes": ("mc_cyclegan --minutes 0", ("minutes must be more than 0",)),
    "fraction": ("mc_cyclegan --fraction 2", ("--fraction",)),
    "device": ("mc_cyclegan --device tpu", ("--device is auto, cpu or cuda",)),
    "precision": ("mc_cyclegan --precision fp8", ("precision is one of fp32, bf16, fp16",)),
    "both": ("mc_cyclegan --resume --force", ("give one of them",)),
    "nothing to resume": ("mc_cyclegan --resume", ("there is no checkpoint",)),
    "nobody": ("mc_cyclegan --people p9", ("no person 'p9'",)),
    "ancestor": ("mc_cyclegan --start-from nowhere", ("nowhere is no bundle",)),
    "ablation": ("mc_cyclegan --ablation networks", ("no ablation 'networks'", "'network'")),
    "twice": ("mc_cyclegan --ablation network --ngf 8", ("sets ngf itself",)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_one_sentence_and_leaves_nothing(main, tmp_path, name):
    words, said = REFUSED[name]
    code, out, err = main(*words.split(), "--data", "FACES", "--out", "b")
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert all(text in err for text in said), err
    assert not list(tmp_path.iterdir())


def test_without_pytorch(main, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    code, out, err = main("mc_cyclegan", "--data", "FACES", "--out", "b")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "torch" in err
    assert "pip install" in err


def test_no_data(main):
    code, _, err = main("mc_cyclegan", "--data", ".", "--out", "b")
    assert (code, err.count("\n")) == (2, 1)
    assert "no set of faces" in err


def test_a_training_is_made_once(main, tmp_path, no_onnx):
    arguments = ("mc_cyclegan", "--data", "FACES", "--out", "b", *TINY)
    code, out, err = main(*arguments)
    assert (code, err) == (0, "")
    assert "b: 6 steps" in out
    assert "all epochs done" in out
    assert read_bundle(tmp_path / "b", "mc_cyclegan").manifest.training.people == 2
    code, _, err = main(*arguments)
    assert code == 2
    assert "--resume goes on with that training, --force replaces it" in err
    assert main(*arguments, "--force")[0] == 0
    code, _, err = main(*arguments, "--resume", "--seed", 9)
    assert code == 2
    assert "seed is 1 there and 9 here" in err


def test_stopped_and_resumed(main, tmp_path, no_onnx, monkeypatch):
    arguments = ("mc_cyclegan", "--data", "FACES", "--out", "b", *TINY)
    step = mc_cyclegan.McCycleGan.step

    def stopping(self, batch):
        os.kill(os.getpid(), signal.SIGINT)
        return step(self, batch)

    monkeypatch.setattr(mc_cyclegan.McCycleGan, "step", stopping)
    code, out, _ = main(*arguments)
    assert code == 130
    assert "Stopped after 1 step," in out
    assert "--resume goes on" in out
    assert not (tmp_path / "b").exists()
    monkeypatch.setattr(mc_cyclegan.McCycleGan, "step", step)
    code, out, _ = main(*arguments, "--resume")
    assert code == 0
    assert "b: 6 steps" in out


def test_the_clock_ends_with_a_bundle(main, tmp_path, no_onnx):
    code, out, _ = main("mc_cyclegan", "--data", "FACES", "--out", "b", *TINY, "--minutes", 1e-6)
    assert code == 0
    assert "the time is over, --resume goes on" in out
    read_bundle(tmp_path / "b")


def test_fine_tuning_to_one_person(main, tmp_path, no_onnx):
    assert main("mc_cyclegan", "--data", "FACES", "--out", "general", *TINY)[0] == 0
    code, out, err = main(
        *("mc_cyclegan", "--data", "FACES", "--out", "own", "--start-from", "general", "--people", "p3"),
        *("--fraction", 0.4, "--epochs", 2, "--set", "ndf=4"),
    )
    assert (code, err) == (0, "")
    assert "own: 2 steps" in out
    assert "begin anew" not in out
    manifest = read_bundle(tmp_path / "own").manifest
    assert "from the bundle general on" in manifest.training.data
    assert "1 person it was trained on" in manifest.metrics["psnr_covered"].on
    (tmp_path / "general.training" / "checkpoint.safetensors").unlink()
    code, out, _ = main(
        *("mc_cyclegan", "--data", "FACES", "--out", "other", "--start-from", "general", "--set", "ndf=4"),
        *("--epochs", 1),
    )
    assert code == 0
    assert "networks that the bundle does not hold, such as critics, begin anew" in out


def test_an_ablation_is_a_row_of_bundles_and_a_table(main, tmp_path, no_onnx):
    arguments = ("mc_cyclegan", "--data", "FACES", "--out", "row", "--ablation", "minimal-change", *TINY)
    code, out, err = main(*arguments)
    assert (code, err) == (0, "")
    labels = [f"lambda0.{tenths}" for tenths in range(6)]
    numbers = json.loads((tmp_path / "row" / "table.json").read_text())
    assert list(numbers) == labels
    assert all("psnr_covered (dB)" in row for row in numbers.values())
    lines = (tmp_path / "row" / "table.md").read_text().splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:8]] == labels
    assert all(read_bundle(tmp_path / "row" / label).manifest.system == "mc_cyclegan" for label in labels)
    assert "table.md" in out

    code, _, err = main(*arguments)
    assert code == 2
    assert "exists" in err
    (tmp_path / "row" / "lambda0.2" / "manifest.json").unlink()  # as if it had been stopped before its end
    code, out, _ = main(*arguments, "--resume")
    assert code == 0
    assert out.count("all there already") == 5
    assert json.loads((tmp_path / "row" / "table.json").read_text()) == numbers
