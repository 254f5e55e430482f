import os
import subprocess
import sys
from pathlib import Path

import pytest

from engines.backends.library import import_library
from engines.errors import BackendMissing


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("tensorrt", r"^tensorrt is needed to build and run a compiled plan: pip install 'myomirror\[gpu\]'$"),
        ("openvino", r"^openvino is needed to run a network in OpenVINO: pip install openvino$"),
        ("torch", r"pip install 'myomirror\[torch\]'$"),
    ],
)
def test_what_is_not_installed_is_one_sentence(monkeypatch, name, sentence):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BackendMissing, match=sentence):
        import_library(name)


def test_what_is_installed_but_broken_says_so(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "tensorrt.py").write_text("raise OSError('libnvinfer.so.11: cannot open shared object file')")
    with pytest.raises(BackendMissing, match=r"does not load \(libnvinfer.so.11: cannot open"):
        import_library("tensorrt")


def test_what_lacks_something_itself_says_what(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "tensorrt.py").write_text("import a_library_that_is_nowhere")
    with pytest.raises(BackendMissing, match="tensorrt is installed but lacks a_library_that_is_nowhere"):
        import_library("tensorrt")


def test_importing_the_room_imports_no_backend():
    heavy = ["torch", "openvino", "onnxruntime", "onnx", "tensorrt", "pycuda", "numba", "cv2"]
    code = f"import sys, engines; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert found.stdout.strip() == "[]"


def test_nothing_is_noted_down_for_anybody(small_bundle, tmp_path):
    """Unless told not to, ONNX Runtime leaves a device id and a queue of reports, OpenVINO an id and a counter."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("openvino")
    code = (
        "import sys, engines\n"
        "from engines.agreement import probes\n"
        "for backend in ('onnxruntime', 'openvino'):\n"
        "    engine = engines.load(sys.argv[1], backend=backend)\n"
        "    engine.run(probes(engine.inputs)[0])\n"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    for variable in ("CI", "ORT_DISABLE_TELEMETRY"):  # either would hide that we do not set the second
        environment.pop(variable, None)
    subprocess.run([sys.executable, "-c", code, str(small_bundle)], env=environment, check=True, cwd=Path.cwd())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["myomirror"]
