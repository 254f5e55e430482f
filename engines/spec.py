"""What arrays that cross a room or a network look like, in words a file can carry, and what runs on them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy.typing as npt

from engines.errors import BadInput

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class ArraySpec:
    """One input or output of an engine, as its manifest states it."""

    name: str
    layout: str  # axis names, first axis first, e.g. "height, width, colour"
    dtype: str  # NumPy's name, e.g. "uint8"
    range: tuple[float, float]  # smallest and largest value, inclusive
    unit: str  # "grey level", "microvolt", "1"
    colour: str | None = None  # "BGR", "RGB"; None when the array is no picture
    shape: tuple[int, ...] | None = None  # one length per axis of the layout; None when it may vary

    def to_json(self) -> dict[str, Any]:
        """Return the spec as plain JSON values; from_json reads it back."""
        document = {**asdict(self), "range": list(self.range)}
        shape = document.pop("shape")
        return document if shape is None else {**document, "shape": list(shape)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "ArraySpec":
        """Read what to_json wrote.  Raises BadInput when a key is missing, unknown or of the wrong kind."""
        wanted = set(cls.__dataclass_fields__)
        if not isinstance(value, dict) or not wanted - {"shape"} <= set(value) <= wanted:
            found = sorted(value) if isinstance(value, dict) else type(value).__name__
            raise BadInput(f"an array spec needs exactly the keys {sorted(wanted)} (shape is optional), found {found}")
        texts = [value[key] for key in ("name", "layout", "dtype", "unit")]
        low_high, shape = value["range"], value.get("shape")
        if not all(isinstance(text, str) for text in texts) or not _is_range(low_high):
            raise BadInput(f"array spec {value['name']!r}: texts must be strings, range two rising numbers")
        if not _fits_layout(shape, value["layout"]):
            raise BadInput(
                f"array spec {value['name']!r}: shape must be one length per axis of {value['layout']!r}, found {shape}"
            )
        low, high = low_high
        return cls(**{**value, "range": (float(low), float(high)), "shape": None if shape is None else tuple(shape)})


class Engine(Protocol):
    """Something that has been loaded and runs: arrays in, arrays out, nothing allocated per call.

    Every backend in `engines/backends/` is one.  An engine belongs to one thread at a time.
    """

    backend: str  # "torch", "openvino", "onnxruntime", "tensorrt"
    device: str  # "cpu", "cuda"
    precision: str  # what the multiplications are done in: "fp32", "bf16", "fp16"
    inputs: tuple[ArraySpec, ...]
    outputs: tuple[ArraySpec, ...]

    def run(self, arrays: Arrays) -> Arrays:
        """Compute all outputs.

        arrays: one array per input, by name, with the spec's shape and dtype; copied, so it may be reused at once.
        Returns one array per output, by name.  They are the engine's own buffers: the next `run` writes over them, so
        copy what has to last longer.
        Raises BadInput when a name, shape or dtype does not fit.
        """
        ...

    def close(self) -> None:
        """Give memory and threads back.  The outputs of the last run, and the engine, must not be used afterwards."""
        ...


def _is_range(value: Any) -> bool:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return False
    return all(isinstance(v, (int, float)) for v in value) and value[0] <= value[1]


def _fits_layout(shape: Any, layout: str) -> bool:
    if shape is None:
        return True
    if not isinstance(shape, (list, tuple)) or len(shape) != len(layout.split(",")):
        return False
    return all(isinstance(length, int) and not isinstance(length, bool) and length > 0 for length in shape)
