"""TensorRT 10.13 to 11: a plan compiled for one graphics card, kept in our own cache.

Both major versions share everything used here (FACTS 4): strongly typed networks, whose precision is what the ONNX
says, and inputs and outputs by name.  TensorRT itself has not been run by the authors, who had no graphics card: the
names used are checked against the real bindings of both versions, and the logic runs on a stand-in
(tests/engines/backends).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engines.backends.buffers import check_graph, graph_name
from engines.backends.lane import Lane
from engines.backends.library import import_library
from engines.backends.plan_cache import PlanCache
from engines.cache import digest
from engines.errors import BackendMissing, BuildError, BundleError
from engines.spec import Arrays, ArraySpec

PRECISIONS = ("fp16", "fp32")  # the default first; baked into the ONNX
OLDEST = (10, 13)
OPTIMISATION = 4  # of 0..5: tries more kernels than the default 3, and a plan is built once
WORKSPACE_BYTES = 1 << 30


class TensorRtEngine:
    """An execution context between static buffers, recorded as a CUDA graph."""

    backend = "tensorrt"

    def __init__(
        self,
        onnx: bytes,
        inputs: Sequence[ArraySpec],
        outputs: Sequence[ArraySpec],
        plans: PlanCache,
        precision: str = "fp16",
        device: str = "cuda",
    ) -> None:
        """onnx: the model, in the precision that is to be run.  plans: where its compiled form is looked for and kept.

        Raises BackendMissing without TensorRT, PyTorch or a graphics card; BuildError when TensorRT cannot compile the
        model; BundleError when model and specs disagree.
        """
        trt = tensorrt()
        self.precision, self.device = precision, device
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self._lane = lane = Lane(device, inputs, outputs)
        self._logger = _logger(trt)
        self._runtime = _made(trt.Runtime, self._logger)
        self._engine = self._load(trt, onnx, plans)
        _check(trt, self._engine, self.inputs, self.outputs)
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise BackendMissing("TensorRT has no room for this network on the graphics card: close other programs")
        for side, tensors in (("in", lane.tensors_in), ("out", lane.tensors_out)):
            for spec in self.inputs if side == "in" else self.outputs:
                if not self._context.set_tensor_address(graph_name(side, spec), tensors[spec.name].data_ptr()):
                    raise BuildError(f"TensorRT does not take the memory of {spec.name!r}: see its messages above")
        lane.record(self._start)

    def run(self, arrays: Arrays) -> Arrays:
        """See `engines.spec.Engine`."""
        return self._lane.run(arrays)

    def close(self) -> None:
        """See `engines.spec.Engine`.  In the order in which TensorRT's objects depend on each other."""
        del self._lane, self._context, self._engine, self._runtime

    def _start(self) -> None:
        if not self._context.execute_async_v3(self._lane.current_stream()):
            raise BackendMissing("TensorRT could not start the network on the graphics card: see its messages above")

    def _load(self, trt: Any, onnx: bytes, plans: PlanCache) -> Any:
        conditions = _conditions(trt, onnx, self.precision)
        plan = plans.find(conditions)
        engine = self._runtime.deserialize_cuda_engine(plan) if plan is not None else None
        if engine is None:  # no plan, or one that this library no longer takes
            plans.forget(conditions)
            plan = compile_plan(trt, onnx, self._logger)
            engine = self._runtime.deserialize_cuda_engine(plan)
            if engine is None:
                raise BuildError("TensorRT does not load the plan that it has just compiled: see its messages above")
            plans.keep(conditions, plan)
        return engine


def tensorrt() -> Any:
    """The library.  Raises BackendMissing when it is absent or older than 10.13."""
    trt = import_library("tensorrt")
    version = tuple(int(part) for part in trt.__version__.split(".")[:2])
    if version < OLDEST:
        raise BackendMissing(f"TensorRT {trt.__version__} is too old, 10.13 is needed: pip install 'myomirror[gpu]'")
    return trt


def missing() -> str | None:
    """Why TensorRT cannot run here, in one sentence; None when it can."""
    from engines.backends import torch_backend

    try:
        tensorrt()
    except BackendMissing as error:
        return str(error)
    return torch_backend.missing("cuda")


def compile_plan(trt: Any, onnx: bytes, logger: Any) -> bytes:
    """Compile an ONNX model for this graphics card; takes up to minutes.

    Raises BundleError when TensorRT cannot read the model, BuildError when it finds no way to run it.
    """
    builder = _made(trt.Builder, logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(onnx):
        causes = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors)) or "no cause given"
        raise BundleError(f"TensorRT cannot read model.onnx ({causes}): build the bundle again")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    config.builder_optimization_level = OPTIMISATION
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BuildError("TensorRT found no way to run this network on this graphics card: see its messages above")
    return bytes(plan)


def _made(kind: Any, logger: Any) -> Any:
    """TensorRT's factories answer with a TypeError of pybind11 when the driver refuses."""
    try:
        return kind(logger)
    except TypeError as error:
        raise BackendMissing(
            "TensorRT is installed but does not start: it needs an NVIDIA graphics card and a driver that fits it"
        ) from error


def _logger(trt: Any) -> Any:
    return trt.Logger(trt.Logger.ERROR)


def _check(trt: Any, engine: Any, inputs: Sequence[ArraySpec], outputs: Sequence[ArraySpec]) -> None:
    found = {}
    for i in range(engine.num_io_tensors):
        name = engine.get_tensor_name(i)
        dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name))).name
        found[name] = (dtype, tuple(engine.get_tensor_shape(name)))
    wanted = {graph_name("in", spec): spec for spec in inputs} | {graph_name("out", spec): spec for spec in outputs}
    check_graph(found, wanted)


def _conditions(trt: Any, onnx: bytes, precision: str) -> dict[str, str]:
    """Everything that a plan depends on.  Shapes are fixed in the ONNX, so there are no profiles."""
    return {
        "onnx": digest(onnx),
        "precision": precision,
        "profiles": "static",
        "optimisation": str(OPTIMISATION),
        "workspace": str(WORKSPACE_BYTES),
        "tensorrt": trt.__version__,
        **_card(),
    }


def _card() -> dict[str, str]:
    torch = import_library("torch")
    if not torch.cuda.is_available():
        return {"card": "none"}
    card = torch.cuda.get_device_properties(torch.cuda.current_device())
    return {
        "card": card.name,
        "capability": f"{card.major}.{card.minor}",
        "multiprocessors": str(card.multi_processor_count),
        "memory": str(card.total_memory),
        "driver": _driver(),
    }


def _driver(version: Path = Path("/proc/driver/nvidia/version")) -> str:
    """The driver's own line about itself; empty where it gives none."""
    try:
        return version.read_text().splitlines()[0]
    except (OSError, IndexError):
        return ""
