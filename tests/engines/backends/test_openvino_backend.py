import subprocess
import sys
import textwrap

import numpy as np
import pytest

pytest.importorskip("openvino")

from engines.backends import openvino_backend
from engines.backends.openvino_backend import OpenVinoEngine, native_precisions
from engines.errors import BackendMissing


def opened(onnx, manifest, *options):
    return OpenVinoEngine(onnx, manifest.inputs, manifest.outputs, *options)


def test_the_fastest_native_precision_is_the_default(small_onnx, manifest):
    assert opened(small_onnx, manifest).precision == native_precisions()[0]
    with open("/proc/cpuinfo") as file:
        has_bf16 = any(flag in file.read().split() for flag in ("avx512_bf16", "amx_bf16", "avx_ne_convert"))
    assert (native_precisions()[0] == "bf16") == has_bf16


def test_a_precision_that_the_processor_lacks_is_refused(small_onnx, manifest, monkeypatch):
    monkeypatch.setattr(openvino_backend, "native_precisions", lambda: ("fp32",))
    with pytest.raises(BackendMissing, match="OpenVINO has no bf16 on this processor: use fp32"):
        opened(small_onnx, manifest, "bf16")


def test_threads_are_as_many_as_asked_for(small_onnx, manifest):
    engine = opened(small_onnx, manifest, "fp32", 1)
    assert engine._request.get_compiled_model().get_property("INFERENCE_NUM_THREADS") == 1


def test_what_was_compiled_is_kept_where_we_say(small_onnx, manifest, tmp_path):
    first = opened(small_onnx, manifest, "fp32", None, tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".blob"]
    second = opened(small_onnx, manifest, "fp32", None, tmp_path)
    face = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(first.run({"face": face})["face"], second.run({"face": face})["face"])


def test_a_damaged_cache_does_no_harm(small_onnx, manifest, tmp_path):
    opened(small_onnx, manifest, "fp32", None, tmp_path)
    (blob,) = tmp_path.iterdir()
    blob.chmod(0o600)
    blob.write_bytes(b"rubbish")
    engine = opened(small_onnx, manifest, "fp32", None, tmp_path)
    assert engine.run({"face": np.full((32, 32, 3), 9, np.uint8)})["face"].shape == (32, 32, 3)


OPENED_AND_CLOSED = """
    import signal, sys, threading
    from pathlib import Path
    from engines.loading import load

    def opened():
        return load(Path(sys.argv[1]), backend="openvino", threads=1)

    {closing}
    signal.signal(signal.SIGINT, lambda *_: print("caught", flush=True))
    signal.raise_signal(signal.SIGINT)
"""


@pytest.mark.parametrize(
    "closing",
    [
        "first, second = opened(), opened(); first.close(); del first; second.close(); del second",
        "engines = [opened()]; t = threading.Thread(target=engines.clear); t.start(); t.join()",
    ],
    ids=["the first one first", "in another thread"],
)
def test_signals_are_still_caught_after_engines_were_closed(small_bundle, closing):
    """In a process of its own: it died by SIGSEGV while every engine had a Core of its own."""
    code = textwrap.dedent(OPENED_AND_CLOSED).format(closing=closing)
    command = [sys.executable, "-c", code, str(small_bundle)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (found.returncode, found.stdout) == (0, "caught\n"), found.stderr
