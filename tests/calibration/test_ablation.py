"""The table of a row of bundles: how good they are, and nothing of how far backends are from one another."""

import json
from types import SimpleNamespace

import numpy as np

from calibration.ablation import write_table
from engines.agreement import TOO_ROUGH
from engines.bundle import Manifest, Metric, Training, write_bundle
from engines.spec import ArraySpec


def test_the_table_has_what_was_measured_of_each(tmp_path):
    row = []
    for label, psnr in (("first", 30.5), ("second", 31.0)):
        numbers = ArraySpec("numbers", "parameter", "float32", (0.0, 1.0), "1", None, (2,))
        metrics = {
            "psnr": Metric(psnr, "dB", "three people held out"),
            "away_openvino_fp32": Metric(0.01, "grey level, rms", "made-up inputs"),
            f"{TOO_ROUGH}openvino_bf16": Metric(2.6, "grey level, rms", "made-up inputs"),
        }
        training = Training("nothing", 0, True, "CC0", 1)
        manifest = Manifest("face_symmetry", "none", {}, (numbers,), (numbers,), training, metrics)
        write_bundle(tmp_path / label, manifest, {"weights": np.zeros(5, np.float32)})
        row.append(SimpleNamespace(label=label, order=SimpleNamespace(out=tmp_path / label)))
    text = write_table(tmp_path, row).read_text()
    assert "| first |" in text
    assert "30.5" in text
    assert "31" in text
    assert "three people held out" in text
    assert "openvino" not in text
    assert "made-up" not in text
    assert set(json.loads((tmp_path / "table.json").read_text())) == {"first", "second"}
