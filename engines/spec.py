"""What an array that crosses a room or a network looks like, said once and in words a file can carry."""

from dataclasses import asdict, dataclass
from typing import Any

from engines.errors import BadInput


@dataclass(frozen=True)
class ArraySpec:
    """One input or output of an engine, as its manifest states it."""

    name: str
    layout: str  # axis names, first axis first, e.g. "height, width, colour"
    dtype: str  # NumPy's name, e.g. "uint8"
    range: tuple[float, float]  # smallest and largest value, inclusive
    unit: str  # "grey level", "microvolt", "1"
    colour: str | None = None  # "BGR", "RGB"; None when the array is no picture

    def to_json(self) -> dict[str, Any]:
        """Return the spec as plain JSON values; from_json reads it back."""
        return {**asdict(self), "range": list(self.range)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "ArraySpec":
        """Read what to_json wrote.  Raises BadInput when a key is missing, unknown or of the wrong kind."""
        wanted = set(cls.__dataclass_fields__)
        if not isinstance(value, dict) or set(value) != wanted:
            found = sorted(value) if isinstance(value, dict) else type(value).__name__
            raise BadInput(f"an array spec needs exactly the keys {sorted(wanted)}, found {found}")
        texts = [value[key] for key in ("name", "layout", "dtype", "unit")]
        low_high = value["range"]
        if not all(isinstance(text, str) for text in texts) or not _is_range(low_high):
            raise BadInput(f"array spec {value['name']!r}: texts must be strings, range two rising numbers")
        return cls(**{**value, "range": (float(low_high[0]), float(low_high[1]))})


def _is_range(value: Any) -> bool:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return False
    return all(isinstance(v, (int, float)) for v in value) and value[0] <= value[1]
