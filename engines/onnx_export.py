"""PyTorch to ONNX: one file, weights inside, nothing in it about the machine that wrote it."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.backends.buffers import graph_name
from engines.backends.library import import_library
from engines.errors import BuildError
from engines.spec import ArraySpec

if TYPE_CHECKING:
    from torch import nn

OPSET = 20


def export_onnx(network: "nn.Module", inputs: Sequence[ArraySpec], outputs: Sequence[ArraySpec]) -> bytes:
    """Write a network as an ONNX model.

    network: takes and returns one tensor per spec, in order, with the spec's shape and dtype.  Its own precision is
    exported: float32, or float16 with what must stay float32 marked by casts.
    Returns the file's content; values are called in_NAME and out_NAME.  float32 weights that are whole float16 numbers
    are stored as such, with a cast behind them, so that nothing is lost and half the bytes are saved.
    Raises BuildError when PyTorch cannot export it; BackendMissing without PyTorch, onnx and onnxscript.
    """
    torch, onnx = import_library("torch"), import_library("onnx")
    import_library("onnxscript")
    examples = tuple(torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in inputs)
    try:
        with _quiet():
            program = torch.onnx.export(
                network,
                examples,
                dynamo=True,
                opset_version=OPSET,
                external_data=False,
                optimize=True,
                verbose=False,
                input_names=[graph_name("in", spec) for spec in inputs],
                output_names=[graph_name("out", spec) for spec in outputs],
            )
    except torch.onnx.OnnxExporterError as error:
        raise BuildError(f"PyTorch cannot write this network as ONNX: {str(error).splitlines()[0]}") from error
    model = program.model_proto
    _forget_origin(model)
    _halve_exact_weights(model, onnx)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _forget_origin(model: Any) -> None:
    """Drop stack traces with the paths of this machine; they are half of a small file."""
    del model.metadata_props[:]
    for part in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
        part.ClearField("doc_string")


def _halve_exact_weights(model: Any, onnx: Any) -> None:
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = onnx.numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if values.ndim < 2 or not np.array_equal(half.astype(np.float32), values):
            continue
        whole = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(half, f"{whole}.half"))
        casts.append(onnx.helper.make_node("Cast", [tensor.name], [whole], to=onnx.TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.node.insert(0, cast)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns about torchvision, which we do not use, and about its own use of its own old names."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
