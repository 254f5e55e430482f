"""One step down a loss: mixed precision, gradients of all processes, the optimiser.

    descent = Descent(torch.optim.Adam(network.parameters()), ranks, "bf16")
    with descent.precision():
        loss = ...
    descent.step(loss)

fp16 has a narrow range, so its losses are scaled up and the gradients down again (GradScaler); a step whose gradients
overflow is left out, in all processes alike.  bf16 has float32's range and needs none of that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from calibration.distributed import Ranks
from rt.errors import BadSettings

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@contextmanager
def precision(device: torch.device, name: str) -> Iterator[None]:
    """Within it, multiplications are done in that precision; weights, sums and losses stay float32.

    name: "fp32", "bf16" (faster where the processor multiplies it), "fp16" (GPUs only).
    Raises BadSettings for any other.
    """
    dtype = _dtype(device, name)
    with torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None):
        yield


class Descent:
    """An optimiser, and how it is fed.  Kept in checkpoints as one thing."""

    def __init__(self, optimiser: torch.optim.Optimizer, ranks: Ranks, precision: str = "fp32") -> None:
        """precision: see `precision`, also for what it raises."""
        _dtype(ranks.device, precision)
        self.optimiser = optimiser
        self._ranks, self._name = ranks, precision
        self._scaler = torch.amp.GradScaler(ranks.device.type, enabled=precision == "fp16")

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Everything that the optimiser moves."""
        return [parameter for group in self.optimiser.param_groups for parameter in group["params"]]

    def precision(self) -> Any:
        """The context in which losses for this optimiser are computed."""
        return precision(self._ranks.device, self._name)

    def step(self, loss: Tensor, largest_gradient: float | None = None) -> None:
        """Move the parameters once.

        loss: one number, the mean over this process' share of the batch.  largest_gradient: norm of all gradients
        together, longer ones are shortened to it; None leaves them.
        """
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(self._scaler.scale(loss))
        self._ranks.average_gradients(self.parameters)
        if largest_gradient is not None:
            self._scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_(self.parameters, largest_gradient)
        self._scaler.step(self.optimiser)
        self._scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """The optimiser's moments and, with fp16, the scale."""
        return {"optimiser": self.optimiser.state_dict(), "scaler": self._scaler.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them back."""
        self.optimiser.load_state_dict(state_dict["optimiser"])
        self._scaler.load_state_dict(state_dict["scaler"])


def _dtype(device: torch.device, name: str) -> torch.dtype | None:
    if name not in PRECISIONS:
        raise BadSettings(f"precision is one of {', '.join(PRECISIONS)}, found {name!r}")
    if name == "fp16" and device.type == "cpu":
        raise BadSettings("fp16 is for GPUs: train with --precision bf16 or fp32 on a processor")
    return PRECISIONS[name]


def frozen(*networks: nn.Module) -> Any:
    """Within it, no gradients of these networks' own weights are computed; gradients still pass through them."""
    return _frozen(networks)


@contextmanager
def _frozen(networks: tuple[nn.Module, ...]) -> Iterator[None]:
    for network in networks:
        network.requires_grad_(False)
    try:
        yield
    finally:
        for network in networks:
            network.requires_grad_(True)
