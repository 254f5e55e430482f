"""What the doors of the mesh and raster kernels check, and the types that they speak of."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int32]

_Scalar = TypeVar("_Scalar", bound=np.generic)


def frozen(array: npt.NDArray[_Scalar]) -> npt.NDArray[_Scalar]:
    """A read-only view: kernels are compiled once, whether the caller's array may be written or not."""
    view = array.view()
    view.flags.writeable = False
    return view


def check_array(array: npt.NDArray[_Scalar], what: str, dtype: type, shape: tuple[int | None, ...]) -> None:
    """Raises BadInput when an array is not C-contiguous, of this dtype and shape (None = any number)."""
    fits = array.ndim == len(shape) and all(n is None or n == m for n, m in zip(shape, array.shape, strict=True))
    if array.dtype != dtype or not fits or not array.flags.c_contiguous:
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        layout = "" if array.flags.c_contiguous else ", not contiguous"
        found = f"{array.dtype} {array.shape}{layout}"
        raise BadInput(f"the {what} must be contiguous {np.dtype(dtype)} {wanted}, found {found}")


def check_out(array: npt.NDArray[_Scalar], dtype: type, shape: tuple[int, ...]) -> None:
    """Raises BadInput when a result does not fit into an array, or the array may not be written."""
    check_array(array, "output", dtype, shape)
    if not array.flags.writeable:
        raise BadInput("the output is written into: give a writable array")


def check_indices(triangles: Indices, count: int) -> None:
    """Raises BadInput when a triangle's corner is not one of 0..count - 1."""
    if triangles.size and triangles.view(np.uint32).max() >= count:  # negative ones are huge
        raise BadInput(f"a triangle names a corner that does not exist: indices must be 0..{count - 1}")
