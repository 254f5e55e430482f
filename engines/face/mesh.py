"""The 3D face model: a neutral head plus weighted displacements, one set for identity and one for expression.

Made for ICT-FaceKit Light (Li et al., "Learning Formation of Physically-Based Face Attributes", CVPR 2020; MIT, USC
ICT), which is read from one packed file or from the folder of OBJ files that its authors publish.  Vertices are in
centimetres: x to the person's left, y up, z out of the face.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput
from engines.face.arrays import Floats, Indices, check_array, check_out, frozen
from engines.face.blendshapes import BLENDSHAPE_INDEX, BLENDSHAPES
from engines.face.gaze import Eye, eyes_of, turn_eyes
from engines.face.gaze import warm_up as warm_up_gaze
from engines.face.mesh_files import EXPRESSIONS, PACKED, read_obj_folder, read_packed
from engines.face.normals import vertex_normals
from engines.face.normals import warm_up as warm_up_normals
from engines.kernels import kernel

AREAS = {"narrow_face": (0, 6706)}  # besides regions, what `part` can keep: no ears, no neck, no scalp
_ARRAYS = ("neutral", "triangles", "uvs", "triangle_uvs", "expression", "identity", "source")


@dataclass(frozen=True)
class FaceModel:
    """A face that takes a shape and an expression.  Its arrays are read-only; make it with `load`.

    neutral: (V, 3) float32, cm.  triangles: (F, 3) int32, corners counter-clockwise seen from outside.
    uvs: (T, 2) float32, v upwards.  triangle_uvs: (F, 3) int32, a row of uvs per corner.
    expression: (E, V, 3) float32, cm at weight 1.  identity: (I, V, 3) float32, cm at weight 1, which is one standard
    deviation of the people that it was learned from.  regions: name -> (first vertex, one past the last).
    source: (V,) int32, ascending: each vertex's number in the whole model, which `part` remembers.  eyes: its eyeballs.
    Leave both out for a whole model.
    """

    neutral: Floats
    triangles: Indices
    uvs: Floats
    triangle_uvs: Indices
    expression: Floats
    expression_names: tuple[str, ...]
    identity: Floats
    regions: Mapping[str, tuple[int, int]]
    source: Indices = field(default_factory=lambda: np.zeros(0, np.int32))
    eyes: tuple[Eye, ...] = ()

    def __post_init__(self) -> None:
        """Freeze."""
        if len(self.source) == 0:
            object.__setattr__(self, "source", np.arange(len(self.neutral), dtype=np.int32))
        for name in _ARRAYS:
            object.__setattr__(self, name, frozen(np.ascontiguousarray(getattr(self, name))))
        regions = dict(self.regions)
        if not self.eyes:
            object.__setattr__(self, "eyes", eyes_of(self.neutral, regions, self.expression_names))
        object.__setattr__(self, "regions", MappingProxyType(regions))

    @classmethod
    def load(cls, path: Path) -> FaceModel:
        """Read a face model.

        path: the packed .npz (0.2 s), ICT-FaceKit's folder of OBJ files (about 10 s), or a folder with the former.
        Raises BadInput in one sentence when a file is missing, cut short or holds something else.
        """
        if path.is_dir() and (path / PACKED).is_file():
            path = path / PACKED
        return cls.from_arrays(read_obj_folder(path) if path.is_dir() else read_packed(path))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> FaceModel:
        """A model from what engines/face/mesh_files.py reads."""
        ranges = zip(arrays["region_names"].tolist(), arrays["region_ranges"].tolist(), strict=True)
        return cls(
            neutral=arrays["neutral"],
            triangles=arrays["triangles"],
            uvs=arrays["uvs"],
            triangle_uvs=arrays["triangle_uvs"],
            expression=arrays["expression"],
            expression_names=tuple(arrays["expression_names"].tolist()),
            identity=arrays["identity"],
            regions={name: (first, last) for name, (first, last) in ranges},
        )

    def vertices(self, identity: npt.ArrayLike, expression: npt.ArrayLike, out: Floats | None = None) -> Floats:
        """Vertices of a person with an expression.

        identity: up to I weights, standard deviations; further ones are 0.  expression: (E,) weights, 0..1 (others
        are extrapolated); the eyeLook weights turn the eyeballs too.  out: (V, 3) float32, C-contiguous, filled and
        returned; without it a new array is made.  Only weights that are not zero cost time.
        Raises BadInput when a shape does not fit or a weight is not finite.
        """
        shape = np.asarray(identity, np.float32, order="C")
        movement = np.asarray(expression, np.float32, order="C")
        if shape.ndim != 1 or len(shape) > len(self.identity):
            raise BadInput(f"identity must be 0..{len(self.identity)} weights, found shape {shape.shape}")
        if movement.shape != (len(self.expression),):
            raise BadInput(f"expression must be ({len(self.expression)},) weights, found shape {movement.shape}")
        if not (np.isfinite(shape).all() and np.isfinite(movement).all()):
            raise BadInput("a weight of the face model is not a finite number: leave lost faces out")
        out = np.empty_like(self.neutral) if out is None else out
        check_out(out, np.float32, self.neutral.shape)
        np.copyto(out, self.neutral)
        for weights, modes in ((shape, self.identity), (movement, self.expression)):
            active = np.flatnonzero(weights)
            if len(active):
                _add_modes(frozen(weights), active, modes, out)
        turn_eyes(self.eyes, movement, out)
        return out

    def person(self, identity: npt.ArrayLike) -> FaceModel:
        """The same model with somebody's shape as its neutral face, so that a frame costs the expression only."""
        return replace(self, neutral=self.vertices(identity, np.zeros(len(self.expression))))

    def part(self, *names: str) -> FaceModel:
        """A smaller model: these regions or AREAS only, their vertices numbered anew from 0 in the old order.

        Triangles stay when all their corners do; uvs stay whole.  Raises BadInput when a name is unknown.
        """
        keep = np.zeros(len(self.neutral), bool)
        for name in names:
            if name in AREAS:
                first, last = AREAS[name]
                keep |= (self.source >= first) & (self.source < last)
            elif name in self.regions:
                keep[slice(*self.regions[name])] = True
            else:
                known = ", ".join([*self.regions, *AREAS])
                raise BadInput(f"the face model has no region {name!r}: the regions are {known}")
        row = np.cumsum(keep, dtype=np.int32)  # (V,): kept vertices up to and with this one
        before = np.concatenate([[0], row])
        whole = keep[self.triangles].all(1)
        cut = {name: (int(before[first]), int(before[last])) for name, (first, last) in self.regions.items()}
        return replace(
            self,
            neutral=self.neutral[keep],
            triangles=row[self.triangles[whole]] - 1,
            triangle_uvs=self.triangle_uvs[whole],
            expression=self.expression[:, keep],
            identity=self.identity[:, keep],
            regions={name: (first, last) for name, (first, last) in cut.items() if last > first},
            source=self.source[keep],
            eyes=(),
        )

    def weights(self, expression: Mapping[str, float]) -> Floats:
        """(E,) float32 weights from name -> weight; names left out are 0.

        Raises BadInput naming the nearest known expression when one is unknown.
        """
        found = np.zeros(len(self.expression), np.float32)
        for name, weight in expression.items():
            found[self.expression_index(name)] = weight
        return found

    def expression_index(self, name: str) -> int:
        """The row of an expression.  Raises BadInput naming the nearest known one."""
        if name not in self.expression_names:
            near = difflib.get_close_matches(name, self.expression_names, 1, cutoff=0.0)[0]
            raise BadInput(f"the face model has no expression {name!r}; the nearest known one is {near!r}")
        return self.expression_names.index(name)

    def normals(self, vertices: Floats, out: Floats | None = None) -> Floats:
        """Smooth unit normals (V, 3) float32, out of the face, as engines/face/normals.py makes them."""
        check_array(vertices, "vertices", np.float32, self.neutral.shape)
        return vertex_normals(vertices, self.triangles, out)

    def rows_of(self, source: Sequence[int]) -> npt.NDArray[np.int64]:
        """Rows of vertices that are known by their number in the whole model, such as LANDMARKS_68.

        Raises BadInput when `part` left one of them out.
        """
        wanted = np.asarray(source)
        rows = np.searchsorted(self.source, wanted)
        rows = np.minimum(rows, len(self.source) - 1)
        missing = wanted[self.source[rows] != wanted]
        if len(missing):
            raise BadInput(f"this part of the face model has no vertex {missing[0]}: take a larger part")
        return np.asarray(rows, np.int64)


