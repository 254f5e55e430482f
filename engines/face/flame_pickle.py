"""FLAME's pickle read without running anything that it says.

A pickle is a program that may call whatever it can name.  Here it can name stand-ins only: dumb boxes for NumPy's
arrays and dtypes, SciPy's sparse matrices and chumpy's arrays, from which real arrays are made afterwards, out of
plain bytes with checked sizes.  Every other name stops the reading.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput

LARGEST_BYTES = 1 << 30  # FLAME 2020 has 53 MB
_NUMBERS = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}

# what broken or hostile pickles make the unpickler and the stand-ins raise
_BROKEN = (
    *(pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError, TypeError, ValueError),
    *(OverflowError, MemoryError, RecursionError, SystemError),
)


def read_flame_pickle(path: Path) -> dict[str, Any]:
    """Read a model's pickle (Python 2's or 3's) as name -> array, text or number; other values are left out.

    Sparse matrices become dense.  Raises BadInput in one sentence when the file cannot be read, is damaged or names
    anything but arrays.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise BadInput(f"{path} is larger than {LARGEST_BYTES >> 20} MB: that is no FLAME model")
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"the FLAME model {path} cannot be read ({error.strerror})") from error
    try:
        found = _Unpickler(io.BytesIO(content)).load()
        if not isinstance(found, dict):
            raise BadInput(f"{path} holds no table of arrays: give FLAME's generic_model.pkl")
        values = {str(name): _plain(value) for name, value in found.items()}
    except _Formula as error:
        raise BadInput(f"{path} holds a formula of chumpy's in place of an array: save it as numbers first") from error
    except _Refused as error:
        raise BadInput(f"{path} names {error}, which no FLAME model needs: it was not loaded") from error
    except BadInput:
        raise
    except _BROKEN as error:
        raise BadInput(f"{path} is damaged or no pickle of arrays: download FLAME again") from error
    return {name: value for name, value in values.items() if value is not None}


class _Refused(Exception):
    """A name that a pickle may not use."""


class _Formula(Exception):
    """A chumpy object that is no array: only chumpy could work it out."""


class _Box:
    """A stand-in: keeps what it is given, does nothing.  Having __setstate__, the class itself cannot be altered."""

    arguments: tuple[Any, ...] = ()
    state: Any = None

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array(_Box):
    """numpy.ndarray: state is (version, shape, dtype, Fortran order, bytes)."""


class _DType(_Box):
    """numpy.dtype: argument 0 is its name, state 1 the byte order."""


class _Sparse(_Box):
    """scipy.sparse.csc_matrix: state is a table with data, indices, indptr and _shape."""


class _Chumpy(_Box):
    """Something of chumpy's: for an array, state is a table with x."""


class _Other(_Box):
    """What chumpy's arrays drag along: a base class, an empty set."""


_CLASSES: Mapping[tuple[str, str], type[_Box]] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    ("scipy.sparse.csc", "csc_matrix"): _Sparse,
    ("scipy.sparse._csc", "csc_matrix"): _Sparse,
    ("__builtin__", "object"): _Other,
    ("__builtin__", "set"): _Other,
    ("builtins", "object"): _Other,
    ("builtins", "set"): _Other,
}


class _Unpickler(pickle.Unpickler):
    """Gives stand-ins for the names that a FLAME model needs and refuses all others."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, encoding="latin1")
        self._calls = _calls()

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in, or _Refused."""
        found = _CLASSES.get((module, name)) or self._calls.get((module, name))
        if found is None and module.startswith("chumpy."):
            return _Chumpy
        if found is None:
            raise _Refused(f"{module}.{name}")
        return found

    def persistent_load(self, pid: Any) -> Any:
        """Nothing outside the file."""
        raise _Refused("something outside the file")


def _calls() -> dict[tuple[str, str], Callable[..., Any]]:
    """The functions that pickles of arrays call; made anew for each file, so that none can alter the next one's."""

    def begin_array(kind: Any, *_: Any) -> _Box:
        if kind is not _Array:
            raise _Refused("an array of another kind")
        return _Array()

    def rebuild(kind: Any, *_: Any) -> _Box:
        if not (isinstance(kind, type) and issubclass(kind, _Box)):
            raise _Refused("an object of another kind")
        return kind()

    def encode(text: str, encoding: str) -> bytes:
        if encoding not in ("latin1", "latin-1"):
            raise _Refused(f"the encoding {encoding!r}")
        return text.encode("latin1")

    found: dict[tuple[str, str], Callable[..., Any]] = {("_codecs", "encode"): encode}
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        found[module, "_reconstruct"] = begin_array
    for module in ("copy_reg", "copyreg"):
        found[module, "_reconstructor"] = rebuild
    return found


def _plain(value: Any) -> Any:
    """What a stand-in stands for; None for what no model needs."""
    if isinstance(value, _Chumpy):
        if not (isinstance(value.state, dict) and isinstance(value.state.get("x"), _Array)):
            raise _Formula
        return _array(value.state["x"])
    if isinstance(value, _Array):
        return _array(value)
    if isinstance(value, _Sparse):
        return _dense(value)
    return value if isinstance(value, str | int | float) else None


def _array(box: _Array) -> npt.NDArray[Any]:
    _, shape, dtype, fortran, content = box.state
    raw = content.encode("latin1") if isinstance(content, str) else bytes(content)
    if not isinstance(dtype, _DType) or dtype.arguments[0] not in _NUMBERS:
        raise ValueError("no array of numbers")
    order = dtype.state[1] if dtype.state is not None else "="
    flat = np.frombuffer(raw, np.dtype(dtype.arguments[0]).newbyteorder({"<": "<", ">": ">"}.get(order, "=")))
    return flat.reshape([int(n) for n in shape], order="F" if fortran else "C")


def _dense(box: _Sparse) -> npt.NDArray[np.float64]:
    data, rows, starts = (_array(box.state[name]) for name in ("data", "indices", "indptr"))
    shape = box.state.get("_shape", box.state.get("shape"))
    height, width = int(shape[0]), int(shape[1])
    if height * width > LARGEST_BYTES // 8 or len(starts) != width + 1 or len(rows) != len(data):
        raise ValueError("no sparse matrix")
    found = np.zeros((height, width))
    np.add.at(found, (rows, np.repeat(np.arange(width), np.diff(starts))), data)
    return found
