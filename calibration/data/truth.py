"""What a synthetic clip was made from, frame by frame: the truth that no recording of a person has.

One .npz per clip.  Its arrays are enough to place every vertex again: with M a row of `camera`,
M[:, :3] @ vertices + M[:, 3] = (x px, y px, z_px), and vertices = FaceModel.vertices(identity,
expression_from_arkit52(expression)).
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput

Floats = npt.NDArray[np.float32]

_SHAPES: dict[str, tuple[int | None, ...]] = {  # without the frame axis; None: any
    "expression": (52,),
    "intent": (22,),
    "activation": (22,),
    "camera": (3, 4),
    "camera_posed": (3, 4),
    "landmarks_px": (68, 2),
    "landmarks_posed_px": (68, 2),
    "light": (None,),
}


@dataclass(frozen=True)
class Truth:
    """All arrays float32; the first axis of all but the last is the video's frame.

    expression: (frame, 52), 0..1, the blendshapes that the picture shows.
    intent: (frame, 22), 0..1, FRIDLUND order: what the person means to do, before palsy, synkinesis or co-contraction.
    activation: (frame, 22), 0..1: how strongly the muscles fire, an electromechanical delay before it shows.
    camera, camera_posed: (frame, 3, 4), model cm to picture px in video/ and in video_posed/.
    landmarks_px, landmarks_posed_px: (frame, 68, 2), the Multi-PIE landmarks as (x, y).
    light: (frame, setting), see `cohort.json` for the names of the settings.
    identity: (weight,), the person's shape, standard deviations of the face model's identity modes.
    """

    expression: Floats
    intent: Floats
    activation: Floats
    camera: Floats
    camera_posed: Floats
    landmarks_px: Floats
    landmarks_posed_px: Floats
    light: Floats
    identity: Floats

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.expression)


def write_truth(path: Path, truth: Truth) -> None:
    """Write a new file; the same arrays give the same bytes.  Raises OSError."""
    with path.open("xb") as file:
        np.savez_compressed(file, **{field.name: getattr(truth, field.name) for field in fields(truth)})


def read_truth(path: Path) -> Truth:
    """Read a clip's truth.  Raises BadInput in one sentence when the file is cut short or holds something else."""
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = {field.name: found[field.name] for field in fields(Truth)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path} is no clip's truth ({error}): make the cohort again") from None
    frames = len(arrays["expression"])
    for name, shape in _SHAPES.items():
        array = arrays[name]
        fits = array.ndim == 1 + len(shape) and len(array) == frames
        if not (fits and all(n in (m, None) or m is None for n, m in zip(array.shape[1:], shape, strict=True))):
            raise BadInput(f"{path}: {name} has shape {array.shape} in a clip of {frames} frames")
    return Truth(**arrays)
