"""The face without its head's turn (eMotion-GAN): frontal view, head pose, and symmetry of the movement.

It looks at the picture that is shown, so whoever does not wish to see the own face unprocessed does not see it here
either.  What is said is against a neutral face, which is taken at the start and whenever the page asks for it.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np

from engines.errors import EngineError, FaceLost
from engines.face import flow, frontal, rigid_flow
from engines.face.crop import crop_from_landmarks, warp
from engines.face.flow import FlowMeter, Strategy
from engines.face.frame_check import Look, Obstacle
from engines.face.frontal import FrontalFace
from engines.face.head_turn import FacePose, HeadFitter, HeadMovement
from engines.face.mesh import FaceModel
from engines.face.motion_engine import MotionEngine, MotionFit, fitting
from engines.face.neutral import NeutralWatch
from engines.face.symmetry import REGIONS, SymmetryReader
from engines.model import Model
from rt import assets
from rt.errors import BadSettings
from rt.message import Face, Frame, Frontal, Message, Motion, MotionState
from rt.networks import engine_facts, open_network
from rt.stage import Context, Emit, Node
from rt.stages.expression import Rate

CROP_SCALE = 1.7  # sides of the face's box: room for a chin that falls and for what is around a face
FACE_MODEL = "ict_facekit_light.npz"
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 85]
_FORGET_S = 3.0  # landmarks that for so long fit no turn of the neutral face are another person's
_RATE_OVER_S = 2.0  # how often a face is shown is told over this
_CALM_S = 0.15  # time constant of the symmetry
_WAITING = {
    Obstacle.LOST: MotionState.NO_FACE,
    Obstacle.FAR: MotionState.COME_CLOSER,
    Obstacle.TURNED: MotionState.FACE_CAMERA,
    Obstacle.DARK: MotionState.MORE_LIGHT,
    Obstacle.CLOSED: MotionState.OPEN_EYES,
    Obstacle.MOVING: MotionState.HOLD_STILL,
    Obstacle.BLURRED: MotionState.HOLD_STILL,
    Obstacle.NOT_AT_REST: MotionState.RELAX,
}
_UNUSABLE = "the face cannot be shown from the front"
_NOTHING, _NO_EXPRESSION = np.zeros(0, np.uint8), np.zeros(0, np.float32)


@dataclass(frozen=True)
class MotionSettings:
    """What is shown, and how often.

    bundle: of eMotion-GAN, a shipped one's name or the path of one; '' draws the person's own pixels without a network.
    strategy: "neutral-apex" compares with the neutral face, "frame-to-frame" with the picture before (network only).
    size: side of the frontal picture, px; a bundle brings its own.  every: 1 looks at every picture that comes, 2 at
    every second one.  face_camera_deg: turned further than that, nothing is trusted.  removes: whether electrodes are
    removed in this station, so that a picture in which they are not is not looked at.  backend, device, precision,
    threads: as in `engines.load`.
    """

    bundle: str = ""
    strategy: Strategy = "neutral-apex"
    size: int = 192
    every: int = 2
    face_camera_deg: float = 20.0
    removes: bool = False
    backend: str | None = None
    device: str = "cpu"
    precision: str | None = None
    threads: int | None = 1


class MotionStage(Node[MotionSettings]):
    """Says a Motion, and a Frontal for eyes, of every picture (or every n-th) that it gets."""

    Settings = MotionSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"motion": Motion, "frontal": Frontal}

    def __init__(self, settings: MotionSettings, context: Context) -> None:
        """Raises BadSettings when the face model is missing, or the bundle is damaged or does not fit."""
        super().__init__(settings, context)
        if settings.every < 1:
            raise BadSettings(f"motion.every is {settings.every}: give 1 for every picture, 2 for every second one")
        self._model_path = find_face_model()
        self._source = read_motion(settings.bundle) if settings.bundle else None
        self._side = side = self._source[1].full_px if self._source else settings.size
        self._crop = np.zeros((side, side, 3), np.uint8)
        self._picture = np.zeros_like(self._crop)
        self._watch = NeutralWatch(side)
        self._meter = FlowMeter(side, side)
        self._engine: MotionEngine | None = None
        self._face: FrontalFace | None = None
        self._rest_angle = 0.0
        self._rest_crop = np.eye(2, 3)  # the neutral face's crop_from_frame
        self._rest_shapes = _NO_EXPRESSION  # its blendshapes
        self._calm = Calm(_CALM_S)
        self._rate = Rate(_RATE_OVER_S)
        self._seq = -settings.every
        self._t_fitted = -math.inf  # when landmarks were last those of the neutral face

    def open(self) -> None:
        """Read the face model, load the network, compile.  Raises BadSettings in one sentence when that fails."""
        try:
            self._fitter = HeadFitter(FaceModel.load(self._model_path))
            self._symmetry = SymmetryReader.load()
        except EngineError as error:
            raise BadSettings(f"{_UNUSABLE}: {error}") from error
        for part in (flow, frontal, rigid_flow):
            part.warm_up()
        self.context.tell(neutral="none", every=self.settings.every, rate_hz=0.0)
        if self._source is None:
            self.context.tell(role="motion", backend="3D face", bundle="none", precision="fp32")
            return
        model, fit = self._source
        engine = open_network(model, self.settings, _UNUSABLE, "motion: {bundle: off}")
        self._engine = MotionEngine(engine, fit, self.settings.strategy)
        self.context.tell(**engine_facts(engine, model, "motion"))

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """The face in this picture from the front."""
        assert isinstance(message, Frame)
        if 0 <= message.seq - self._seq < self.settings.every:
            return ()
        self._seq = message.seq
        if (self.settings.removes and not message.removal) or (message.practise and message.face is None):
            return self._said(message, MotionState.PAUSED)
        if message.face is None:
            self._watch.reset()
            return self._said(message, MotionState.NO_FACE)
        try:
            return self._looked_at(message, message.face)
        except FaceLost:
            self._watch.reset()
            return self._said(message, MotionState.NO_FACE)

    def command(self, name: str, value: Any) -> None:
        """'neutral': forget the neutral face and take a new one."""
        if name == "neutral":
            self._forget("asked for")

    def close(self) -> None:
        """Give the network's memory and threads back."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _looked_at(self, frame: Frame, face: Face) -> Iterable[Emit]:
        crop_from_frame = crop_from_landmarks(face.landmarks_px, self._side, CROP_SCALE)
        marks = (face.landmarks_px @ crop_from_frame[:, :2].T + crop_from_frame[:, 2]).astype(np.float32)
        angle = math.degrees(math.atan2(crop_from_frame[0, 1], crop_from_frame[0, 0]))  # of the head in the picture
        if self._face is None:
            return self._awaited(frame, face, marks, crop_from_frame, angle)
        try:
            found = self._face.movement(marks)
        except FaceLost:
            if frame.t_capture - self._t_fitted > _FORGET_S:
                self._forget("it is another face")
            return self._said(frame, MotionState.OTHER_FACE)
        self._t_fitted = frame.t_capture
        warp(frame.image, crop_from_frame, self._crop)
        shapes = (face.blendshapes - self._rest_shapes).astype(np.float32)
        return self._shown(frame, self._face, found, angle - self._rest_angle, shapes)

    def _awaited(
        self, frame: Frame, face: Face, marks: np.ndarray, crop_from_frame: np.ndarray, angle: float
    ) -> Iterable[Emit]:
        """No neutral face yet: take it as soon as nothing is in the way."""
        pose = self._fitter.pose(marks, (self._side, self._side))
        neutral = warp(frame.image, crop_from_frame, self._crop)
        look = Look(frame.t_capture, neutral, face.landmarks_px, face.blendshapes, pose.away_deg)
        obstacle = self._watch.update(look, marks)
        if obstacle is not None or not self._watch.is_over:
            state = MotionState.HOLD_STILL if obstacle is None else _WAITING[obstacle]
            return self._said(frame, state, _degrees(pose, angle))
        if not self.context.intact(frame):  # half of another picture would stay for the session
            return ()
        self._face = FrontalFace(self._fitter, neutral, self._watch.landmarks_px())
        self._rest_angle, self._rest_crop, self._t_fitted = angle, crop_from_frame, frame.t_capture
        self._rest_shapes = face.blendshapes
        if self._engine is not None:
            self._engine.take_neutral(self._face)
        self.context.tell(neutral="taken")
        self.context.event("NEUTRAL", "the neutral face was taken: movements are measured against it")
        return self._said(frame, MotionState.HOLD_STILL, _degrees(pose, angle))

    def _shown(
        self, frame: Frame, face: FrontalFace, found: HeadMovement, tilt_deg: float, shapes: np.ndarray
    ) -> Iterable[Emit]:
        turn = found.turn
        trusted = turn.away_deg <= self.settings.face_camera_deg
        still = face.unturned(self._crop, turn)
        flow = self._meter.measure(face.neutral, still).flow
        moved = self._calm(frame.t_capture, self._symmetry.moved_cm(face.head, found, flow, shapes))
        if self._engine is None:
            picture, hidden = face.show(still, turn, self._picture)
        else:
            if self._engine.fit.given == "posed":
                warp(frame.image, self._rest_crop, still)
            picture, hidden = self._engine.show(still, turn)
        even = self._symmetry.asymmetry(moved) if trusted else np.full(len(REGIONS), np.nan, np.float32)
        pose = np.array([turn.yaw_deg, turn.pitch_deg, turn.roll_deg + tilt_deg, turn.away_deg], np.float32)
        state = MotionState.SHOWN if trusted else MotionState.TURNED
        jpeg = cv2.imencode(".jpg", picture, _QUALITY)[1]
        if not self.context.intact(frame):
            return ()
        if self._rate.count(frame.t_capture):
            self.context.tell(rate_hz=round(self._rate.hz, 1))
        limit = self.settings.face_camera_deg
        motion = Motion(frame.t_capture, state, pose, limit, hidden, even, moved.sum(1), frame.seq)
        return [("motion", motion), ("frontal", Frontal(motion, jpeg.ravel(), np.clip(shapes, 0, 1)))]

    def _said(self, frame: Frame, state: MotionState, pose: np.ndarray | None = None) -> Iterable[Emit]:
        """What is said without a frontal face."""
        self._calm.reset()
        if self._rate.ended(frame.t_capture):
            self.context.tell(rate_hz=0.0)
        nothing = np.full(len(REGIONS), np.nan, np.float32)
        pose = np.full(4, np.nan, np.float32) if pose is None else pose
        motion = Motion(
            frame.t_capture, state, pose, self.settings.face_camera_deg, math.nan, nothing, nothing, frame.seq
        )
        return [("motion", motion), ("frontal", Frontal(motion, _NOTHING, _NO_EXPRESSION))]

    def _forget(self, why: str) -> None:
        self._face = None
        self._watch.reset()
        self._calm.reset()
        self.context.tell(neutral="none")
        self.context.event("NEUTRAL", f"a new neutral face is taken: {why}")


