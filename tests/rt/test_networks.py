"""A network that cannot be opened is one sentence, which says what to install or how to go on without."""

from types import SimpleNamespace

import pytest

from engines.errors import BackendMissing, BundleError
from rt import networks
from rt.errors import BadSettings
from rt.networks import engine_facts, open_network

MODEL = SimpleNamespace(name="mine")


def wanted(**changes):
    return SimpleNamespace(**{"backend": None, "device": "cpu", "precision": None, "threads": 2, **changes})


def opened(monkeypatch, error=None, **changes):
    said = []

    def load(*given):
        said.append(given)
        if error is not None:
            raise error
        return "engine"

    monkeypatch.setattr(networks, "load", load)
    return open_network(MODEL, wanted(**changes), "faces cannot be read", "expression: off"), said


def test_what_the_settings_want_is_what_is_loaded(monkeypatch):
    engine, said = opened(monkeypatch, backend="torch", precision="fp32")
    assert engine == "engine"
    assert said == [(MODEL, "cpu", "torch", "fp32", 2)]


@pytest.mark.parametrize(("backend", "installed"), [(None, True), ("tensorrt", False)])
def test_a_backend_that_was_chosen_or_is_there_says_why_it_cannot(monkeypatch, backend, installed):
    monkeypatch.setattr(networks.importlib.util, "find_spec", lambda _: object() if installed else None)
    with pytest.raises(BadSettings) as found:
        opened(monkeypatch, BackendMissing("no such processor"), backend=backend)
    expected = "faces cannot be read with mine: no such processor, or set `expression: off` in the station file"
    assert str(found.value) == expected


def test_without_any_backend_the_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(networks.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BadSettings, match=r"nothing here can run networks: pip install openvino, or set `expression"):
        opened(monkeypatch, BackendMissing("this; and that"))


def test_a_bundle_that_disagrees_with_itself_is_refused(monkeypatch):
    with pytest.raises(BadSettings, match=r"^faces cannot be read: the bundle mine cannot be used: altered$"):
        opened(monkeypatch, BundleError("altered"))


def test_facts_name_role_bundle_and_what_runs_it():
    engine = SimpleNamespace(backend="openvino", device="cpu", precision="bf16")
    assert engine_facts(engine, MODEL, "exp2emg") == {
        "role": "exp2emg", "bundle": "mine", "backend": "openvino", "device": "cpu", "precision": "bf16",
    }  # fmt: skip
