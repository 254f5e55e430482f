import dataclasses
import sys

import pytest

from engines.bundle import ONNX, Bundle
from engines.cache import cache_folder
from engines.errors import BackendMissing
from engines.model import CPU_FORM, Form, Model


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def cached():
    return sorted(path.name for path in cache_folder("onnx").iterdir())


def test_the_bundles_own_file_is_used_and_nothing_is_exported(small_model):
    assert small_model.onnx(CPU_FORM) == small_model.bundle.files[ONNX]
    assert cached() == []


def test_what_the_bundle_lacks_is_exported_once(without_onnx, monkeypatch):
    exported = without_onnx.onnx(CPU_FORM)
    assert len(cached()) == 1
    monkeypatch.setitem(sys.modules, "torch", None)  # from here on it could not be exported
    again = Model(without_onnx.bundle, "again")
    assert again.onnx(CPU_FORM) == exported
    with pytest.raises(
        BackendMissing, match=r"the bundle again has no model.onnx for this backend, and torch is needed"
    ):
        again.onnx(Form("fp16", False))


def test_other_weights_are_another_file(without_onnx, monkeypatch):
    written = []
    monkeypatch.setattr("engines.model.exported", lambda _network, _form, bundle: written.append(bundle) or b"x")
    without_onnx.onnx(CPU_FORM)
    arrays = {name: array + array.dtype.type(1) for name, array in without_onnx.bundle.arrays.items()}
    Model(Bundle(without_onnx.bundle.manifest, arrays), "other").onnx(CPU_FORM)
    face = dataclasses.replace(without_onnx.bundle.manifest.inputs[0], colour="RGB")
    manifest = dataclasses.replace(without_onnx.bundle.manifest, inputs=(face,))
    Model(Bundle(manifest, without_onnx.bundle.arrays), "rgb").onnx(CPU_FORM)
    without_onnx.onnx(CPU_FORM)
    assert len(written) == len(cached()) == 3


def test_a_cached_file_that_others_may_write_is_not_believed(without_onnx, monkeypatch):
    monkeypatch.setattr("engines.model.exported", lambda *_: b"exported")
    without_onnx.onnx(CPU_FORM)
    path = cache_folder("onnx") / cached()[0]
    path.write_bytes(b"planted")
    path.chmod(0o666)
    assert without_onnx.onnx(CPU_FORM) == b"exported"
