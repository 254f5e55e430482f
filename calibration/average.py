"""The moving average of a network's weights: steadier than the weights themselves, which walk around an optimum."""

import copy
from typing import Any

import torch
from torch import nn

from engines.errors import BadInput


class MovingAverage:
    """average <- decay * average + (1 - decay) * weights, after every step."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        """decay: in [0, 1); the first steps count more, so that the beginning is forgotten.  Raises BadInput."""
        if not 0 <= decay < 1:
            raise BadInput(f"the decay of a moving average is in [0, 1), found {decay}")
        self.network = copy.deepcopy(network).requires_grad_(False)
        self._source, self._decay, self._steps = network, decay, 0

    @torch.no_grad()
    def update(self) -> None:
        """Take the network's present weights in."""
        self._steps += 1
        decay = min(self._decay, self._steps / (self._steps + 10))
        for weight, now in zip(self.network.parameters(), self._source.parameters(), strict=True):
            weight.lerp_(now, 1 - decay)
        for buffer, present in zip(self.network.buffers(), self._source.buffers(), strict=True):
            buffer.copy_(present)

    def state_dict(self) -> dict[str, Any]:
        """The averaged weights and how many steps are in them."""
        return {"network": self.network.state_dict(), "steps": self._steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them back."""
        self.network.load_state_dict(state_dict["network"])
        self._steps = state_dict["steps"]
