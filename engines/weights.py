"""Network weights as they lie in a bundle: whole, halved or quartered, and unpacked to float32 when read.

`int8` keeps one scale per output channel beside the whole numbers, so a 4.3 million parameter generator fits into
4.3 MB.  A network is always compared with what was packed, never with what it was before: what a bundle says and what
every backend computes are the same numbers.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput, BundleError

STORAGES = ("float32", "float16", "int8")
SCALE = ".scale"  # behind the name of an int8 array: (channel,) float32, what 1 is worth in each output channel

Floats = npt.NDArray[np.float32]


def pack(weights: Mapping[str, Floats], storage: str) -> dict[str, npt.NDArray[Any]]:
    """Prepare weights for `write_bundle`.

    weights: float32 by name; the first axis of everything with two or more axes is the output channel.
    storage: "float32", "float16" (a rounding of 2^-11), or "int8" (each channel's largest weight is 127); arrays of one
    axis, that is biases, stay float32.
    Raises BadInput for another storage and for weights that are not finite or too large for float16.
    """
    if storage not in STORAGES:
        raise BadInput(f"weights are stored as one of {', '.join(STORAGES)}, found {storage!r}")
    packed: dict[str, npt.NDArray[Any]] = {}
    for name, array in weights.items():
        if not np.isfinite(array).all() or (storage == "float16" and np.abs(array).max(initial=0) > 65504):
            raise BadInput(f"the weights {name!r} hold numbers that {storage} cannot: train again")
        if storage == "float32" or array.ndim < 2:
            packed[name] = np.asarray(array, np.float32)
        elif storage == "float16":
            packed[name] = array.astype(np.float16)
        else:
            scale = np.maximum(np.abs(array).max(axis=tuple(range(1, array.ndim))), 1e-12).astype(np.float32) / 127
            packed[name] = np.rint(array / _as_first_axis(scale, array)).astype(np.int8)
            packed[name + SCALE] = scale
    return packed


def unpack(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, Floats]:
    """Read what `pack` made; float32 by name.  Raises BundleError for another dtype or a missing or unfit scale."""
    weights = {}
    for name, array in arrays.items():
        if name.endswith(SCALE) and name.removesuffix(SCALE) in arrays:
            continue
        if array.dtype == np.int8:
            scale = arrays.get(name + SCALE)
            if scale is None or scale.dtype != np.float32 or scale.shape != array.shape[:1]:
                raise BundleError(f"the int8 weights {name!r} lack their scale: fetch or build the bundle again")
            weights[name] = array.astype(np.float32) * _as_first_axis(scale, array)
        elif array.dtype in (np.float32, np.float16):
            weights[name] = array.astype(np.float32)
        else:
            raise BundleError(f"the weights {name!r} are {array.dtype}: only {', '.join(STORAGES)} are known")
    return weights


def _as_first_axis(scale: Floats, array: npt.NDArray[Any]) -> Floats:
    return scale.reshape(-1, *(1 for _ in array.shape[1:]))
