"""FLAME, for those who have it: their own copy converted once, then a model that takes the `flame55` profile.

FLAME (Li et al., "Learning a model of facial shape and expression from 4D scans", SIGGRAPH Asia 2017) may be used for
research only and is downloaded by its users after registering; nothing of it is in this package.  Linear blend
skinning with pose correctives as in its authors' code.  Eyelids are not FLAME's: SMIRK adds two displacements of its
own (l_eyelid.npy, r_eyelid.npy in its assets), which can be given as well; without them eyelids do not move.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput
from engines.face.arrays import Floats, Indices, frozen
from engines.face.camera import rotation_from_vector
from engines.face.flame_pickle import read_flame_pickle

SHAPES = 300  # of the displacements in the pickle; the others are expressions
JOINTS = ("root", "neck", "jaw", "left_eye", "right_eye")
FLAME55 = (("expression", 50), ("eyelid", 2), ("jaw", 3))  # the profile's order and sizes (EIFER, SMIRK, MMM)
_CM = 100.0  # per FLAME's metre
_REST = ((0.0, 0.0, 0.0),) * len(JOINTS)


@dataclass(frozen=True)
class FlameModel:
    """FLAME in centimetres and our order of axes (which is its own): x to the person's left, y up, z forward.

    template: (V, 3).  triangles: (F, 3) int32.  shape: (S, V, 3).  expression: (E, V, 3).  pose: (36, V, 3), cm per
    entry of the four moving joints' rotation matrices minus the unit matrix.  regressor: (5, V), joints from vertices.
    parents: (5,) int32, -1 for the root.  skinning: (V, 5), sum 1.  eyelids: (2, V, 3), left then right; zero where
    SMIRK's were not given.  All float32 unless said otherwise.
    """

    template: Floats
    triangles: Indices
    shape: Floats
    expression: Floats
    pose: Floats
    regressor: Floats
    parents: Indices
    skinning: Floats
    eyelids: Floats

    def __post_init__(self) -> None:
        """Freeze."""
        for name in _NAMES:
            object.__setattr__(self, name, frozen(np.ascontiguousarray(getattr(self, name))))

    @classmethod
    def load(cls, path: Path) -> FlameModel:
        """Read what `import_flame` wrote.  Raises BadInput in one sentence when it is missing, cut short or other."""
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in _NAMES}
        except OSError as error:
            raise BadInput(f"the FLAME model {path} cannot be read ({error.strerror or 'cut short'})") from error
        except (KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise BadInput(f"{path} is no converted FLAME model: import FLAME's pickle again") from error
        return cls(**_checked(arrays, path))

    def vertices(
        self,
        shape: npt.ArrayLike = (),
        expression: npt.ArrayLike = (),
        pose: npt.ArrayLike = _REST,
        eyelids: npt.ArrayLike = (0.0, 0.0),
    ) -> Floats:
        """Vertices of a person with an expression and a pose.

        shape: up to S weights, expression: up to E weights, standard deviations; further ones are 0.
        pose: (5, 3), the JOINTS' turns about axes times radians.  eyelids: left and right, 0..1.
        Returns (V, 3) float32, cm.  Raises BadInput when a shape does not fit or a number is not finite.
        """
        weights = {"shape": np.asarray(shape, np.float64), "expression": np.asarray(expression, np.float64)}
        turns, lids = np.asarray(pose, np.float64), np.asarray(eyelids, np.float64)
        for name, values in weights.items():
            most = len(getattr(self, name))
            if values.ndim != 1 or len(values) > most:
                raise BadInput(f"{name} must be 0..{most} weights, found shape {values.shape}")
        if turns.shape != (len(JOINTS), 3) or lids.shape != (2,):
            raise BadInput(f"pose must be (5, 3) and eyelids (2,), found {turns.shape} and {lids.shape}")
        if not all(np.isfinite(values).all() for values in (*weights.values(), turns, lids)):
            raise BadInput("a parameter of the FLAME model is not a finite number: leave lost faces out")
        shaped = self.template.astype(np.float64)
        for name, values in weights.items():
            shaped += np.tensordot(values, getattr(self, name)[: len(values)], 1)
        rotations = np.stack([rotation_from_vector(turn) for turn in turns])
        corrected = shaped + np.tensordot((rotations[1:] - np.eye(3)).ravel(), self.pose, 1)
        skinned = self._skinned(corrected, self.regressor @ shaped, rotations)
        return (skinned + np.tensordot(lids, self.eyelids, 1)).astype(np.float32)

    def vertices_from_flame55(self, values: npt.ArrayLike, shape: npt.ArrayLike = ()) -> Floats:
        """Vertices from the `flame55` profile: (55,) as 50 expression | 2 eyelid (left, right) | 3 jaw.

        The lids' two are added after the skinning, left first, as in SMIRK.  Raises BadInput when there are not 55.
        """
        profile = np.asarray(values, np.float64)
        if profile.shape != (sum(size for _, size in FLAME55),):
            raise BadInput(f"a flame55 profile has 55 values, found shape {profile.shape}")
        expression, eyelids, jaw = np.split(profile, np.cumsum([size for _, size in FLAME55])[:-1])
        pose = np.zeros((len(JOINTS), 3))
        pose[JOINTS.index("jaw")] = jaw
        return self.vertices(shape, expression[: len(self.expression)], pose, eyelids)

    def _skinned(
        self, vertices: npt.NDArray[np.float64], joints: npt.NDArray[np.float64], rotations: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Each joint's turn, after its parents', weighted per vertex."""
        turns, shifts = rotations.copy(), joints.copy()  # of each joint: vertex -> turns @ (vertex - joint) + shifts
        for joint, parent in enumerate(self.parents.tolist()):
            if parent >= 0:
                turns[joint] = turns[parent] @ rotations[joint]
                shifts[joint] = turns[parent] @ (joints[joint] - joints[parent]) + shifts[parent]
        offsets = shifts - np.einsum("jab,jb->ja", turns, joints)
        blended = np.tensordot(self.skinning, turns, 1)  # (V, 3, 3)
        return np.asarray(np.einsum("vab,vb->va", blended, vertices) + self.skinning @ offsets)


