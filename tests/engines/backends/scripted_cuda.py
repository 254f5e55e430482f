"""PyTorch with a stand-in for CUDA: tensors live on the CPU, a graph records real operations and replays them.

As on a GPU, a replay repeats the recorded operations on the recorded memory: whatever a recording took from anywhere
else than a static buffer is seen as it was then, not as it is now.
"""

import contextlib

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class _Recorder(TorchDispatchMode):
    def __init__(self, operations):
        super().__init__()
        self.operations = operations

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, found))
        return found


class Graph:
    def __init__(self):
        self.operations = []

    def replay(self):
        calls.append("replay")
        for func, args, kwargs, found in self.operations:
            again = func(*args, **kwargs)
            if isinstance(found, torch.Tensor):
                self._write(found, again)
            elif isinstance(found, tuple | list):
                for old, new in zip(found, again, strict=True):
                    self._write(old, new)

    @staticmethod
    def _write(old, new):
        if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
            old.copy_(new)


class Stream:
    cuda_stream = 4711

    def __init__(self, device=None):
        pass

    def wait_stream(self, other):
        calls.append("wait_stream")

    def synchronize(self):
        calls.append("synchronise")


class Cuda:
    Stream, CUDAGraph = Stream, Graph

    @staticmethod
    def is_available():
        return True

    @staticmethod
    def current_stream(device=None):
        return Stream()

    @staticmethod
    @contextlib.contextmanager
    def stream(stream):
        yield

    @staticmethod
    @contextlib.contextmanager
    def graph(graph, stream=None):
        calls.append("capture")
        with _Recorder(graph.operations):
            yield


class ScriptedTorch:
    """torch, but for `cuda`, `device` and pinned memory."""

    cuda = Cuda

    def __getattr__(self, name):
        return getattr(torch, name)

    @staticmethod
    def device(name):
        return torch.device("cpu")

    @staticmethod
    def zeros(*args, pin_memory=False, **kwargs):
        if pin_memory:
            calls.append("pinned")
        return torch.zeros(*args, **kwargs)


calls = []
