"""Do two engines compute the same?  What they are asked, and how far they may be apart.

Distances are in 1/255 of an output's range: grey levels, where the output is a picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.errors import BuildError
from engines.spec import Arrays, ArraySpec, Engine

PROBES = 4
SEED = 20230907


@dataclass(frozen=True)
class Distance:
    """How far an output is from the reference, over all probes, in 1/255 of its range."""

    rms: float
    largest: float


# float32: sums in another order, and a value that lies between two grey levels may fall to either side.
# Half precision: every layer rounds to 8 (bf16) or 11 (fp16) bits.  In bf16, initialised generators were 0.7..0.9 grey
# levels away (rms), with a head eight times as steep 3.3, single pixels 76: errors stand where an output is steep.
TOLERANCES = {
    "fp32": Distance(rms=0.1, largest=1.5),
    "fp16": Distance(rms=0.6, largest=12.0),
    "bf16": Distance(rms=2.5, largest=64.0),
}


def probes(inputs: Sequence[ArraySpec], count: int = PROBES, seed: int = SEED) -> list[dict[str, npt.NDArray[Any]]]:
    """Made-up inputs, the same in every run: like pictures with electrodes, like muscles at work, and plain noise.

    inputs: with their shapes stated.  Returns `count` complete sets of inputs that use each spec's whole range.
    """
    numbers = np.random.default_rng(seed)
    return [{spec.name: _probe(spec, numbers, i) for spec in inputs} for i in range(count)]


def measure(engine: Engine, reference: Engine, given: Sequence[Arrays]) -> dict[str, Distance]:
    """Run both on the same inputs.  Returns the distance of each output, by name."""
    gaps: dict[str, list[npt.NDArray[np.float64]]] = {spec.name: [] for spec in reference.outputs}
    for arrays in given:
        expected = {name: array.copy() for name, array in reference.run(arrays).items()}
        found = engine.run(arrays)
        for spec in reference.outputs:
            unit = (spec.range[1] - spec.range[0]) / 255
            gaps[spec.name].append(np.abs(found[spec.name].astype(np.float64) - expected[spec.name]) / unit)
    return {name: _distance(np.stack(values)) for name, values in gaps.items()}


def check(found: Mapping[str, Distance], precision: str, who: str) -> None:
    """Raises BuildError, naming the worst output, when a distance is beyond what its precision allows.

    who: the engine, for the sentence.
    """
    allowed = TOLERANCES[precision]
    for name, distance in found.items():
        if not (distance.rms <= allowed.rms and distance.largest <= allowed.largest):  # not: NaN agrees with nothing
            raise BuildError(
                f"{who} does not compute what PyTorch does: its {name!r} is {distance.rms:.2f} grey levels away "
                f"(rms; at most {distance.largest:.1f}), {precision} allows {allowed.rms} ({allowed.largest}): "
                f"use another backend or precision"
            )


def _distance(gaps: npt.NDArray[np.float64]) -> Distance:
    return Distance(float(np.sqrt((gaps**2).mean())), float(gaps.max()))


def _probe(spec: ArraySpec, numbers: np.random.Generator, i: int) -> npt.NDArray[Any]:
    shape = spec.shape or ()
    values = numbers.random(shape)  # 0..1
    if i % 2 == 0 and _is_vector(spec):  # every other one is a face at work: most values rest, a few are high
        values = values**6
    elif i % 2 == 0 and len(shape) >= 2:  # or a picture: a coarse grid, enlarged, with two blocks
        values = _picture(shape, numbers)
    low, high = spec.range
    scaled = low + values * (high - low)
    dtype = np.dtype(spec.dtype)
    return np.rint(scaled).astype(dtype) if dtype.kind in "iu" else scaled.astype(dtype)


def _is_vector(spec: ArraySpec) -> bool:
    """Muscles or parameters, with or without a history."""
    return spec.layout.rpartition(",")[2].strip() in ("channel", "parameter")


def _picture(shape: tuple[int, ...], numbers: np.random.Generator) -> npt.NDArray[np.float64]:
    height, width = shape[:2]
    knots = numbers.random((5, 5, *shape[2:]))
    rows, columns = np.linspace(0, 4, height), np.linspace(0, 4, width)
    values = _between(_between(knots, rows).swapaxes(0, 1), columns).swapaxes(0, 1)
    for level in (0.0, 1.0):
        top, left = numbers.integers(0, max(height * 3 // 4, 1)), numbers.integers(0, max(width * 3 // 4, 1))
        values[top : top + height // 6, left : left + width // 6] = level
    return values


def _between(knots: npt.NDArray[np.float64], positions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Linear interpolation along the first axis."""
    below = np.minimum(positions.astype(np.intp), len(knots) - 2)
    share = (positions - below).reshape(-1, *(1 for _ in knots.shape[1:]))
    return np.asarray(knots[below] * (1 - share) + knots[below + 1] * share)
