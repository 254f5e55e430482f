import sys

import numpy as np
import pytest
import torch

from engines import agreement
from engines.backends import lane, torch_backend
from engines.backends.torch_backend import TorchEngine, missing
from engines.building import reference_engine
from engines.errors import BackendMissing


@pytest.fixture
def cuda(monkeypatch):
    """The real one, or its stand-in."""
    if torch.cuda.is_available():
        return
    monkeypatch.syspath_prepend(str(__file__).rsplit("/", 1)[0])
    monkeypatch.delitem(sys.modules, "scripted_cuda", raising=False)
    import scripted_cuda

    for module in (lane, torch_backend):
        monkeypatch.setattr(module, "import_library", lambda _: scripted_cuda.ScriptedTorch())


def opened(model, *options):
    manifest = model.bundle.manifest
    return TorchEngine(model.network(), manifest.inputs, manifest.outputs, *options)


@pytest.mark.parametrize("precision", [None, "fp16", "bf16", "fp32"])
def test_on_a_gpu_every_precision_gives_the_reference(cuda, small_model, precision):
    reference = reference_engine(small_model)
    engine = opened(small_model, "cuda", precision)
    assert engine.precision == (precision or "fp16")
    assert engine.device == "cuda"
    found = agreement.measure(engine, reference, agreement.probes(engine.inputs))
    agreement.check(found, engine.precision, "torch on cuda")


def test_on_a_gpu_weights_are_half_and_channels_last(cuda, small_model):
    engine = opened(small_model, "cuda")
    weights = [p for p in engine._network.parameters() if p.ndim == 4 and min(p.shape[1:]) > 1]
    assert all(p.dtype == torch.float16 for p in engine._network.parameters())
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in weights)


def test_a_replay_depends_on_nothing_but_the_buffers(cuda, small_model):
    engine = opened(small_model, "cuda")
    one, two = agreement.probes(engine.inputs, 2)
    first = engine.run(one)["face"].copy()
    second = engine.run(two)["face"].copy()
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(engine.run(one)["face"], first)


def test_threads_are_pytorchs(small_model):
    before = torch.get_num_threads()
    try:
        opened(small_model, "cpu", None, 1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_without_a_gpu_that_is_a_sentence(small_model):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(BackendMissing, match="sees no NVIDIA graphics card: use cpu"):
        opened(small_model, "cuda")


def test_without_pytorch_that_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert missing("cpu").startswith("torch is needed to run a network in PyTorch")


def test_the_switches_of_the_process_are_as_they_were(cuda, small_model):
    before = torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32, torch.is_inference_mode_enabled()
    opened(small_model, "cuda", "fp32")
    assert (
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.allow_tf32,
        torch.is_inference_mode_enabled(),
    ) == before
