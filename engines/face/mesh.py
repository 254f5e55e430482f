"""The 3D face model: a neutral head plus weighted displacements, one set for identity and one for expression.

Made for ICT-FaceKit Light (Li et al., "Learning Formation of Physically-Based Face Attributes", CVPR 2020; MIT, USC
ICT), which is read from one packed file or from the folder of OBJ files that its authors publish.  Vertices are in
centimetres: x to the person's left, y up, z out of the face.
"""

from __future__ import annotations

import difflib
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPE_INDEX, BLENDSHAPES

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int32]

ASSET = "ict_facekit_light.npz"  # what the packed file is called in an assets folder


@dataclass(frozen=True)
class FaceModel:
    """A face that takes a shape and an expression.  Its arrays are read-only.

    neutral: (V, 3) float32, cm.  triangles: (F, 3) int32, corners counter-clockwise seen from outside.
    uvs: (T, 2) float32, 0..1, v upwards.  triangle_uvs: (F, 3) int32, a row of uvs per corner.
    expression: (E, V, 3) float32, cm at weight 1.  identity: (I, V, 3) float32, cm at weight 1 (one standard deviation
    of the people it was learned from).  regions: name -> (first vertex, one past the last).
    source: (V,) int32, each vertex's number in the whole model; `part` keeps it.
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

    def __post_init__(self) -> None:
        """Freeze the arrays."""
        if len(self.source) != len(self.neutral):
            object.__setattr__(self, "source", np.arange(len(self.neutral), dtype=np.int32))
        for name in ("neutral", "triangles", "uvs", "triangle_uvs", "expression", "identity", "source"):
            array = np.ascontiguousarray(getattr(self, name)).view()
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "regions", MappingProxyType(dict(self.regions)))

    @classmethod
    def load(cls, path: Path) -> FaceModel:
        """Read a face model.

        path: the packed .npz, or an assets folder with it.
        Raises BadInput in one sentence when the file is missing, cut short or holds something else.
        """
        if path.is_dir():
            path = path / ASSET
        return _from_packed(path)

    def vertices(self, identity: npt.ArrayLike, expression: npt.ArrayLike, out: Floats | None = None) -> Floats:
        """Vertices of a person with an expression.

        identity: up to I weights, standard deviations; further ones are 0.  expression: (E,) weights, 0..1 (others
        are extrapolated).  out: (V, 3) float32, C-contiguous, filled and returned; without it a new array is made.
        Only weights that are not zero cost time.  Raises BadInput when a shape does not fit or a weight is not finite.
        """
        shape, movement = np.asarray(identity, np.float32), np.asarray(expression, np.float32)
        if shape.ndim != 1 or len(shape) > len(self.identity):
            raise BadInput(f"identity must be 0..{len(self.identity)} weights, found shape {shape.shape}")
        if movement.shape != (len(self.expression),):
            raise BadInput(f"expression must be ({len(self.expression)},) weights, found shape {movement.shape}")
        if not (np.isfinite(shape).all() and np.isfinite(movement).all()):
            raise BadInput("a weight of the face model is not a finite number: leave lost faces out")
        if out is None:
            out = np.empty_like(self.neutral)
        elif out.shape != self.neutral.shape or out.dtype != np.float32 or not out.flags.c_contiguous:
            raise BadInput(f"out must be contiguous float32 {self.neutral.shape}, found {out.dtype} {out.shape}")
        np.copyto(out, self.neutral)
        for weights, modes in ((shape, self.identity), (movement, self.expression)):
            active = np.flatnonzero(weights)
            if len(active):
                _add_modes(weights, active, modes, out)
        return out

    def person(self, identity: npt.ArrayLike) -> FaceModel:
        """The same model with somebody's shape as its neutral face, so that a frame costs the expression only."""
        return replace(self, neutral=self.vertices(identity, np.zeros(len(self.expression))))

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
        """Smooth unit normals: triangles' normals, weighted by area, averaged at each vertex.

        vertices: (V, 3) float32.  Returns (V, 3) float32, pointing out of the face; 0 where no triangle has an area.
        """
        if vertices.shape != self.neutral.shape or vertices.dtype != np.float32:
            raise BadInput(f"vertices must be float32 {self.neutral.shape}, found {vertices.dtype} {vertices.shape}")
        if out is None:
            out = np.empty_like(self.neutral)
        _normals(_frozen(np.ascontiguousarray(vertices)), self.triangles, out)
        return out

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


