"""The arrays that an engine owns: made once, filled for every call."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput, BundleError
from engines.spec import Arrays, ArraySpec

Make = Callable[[tuple[int, ...], Any], npt.NDArray[Any]]  # (shape, dtype) -> zeros


class Buffers:
    """One array per spec, by name, in `arrays`; `fill` checks and copies into them."""

    def __init__(self, specs: Sequence[ArraySpec], make: Make = np.zeros) -> None:
        """make: where the memory comes from.  Raises BundleError when a spec states no shape."""
        self.specs = tuple(specs)
        self.arrays: dict[str, npt.NDArray[Any]] = {}
        for spec in specs:
            if spec.shape is None:
                raise BundleError(f"the manifest states no shape for {spec.name!r}, and an engine needs one")
            self.arrays[spec.name] = make(spec.shape, np.dtype(spec.dtype))

    def fill(self, given: Arrays) -> None:
        """Copy one array per spec into the buffers.  Raises BadInput when a name, shape or dtype does not fit."""
        for name, buffer in self.arrays.items():
            array = given.get(name)
            if array is None or array.shape != buffer.shape or array.dtype != buffer.dtype:
                raise BadInput(self._sentence(name, given))
            np.copyto(buffer, array)
        if len(given) != len(self.arrays):
            unknown = next(name for name in given if name not in self.arrays)
            raise BadInput(f"the engine has no input {unknown!r}: it takes {', '.join(self.arrays)}")

    def _sentence(self, name: str, given: Arrays) -> str:
        wanted = f"the engine's input {name!r} is {_described(self.arrays[name])}"
        return f"{wanted}, found {_described(given[name]) if name in given else 'none'}"


def graph_name(side: str, spec: ArraySpec) -> str:
    """What an input or output is called inside an ONNX graph, where one "face" cannot be both.  side: "in", "out"."""
    return f"{side}_{spec.name}"


def check_graph(found: Mapping[str, tuple[str, tuple[int, ...]]], wanted: Mapping[str, ArraySpec]) -> None:
    """Compare what a model file says about itself with its manifest.

    found, wanted: dtype and shape, or spec, by name inside the graph.  Raises BundleError when they disagree.
    """
    for name in sorted({*found, *wanted}):
        if name not in found or name not in wanted:
            where, other = ("model.onnx", "manifest") if name in found else ("manifest", "model.onnx")
            raise BundleError(f"model.onnx disagrees with its manifest: {name} is in the {where}, not in the {other}")
        spec = wanted[name]
        if found[name] != (spec.dtype, spec.shape):
            raise BundleError(
                f"model.onnx disagrees with its manifest: {name} is {found[name][0]} {found[name][1]}, "
                f"the manifest says {spec.dtype} {spec.shape}"
            )


def _described(array: npt.NDArray[Any]) -> str:
    return f"{array.dtype} {array.shape}"
