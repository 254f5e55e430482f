import json

import numpy as np
import pytest

from calibration.recipes.pixel_bundles import PHOTOGRAPHED, bundle_name, main, make_bundle, write_tasks
from calibration.recipes.pixel_dense import DenseSettings, predict
from calibration.recipes.pixel_judge import judge, mean
from calibration.recipes.pixel_synthetic import EXPRESSIONS
from engines.bundle import Training, read_bundle
from engines.face.pixel_mesh import load_pixel_mesh
from engines.shipped import bundle_folder

TRAINING = Training("toys", 6, True, "CC0", 0)


def test_the_bundle_holds_what_was_judged(tmp_path, toy_pairs):
    learn, unseen = toy_pairs(8, 40, seed=0), toy_pairs(3, 40, seed=1)
    manifest = make_bundle(learn, unseen, "toy", TRAINING, tmp_path, DenseSettings())
    stored = load_pixel_mesh(tmp_path)
    assert (stored.expression, stored.side) == ("toy", 40)
    score = mean(judge(predict(stored, unseen), unseen))
    assert manifest.metrics["psnr"].value == pytest.approx(score.psnr_face, abs=1e-3)
    assert manifest.metrics["ssim"].value == pytest.approx(score.ssim_face, abs=1e-4)
    assert manifest.metrics["psnr"].value > manifest.metrics["psnr_copying_input"].value


def test_tasks_become_synthetic_bundles_judged_by_the_hidden(tmp_path, toy_pairs, capsys):
    pairs = toy_pairs(8, 40)
    write_tasks({"Lip-Pucker": pairs}, list(pairs.people[6:]), tmp_path, 3)
    manifest = read_bundle(tmp_path / "pixel-lip-pucker").manifest
    assert (manifest.training.people, manifest.training.synthetic, manifest.training.seed) == (6, True, 3)
    assert "2 synthetic people" in manifest.metrics["psnr"].on
    assert "pixel-lip-pucker" in capsys.readouterr().out


@pytest.mark.parametrize("task", EXPRESSIONS)
def test_every_task_ships_small_honest_and_better_than_copying(task):
    folder = bundle_folder(bundle_name(task))
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1e6
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["training"]["synthetic"] == (task not in PHOTOGRAPHED)
    values = {name: metric["value"] for name, metric in manifest["metrics"].items()}
    assert values["psnr"] > values["psnr_copying_input"] + 2
    assert values["psnr"] > values["psnr_pixel_rr_lambda_0.4_on_[0,1]"] + 2
    mesh = load_pixel_mesh(folder)
    assert mesh.expression == task.lower()
    assert np.abs(mesh.way).max() > 0.005


def test_without_mediapipe_s_files_it_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MYOMIRROR_ASSETS", str(tmp_path))
    assert main(["--out", str(tmp_path), "--only", "pixel-happy"]) == 2
    assert "myomirror assets fetch" in capsys.readouterr().err
