import sys
import types

import numpy as np
import pytest
import torch

from engines.backends import lane as lanes
from engines.backends.lane import Lane
from engines.errors import BadInput
from engines.spec import ArraySpec

X = ArraySpec("x", "row, column", "float32", (0, 1), "1", None, (3, 4))
Y = ArraySpec("y", "row", "float32", (0, 4), "1", None, (3,))


@pytest.fixture(params=["cpu", "cuda"])
def device(request, monkeypatch):
    """Both kinds; CUDA's is the stand-in where there is no card."""
    if request.param == "cuda" and not torch.cuda.is_available():
        monkeypatch.syspath_prepend(str(__file__).rsplit("/", 1)[0])
        monkeypatch.delitem(sys.modules, "scripted_cuda", raising=False)
        import scripted_cuda

        monkeypatch.setattr(lanes, "import_library", lambda _: scripted_cuda.ScriptedTorch())
    return request.param


def summing(device):
    lane = Lane(device, (X,), (Y,))
    lane.record(lambda: lane.tensors_out["y"].copy_(lane.tensors_in["x"].sum(1)))
    return lane


def rows(seed):
    return np.random.default_rng(seed).random((3, 4), np.float32)


def test_every_run_computes_anew_into_the_same_memory(device):
    lane = summing(device)
    addresses = set()
    for seed in range(5):
        x = rows(seed)
        found = lane.run({"x": x})["y"]
        np.testing.assert_allclose(found, x.sum(1), rtol=1e-6)
        addresses.add(found.ctypes.data)
    assert len(addresses) == 1


def test_buffers_on_the_device_keep_their_addresses(device):
    lane = summing(device)
    before = [tensor.data_ptr() for tensor in (*lane.tensors_in.values(), *lane.tensors_out.values())]
    lane.run({"x": rows(0)})
    assert [tensor.data_ptr() for tensor in (*lane.tensors_in.values(), *lane.tensors_out.values())] == before


def test_what_does_not_fit_is_refused(device):
    with pytest.raises(BadInput, match="'x' is float32"):
        summing(device).run({"x": np.zeros((3, 4))})


@pytest.mark.skipif(torch.cuda.is_available(), reason="reads the stand-in's notes")
@pytest.mark.parametrize("device", ["cuda"], indirect=True)
def test_on_cuda_work_is_warmed_up_captured_once_and_then_replayed(device):
    import scripted_cuda

    worked = []
    lane = Lane(device, (X,), (Y,))
    lane.record(lambda: worked.append(lane.tensors_out["y"].copy_(lane.tensors_in["x"].sum(1))))
    assert len(worked) == 3 + 1
    assert scripted_cuda.calls == ["pinned", "pinned", "wait_stream", "synchronise", "capture"]
    for seed in range(3):
        lane.run({"x": rows(seed)})
    assert len(worked) == 4
    assert scripted_cuda.calls[5:] == ["replay", "synchronise"] * 3
    assert lane.current_stream() == 4711


def test_pinned_memory_comes_from_pycuda_where_it_is(monkeypatch):
    asked = []
    driver = types.ModuleType("pycuda.driver")
    driver.pagelocked_zeros = lambda shape, dtype: asked.append((shape, dtype)) or np.zeros(shape, dtype)
    monkeypatch.setitem(sys.modules, "pycuda", types.ModuleType("pycuda"))
    monkeypatch.setitem(sys.modules, "pycuda.autoprimaryctx", types.ModuleType("pycuda.autoprimaryctx"))
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    make = lanes._pinned_by(torch)
    assert make((2, 3), np.dtype("uint8")).shape == (2, 3)
    assert asked == [((2, 3), np.dtype("uint8"))]
    assert "pycuda.autoinit" not in sys.modules


def test_and_from_pytorch_where_it_is_not(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycuda", None)
    asked = []

    class Torch:
        uint8 = torch.uint8

        @staticmethod
        def zeros(shape, dtype, pin_memory):
            asked.append(pin_memory)
            return torch.zeros(shape, dtype=dtype)

    assert lanes._pinned_by(Torch)((2,), np.dtype("uint8")).dtype == np.uint8
    assert asked == [True]
