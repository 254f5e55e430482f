"""EMG2Exp and Exp2EMG: the small network between expression and muscle activity, as the paper has it, and ours.

Buechner et al. 2025 (EIFER), section 4.3 and supplement A.6: six linear layers with ReLU between them, tanh behind
EMG2Exp, ReLU behind Exp2EMG; widths are not published (FACTS 2).  Four things can be added, each for a failure that
the paper reports of its own or that we saw:

    history        more than one moment goes in: `taps` rows, the newest first (the missing surge at the onset)
    scaling        "robust": every value divided by a reference of its own; "root": and its square root taken, so that
                   quiet muscles count in the error and loud ones are not shrunk (amplitude)
    uncertainty    a second head: the log variance of every output
    rest           what lies below a level of its own is told as rest: down there a face shows nothing, so whatever
                   goes up and down is the network's own
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from engines.errors import BadInput

WIDTHS = (128, 256, 512, 256, 128)
"""One choice, 0.34 million parameters; with the last layer they are six."""

ENDS = ("tanh", "relu", "open")
SCALINGS = ("plain", "robust", "root")
_NEVER = -1e4  # below everything that a network says, and a number in float16, too
_RISE = 3.0  # of a value that leaves rest, until it is what the network says
_LOG_VARIANCE = (-9.0, 3.0)  # of scaled values, which are around 1: what can be learned without overflow


@dataclass(frozen=True)
class MlpSizes:
    """Everything that shapes the weights, and what stands at the end."""

    inputs: int
    outputs: int
    widths: tuple[int, ...] = WIDTHS
    taps: int = 1  # moments that go in
    end: str = "relu"  # "tanh": -1..1, "relu": 0 or more, "open": any number
    scaling: str = "plain"
    uncertainty: bool = False
    rest: bool = False

    def __post_init__(self) -> None:
        """Raises BadInput when a number is no whole number or out of range, or a word is unknown."""
        numbers = {"inputs": self.inputs, "outputs": self.outputs, "taps": self.taps}
        for name, value in (*numbers.items(), *(("a width", width) for width in self.widths)):
            if type(value) is not int or not 1 <= value <= 4096:
                raise BadInput(f"{name} of an EMG network must be a whole number 1..4096, found {value!r}")
        if not 1 <= len(self.widths) <= 16:
            raise BadInput(f"an EMG network has 1 to 16 widths, found {len(self.widths)}")
        for name, word, known in (("end", self.end, ENDS), ("scaling", self.scaling, SCALINGS)):
            if word not in known:
                raise BadInput(f"{name} of an EMG network is {', '.join(known)}; found {word!r}")
        for name, value in (("uncertainty", self.uncertainty), ("rest", self.rest)):
            if type(value) is not bool:
                raise BadInput(f"{name} of an EMG network is true or false, found {value!r}")


class Scaled(NamedTuple):
    """What the network learns, in scaled values."""

    mean: Tensor  # (N, outputs)
    log_variance: Tensor | None  # (N, outputs); None without the second head


class Estimate(NamedTuple):
    """What it says, in the outputs' own unit."""

    value: Tensor  # (N, outputs)
    sd: Tensor | None  # (N, outputs) >= 0


