"""Landmarks and blendshapes of one face: MediaPipe's face landmarker finds it, its networks in OpenVINO follow it."""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import cv2
import numpy as np

from engines.errors import BackendMissing, BadInput
from engines.face.landmark_follower import LandmarkFollower
from rt import assets
from rt.errors import BadSettings
from rt.message import Face, Frame, Message
from rt.stage import Context, Emit, Node
from rt.stages.native_chatter import chatter_to_log

MODEL = assets.FACE_LANDMARKER
_UNSEEN_S = 2.0  # no face for so long is worth a word
_WARM_UP_SHAPE = (480, 640, 3)


@dataclass(frozen=True)
class FaceSettings:
    """The landmarker's model and how sure it must be."""

    model: str | None = None  # path of face_landmarker.task; None: the installed asset
    min_confidence: float = 0.5  # 0..1, for detecting and for following
    follow: Literal["openvino", "mediapipe"] | None = None  # what follows a face that was found; None: the faster one
    threads: int | None = 2  # cores for following in OpenVINO; None: all


class VideoClock:
    """Capture times as the strictly increasing whole milliseconds that MediaPipe's video mode insists on.

    A repeated time moves on by 1 ms; a clock that runs backwards starts a new count from there, so that the
    landmarker's own smoothing sees true intervals again from the next frame on.
    """

    def __init__(self) -> None:
        self._last_ms = 0
        self._zero_s: float | None = None

    def __call__(self, t_s: float) -> int:
        """The stamp for a frame captured at t_s, seconds."""
        next_ms = self._last_ms + 1
        if self._zero_s is None or int((t_s - self._zero_s) * 1e3) < self._last_ms:
            self._zero_s = t_s - next_ms / 1e3
        self._last_ms = max(next_ms, int((t_s - self._zero_s) * 1e3))
        return self._last_ms


