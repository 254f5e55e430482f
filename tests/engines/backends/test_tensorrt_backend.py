"""The whole TensorRT path on a stand-in: what it is asked, in which order, and that the result is PyTorch's."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from engines import agreement, loading
from engines.backends import tensorrt_backend
from engines.backends.plan_cache import PlanCache
from engines.backends.tensorrt_backend import TensorRtEngine
from engines.building import reference_engine
from engines.errors import BackendMissing, BuildError, BundleError
from engines.loading import Way, open_engine
from engines.model import Form

HERE = Path(__file__).parent


@pytest.fixture
def trt(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.delitem(sys.modules, "scripted_tensorrt", raising=False)
    import scripted_tensorrt

    monkeypatch.setitem(sys.modules, "tensorrt", scripted_tensorrt)
    return scripted_tensorrt


@pytest.fixture(scope="module")
def half(without_onnx):
    return without_onnx.onnx(Form("fp16", False))


@pytest.fixture
def plans(tmp_path):
    return PlanCache(tmp_path / "plans")


def opened(onnx, manifest, plans, **options):
    return TensorRtEngine(onnx, manifest.inputs, manifest.outputs, plans, device="cpu", **options)


def words(trt):
    return [call[0] for call in trt.calls]


def test_a_half_precision_network_gives_pytorchs_result(trt, half, manifest, plans, small_model):
    engine = opened(half, manifest, plans)
    assert (engine.backend, engine.precision) == ("tensorrt", "fp16")
    found = agreement.measure(engine, reference_engine(small_model), agreement.probes(engine.inputs))
    agreement.check(found, "fp16", "stand-in")
    assert trt.calls[0] == ("create_network", 2)  # strongly typed
    assert words(trt)[:4] == ["create_network", "workspace", "build", "deserialise"]
    assert set(words(trt)[4:]) == {"execute"}


def test_outputs_are_the_engines_own_memory(trt, half, manifest, plans):
    engine = opened(half, manifest, plans)
    one, two = agreement.probes(engine.inputs, 2)
    first = engine.run(one)["face"]
    copy = first.copy()
    second = engine.run(two)["face"]
    assert second.ctypes.data == first.ctypes.data
    assert not np.array_equal(copy, second)
    engine.close()


def test_the_second_start_takes_the_plan_from_the_cache(trt, half, manifest, plans):
    opened(half, manifest, plans)
    trt.calls.clear()
    opened(half, manifest, plans)
    assert words(trt) == ["deserialise"]


def test_a_plan_that_does_not_load_is_built_again(trt, half, manifest, plans):
    opened(half, manifest, plans)
    plans.keep(tensorrt_backend._conditions(trt, half, "fp16"), b"of another version")
    trt.calls.clear()
    engine = opened(half, manifest, plans)
    assert words(trt) == ["deserialise", "create_network", "workspace", "build", "deserialise"]
    assert engine.run(agreement.probes(engine.inputs)[0])["face"].any()


@pytest.mark.parametrize("change", ["onnx", "precision", "version", "card"])
def test_a_plan_is_only_for_what_it_was_built_for(trt, half, manifest, plans, monkeypatch, change, small_onnx):
    opened(half, manifest, plans)
    trt.calls.clear()
    options = {}
    if change == "version":
        monkeypatch.setattr(trt, "__version__", "11.5.0.1")
    if change == "card":
        monkeypatch.setattr(tensorrt_backend, "_card", lambda: {"card": "another"})
    if change == "precision":
        options = {"precision": "fp32"}
    opened(small_onnx if change == "onnx" else half, manifest, plans, **options)
    assert "build" in words(trt)


@pytest.mark.parametrize(
    ("what", "error", "sentence"),
    [
        ("start", BackendMissing, "does not start: it needs an NVIDIA graphics card and a driver"),
        ("parse", BundleError, r"TensorRT cannot read model.onnx \(no importer for NonMaxSuppression\)"),
        ("build", BuildError, "found no way to run this network"),
        ("load", BuildError, "does not load the plan that it has just compiled"),
        ("context", BackendMissing, "no room for this network"),
        ("address", BuildError, "does not take the memory of 'face'"),
        ("execute", BackendMissing, "could not start the network"),
    ],
)
def test_each_failure_is_one_sentence(trt, half, manifest, plans, what, error, sentence):
    trt.fails.add(what)
    with pytest.raises(error, match=sentence) as caught:
        engine = opened(half, manifest, plans)
        engine.run(agreement.probes(engine.inputs)[0])
    assert "\n" not in str(caught.value)


def test_a_plan_that_failed_is_not_kept(trt, half, manifest, plans):
    trt.fails.add("build")
    with pytest.raises(BuildError):
        opened(half, manifest, plans)
    trt.fails.clear()
    trt.calls.clear()
    opened(half, manifest, plans)
    assert "build" in words(trt)


def test_a_network_that_disagrees_with_the_manifest_is_refused(trt, half, manifest, plans):
    with pytest.raises(BundleError, match=r"out_edit is in the model\.onnx, not in the manifest"):
        TensorRtEngine(half, manifest.inputs, manifest.outputs[:1], plans, device="cpu")


@pytest.mark.parametrize("version", ["10.12.0.36", "8.6.1", "9.3"])
def test_an_old_version_is_refused(trt, monkeypatch, version):
    monkeypatch.setattr(trt, "__version__", version)
    assert "is too old, 10.13 is needed" in tensorrt_backend.missing()


@pytest.mark.parametrize("version", ["10.13.0.35", "10.16.1.11", "11.4.0.106"])
def test_both_major_versions_are_taken(trt, monkeypatch, version):
    monkeypatch.setattr(trt, "__version__", version)
    assert tensorrt_backend.tensorrt() is trt


def test_without_a_graphics_card_it_is_a_sentence_before_anything_is_exported(trt, without_onnx, monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    monkeypatch.setattr("engines.model.exported", lambda *_: pytest.fail("exported"))
    with pytest.raises(BackendMissing, match="sees no NVIDIA graphics card"):
        open_engine(without_onnx, Way("tensorrt", "cuda"))


@pytest.mark.parametrize(("precision", "expected"), [(None, "fp16"), ("fp32", "fp32")])
def test_loading_exports_in_the_precision_that_is_run(trt, without_onnx, monkeypatch, precision, expected, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(tensorrt_backend, "missing", lambda: None)
    monkeypatch.setattr("engines.model.exported", lambda _network, form, _bundle: repr(form).encode())
    monkeypatch.setattr(
        tensorrt_backend, "TensorRtEngine", lambda onnx, *rest: types.SimpleNamespace(onnx=onnx, rest=rest)
    )
    engine = loading.open_engine(without_onnx, Way("tensorrt", "cuda"), precision)
    assert engine.onnx == repr(Form(expected, False)).encode()
    assert engine.rest[-1] == expected


def test_the_drivers_version_is_part_of_the_card(tmp_path):
    line = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04"
    (tmp_path / "version").write_text(f"{line}\nGCC version: 12\n")
    assert tensorrt_backend._driver(tmp_path / "version") == line
    assert tensorrt_backend._driver(tmp_path / "nothing") == ""