class EmgMlp(nn.Module):
    """One network, either direction."""

    input_gain: Tensor
    output_gain: Tensor
    rest_until: Tensor
    rest_level: Tensor

    def __init__(self, sizes: MlpSizes) -> None:
        """Gains are 1 until `set_gains`; nothing rests until `set_rest`."""
        super().__init__()
        self.sizes = sizes
        before = (sizes.taps * sizes.inputs, *sizes.widths[:-1])
        layers = [nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in zip(before, sizes.widths, strict=True)]
        self.body = nn.Sequential(*layers)  # (N, taps * inputs) -> (N, widths[-1])
        self.head = nn.Linear(sizes.widths[-1], sizes.outputs)
        self.spread = nn.Linear(sizes.widths[-1], sizes.outputs) if sizes.uncertainty else None
        self.register_buffer("input_gain", torch.ones(sizes.inputs))
        self.register_buffer("output_gain", torch.ones(sizes.outputs))
        if sizes.rest:
            self.register_buffer("rest_until", torch.full((sizes.outputs,), _NEVER))
            self.register_buffer("rest_level", torch.full((sizes.outputs,), _NEVER))

    def set_gains(self, inputs: Sequence[float], outputs: Sequence[float]) -> None:
        """What 1 is worth in each input and output, all above 0.  Raises BadInput when the scaling is "plain"."""
        if self.sizes.scaling == "plain":
            raise BadInput("a network whose scaling is plain has no gains: choose robust or root")
        self.input_gain.copy_(torch.as_tensor(inputs))
        self.output_gain.copy_(torch.as_tensor(outputs))

    def set_rest(self, until: Sequence[float], level: Sequence[float]) -> None:
        """Tell every output up to `until` as `level`, in the outputs' own unit.

        Raises BadInput for a network without rest, or a level above where rest ends.
        """
        if not self.sizes.rest:
            raise BadInput("a network without rest tells none: build it with rest")
        if any(low > high for low, high in zip(level, until, strict=True)):
            raise BadInput(f"rest must lie where it is told or below: found {list(level)} up to {list(until)}")
        self.rest_until.copy_(torch.as_tensor(until))
        self.rest_level.copy_(torch.as_tensor(level))

    def forget_rest(self) -> None:
        """Nothing rests any more, as in the beginning."""
        self.rest_until.fill_(_NEVER)
        self.rest_level.fill_(_NEVER)

    def forward(self, x: Tensor) -> Scaled:
        """x: (N, taps, inputs) in the inputs' own unit, newest moment first."""
        features = self.body(self._scaled(x, self.input_gain).flatten(1))
        mean = self.head(features)
        if self.sizes.end != "open":
            mean = torch.tanh(mean) if self.sizes.end == "tanh" else torch.relu(mean)
        if self.spread is None:
            return Scaled(mean, None)
        return Scaled(mean, torch.clamp(self.spread(features), *_LOG_VARIANCE))

    def scaled_targets(self, y: Tensor) -> Tensor:
        """What `forward`'s mean is compared with.  y: (N, outputs) in the outputs' own unit."""
        return self._scaled(y, self.output_gain)

    def estimate(self, scaled: Scaled) -> Estimate:
        """Back to the outputs' own unit.

        Of a root r ~ N(m, s^2), the square has the variance 4 m^2 s^2 + 2 s^4.
        """
        m, spread = scaled
        variance = None if spread is None else torch.exp(spread)
        if self.sizes.scaling != "root":
            sd = None if variance is None else self.output_gain * torch.sqrt(variance)
            return Estimate(self._rested(self.output_gain * m), sd)
        value = self._rested(self.output_gain * m * torch.abs(m))
        if variance is None:
            return Estimate(value, None)
        return Estimate(value, self.output_gain * torch.sqrt(4 * m * m * variance + 2 * variance * variance))

    def _rested(self, value: Tensor) -> Tensor:
        """Flat up to `rest_until`, then steeper than the value until it has met it: never falling, without a jump."""
        if not self.sizes.rest:
            return value
        rising = self.rest_level + _RISE * torch.relu(value - self.rest_until)
        return torch.minimum(torch.maximum(value, self.rest_level), rising)

    def _scaled(self, values: Tensor, gain: Tensor) -> Tensor:
        if self.sizes.scaling == "plain":
            return values
        share = values / gain
        return torch.sign(share) * torch.sqrt(torch.abs(share)) if self.sizes.scaling == "root" else share


def initialise_mlp(network: EmgMlp, seed: int) -> None:
    """Fill all layers as PyTorch does by default, U(+-1 / sqrt(fan in)), but from a seed."""
    numbers = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            nn.init.uniform_(module.weight, -bound, bound, numbers)
            nn.init.uniform_(module.bias, -bound, bound, numbers)