# ICT-FaceKit Light's expressions, in the packed file's order (alphabetical)
EXPRESSIONS = (
    "PupilDilate_L", "PupilDilate_R", "browDown_L", "browDown_R", "browInnerUp_L", "browInnerUp_R", "browOuterUp_L",
    "browOuterUp_R", "cheekPuff_L", "cheekPuff_R", "cheekRaiser_L", "cheekRaiser_R", "cheekSquint_L", "cheekSquint_R",
    "eyeBlink_L", "eyeBlink_R", "eyeLookDown_L", "eyeLookDown_R", "eyeLookIn_L", "eyeLookIn_R", "eyeLookOut_L",
    "eyeLookOut_R", "eyeLookUp_L", "eyeLookUp_R", "eyeSquint_L", "eyeSquint_R", "eyeWide_L", "eyeWide_R", "jawForward",
    "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthDimple_L", "mouthDimple_R", "mouthFrown_L", "mouthFrown_R",
    "mouthFunnel", "mouthLeft", "mouthLowerDown_L", "mouthLowerDown_R", "mouthPress_L", "mouthPress_R", "mouthPucker",
    "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmile_L",
    "mouthSmile_R", "mouthStretch_L", "mouthStretch_R", "mouthUpperUp_L", "mouthUpperUp_R", "noseSneer_L",
    "noseSneer_R",
)  # fmt: skip
_ARKIT_OF = np.array([_arkit_index(name) for name in EXPRESSIONS])


def _from_packed(path: Path) -> FaceModel:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadInput(f"{path} is no face model, or it is cut short ({error}): fetch it again") from error
    try:
        ranges = zip(arrays["region_names"].tolist(), arrays["region_ranges"].tolist(), strict=True)
        return FaceModel(
            neutral=arrays["neutral"],
            triangles=arrays["triangles"],
            uvs=arrays["uvs"],
            triangle_uvs=arrays["triangle_uvs"],
            expression=arrays["expression"].astype(np.float32),
            expression_names=tuple(arrays["expression_names"].tolist()),
            identity=arrays["identity"].astype(np.float32),
            regions={name: (first, last) for name, (first, last) in ranges},
        )
    except KeyError as error:
        raise BadInput(f"{path} lacks {error}, so it is no face model: fetch it again") from error


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A read-only view: kernels are compiled once, whether the caller's array may be written or not."""
    view = array.view()
    view.flags.writeable = False
    return view


@numba.njit(cache=True, nogil=True)
def _add_modes(weights: Floats, active: npt.NDArray[np.int64], modes: Floats, out: Floats) -> None:
    """out += sum of weights[k] * modes[k]; modes: (K, V, 3), out: (V, 3)."""
    flat = out.reshape(-1)
    for k in active:
        weight, mode = weights[k], modes[k].reshape(-1)
        for i in range(flat.shape[0]):
            flat[i] += weight * mode[i]


@numba.njit(cache=True, nogil=True)
def _normals(vertices: Floats, triangles: Indices, out: Floats) -> None:
    """Cross products are twice the area long, so adding them up weights by area."""
    out[:] = 0
    for f in range(triangles.shape[0]):
        a, b, c = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        vx, vy, vz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in (a, b, c):
            out[corner, 0] += nx
            out[corner, 1] += ny
            out[corner, 2] += nz
    for i in range(out.shape[0]):
        length = np.sqrt(out[i, 0] ** 2 + out[i, 1] ** 2 + out[i, 2] ** 2)
        if length > 0:
            out[i] /= length
