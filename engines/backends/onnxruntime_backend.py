"""ONNX Runtime on the CPU: the widest choice of machines."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from engines.backends.buffers import Buffers, check_graph, graph_name
from engines.backends.library import import_library
from engines.errors import BackendMissing, BundleError
from engines.spec import Arrays, ArraySpec

_DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}


class OnnxRuntimeEngine:
    """A session whose inputs and outputs are our own arrays, bound once."""

    backend = "onnxruntime"
    device = "cpu"
    precision = "fp32"

    def __init__(
        self,
        onnx: bytes,
        inputs: Sequence[ArraySpec],
        outputs: Sequence[ArraySpec],
        precision: str | None = None,
        threads: int | None = None,
    ) -> None:
        """onnx: the model.  precision: "fp32" or None.  threads: cores to use; None takes all.

        Raises BackendMissing without ONNX Runtime and for another precision; BundleError when the model cannot be read
        or disagrees with the specs.
        """
        if precision not in (None, "fp32"):
            raise BackendMissing(f"ONNX Runtime has no {precision} on a CPU: use fp32")
        onnxruntime = import_library("onnxruntime")
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self._given, self._found = Buffers(inputs), Buffers(outputs)
        self._session = _session(onnxruntime, onnx, threads)
        _check(self._session, self.inputs, self.outputs)
        self._binding = self._session.io_binding()
        for spec in inputs:
            self._binding.bind_input(*_bound(graph_name("in", spec), self._given.arrays[spec.name]))
        for spec in outputs:
            self._binding.bind_output(*_bound(graph_name("out", spec), self._found.arrays[spec.name]))

    def run(self, arrays: Arrays) -> Arrays:
        """See `engines.spec.Engine`.  The GIL is released meanwhile."""
        self._given.fill(arrays)
        self._session.run_with_iobinding(self._binding)
        return self._found.arrays

    def close(self) -> None:
        """See `engines.spec.Engine`."""
        del self._binding, self._session


def _session(onnxruntime: Any, onnx: bytes, threads: int | None) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.inter_op_num_threads = 1
    if threads is not None:
        options.intra_op_num_threads = threads
    # Threads that spin between frames burn more than a core at 30 frames a second (FACTS 4)
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no base class
        if not type(error).__module__.startswith("onnxruntime"):
            raise
        cause = str(error).splitlines()[0]
        raise BundleError(f"ONNX Runtime cannot read model.onnx ({cause}): build the bundle again") from error


def _check(session: Any, inputs: Sequence[ArraySpec], outputs: Sequence[ArraySpec]) -> None:
    nodes = (*session.get_inputs(), *session.get_outputs())
    found = {node.name: (_DTYPES.get(node.type, node.type), tuple(node.shape)) for node in nodes}
    wanted = {graph_name("in", spec): spec for spec in inputs} | {graph_name("out", spec): spec for spec in outputs}
    check_graph(found, wanted)


def _bound(name: str, array: "np.ndarray[Any, Any]") -> tuple[Any, ...]:
    return name, "cpu", 0, array.dtype, array.shape, array.ctypes.data