class FaceStage(Node[FaceSettings]):
    """Adds `.face` to each frame, None where no face is seen.

    Without the model file frames pass as they are, which the facts say (`face_model` = 'missing'): the crop is then
    the fixed middle.  The interpreter lock is released meanwhile.
    """

    Settings = FaceSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}

    def __init__(self, settings: FaceSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._landmarker: Any = None
        self._follower: LandmarkFollower | None = None
        self._stamp_ms = VideoClock()
        self._wrapped: Callable[[], Any] = lambda: None  # the RGB buffer as MediaPipe wants it
        self._rgb = np.empty(_WARM_UP_SHAPE, np.uint8)
        self._t_seen: float | None = None
        self._unseen_said = self._missing_said = False

    def open(self) -> None:
        """Load the model and run it once. Raises BadSettings when the model file is altered or no such model."""
        path = self._model_path()
        if path is None:
            self.context.tell(face_model="missing")
            return
        # After a crash (generation > 0) let everything through: the reason may be among it.
        first = self.context.generation == 0
        with chatter_to_log(self.context.log) if first else contextlib.nullcontext():
            self._create(path)
            self._rgb[:] = 0
            self._found(0.0)
        by, precision = ("mediapipe", "fp16") if self._follower is None else ("openvino", "fp32")
        self.context.tell(face_model=path.name, role="face", backend=by, bundle=path.name, precision=precision)

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """The frame with its face."""
        assert isinstance(message, Frame)
        if self._landmarker is None:
            self._say_missing(message)
            return [("frame", message)]
        face = self._followed(message) or self._detected(message)
        self._notice(face is not None, message.t_capture)
        return [("frame", replace(message, face=face))]

    def _followed(self, frame: Frame) -> Face | None:
        if self._follower is None or not self._follower.following:
            return None
        found = self._follower.follow(frame.image, frame.t_capture)
        return Face(found.landmarks_px, found.blendshapes) if found else None

    def _detected(self, frame: Frame) -> Face | None:
        if self._rgb.shape != frame.image.shape:
            self._rgb = np.empty(frame.image.shape, np.uint8)
        cv2.cvtColor(frame.image, cv2.COLOR_BGR2RGB, dst=self._rgb)
        face = _face_of(self._found(frame.t_capture), frame.image.shape)
        if face is None or self._follower is None:
            return face
        self._follower.begin(face.landmarks_px)
        return self._followed(frame) or face

    def _found(self, t_s: float) -> Any:
        """What MediaPipe says of the RGB buffer."""
        if self._follower is None:
            return self._landmarker.detect_for_video(self._wrapped(), self._stamp_ms(t_s))
        return self._landmarker.detect(self._wrapped())

    def _say_missing(self, frame: Frame) -> None:
        """Once, and only where it matters: a synthetic picture brings its own face along."""
        if frame.face is None and not self._missing_said:
            self._missing_said = True
            text = f"{MODEL} is not installed, so the crop is fixed: run `myomirror assets fetch`"
            self.context.event("FACE", text)

    def close(self) -> None:
        """Let go of the model."""
        if self._landmarker is not None:
            self._landmarker.close()
            self._landmarker = None
        if self._follower is not None:
            self._follower.close()
            self._follower = None

    def _model_path(self) -> Path | None:
        if self.settings.model is not None:
            path = Path(self.settings.model).expanduser()
            if not path.is_file():
                raise BadSettings(f"face.model {path} is not there: give the path of {MODEL}, or leave it out")
            return path
        return assets.verify(MODEL) if assets.find(MODEL) else None

    def _create(self, path: Path) -> None:
        import mediapipe as mp
        from mediapipe.tasks.python import BaseOptions, vision

        confidence = self.settings.min_confidence
        self._follower = self._open_follower(path)
        mode = vision.RunningMode.VIDEO if self._follower is None else vision.RunningMode.IMAGE
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(path)),
            running_mode=mode,
            num_faces=1,
            min_face_detection_confidence=confidence,
            min_face_presence_confidence=confidence,
            min_tracking_confidence=confidence,
            output_face_blendshapes=True,
        )
        try:
            self._landmarker = vision.FaceLandmarker.create_from_options(options)
        except (RuntimeError, ValueError) as error:
            raise BadSettings(f"{path} is no face landmarker model: fetch {MODEL} again") from error
        self._wrapped = lambda: mp.Image(mp.ImageFormat.SRGB, self._rgb)

    def _open_follower(self, path: Path) -> LandmarkFollower | None:
        wanted = self.settings
        if wanted.follow == "mediapipe":
            return None
        try:
            return LandmarkFollower(path, wanted.min_confidence, wanted.threads)
        except BackendMissing as error:
            if wanted.follow == "openvino":
                raise BadSettings(f"faces cannot be followed: {error}; or leave out face.follow") from error
            return None
        except BadInput as error:
            raise BadSettings(str(error)) from error

    def _notice(self, seen: bool, t_s: float) -> None:
        """Say once per episode that nobody is there."""
        if seen or self._t_seen is None or t_s < self._t_seen:
            self._t_seen = t_s
        if seen:
            self._unseen_said = False
        elif not self._unseen_said and t_s - self._t_seen >= _UNSEEN_S:
            self._unseen_said = True
            self.context.event("FACE", f"no face has been seen for {_UNSEEN_S:g} s: sit in front of the camera")
        self.context.tell(face_seen=not self._unseen_said)


def _face_of(found: Any, shape: tuple[int, ...]) -> Face | None:
    """The first face of a FaceLandmarkerResult; its landmarks come as shares of width and height."""
    if not found.face_landmarks:
        return None
    landmarks_px = np.array([(point.x, point.y) for point in found.face_landmarks[0]], np.float32)
    landmarks_px *= np.array([shape[1], shape[0]], np.float32)
    blendshapes = np.array([category.score for category in found.face_blendshapes[0]], np.float32)
    return Face(landmarks_px, blendshapes)