# Multi-PIE's 68 landmarks as vertices of the model, in Multi-PIE's order (FACTS 3)
LANDMARKS_68 = (
    1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088, 3443,
    268, 493, 1914, 2044, 1401, 3615, 4240, 4114, 2734,
    2509, 978, 4527, 4942, 4857, 1140, 2075, 1147, 4269,
    3360, 1507, 1542, 1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725,
    3732, 5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841,
    5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966,
)  # fmt: skip

# the same landmarks among MediaPipe's 478 (FACTS 3)
MEDIAPIPE_68 = (
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,
    71, 63, 105, 66, 107, 336, 296, 334, 293, 301,
    168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,
    78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip


def expression_from_arkit52(values: npt.ArrayLike) -> Floats:
    """The 57 expression weights of ICT-FaceKit from MediaPipe's 52 blendshapes (engines/face/blendshapes.py's order).

    values: (..., 52).  Returns (..., 57) float32.  One to one by name, except that browInnerUp and cheekPuff drive
    both sides; `_neutral` drives nothing, and the model's cheekRaiser and PupilDilate, which ARKit lacks, stay 0.
    Raises BadInput when the last axis is not 52 long.
    """
    blendshapes = np.asarray(values, np.float32)
    if blendshapes.ndim == 0 or blendshapes.shape[-1] != len(BLENDSHAPES):
        raise BadInput(f"blendshapes must be (..., {len(BLENDSHAPES)}), found {blendshapes.shape}")
    return np.asarray(np.where(_ARKIT_OF >= 0, blendshapes[..., _ARKIT_OF], np.float32(0)), np.float32)


def _arkit_index(name: str) -> int:
    """Which blendshape drives one of ICT's expressions; -1 when none does."""
    stem, side = name.removesuffix("_L").removesuffix("_R"), name[-2:]
    for candidate in (name, stem + {"_L": "Left", "_R": "Right"}.get(side, ""), stem):
        if candidate in BLENDSHAPE_INDEX:
            return BLENDSHAPE_INDEX[candidate]
    return -1


_ARKIT_OF = np.array([_arkit_index(name) for name in EXPRESSIONS])


def warm_up() -> None:
    """Compile (or load) the kernels: call it before time matters."""
    zero, one = np.zeros((1, 1, 3), np.float32), np.ones(1, np.float32)
    _add_modes(frozen(one), np.zeros(1, np.int64), frozen(zero), np.zeros((1, 3), np.float32))
    warm_up_gaze()
    warm_up_normals()


@kernel
def _add_modes(weights: Floats, active: npt.NDArray[np.int64], modes: Floats, out: Floats) -> None:
    """out += sum of weights[k] * modes[k] over active k; modes: (K, V, 3), out: (V, 3)."""
    flat = out.reshape(-1)
    for k in active:
        weight, mode = weights[k], modes[k].reshape(-1)
        for i in range(flat.shape[0]):
            flat[i] += weight * mode[i]
