import os

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from engines.backends.onnxruntime_backend import OnnxRuntimeEngine


def opened(onnx, manifest, *options):
    return OnnxRuntimeEngine(onnx, manifest.inputs, manifest.outputs, *options)


def test_threads_are_as_many_as_asked_for_and_do_not_spin(small_onnx, manifest):
    options = opened(small_onnx, manifest, None, 2)._session.get_session_options()
    assert options.intra_op_num_threads == 2
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_it_says_nothing_about_what_it_does(small_onnx, manifest, capfd):
    opened(small_onnx, manifest).run({"face": np.zeros((32, 32, 3), np.uint8)})
    assert capfd.readouterr() == ("", "")
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
