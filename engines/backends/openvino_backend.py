"""OpenVINO: the fastest way through a convolution on a CPU."""

import functools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engines.backends.buffers import Buffers, check_graph, graph_name
from engines.backends.library import import_library
from engines.errors import BackendMissing, BundleError
from engines.spec import Arrays, ArraySpec

PRECISIONS = {"fp32": "f32", "bf16": "bf16"}  # ours -> OpenVINO's

_one_at_a_time = threading.Lock()


class OpenVinoEngine:
    """A compiled model whose inputs and outputs are our own arrays, bound once."""

    backend = "openvino"
    device = "cpu"

    def __init__(
        self,
        onnx: bytes,
        inputs: Sequence[ArraySpec],
        outputs: Sequence[ArraySpec],
        precision: str | None = None,
        threads: int | None = None,
        cache: Path | None = None,
    ) -> None:
        """onnx: the model.  precision: "fp32", or "bf16" where the processor multiplies it; None takes the faster one.

        In bf16 every normalisation still sums in float32.  threads: cores to use; None takes all.  cache: a private
        folder in which OpenVINO may keep what it has compiled.
        Raises BackendMissing without OpenVINO or with a precision that the processor does not have; BundleError when
        the model cannot be read or disagrees with the specs.
        """
        openvino = import_library("openvino")
        core = shared_core(openvino)
        self.precision = _precision(core, precision)
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self._given, self._found = Buffers(inputs), Buffers(outputs)
        model = _read(core, onnx)
        _check(model, self.inputs, self.outputs)
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": PRECISIONS[self.precision],
            "NUM_STREAMS": 1,
        }
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        if cache is not None:
            settings["CACHE_DIR"] = str(cache)
        self._request = core.compile_model(model, "CPU", settings).create_infer_request()
        for spec in inputs:
            tensor = openvino.Tensor(self._given.arrays[spec.name], shared_memory=True)
            self._request.set_tensor(graph_name("in", spec), tensor)
        for spec in outputs:
            tensor = openvino.Tensor(self._found.arrays[spec.name], shared_memory=True)
            self._request.set_tensor(graph_name("out", spec), tensor)

    def run(self, arrays: Arrays) -> Arrays:
        """See `engines.spec.Engine`.  The GIL is released meanwhile."""
        self._given.fill(arrays)
        self._request.start_async()  # unlike infer(), this makes no array and no dictionary
        self._request.wait()
        return self._found.arrays

    def close(self) -> None:
        """See `engines.spec.Engine`."""
        del self._request


def native_precisions() -> tuple[str, ...]:
    """What this processor multiplies at full speed, fastest first.  Raises BackendMissing without OpenVINO."""
    core = shared_core(import_library("openvino"))
    capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("bf16", "fp32") if "BF16" in capabilities else ("fp32",)


def shared_core(openvino: Any) -> Any:
    """The one Core of this process, kept to its end.

    The CPU plugin of every Core gives the thread that loads it a stack for signal handlers, and unmaps it when the
    Core goes (SigAltStackSetup in openvino's intel_cpu plugin, seen in 2026.4.1).  When that happens in another thread,
    or when the older of two goes first, the thread is left with a stack that is not there: the next Ctrl-C, or any
    signal that Python handles, kills the process by SIGSEGV without a trace.  May go when that stack is left alone.
    """
    with _one_at_a_time:
        return _made_once(openvino)


@functools.cache
def _made_once(openvino: Any) -> Any:
    return openvino.Core()


def _precision(core: Any, wanted: str | None) -> str:
    native = native_precisions()
    if wanted is None:
        return native[0]
    if wanted not in native:
        raise BackendMissing(f"OpenVINO has no {wanted} on this processor: use {' or '.join(native)}")
    return wanted


def _read(core: Any, onnx: bytes) -> Any:
    try:
        return core.read_model(onnx)
    except RuntimeError as error:
        raise BundleError(f"OpenVINO cannot read model.onnx ({_last_line(error)}): build the bundle again") from error


def _check(model: Any, inputs: Sequence[ArraySpec], outputs: Sequence[ArraySpec]) -> None:
    found = {}
    for port in (*model.inputs, *model.outputs):
        shape = tuple(port.shape) if port.partial_shape.is_static else ()
        found[port.any_name] = (str(port.element_type.to_dtype()), shape)
    wanted = {graph_name("in", spec): spec for spec in inputs} | {graph_name("out", spec): spec for spec in outputs}
    check_graph(found, wanted)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