_NAMES = tuple(field.name for field in fields(FlameModel))


def import_flame(
    pickle_path: Path, out: Path, eyelids: tuple[Path, Path] | None = None, shapes: int = SHAPES
) -> FlameModel:
    """Convert a FLAME pickle that the user has, once; `FlameModel.load` reads the result.

    pickle_path: e.g. generic_model.pkl of FLAME 2020.  out: an .npz, written 0600; FLAME's licence holds for it too.
    eyelids: SMIRK's l_eyelid.npy and r_eyelid.npy.  shapes: how many of its displacements are shapes.
    Raises BadInput in one sentence when a file is damaged, holds something else or is unsafe.
    """
    found = read_flame_pickle(pickle_path)
    try:
        template = np.asarray(found["v_template"], np.float64)
        directions, pose = (np.asarray(found[name], np.float64) for name in ("shapedirs", "posedirs"))
        parents = np.asarray(found["kintree_table"])[0].astype(np.int64)
        arrays: dict[str, npt.NDArray[Any]] = {
            "template": template * _CM,
            "triangles": np.asarray(found["f"]).astype(np.int32),
            "shape": np.moveaxis(directions[:, :, :shapes], 2, 0) * _CM,
            "expression": np.moveaxis(directions[:, :, shapes:], 2, 0) * _CM,
            "pose": np.moveaxis(pose, 2, 0) * _CM,
            "regressor": np.asarray(found["J_regressor"], np.float64),
            "parents": np.where((parents < 0) | (parents >= len(JOINTS)), -1, parents).astype(np.int32),
            "skinning": np.asarray(found["weights"], np.float64),
            "eyelids": np.zeros((2, len(template), 3)),
        }
    except KeyError as error:
        raise BadInput(f"{pickle_path} lacks {error}: give FLAME's generic_model.pkl") from error
    except (ValueError, TypeError, IndexError) as error:
        raise BadInput(f"{pickle_path} holds arrays of other shapes than FLAME's: give generic_model.pkl") from error
    arrays = {n: a if a.dtype == np.int32 else a.astype(np.float32) for n, a in arrays.items()}
    if eyelids is not None:
        arrays["eyelids"] = (_eyelids(eyelids, len(arrays["template"])) * _CM).astype(np.float32)
    model = FlameModel(**_checked(arrays, pickle_path))
    with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        np.savez(file, allow_pickle=False, **{name: getattr(model, name) for name in _NAMES})
    return model


def _eyelids(paths: tuple[Path, Path], vertices: int) -> npt.NDArray[np.float64]:
    """(2, V, 3), metres."""
    found = []
    for path in paths:
        try:
            lid = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise BadInput(
                f"the eyelid file {path} cannot be read: give SMIRK's l_eyelid.npy and r_eyelid.npy"
            ) from error
        if lid.size != vertices * 3:
            raise BadInput(f"{path} has {lid.size} numbers where the model's {vertices} vertices need {vertices * 3}")
        found.append(lid.reshape(vertices, 3))
    return np.asarray(found, np.float64)


def _checked(arrays: dict[str, npt.NDArray[Any]], path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays, once they fit together."""
    vertices, joints = len(arrays["template"]), len(JOINTS)
    wanted: dict[str, tuple[int | None, ...]] = {
        "template": (vertices, 3),
        "triangles": (None, 3),
        "shape": (None, vertices, 3),
        "expression": (None, vertices, 3),
        "pose": (9 * (joints - 1), vertices, 3),
        "regressor": (joints, vertices),
        "parents": (joints,),
        "skinning": (vertices, joints),
        "eyelids": (2, vertices, 3),
    }
    for name, shape in wanted.items():
        array = arrays[name]
        if array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
            raise BadInput(f"{path} does not fit together: {name} is {array.shape}, so it is no FLAME model")
        if not np.isfinite(array).all():
            raise BadInput(f"{path} holds numbers in {name} that are not finite: download FLAME again")
    triangles, parents = arrays["triangles"], arrays["parents"]
    if triangles.size and not 0 <= triangles.min() <= triangles.max() < vertices:
        raise BadInput(f"{path} has a triangle that names a corner beyond 0..{vertices - 1}: download FLAME again")
    if (parents >= np.arange(joints)).any():
        raise BadInput(f"{path} has a joint that comes before the one it hangs on: download FLAME again")
    return arrays
