import dataclasses
import json
import math

import numpy as np
import pytest
import torch

import engines
from engines import building
from engines.agreement import TOLERANCES, Distance
from engines.backends import onnxruntime_backend
from engines.bundle import ONNX, Bundle, read_bundle
from engines.cache import cache_folder
from engines.errors import BuildError
from engines.loading import Way, survey
from engines.model import Model


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_building_compares_with_pytorch_and_keeps_a_record(small_bundle):
    pytest.importorskip("onnxruntime")
    record = engines.build(small_bundle, "onnxruntime")
    assert record.agrees
    assert set(record.distance) == {"face", "edit"}
    assert 0 <= record.distance["face"].rms <= TOLERANCES["fp32"].rms
    (path,) = cache_folder("builds").iterdir()
    written = json.loads(path.read_text())
    assert written == json.loads(json.dumps(record.to_json()))
    assert written["versions"]["onnxruntime"]
    assert written["weights_sha256"] == read_bundle(small_bundle).manifest.sha256["weights.safetensors"]
    assert written["allowed"] == {"rms": 0.1, "largest": 1.5}


class Brighter(onnxruntime_backend.OnnxRuntimeEngine):
    """Computes something else."""

    def run(self, arrays):
        found = super().run(arrays)
        return {name: np.where(array < 250, array + 5, array) for name, array in found.items()}


def test_a_backend_that_computes_something_else_is_refused(small_bundle, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnxruntime_backend, "OnnxRuntimeEngine", Brighter)
    with pytest.raises(BuildError, match=r"onnxruntime on cpu does not compute what PyTorch does: its 'face' is \d"):
        engines.build(small_bundle, "onnxruntime")
    assert list(cache_folder("builds").iterdir()) == []
    verdicts = {(r.backend, r.precision): r.agrees for r in building.verify(small_bundle)}
    assert verdicts[("onnxruntime", "fp32")] is False
    assert verdicts[("torch", "fp32")] is True


def test_an_onnx_with_other_weights_is_found_out(small_model):
    """Names, shapes and sha256 fit: only running it tells."""
    pytest.importorskip("onnxruntime")
    bundle = small_model.bundle
    arrays = {name: -array for name, array in bundle.arrays.items()}
    record = building.compare(
        Model(Bundle(bundle.manifest, arrays, bundle.files), "x"), Way("onnxruntime", "cpu"), None
    )
    assert not record.agrees


def test_verify_tries_everything_that_is_here(small_bundle):
    records = building.verify(small_bundle)
    assert all(record.agrees for record in records)
    assert ("torch", "cpu", "fp32") in [(r.backend, r.device, r.precision) for r in records]


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_a_bundle_that_was_written_holds_what_was_compared(tmp_path, manifest, small_weights, storage):
    written = building.write_network_bundle(tmp_path / "b", manifest, small_weights, storage)
    bundle = read_bundle(tmp_path / "b")
    assert bundle.manifest == written
    assert set(written.sha256) == {"weights.safetensors", ONNX}
    assert written.versions["torch"] == torch.__version__
    readers = [found for found in survey() if found.way.backend in ("openvino", "onnxruntime") and not found.why_not]
    expected = {f"away_{found.way.backend}_{precision}" for found in readers for precision in found.precisions}
    assert set(written.metrics) == expected
    assert all(metric.value <= TOLERANCES[name.split("_")[-1]].rms for name, metric in written.metrics.items())
    assert all(record.agrees for record in building.verify(tmp_path / "b"))


def test_a_bundle_can_be_written_without_its_onnx(tmp_path, manifest, small_weights):
    written = building.write_network_bundle(tmp_path / "b", manifest, small_weights, with_onnx=False)
    assert set(written.sha256) == {"weights.safetensors"}


def test_nothing_is_written_when_the_onnx_disagrees(tmp_path, manifest, small_weights, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnxruntime_backend, "OnnxRuntimeEngine", Brighter)
    with pytest.raises(BuildError, match="onnxruntime on cpu"):
        building.write_network_bundle(tmp_path / "b", manifest, small_weights)
    assert not (tmp_path / "b").exists()


def test_a_network_that_half_precision_rounds_too_roughly_is_kept_and_run_in_float32(
    tmp_path, manifest, small_weights, monkeypatch
):
    rough = [p for found in survey() if found.way == Way("openvino", "cpu") for p in found.precisions if p != "fp32"]
    if not rough:
        pytest.skip("no half precision on this processor, or no OpenVINO")
    monkeypatch.setitem(TOLERANCES, rough[0], Distance(0, 0))
    written = building.write_network_bundle(tmp_path / "b", manifest, small_weights)
    assert f"too_rough_openvino_{rough[0]}" in written.metrics
    assert f"away_openvino_{rough[0]}" not in written.metrics
    for wanted, taken in ((None, "fp32"), (rough[0], rough[0])):
        engine = engines.load(tmp_path / "b", "cpu", "openvino", wanted)
        assert engine.precision == taken
        engine.close()


def test_half_precision_that_computes_no_number_is_refused_before_anything_is_written(
    tmp_path, manifest, small_weights, monkeypatch
):
    compare = building.compare

    def compared(model, way, precision):
        record = compare(model, way, precision)
        if precision == "fp32":
            return record
        nothing = {name: Distance(math.nan, math.nan) for name in record.distance}
        return dataclasses.replace(record, distance={"first": Distance(0.0, 0.0), **nothing})

    if not any(p != "fp32" for found in survey() if found.way == Way("openvino", "cpu") for p in found.precisions):
        pytest.skip("no half precision on this processor, or no OpenVINO")
    monkeypatch.setattr(building, "compare", compared)
    with pytest.raises(BuildError, match="openvino on cpu"):
        building.write_network_bundle(tmp_path / "b", manifest, small_weights)
    assert not (tmp_path / "b").exists()


def test_a_record_says_whether_it_agrees(small_model):
    record = building.compare(small_model, Way("torch", "cpu"), None)
    assert record.agrees
    far = dataclasses.replace(record, distance={"face": Distance(9, 9)})
    assert not far.agrees
    assert far.to_json()["agrees"] is False
