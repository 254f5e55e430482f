import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import engines
from engines import loading
from engines.bundle import ONNX, Bundle, Manifest, Training, write_bundle
from engines.errors import BackendMissing, BadInput, BuildError, BundleError
from engines.loading import WAYS, Present, Way, load, survey, ways
from engines.model import Model

GPU = [Way("tensorrt", "cuda"), Way("torch", "cuda")]
CPU = [Way("openvino", "cpu"), Way("onnxruntime", "cpu"), Way("torch", "cpu")]


@pytest.mark.parametrize(
    ("device", "backend", "expected"),
    [
        ("auto", None, GPU + CPU),
        ("cpu", None, CPU),
        ("cuda", None, GPU),
        ("auto", "torch", [Way("torch", "cuda"), Way("torch", "cpu")]),
        ("cpu", "onnxruntime", [Way("onnxruntime", "cpu")]),
    ],
)
def test_the_order_is_the_designs(device, backend, expected):
    assert list(ways(device, backend)) == expected


@pytest.mark.parametrize(
    ("device", "backend", "sentence"),
    [
        ("gpu", None, "device must be auto, cuda or cpu, found 'gpu'"),
        ("auto", "tensorflow", "backend must be one of tensorrt, torch, openvino, onnxruntime, found 'tensorflow'"),
        ("cuda", "openvino", "openvino does not run on cuda"),
    ],
)
def test_a_word_that_is_none_of_them_is_refused(device, backend, sentence):
    with pytest.raises(BadInput, match=sentence):
        ways(device, backend)


def test_a_bundle_runs_in_one_line(small_bundle):
    engine = engines.load(small_bundle, device="cpu", threads=1)
    clean = engine.run({"face": np.zeros((32, 32, 3), np.uint8)})["face"]
    assert clean.shape == (32, 32, 3)
    assert engine.backend == next(found.way.backend for found in survey() if found.way in CPU and not found.why_not)


def test_threads_below_one_are_refused(small_bundle):
    with pytest.raises(BadInput, match="threads must be 1 or more, found 0"):
        load(small_bundle, threads=0)


def test_auto_goes_on_to_the_next_when_a_library_is_missing(small_bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert load(small_bundle, device="cpu").backend == "onnxruntime"
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert load(small_bundle, device="cpu").backend == "torch"


def test_auto_goes_on_when_a_backend_cannot_hold_the_network(small_bundle, monkeypatch, caplog):
    def opens(model, way, *rest):
        if way == WAYS[0]:
            raise BuildError("TensorRT found no way to run this network")
        return open_engine(model, Way("torch", "cpu"), *rest)

    open_engine = loading.open_engine
    monkeypatch.setattr(loading, "open_engine", opens)
    assert load(small_bundle).backend == "torch"
    assert "tensorrt on cuda cannot run small: TensorRT found no way" in caplog.text


def test_a_backend_that_was_asked_for_by_name_is_not_replaced(small_bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(
        BackendMissing, match=r"^openvino is needed to run a network in OpenVINO: pip install openvino$"
    ):
        load(small_bundle, backend="openvino")


def test_when_nothing_can_run_it_every_reason_is_given(small_bundle, monkeypatch):
    for name in ("torch", "openvino", "onnxruntime", "tensorrt"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        BackendMissing, match=r"nothing here can run small: .*openvino is needed.*onnxruntime is needed"
    ):
        load(small_bundle, device="cpu")


def test_an_onnx_for_another_size_is_refused(small_model):
    manifest = small_model.bundle.manifest
    face = dataclasses.replace(manifest.inputs[0], shape=(64, 64, 3))
    edit = dataclasses.replace(manifest.outputs[1], shape=(64, 64))
    other = dataclasses.replace(manifest, inputs=(face,), outputs=(face, edit))
    for backend in ("openvino", "onnxruntime"):
        pytest.importorskip(backend)
        with pytest.raises(
            BundleError, match=r"model.onnx disagrees with its manifest: in_face is uint8 \(32, 32, 3\)"
        ):
            load(Model(Bundle(other, small_model.bundle.arrays, small_model.bundle.files), "other"), backend=backend)


@pytest.mark.parametrize("content", [b"", b"no model", None])
@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_an_onnx_that_is_none_is_one_sentence(small_model, backend, content):
    pytest.importorskip(backend)
    bundle = small_model.bundle
    cut = bundle.files[ONNX][:5000] if content is None else content
    with pytest.raises(BundleError, match=r"cannot read model.onnx") as caught:
        load(Model(Bundle(bundle.manifest, bundle.arrays, {ONNX: cut}), "broken"), backend=backend)
    assert "\n" not in str(caught.value)


def test_an_onnx_that_was_altered_on_disk_is_refused(small_bundle, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in small_bundle.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    content = bytearray((copy / ONNX).read_bytes())
    content[-100] ^= 1
    (copy / ONNX).write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.onnx is altered"):
        load(copy)


def test_a_bundle_without_a_network_is_refused(tmp_path):
    training = Training("none", 0, True, "CC0", None)
    write_bundle(tmp_path / "b", Manifest("pixel_rr", "gain and bias", {}, (), (), training), {"a": np.zeros(1)})
    with pytest.raises(BundleError, match="'gain and bias' is not one of resnet_generator"):
        load(tmp_path / "b", backend="torch")


def test_the_survey_names_every_way_and_a_reason_for_each_that_is_closed(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    found = {present.way: present for present in survey()}
    assert list(found) == list(WAYS)
    closed = found[Way("onnxruntime", "cpu")]
    assert (
        closed.why_not == "onnxruntime is needed to run a network in ONNX Runtime: pip install 'myomirror[onnxruntime]'"
    )
    assert closed.precisions == ()
    assert found[Way("torch", "cpu")] == Present(Way("torch", "cpu"), torch.__version__, ("fp32", "bf16"), None)


def test_a_loaded_engine_has_run(small_bundle, monkeypatch):
    runs = []

    class Counts:
        inputs, precision = (Model.read(small_bundle).bundle.manifest.inputs), "fp32"

        def run(self, arrays):
            runs.append(arrays)

    monkeypatch.setattr(loading, "open_engine", lambda *_: Counts())
    load(small_bundle)
    assert len(runs) == 2


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_a_machine_without_pytorch_runs_a_bundle_that_brings_its_onnx(small_bundle, backend):
    pytest.importorskip(backend)
    code = (
        "import sys; sys.modules.update(torch=None, onnx=None, onnxscript=None)\n"
        "import engines, numpy\n"
        f"engine = engines.load({str(small_bundle)!r}, backend={backend!r})\n"
        "print(engine.run({'face': numpy.zeros((32, 32, 3), numpy.uint8)})['edit'].shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path.cwd())
    assert (done.stdout.strip(), done.stderr) == ("(32, 32)", "")
