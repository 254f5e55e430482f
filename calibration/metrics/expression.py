"""Whether a face still shows what it showed: MediaPipe's blendshapes read off pictures, and how far apart two are."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import cv2
import numpy as np
import numpy.typing as npt

from calibration.metrics.checks import Picture
from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPES
from rt.stages.native_chatter import chatter_to_log

Floats = npt.NDArray[np.float32]

_FPS = 30
_SEEN_PX = 256  # smaller pictures are enlarged: the landmarker looks at a face 256 px wide
_log = logging.getLogger(__name__)


class Reading(NamedTuple):
    """blendshapes: (52,) float32, 0..1, order of engines/face/blendshapes.py.  landmarks_px: (478, 2) float32."""

    blendshapes: Floats
    landmarks_px: Floats


class ExpressionReader:
    """MediaPipe's face landmarker.

    Every picture is looked at by itself, unless it is told to follow one face through a film as the live picture does:
    landmarks are then steadier.

    with ExpressionReader(path) as reader:
        reading = reader.read(picture)
    """

    def __init__(self, model: Path, follow: bool = False) -> None:
        """model: face_landmarker.task.  follow: pictures are the frames of one film, 30 per second.

        Raises BadInput when the model is not there or none.
        """
        import mediapipe as mp
        from mediapipe.tasks.python import BaseOptions, vision

        if not model.is_file():
            raise BadInput(f"MediaPipe's model {model} is missing: run myomirror assets fetch")
        tasks: Any = vision  # MediaPipe has no types
        options = tasks.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(model)),
            running_mode=tasks.RunningMode.VIDEO if follow else tasks.RunningMode.IMAGE,
            num_faces=1,
            output_face_blendshapes=True,
        )
        with chatter_to_log(_log):
            try:
                self._landmarker: Any = tasks.FaceLandmarker.create_from_options(options)
            except (RuntimeError, ValueError) as error:
                raise BadInput(f"{model} is no face landmarker: run myomirror assets fetch") from error
            self._wrap: Callable[[Picture], Any] = lambda rgb: mp.Image(mp.ImageFormat.SRGB, rgb)
        self._frame: int | None = 0 if follow else None
        with chatter_to_log(_log):
            self._detect(np.zeros((_SEEN_PX, _SEEN_PX, 3), np.uint8))

    def read(self, picture: Picture) -> Reading | None:
        """What a picture shows, (height, width, 3) uint8 BGR; None when no face is found in it."""
        height, width = picture.shape[:2]
        zoom = max(1.0, _SEEN_PX / min(height, width))
        seen = cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC) if zoom > 1 else picture
        found = self._detect(np.ascontiguousarray(seen[:, :, ::-1]))
        if not found.face_landmarks:
            return None
        points = np.array([(point.x, point.y) for point in found.face_landmarks[0]], np.float32)
        scores = np.array([category.score for category in found.face_blendshapes[0]], np.float32)
        return Reading(scores, points * np.array([width, height], np.float32))

    def _detect(self, rgb: Picture) -> Any:
        if self._frame is None:
            return self._landmarker.detect(self._wrap(rgb))
        self._frame += 1
        return self._landmarker.detect_for_video(self._wrap(rgb), self._frame * 1000 // _FPS)

    def close(self) -> None:
        """Let go of the model."""
        self._landmarker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def expression_error(found: npt.NDArray[np.floating], truth: npt.NDArray[np.floating]) -> float:
    """Mean absolute difference of the blendshapes, 0..1, without the unused `_neutral`.

    found, truth: (52,) in the order of engines/face/blendshapes.py.  Raises BadInput for other shapes.
    """
    shape = (len(BLENDSHAPES),)
    if found.shape != shape or truth.shape != shape:
        raise BadInput(f"blendshapes must be {shape}, found {found.shape} and {truth.shape}")
    return float(np.abs(found.astype(np.float64) - truth)[1:].mean())