class Calm:
    """A mean over the past that fades: landmarks tremble."""

    def __init__(self, constant_s: float) -> None:
        self._constant_s = constant_s
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._t_s, self._value = -math.inf, np.zeros(0, np.float32)

    def __call__(self, t_s: float, value: np.ndarray) -> np.ndarray:
        """The mean with this value, at t_s seconds, in it; a new array."""
        passed = t_s - self._t_s
        self._t_s = t_s
        if self._value.shape != value.shape or not 0 <= passed < 10 * self._constant_s:
            self._value = value.copy()
        else:
            self._value = self._value + (1 - math.exp(-passed / self._constant_s)) * (value - self._value)
        return self._value.astype(np.float32)


def _degrees(pose: FacePose, angle: float) -> np.ndarray:
    return np.array([pose.yaw_deg, pose.pitch_deg, pose.roll_deg + angle, pose.away_deg], np.float32)


def find_face_model() -> Path:
    """ICT-FaceKit's packed file.  Raises BadSettings when it is not installed."""
    found = assets.find(FACE_MODEL)
    if found is None:
        raise BadSettings(
            f"{_UNUSABLE}: {FACE_MODEL} is not installed: see `myomirror assets list`, or set `motion: off`"
        )
    return found


def read_motion(bundle: str) -> tuple[Model, MotionFit]:
    """The bundle, checked.  Raises BadSettings, in one sentence, for one that is damaged or for something else."""
    try:
        model = Model.read(bundle)
        return model, fitting(model.bundle.manifest, model.name)
    except EngineError as error:
        raise BadSettings(f"{_UNUSABLE}: {error}") from error
