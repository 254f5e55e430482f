"""Do two engines compute the same?  What they are asked, and how far they may be apart.

Distances are in 1/255 of an output's range: grey levels, where the output is a picture.

Of numbers that are read off a picture the range says little, a face's shift in its crop uses a hundredth of it.  There
a grey level is a share of how much the number differs from probe to probe, number by number: see READING.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.errors import BuildError
from engines.spec import Arrays, ArraySpec, Engine

PROBES = 4
READING_PROBES = 12  # where spreads are to be known
SEED = 20230907
TOO_ROUGH = "too_rough_"  # + backend_precision: a bundle's metric, of a half precision beyond what is allowed


# What of a reading's standard deviation over the probes counts as a grey level.  Two networks that have nothing to do
# with each other are 1.4 standard deviations apart.  In bf16 face encoders were 0.1 (OpenVINO) to 0.34 (PyTorch) from
# themselves, after 600 steps of training, and nearly the same share in expression, shape, pose and camera; 0.4 is what
# 2.5 grey levels make.  What bf16 costs in accuracy is another question: `myomirror evaluate --precision` answers it.
READING = 0.16
_LEAST_SPREAD, _LEAST_OF_RANGE = 0.05, 1e-4  # of the output's most lively number; for numbers that never move


@dataclass(frozen=True)
class Distance:
    """How far an output is from the reference, over all probes, in 1/255 of its range or its readings' unit."""

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
    expected: dict[str, list[npt.NDArray[np.float64]]] = {spec.name: [] for spec in reference.outputs}
    found: dict[str, list[npt.NDArray[np.float64]]] = {spec.name: [] for spec in reference.outputs}
    for arrays in given:
        for one, into in ((reference, expected), (engine, found)):
            said = one.run(arrays)
            for name, values in into.items():
                values.append(said[name].astype(np.float64))
    distances = {}
    for spec in reference.outputs:
        wanted = np.stack(expected[spec.name])
        gaps = np.abs(np.stack(found[spec.name]) - wanted)
        distances[spec.name] = _distance(gaps / _unit(spec, wanted, reads(reference.inputs, spec)))
    return distances


def reads(inputs: Sequence[ArraySpec], output: ArraySpec) -> bool:
    """Whether an output is a list of numbers that a network reads off a picture."""
    return output.layout == "parameter" and any(spec.colour is not None for spec in inputs)


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


def _unit(spec: ArraySpec, wanted: npt.NDArray[np.float64], read: bool) -> npt.NDArray[np.float64]:
    """What counts as a grey level.  wanted: (probe, ...) the reference's."""
    whole = spec.range[1] - spec.range[0]
    if not read:
        return np.asarray(whole / 255)
    spread = wanted.std(0)
    least = max(_LEAST_SPREAD * float(spread.max()), _LEAST_OF_RANGE * whole)
    return np.asarray(READING * np.maximum(spread, least))


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
