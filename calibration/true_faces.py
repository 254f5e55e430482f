"""Faces of made pictures whose surface, place and expression are known: what face encoders are judged on.

From a set of stills with truths, or from the clips of a cohort, cut as the live picture is.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from calibration.data.face_set import FaceSet
from calibration.data.mmm import Clip, Recordings
from calibration.data.truth import neutral_path
from calibration.restoration_clips import EVERY, crop_of, moments
from calibration.restoration_samples import spread
from engines.errors import BadInput
from engines.face.anatomy import NARROW
from engines.face.crop_camera import matrix_from_six
from engines.face.landmarks import FaceLandmarks
from engines.face.mesh import FaceModel, expression_from_arkit52

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

FRAMES = 60  # in a row, from the middle of a clip; of these every tenth is judged


class TrueFace(NamedTuple):
    """One moment.

    covered, clean: (size, size, 3) uint8 BGR, with electrodes and without.  mask: (size, size) uint8, 255 = covered.
    expression: (52,), 0..1.  rest_cm: (V, 3), the narrow face at rest.  crop_from_model: (3, 4), crop px and z_px from
    (x, y, z, 1) cm.  landmarks_px: (478, 2) in crop pixels, those of the irises may be missing (nan).
    """

    person: str
    covered: Picture
    clean: Picture
    mask: Picture
    expression: Floats
    rest_cm: Floats
    crop_from_model: Doubles
    landmarks_px: Floats


def true_stills(faces: FaceSet, model: FaceModel, most: int) -> list[TrueFace]:
    """Of a set's part, evenly spread, at most so many.  model: ICT-FaceKit, whole.

    Photos as they are have no truth but what MediaPipe says, and are left out.  Raises BadInput when nothing is left.
    """
    truth = faces.truth
    if truth is None or not faces.paired:
        raise BadInput(
            f"{faces.folder} does not know its faces' parameters: make faces with this version of myomirror simulate "
            f"faces, or give a cohort"
        )
    made = [
        i
        for i, row in enumerate(faces.clean_rows)
        if row.source == "cohort" and all(np.isfinite(part[faces.clean_at[i]]).all() for part in truth[:3])
    ]
    if not made:
        raise BadInput(f"{faces.folder} holds photos only, whose expressions nobody knows: make a set with animations")
    assert faces.mask is not None  # paired
    found = []
    for i in (made[place] for place in spread(len(made), most)):
        at, beside = faces.clean_at[i], faces.covered_at[i]
        arrays = faces.covered[beside], faces.clean[at], faces.mask[beside]
        covered, clean, mask = (np.ascontiguousarray(array) for array in arrays)
        rest = model.vertices(truth.identity[at], np.zeros(len(model.expression), np.float32))[:NARROW]
        place = matrix_from_six(truth.pose[at], faces.size)
        expression, marks = np.array(truth.expression[at]), np.array(truth.landmarks_px[at])
        found.append(TrueFace(faces.clean_rows[i].person, covered, clean, mask, expression, rest, place, marks))
    return found


def true_clips(
    recordings: Recordings,
    clips: Sequence[Clip],
    model: FaceModel,
    size: int,
    landmarker: Path,
    done: Callable[[], None] = lambda: None,
) -> list[TrueFace]:
    """Of the middle of each clip, every tenth frame; size: px of a crop.  done: called after each clip.

    Frames in which no face can be followed under the electrodes are left out.  Raises BadInput for a file that cannot
    be read.
    """
    found: list[TrueFace] = []
    for clip in clips:
        found += _of_clip(recordings, clip, model, size, landmarker)
        done()
    return found


def _of_clip(recordings: Recordings, clip: Clip, model: FaceModel, size: int, landmarker: Path) -> Iterator[TrueFace]:
    truth, rest = clip.truth(), _at_rest(recordings, clip.id.pid, len(model.neutral))
    table = FaceLandmarks.load()
    for seen, moment in enumerate(moments(clip, size, landmarker, FRAMES)):
        if seen % EVERY:
            continue
        place = _in_crop(truth.camera[moment.number].astype(np.float64), moment.crop_from_frame)
        expression = truth.expression[moment.number]
        weights = expression_from_arkit52(expression)
        vertices = rest + np.tensordot(weights, model.expression, 1)
        marks = table.positions(vertices @ place[:2, :3].T + place[:2, 3])
        arrays = moment.covered, moment.clean, moment.mask
        covered, clean, mask = (crop_of(array, moment.crop_from_frame, size) for array in arrays)
        yield TrueFace(clip.id.pid, covered, clean, mask, expression, rest[:NARROW], place, marks)


def _at_rest(recordings: Recordings, pid: str, vertices: int) -> Floats:
    """(V, 3) cm.  Raises BadInput."""
    path = recordings.folder / neutral_path(pid)
    try:
        with np.load(path, allow_pickle=False) as found:
            neutral: Floats = found["neutral"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path} is no person's face at rest ({error}): make the cohort again") from None
    if neutral.shape != (vertices, 3):
        raise BadInput(f"{path} has {neutral.shape} vertices, the face model {vertices}: use the cohort's own model")
    return neutral


def _in_crop(camera: Doubles, crop_from_frame: Doubles) -> Doubles:
    """(3, 4): a frame's camera before the crop's (2, 3) similarity; depth grows as the picture does."""
    linear = crop_from_frame[:, :2].astype(np.float64)
    found = np.vstack([linear @ camera[:2], np.sqrt(abs(np.linalg.det(linear))) * camera[2:]])
    found[:2, 3] += crop_from_frame[:, 2]
    return found
