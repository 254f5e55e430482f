"""What the training loop asks of a recipe, and nothing more: the contract between calibration/loop.py and recipes/.

A recipe owns networks, optimisers and data.  The loop owns time: how often, until when, saved where, shown how.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

Picture = npt.NDArray[np.uint8]  # (height, width, 3) RGB
Losses = Mapping[str, float | Tensor]  # tensors of one number are read only when they are shown


class Kept(Protocol):
    """Something whose state a checkpoint holds: modules, optimisers, schedulers, picture pools, ...

    A state is made of dicts, lists, tensors, numbers, strings and None.
    """

    def state_dict(self) -> dict[str, Any]:
        """Everything that must come back for the next step to be the same."""
        ...

    def load_state_dict(self, state_dict: Any) -> Any:
        """Take it back."""
        ...


class Recipe(Protocol):
    """One way of training.

    Chance: `batch` draws from its number and nothing else (see `chance`); before every `step` the loop seeds PyTorch,
    NumPy and Python from the seed and the step's number.  So no random state has to be saved: step 1000 is the same
    whether 999 others came before it in this process or in another one.

    Many processes: each makes the same recipe and the same calls; `batch` returns this process' share.
    """

    @property
    def name(self) -> str:
        """As in `myomirror train NAME`."""
        ...

    @property
    def identity(self) -> Mapping[str, Any]:
        """JSON values: settings and data.  A run is continued only where they are equal."""
        ...

    @property
    def seed(self) -> int:
        """Of everything random."""
        ...

    @property
    def epochs(self) -> int:
        """How many there are, 1 or more."""
        ...

    @property
    def steps_per_epoch(self) -> int:
        """1 or more."""
        ...

    @property
    def kept(self) -> Mapping[str, Kept]:
        """Everything that the next step depends on, by name."""
        ...

    def batch(self, number: int) -> Any:
        """What step `number` (from 0, over all epochs) learns from.  Called on another thread, ahead of time."""
        ...

    def step(self, batch: Any) -> Losses:
        """Learn from one batch.  Returns each loss by name, for the display and the log."""
        ...

    def epoch_ended(self) -> None:
        """Called after the last step of every epoch: schedules move on."""
        ...

    def pictures(self) -> Mapping[str, Picture]:
        """Something to look at, by name; for the log.  Called in the first process only; may be empty."""
        ...

    def finish(self) -> None:
        """Write what the training was for, usually a bundle.  Called once, in the first process only."""
        ...


def chance(seed: int, *place: int | str) -> np.random.Generator:
    """Random numbers that depend on the seed and the place where they are drawn, and on nothing before.

    place: for example ("batch", 17).
    """
    numbers = [int.from_bytes(part.encode(), "little") if isinstance(part, str) else part for part in place]
    return np.random.default_rng([seed, *numbers])
