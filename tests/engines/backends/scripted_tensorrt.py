"""A stand-in for the tensorrt module: ONNX Runtime computes, at the addresses that it is given.

It offers nothing that the real bindings lack (test_tensorrt_contract.py compares), so code that runs on it uses only
names that both major versions have.  Everything it was asked is in `calls`.
"""

import ctypes
import enum

import numpy as np

__version__ = "11.4.0.106"
calls = []
fails = set()  # what is to go wrong: "start", "parse", "build", "load", "context", "address", "execute"


class DataType(enum.Enum):
    FLOAT = np.float32
    HALF = np.float16
    UINT8 = np.uint8


class NetworkDefinitionCreationFlag(enum.IntEnum):
    STRONGLY_TYPED = 1


class MemoryPoolType(enum.Enum):
    WORKSPACE = 0


class Logger:
    ERROR = 1

    def __init__(self, min_severity):
        self.min_severity = min_severity


class INetworkDefinition:
    pass


class IBuilderConfig:
    builder_optimization_level = 3

    def set_memory_pool_limit(self, pool, pool_size):
        calls.append(("workspace", pool_size))


class Builder:
    def __init__(self, logger):
        if "start" in fails:
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def create_network(self, flags=0):
        calls.append(("create_network", flags))
        return INetworkDefinition()

    def create_builder_config(self):
        return IBuilderConfig()

    def build_serialized_network(self, network, config):
        calls.append(("build", config.builder_optimization_level))
        return None if "build" in fails else memoryview(b"PLAN" + network.onnx)


class ParserError:
    def desc(self):
        return "no importer for NonMaxSuppression"


class OnnxParser:
    num_errors = 0

    def __init__(self, network, logger):
        self.network = network

    def parse(self, model, path=None):
        self.network.onnx = bytes(model)
        self.num_errors = int("parse" in fails)
        return "parse" not in fails

    def get_error(self, index):
        return ParserError()


class Runtime:
    def __init__(self, logger):
        if "start" in fails:
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def deserialize_cuda_engine(self, serialized_engine):
        calls.append(("deserialise", len(serialized_engine)))
        if "load" in fails or not bytes(serialized_engine).startswith(b"PLAN"):
            return None
        return ICudaEngine(bytes(serialized_engine)[4:])


_TYPES = {"tensor(uint8)": DataType.UINT8, "tensor(float)": DataType.FLOAT}


class ICudaEngine:
    def __init__(self, onnx):
        from engines.backends.library import import_library

        self._session = import_library("onnxruntime").InferenceSession(onnx, providers=["CPUExecutionProvider"])
        self._nodes = [*self._session.get_inputs(), *self._session.get_outputs()]

    @property
    def num_io_tensors(self):
        return len(self._nodes)

    def get_tensor_name(self, index):
        return self._nodes[index].name

    def get_tensor_dtype(self, name):
        return _TYPES[self._node(name).type]

    def get_tensor_shape(self, name):
        return self._node(name).shape

    def create_execution_context(self):
        return None if "context" in fails else IExecutionContext(self)

    def _node(self, name):
        return next(node for node in self._nodes if node.name == name)


class IExecutionContext:
    def __init__(self, engine):
        self._engine, self._addresses = engine, {}

    def set_tensor_address(self, name, memory):
        self._addresses[name] = memory
        return "address" not in fails

    def execute_async_v3(self, stream_handle):
        calls.append(("execute", stream_handle))
        if "execute" in fails:
            return False
        session = self._engine._session
        given = {node.name: self._array(node) for node in session.get_inputs()}
        for node, found in zip(session.get_outputs(), session.run(None, given), strict=True):
            self._array(node)[...] = found
        return True

    def _array(self, node):
        dtype = nptype(_TYPES[node.type])
        count = int(np.prod(node.shape))
        raw = (ctypes.c_uint8 * (count * np.dtype(dtype).itemsize)).from_address(self._addresses[node.name])
        return np.frombuffer(raw, dtype).reshape(node.shape)


def nptype(trt_type):
    return trt_type.value
