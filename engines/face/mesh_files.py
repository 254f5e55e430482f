"""The face model's files: one packed .npz, or the folder of OBJ files that ICT-FaceKit Light comes as.

The folder (`FaceXModel` in https://github.com/ICT-VGL/ICT-FaceKit) holds generic_neutral_mesh.obj, identity000.obj to
identity099.obj and one OBJ per expression, all with the same vertices in the same order.  Its last vertices are tear
fluid, lashes and the like, which are not used here.  Polygons become triangles as fans.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput

Arrays = dict[str, npt.NDArray[Any]]

PACKED = "ict_facekit_light.npz"  # what the packed file is called in an assets folder
NEUTRAL = "generic_neutral_mesh.obj"
IDENTITIES = 100

# ICT-FaceKit Light's regions: first vertex, one past the last
REGIONS = {
    "face": (0, 9409),
    "head_and_neck": (9409, 11248),
    "mouth_socket": (11248, 13294),
    "eye_socket_left": (13294, 13678),
    "eye_socket_right": (13678, 14062),
    "gums_and_tongue": (14062, 17039),
    "teeth": (17039, 21451),
    "eyeball_left": (21451, 23021),
    "eyeball_right": (23021, 24591),
}
VERTICES = 24591

# its expressions, in the packed file's order
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

# name -> dtype kinds and shape; letters are sizes that have to agree
_LAYOUT: Mapping[str, tuple[str, tuple[str | int, ...]]] = {
    "neutral": ("f", ("V", 3)),
    "triangles": ("i", ("F", 3)),
    "triangle_uvs": ("i", ("F", 3)),
    "uvs": ("f", ("T", 2)),
    "expression_names": ("U", ("E",)),
    "expression": ("f", ("E", "V", 3)),
    "identity": ("f", ("I", "V", 3)),
    "region_names": ("U", ("R",)),
    "region_ranges": ("i", ("R", 2)),
}


def read_packed(path: Path) -> Arrays:
    """Read and check the packed file.

    Returns neutral (V, 3), triangles (F, 3), triangle_uvs (F, 3), uvs (T, 2), expression_names (E,), expression
    (E, V, 3), identity (I, V, 3), region_names (R,), region_ranges (R, 2): numbers as float32 or int32.
    Raises BadInput in one sentence when the file is missing, cut short or holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in _LAYOUT if name in file.files}
    except OSError as error:
        raise BadInput(f"the face model {path} cannot be read ({error.strerror or 'cut short'}): {_CURE}") from error
    except (ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise BadInput(f"{path} is no face model, or it is cut short: {_CURE}") from error
    _check(arrays, path)
    kinds = {"f": np.float32, "i": np.int32, "U": np.str_}
    return {name: array.astype(kinds[array.dtype.kind], copy=False) for name, array in arrays.items()}


def write_packed(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write what `read_packed` reads; displacements are kept as float16 (steps of at most 2 um below 4 mm)."""
    short = {name: arrays[name].astype(np.float16) for name in ("expression", "identity")}
    np.savez_compressed(path, allow_pickle=False, **{**{name: arrays[name] for name in _LAYOUT}, **short})


def read_obj_folder(folder: Path) -> Arrays:
    """Read the folder of OBJ files (158 of them, about 10 s; what `write_packed` makes of them takes 0.2 s).

    Returns the same arrays as `read_packed`.
    Raises BadInput in one sentence naming the file that is missing, cut short or does not fit.
    """
    vertices, uvs, corners, corner_uvs = _read_obj(folder / NEUTRAL)
    if len(vertices) < VERTICES:
        raise BadInput(f"{folder / NEUTRAL} has {len(vertices)} vertices, at least {VERTICES} are needed: {_CURE}")
    kept = (corners < VERTICES).all(1)
    triangles, triangle_uvs = corners[kept], corner_uvs[kept]
    if len(np.unique(triangles)) < VERTICES:
        raise BadInput(f"{folder / NEUTRAL} is cut short: some of its vertices belong to no polygon: {_CURE}")
    names = [f"identity{index:03d}" for index in range(IDENTITIES)]
    arrays: Arrays = {
        "neutral": vertices[:VERTICES].astype(np.float32),
        "triangles": triangles,
        "triangle_uvs": triangle_uvs,
        "uvs": uvs.astype(np.float32),
        "expression_names": np.array(EXPRESSIONS),
        "expression": _displacements(folder, EXPRESSIONS, vertices),
        "identity": _displacements(folder, names, vertices),
        "region_names": np.array(list(REGIONS)),
        "region_ranges": np.array(list(REGIONS.values()), np.int32),
    }
    _check(arrays, folder)
    return arrays


_CURE = "get ICT-FaceKit Light again"


def _check(arrays: Arrays, path: Path) -> None:
    sizes: dict[str, int] = {}
    for name, (kind, shape) in _LAYOUT.items():
        if name not in arrays:
            raise BadInput(f"{path} lacks {name}, so it is no face model: {_CURE}")
        array = arrays[name]
        wanted = tuple(
            sizes.setdefault(n, m) if isinstance(n, str) else n for n, m in zip(shape, array.shape, strict=False)
        )
        if array.dtype.kind != kind or array.ndim != len(shape) or array.shape != wanted:
            found = f"{array.dtype} {array.shape}"
            raise BadInput(f"{path} does not fit together: {name} is {found}, wanted {wanted or shape}: {_CURE}")
        if kind == "f" and not np.isfinite(array).all():
            raise BadInput(f"{path} holds numbers in {name} that are not finite: {_CURE}")
    _check_range(arrays["triangles"], sizes["V"], path)
    _check_range(arrays["triangle_uvs"], sizes["T"], path)
    ranges = arrays["region_ranges"]
    if ranges.size and not (ranges.min() >= 0 and ranges.max() <= sizes["V"] and (ranges[:, 0] <= ranges[:, 1]).all()):
        raise BadInput(f"{path} names a region beyond its {sizes['V']} vertices: {_CURE}")


def _check_range(indices: npt.NDArray[Any], size: int, path: Path) -> None:
    if indices.size and not (indices.min() >= 0 and indices.max() < size):
        raise BadInput(f"{path} has a triangle that names a corner beyond 0..{size - 1}: {_CURE}")


def _displacements(folder: Path, names: tuple[str, ...] | list[str], neutral: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(K, VERTICES, 3) float32: each file's vertices minus the neutral ones."""
    found = np.empty((len(names), VERTICES, 3), np.float32)
    for row, name in zip(found, names, strict=True):
        path = folder / f"{name}.obj"
        vertices = _numbers(_lines(path), b"v ", 3, path)
        if len(vertices) != len(neutral):
            raise BadInput(f"{path} has {len(vertices)} vertices where {NEUTRAL} has {len(neutral)}: {_CURE}")
        row[:] = vertices[:VERTICES] - neutral[:VERTICES]
    return found


def _read_obj(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Vertices (n, 3), uvs (t, 2), triangles (F, 3) and their uvs (F, 3), counted from 0."""
    lines = _lines(path)
    vertices, uvs = _numbers(lines, b"v ", 3, path), _numbers(lines, b"vt ", 2, path)
    triangles, triangle_uvs = [], []
    for line in lines:
        if not line.startswith(b"f "):
            continue
        try:
            corners = [[int(index) for index in corner.split(b"/")[:2]] for corner in line.split()[1:]]
            fans = [(corners[0], corners[k], corners[k + 1]) for k in range(1, len(corners) - 1)]
            triangles += [[corner[0] - 1 for corner in fan] for fan in fans]
            triangle_uvs += [[corner[1] - 1 for corner in fan] for fan in fans]
        except (ValueError, IndexError) as error:
            text = line.decode("ascii", "replace").strip()
            raise BadInput(f"{path} has the polygon {text!r}, wanted corners v/vt: {_CURE}") from error
    if not triangles:
        raise BadInput(f"{path} holds no polygons: {_CURE}")
    found = np.array(triangles, np.int32), np.array(triangle_uvs, np.int32)
    _check_range(found[0], len(vertices), path)
    _check_range(found[1], len(uvs), path)
    return vertices, uvs, *found


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except OSError as error:
        raise BadInput(f"the face model's {path} cannot be read ({error.strerror}): {_CURE}") from error


def _numbers(lines: list[bytes], start: bytes, columns: int, path: Path) -> npt.NDArray[Any]:
    """(n, columns) float64 of all lines that begin like this."""
    rows = [line.split()[1 : columns + 1] for line in lines if line.startswith(start)]
    try:
        if any(len(row) != columns for row in rows):
            raise ValueError("too few")
        return np.array([float(number) for row in rows for number in row]).reshape(len(rows), columns)
    except ValueError as error:
        raise BadInput(f"{path} has a line {start.decode().strip()!r} without {columns} numbers: {_CURE}") from error
