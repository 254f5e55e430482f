"""One CUDA stream with everything that waits on it; on the CPU the same calls, at once and in order.

Both GPU backends are written against this, so that everything but CUDA itself runs, and is tested, without a GPU.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.backends.buffers import Buffers
from engines.backends.library import import_library
from engines.spec import Arrays, ArraySpec

_WARM_UP = 3  # calls before a capture: libraries choose their kernels and take their workspace in the first ones


class Lane:
    """Host arrays, their twins on the device, and recorded work between them.

    device: "cuda" or "cpu".  given, found: pinned host arrays per input and output, so that copies need no detour.
    tensors_in, tensors_out: their twins on the device, by name; never reallocated, so their addresses may be kept.
    """

    def __init__(self, device: str, inputs: Sequence[ArraySpec], outputs: Sequence[ArraySpec]) -> None:
        """Raises BackendMissing without PyTorch; BundleError when a spec states no shape."""
        self._torch = torch = import_library("torch")
        self.device = torch.device(device)
        make = np.zeros if device == "cpu" else _pinned_by(torch)
        self.given, self.found = Buffers(inputs, make), Buffers(outputs, make)
        self.tensors_in = {name: self._twin(array) for name, array in self.given.arrays.items()}
        self.tensors_out = {name: self._twin(array) for name, array in self.found.arrays.items()}
        self._up = [(self.tensors_in[name], torch.from_numpy(array)) for name, array in self.given.arrays.items()]
        self._down = [(torch.from_numpy(array), self.tensors_out[name]) for name, array in self.found.arrays.items()]
        self._stream = torch.cuda.Stream(self.device) if device == "cuda" else None
        self._recorded: Callable[[], object] | None = None

    def current_stream(self) -> int:
        """The handle, for other libraries, of the stream that recorded work must start its kernels on; 0 on the CPU."""
        return 0 if self._stream is None else int(self._torch.cuda.current_stream(self.device).cuda_stream)

    def record(self, work: Callable[[], object]) -> None:
        """Set what `run` does between the copies; on CUDA as a graph, which starts all kernels at once.

        work: reads tensors_in and writes tensors_out, and only starts kernels on the current stream.
        """
        if self._stream is None:
            self._recorded = work
            return
        torch = self._torch
        self._stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._stream):
            for _ in range(_WARM_UP):
                work()
        self._stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            work()
        self._recorded = graph.replay

    def run(self, arrays: Arrays) -> Arrays:
        """Copy in, compute, copy out, wait; returns the host arrays of the outputs.  Raises BadInput."""
        assert self._recorded is not None  # engines record before they can be called
        self.given.fill(arrays)
        if self._stream is None:
            self._pass()
        else:
            with self._torch.cuda.stream(self._stream):
                self._pass()
            self._stream.synchronize()
        return self.found.arrays

    def _pass(self) -> None:
        assert self._recorded is not None
        for device, host in self._up:
            device.copy_(host, non_blocking=True)
        self._recorded()
        for host, device in self._down:
            host.copy_(device, non_blocking=True)

    def _twin(self, array: npt.NDArray[Any]) -> Any:
        return self._torch.zeros(array.shape, dtype=getattr(self._torch, array.dtype.name), device=self.device)


def _pinned_by(torch: Any) -> Callable[[tuple[int, ...], Any], npt.NDArray[Any]]:
    """Page-locked memory from pycuda where it is installed, from PyTorch otherwise."""
    try:
        # The context that PyTorch and TensorRT use; pycuda.autoinit would make one of its own
        importlib.import_module("pycuda.autoprimaryctx")
        driver = importlib.import_module("pycuda.driver")
    except ImportError:
        return lambda shape, dtype: torch.zeros(shape, dtype=getattr(torch, dtype.name), pin_memory=True).numpy()
    return lambda shape, dtype: driver.pagelocked_zeros(shape, dtype)
