"""What a synthetic clip was made from, frame by frame: the truth that no recording of a person has.

One .npz per clip, and one per person in truth/people/ with the face at rest.  With M a row of `camera`,
M[:, :3] @ vertex + M[:, 3] = (x px, y px, z_px), for vertices = the face at rest + the face model's displacements for
expression_from_arkit52(expression), which puts all of the face model's vertices into the picture.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput

Floats = npt.NDArray[np.float32]

_SHAPES: dict[str, tuple[int, ...]] = {  # without the frame axis
    "expression": (52,),
    "intent": (22,),
    "activation": (22,),
    "emg_intact": (22,),
    "pose": (6,),
    "pose_posed": (6,),
    "camera": (3, 4),
    "camera_posed": (3, 4),
    "landmarks_px": (68, 2),
    "landmarks_posed_px": (68, 2),
    "light": (8,),
}

POSE = ("yaw_deg", "pitch_deg", "roll_deg", "right_cm", "up_cm", "zoom")
"""The columns of pose, as in engines/face/pose.py."""

LIGHT = ("direction_x", "direction_y", "direction_z", "intensity", "ambient", "tint_blue", "tint_green", "tint_red")
"""The columns of light, as in engines/face/light.py."""


@dataclass(frozen=True)
class Truth:
    """All arrays float32 except emg_intact; the first axis is the video's frame.

    expression: (frame, 52), 0..1, the blendshapes that the picture shows.
    intent: (frame, 22), 0..1, FRIDLUND order: what the person means to do, before palsy, synkinesis or co-contraction.
    activation: (frame, 22), 0..1: how strongly the muscles fire, an electromechanical delay before it shows.
    emg_intact: (frame, 22) bool: no artefact of electrodes or cables within the envelope's window.
    pose, pose_posed: (frame, 6), see POSE.  light: (frame, 8), see LIGHT, as the front camera sees it.
    camera, camera_posed: (frame, 3, 4), model cm to picture px in video/ and in video_posed/.
    landmarks_px, landmarks_posed_px: (frame, 68, 2), the Multi-PIE landmarks as (x, y).
    """

    expression: Floats
    intent: Floats
    activation: Floats
    emg_intact: npt.NDArray[np.bool_]
    pose: Floats
    pose_posed: Floats
    camera: Floats
    camera_posed: Floats
    landmarks_px: Floats
    landmarks_posed_px: Floats
    light: Floats

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.expression)


def write_truth(path: Path, truth: Truth) -> None:
    """Write a new file, 0600; the same arrays give the same bytes.  Raises OSError."""
    write_arrays(path, {field.name: getattr(truth, field.name) for field in fields(truth)})


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
    """Write a new .npz, 0600; the same arrays give the same bytes.  Raises OSError."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def neutral_path(pid: str) -> PurePosixPath:
    """Where a person's face at rest is, relative to the cohort: "neutral", (V, 3) float32, cm."""
    return PurePosixPath("truth", "people", f"{pid}.npz")


def read_truth(path: Path) -> Truth:
    """Read a clip's truth.  Raises BadInput in one sentence when the file is cut short or holds something else."""
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = {field.name: found[field.name] for field in fields(Truth)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path} is no clip's truth ({error}): make the cohort again") from None
    frames = len(arrays["expression"])
    for name, shape in _SHAPES.items():
        if arrays[name].shape != (frames, *shape):
            raise BadInput(f"{path}: {name} has shape {arrays[name].shape} in a clip of {frames} frames")
    return Truth(**arrays)
