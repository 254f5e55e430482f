import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engines.errors import BackendMissing, BuildError, BundleError
from rt.engine_commands import engines_app


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A small network on disk."""
    return written(tmp_path_factory.mktemp("bundles") / "tiny")


def written(path):
    pytest.importorskip("torch")
    from engines.assembly import bare_network
    from engines.building import write_network_bundle
    from engines.bundle import Manifest, Training
    from engines.spec import ArraySpec

    face = ArraySpec("face", "height, width, colour", "uint8", (0, 255), "grey level", "BGR", (16, 16, 3))
    sizes = {"ngf": 4, "blocks": 0, "in_channels": 3, "out_channels": 3}
    training = Training("nothing: initialised only", 0, True, "CC0", 1)
    manifest = Manifest("mc_cyclegan", "resnet_generator", sizes, (face,), (face,), training)
    write_network_bundle(path, manifest, bare_network(manifest).network.state_dict())
    return path


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")


def run(*arguments):
    return CliRunner().invoke(engines_app, [str(a) for a in arguments])


def test_the_list_says_what_is_here_and_why_the_rest_is_not(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    found = run("list")
    assert found.exit_code == 0
    lines = found.output.splitlines()
    assert next(line for line in lines if line.startswith("tensorrt")).count("pip install 'myomirror[gpu]'") == 1
    assert sum("what a session takes" in line for line in lines) == 1
    assert any(line.startswith("torch") and "cpu" in line and "fp32" in line for line in lines)


def test_the_list_describes_a_bundle(bundle):
    found = run("list", bundle)
    assert found.exit_code == 0
    line = next(line for line in found.output.splitlines() if line.startswith("tiny"))
    assert line.split()[:6] == ["tiny", "mc_cyclegan", "resnet_generator", "16", "x", "16"]
    assert line.rstrip().endswith("yes")


def test_building_prints_how_far_it_is_from_pytorch(bundle, tmp_path):
    found = run("build", bundle, "--backend", "torch", "--device", "cpu")
    assert found.exit_code == 0, found.output
    assert "0.000, 0.0" in found.output
    assert "agrees" in found.output
    assert len(list((tmp_path / "myomirror" / "builds").iterdir())) == 1


def test_verifying_tries_every_backend(bundle):
    from engines.loading import survey

    found = run("verify", bundle)
    assert found.exit_code == 0, found.output
    expected = sum(len(present.precisions) for present in survey())
    assert found.output.count("agrees") == expected


def test_verifying_refuses_a_bundle_that_is_computed_otherwise(bundle, monkeypatch):
    pytest.importorskip("onnxruntime")
    from engines.backends import onnxruntime_backend

    class Darker(onnxruntime_backend.OnnxRuntimeEngine):
        def run(self, arrays):
            return {name: array // 2 for name, array in super().run(arrays).items()}

    monkeypatch.setattr(onnxruntime_backend, "OnnxRuntimeEngine", Darker)
    found = run("verify", bundle)
    assert isinstance(found.exception, BuildError)
    assert str(found.exception) == (
        "tiny is not computed as PyTorch does by onnxruntime on cpu in fp32: do not use it there"
    )
    assert "DIFFERS" in found.output


def test_half_precision_that_a_bundle_itself_calls_too_rough_is_no_fault(tmp_path, monkeypatch):
    from engines import agreement
    from engines.bundle import read_bundle

    monkeypatch.setitem(agreement.TOLERANCES, "bf16", agreement.Distance(0, 0))
    if not any(name.startswith(agreement.TOO_ROUGH) for name in read_bundle(written(tmp_path / "b")).manifest.metrics):
        pytest.skip("no half precision on this processor, or no OpenVINO")
    found = run("verify", tmp_path / "b")
    assert found.exit_code == 0, found.output
    assert "DIFFERS" in found.output


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        (("verify", "nowhere"), BundleError, "nowhere is no bundle"),
        (("list", "nowhere"), BundleError, "nowhere is no bundle"),
        (("build", "pixel-smile", "--backend", "torch", "--device", "cpu"), BundleError, "is not one of resnet_gen"),
    ],
)
def test_what_is_wrong_is_one_sentence(arguments, error, sentence):
    found = run(*arguments)
    assert isinstance(found.exception, error)
    assert sentence in str(found.exception)


def test_a_backend_that_is_missing_is_one_sentence(bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    found = run("build", bundle, "--backend", "openvino")
    assert isinstance(found.exception, BackendMissing)
    assert str(found.exception) == "openvino is needed to run a network in OpenVINO: pip install openvino"


def test_help_imports_no_backend():
    code = (
        "import sys, rt.engine_commands; print([n for n in ('numpy', 'torch', 'openvino', 'rich') if n in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert "numpy" not in found.stdout
    assert "torch" not in found.stdout
