"""PyTorch itself: on a GPU in half precision as one recorded graph; on a CPU the reference for all others."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engines.backends.lane import Lane
from engines.backends.library import import_library
from engines.errors import BackendMissing
from engines.spec import Arrays, ArraySpec

if TYPE_CHECKING:
    from torch import nn

PRECISIONS = {"cpu": ("fp32", "bf16"), "cuda": ("fp16", "bf16", "fp32")}  # the default first


class TorchEngine:
    """A PyTorch module between static buffers.

    On CUDA: weights and activations in half precision and channels-last, normalisation in float32, all kernels in one
    CUDA graph, pinned host arrays.  On the CPU, PyTorch takes memory for what lies between the layers in every call.
    """

    backend = "torch"

    def __init__(
        self,
        network: "nn.Module",
        inputs: Sequence[ArraySpec],
        outputs: Sequence[ArraySpec],
        device: str = "cpu",
        precision: str | None = None,
        threads: int | None = None,
    ) -> None:
        """network: one tensor per input spec in, one per output spec out, in order; float32.  It becomes the engine's.

        precision: "fp16" (default), "bf16" or "fp32" on "cuda"; "fp32" (default) or "bf16" on "cpu".  threads: of
        PyTorch on the CPU, in this whole process; None leaves them.
        Raises BackendMissing without PyTorch, a GPU, or for another precision.
        """
        torch = import_library("torch")
        why_not = missing(device)
        if why_not:
            raise BackendMissing(why_not)
        self.precision = precision or PRECISIONS[device][0]
        if self.precision not in PRECISIONS[device]:
            raise BackendMissing(f"PyTorch runs no {precision} on {device} here: use {' or '.join(PRECISIONS[device])}")
        if threads is not None and device == "cpu":
            torch.set_num_threads(threads)
        self._torch, self.device = torch, device
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self._lane = Lane(device, inputs, outputs)
        self._network = _prepared(torch, network.to(self._lane.device).eval(), device, self.precision)
        self._tensors_in = [self._lane.tensors_in[spec.name] for spec in inputs]
        self._tensors_out = [self._lane.tensors_out[spec.name] for spec in outputs]
        cudnn = torch.backends.cudnn
        with torch.inference_mode(), cudnn.flags(enabled=True, benchmark=True, allow_tf32=self.precision != "fp32"):
            self._lane.record(self._compute)

    def run(self, arrays: Arrays) -> Arrays:
        """See `engines.spec.Engine`.  The GIL is released inside the layers."""
        with self._torch.inference_mode():
            return self._lane.run(arrays)

    def close(self) -> None:
        """See `engines.spec.Engine`."""
        del self._lane, self._network, self._tensors_in, self._tensors_out

    def _compute(self) -> None:
        for tensor, found in zip(self._tensors_out, self._network(*self._tensors_in), strict=True):
            tensor.copy_(found)


def missing(device: str) -> str | None:
    """Why PyTorch cannot run on "cpu" or "cuda" here, in one sentence; None when it can."""
    try:
        torch = import_library("torch")
    except BackendMissing as error:
        return str(error)
    if device == "cuda" and not torch.cuda.is_available():
        return (
            f"PyTorch {torch.__version__} sees no NVIDIA graphics card: use cpu, or install its CUDA build and a card"
        )
    return None


def _prepared(torch: Any, network: "nn.Module", device: str, precision: str) -> Any:
    if (device, precision) == ("cpu", "fp32"):
        return network
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}[precision]
    module: Any = network
    return module.to(dtype=dtype, memory_format=torch.channels_last)
