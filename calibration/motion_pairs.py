"""Makes the sets that eMotion-GAN learns from: the same moment of a synthetic person, frontal and with the head turned.

SNaP-2DFe films a face with two cameras, one on the head.  Here the renderer does the same exactly: a person who rests,
and two moments of a movement (the rest and the movement held, or two moments a tenth of a second apart), each drawn
from the front and with the head turned.  Flows are Farneback's at full size; the head's turn is found as it would be
live, from MediaPipe's landmarks in the noisy picture, not from what the renderer knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from calibration.cohort_plan import CohortSettings, Participant, plan_people, plan_recordings, random
from calibration.cohort_signals import Signals
from calibration.cohort_sources import CREDIT, Sources
from calibration.data.motion_set import (
    FRAME_TO_FRAME,
    NEUTRAL_APEX,
    NO_EMOTION,
    TURNS,
    MotionPair,
    MotionRow,
    MotionSetWriter,
)
from calibration.metrics.expression import ExpressionReader
from engines.emg.intention import Held
from engines.emg.performance import Performance
from engines.errors import BadInput, FaceLost
from engines.face.anatomy import NARROW
from engines.face.blendshapes import BLENDSHAPES
from engines.face.crop import Affine, crop_from_landmarks, warp
from engines.face.flow import FlowMeter, resized_flow
from engines.face.head_turn import HeadFitter
from engines.face.light import Light
from engines.face.mesh import FaceModel
from engines.face.person import Person
from engines.face.pose import HeadPose
from engines.face.raster import Raster
from engines.face.rigid_flow import RigidHead, expression_flow
from engines.face.sensor_noise import SensorNoise
from engines.face.studio import Studio

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]

CROP_SCALE = 1.7  # sides of the neutral face's box: "a larger cropping" (section III-A), so that a head has room
EMOTION_TASKS = ("Face-At-Rest", "angry", "disgusted", "fearful", "happy", "sad", "surprised")  # as EMOTIONS
_MOTION = 101  # what chance is drawn for, beside the purposes of calibration/cohort_plan.py
_CROP_SHARE = 0.62  # of the studio's picture is about the crop
_PER_REST = 6  # pairs before light and camera change and the person rests again
_TRIES = 6  # turns of a head in which MediaPipe may find no face
_APART_S = (0.07, 0.2)  # between two frames of a movement
_MOST_TURN_DEG = 8.0  # of a head between them


@dataclass(frozen=True)
class MotionSettings:
    """What a set is to hold.  It and the photos decide every byte.

    count: pairs.  size: px of pictures; flows have half of it.  people: participants; beyond the photos' own number
    they are mixed from several.  emotions: share of pairs that show one of the paper's seven; the others are functional
    movements.  frames: share from frame to frame instead of from rest to the movement held.  patients: share of people
    with palsy, synkinesis or a recovery.
    """

    count: int = 3000
    size: int = 256
    people: int = 90
    emotions: float = 0.6
    frames: float = 0.2
    patients: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise BadInput for the first value that cannot work."""
        for name, value, least, most in (
            ("count", self.count, 1, 10**6),
            ("size", self.size, 64, 1024),
            ("people", self.people, 6, 999),
        ):
            if not least <= value <= most:
                raise BadInput(f"{name} must be {least} to {most}, found {value}")
        if self.size % 32:
            raise BadInput(f"size must divide by 32, found {self.size}")
        for name in ("emotions", "frames", "patients"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"the share of {name} must be 0 to 1, found {getattr(self, name):g}")
        if not 0 <= self.seed < 2**63:
            raise BadInput(f"the seed must be 0 or more, found {self.seed}")


class _Sitter(NamedTuple):
    number: int
    participant: Participant
    pairs: int


@dataclass(frozen=True)
class _Job:
    settings: MotionSettings
    sources: Sources
    landmarker: Path


def make_motion(
    settings: MotionSettings,
    sources: Sources,
    landmarker: Path,
    out: Path,
    processes: int = 1,
    made: Callable[[int], None] = lambda count: None,
) -> None:
    """Make a set in a new folder.

    landmarker: MediaPipe's face_landmarker.task.  made: called with the number of pairs that were just made.
    Raises BadInput when there are too few photos, no face is found in a picture or the folder is not empty.
    """
    job = _Job(settings, sources, landmarker)
    cohort = CohortSettings(
        participants=settings.people, sessions=1, seed=settings.seed, patients=settings.patients, emotion_repeats=4
    )
    people = plan_people(cohort, list(sources.photos.landmarks_px))
    dealt = [settings.count // len(people) + (i < settings.count % len(people)) for i in range(len(people))]
    sitters = [_Sitter(i, who, n) for i, (who, n) in enumerate(zip(people, dealt, strict=True)) if n]
    about = {
        "synthetic": True,
        "origin": f"{CREDIT}; faces fitted, mixed and animated by MyoMirror",
        "licence": "CC BY 4.0, as the photos",
        "seed": settings.seed,
        "settings": asdict(settings),
        "people": {name_of(sitter.participant): list(sitter.participant.photos) for sitter in sitters},
    }
    with MotionSetWriter(out, settings.size, settings.size // 2, settings.count, about) as motion:
        for pairs in _taken(job, cohort, sitters, processes):
            for row, pair in pairs:
                motion.add(row, pair)
            made(len(pairs))


def name_of(participant: Participant) -> str:
    """Whose face it is: a photo's, or one that was mixed."""
    return participant.photos[0] if len(participant.photos) == 1 else f"mix-{participant.pid}"


Made = list[tuple[MotionRow, MotionPair]]


def _taken(job: _Job, cohort: CohortSettings, sitters: list[_Sitter], processes: int) -> Iterator[Made]:
    """In order, whoever takes them."""
    if processes == 1:
        with ExitStack() as stack:
            room = _Room(job, cohort, stack)
            yield from map(room.take, sitters)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin, (job, cohort)) as pool:
        yield from pool.map(_take, sitters)


class _Shot(NamedTuple):
    """A picture of the studio, cut: (size, size, 3); vertices and what MediaPipe finds in crop px."""

    picture: Picture
    projected: Floats
    landmarks_px: Floats | None


class _Rest(NamedTuple):
    """What stays for some pairs: the face at rest and everything that is laid around it."""

    shot: _Shot
    head: RigidHead
    crop: Affine
    pose: HeadPose
    light: Light


class _Room:
    """What a process keeps between sitters."""

    def __init__(self, job: _Job, cohort: CohortSettings, stack: ExitStack) -> None:
        self.job, self.cohort, self.size = job, cohort, job.settings.size
        self.model = FaceModel.load(job.sources.face_model)
        self.fitter = HeadFitter(self.model)
        side = round(self.size / _CROP_SHARE)
        self.studio, self.noise = Studio(side, side), SensorNoise(side, side, job.settings.seed)
        self.meter = FlowMeter(self.size, self.size // 2)
        self.raster = Raster(self.size, self.size)
        self.reader = stack.enter_context(ExpressionReader(job.landmarker))
        self._shots = 0

    def take(self, sitter: _Sitter) -> Made:
        """All pairs of one person."""
        photos = self.job.sources.photos
        rng = random(self.job.settings.seed, _MOTION, sitter.number)
        self._shots = int(rng.integers(2**20))
        own = [
            Person.from_photo(self.model, photos.read(name), photos.landmarks_px[name], sitter.participant.seed)
            for name in sitter.participant.photos
        ]
        participant = sitter.participant
        person = own[0] if len(own) == 1 else Person.mixed(own, participant.weights, participant.seed)
        recording = plan_recordings(self.cohort, [participant])[0]
        performance = Signals(self.cohort, recording).performance
        found: Made = []
        for number in range(sitter.pairs):
            if number % _PER_REST == 0:
                rest = self._rest(person, rng)
            found.append(self._pair(participant, person, performance, rest, rng))
        return found

    def _rest(self, person: Person, rng: np.random.Generator) -> _Rest:
        """The calibrated neutral face: nearly frontal, before a camera that somebody placed."""
        yaw, pitch, roll, right, up = rng.normal(0, (2.0, 2.0, 1.5, 0.4, 0.4)).clip(-6, 6).tolist()
        pose, light = HeadPose(yaw, pitch, roll, right, up, float(rng.uniform(0.92, 1.05))), _light(rng)
        drawn = self.studio.render(person, np.zeros(len(BLENDSHAPES)), pose, light)
        crop = crop_from_landmarks(drawn.landmarks_px, self.size, CROP_SCALE)
        shot = self._shot(person, np.zeros(len(BLENDSHAPES), np.float32), pose, light, crop, look=True)
        if shot.landmarks_px is None:
            raise BadInput("MediaPipe finds no face in a picture of a person at rest: leave that photo out")
        return _Rest(shot, RigidHead(self.fitter, shot.landmarks_px, self.size), crop, pose, light)

    def _pair(
        self,
        participant: Participant,
        person: Person,
        performance: Performance,
        rest: _Rest,
        rng: np.random.Generator,
    ) -> tuple[MotionRow, MotionPair]:
        settings = self.job.settings
        held = _held(performance, rng.random() < settings.emotions, rng)
        frames = rng.random() < settings.frames and held.task != EMOTION_TASKS[0]
        moments = _moments(held, frames, rng)
        shown = performance.expression(np.array(moments)).astype(np.float32).clip(0, 1)
        before = self._shot(person, shown[0], rest.pose, rest.light, rest.crop) if frames else rest.shot
        after = self._shot(person, shown[1], rest.pose, rest.light, rest.crop)
        row = MotionRow(
            *(name_of(participant), participant.pid, held.task, _emotion(held.task)),
            *(FRAME_TO_FRAME if frames else NEUTRAL_APEX, str(rng.choice(TURNS)), float(moments[1]), participant.split),
        )
        for _ in range(_TRIES):
            pose = _turned(rest.pose, row.turn, rng)
            posed = self._shot(person, shown[1], pose, rest.light, rest.crop, look=True)
            earlier = None
            if frames:
                earlier_pose = _between(rest.pose, pose, rng)
                earlier = self._shot(person, shown[0], earlier_pose, rest.light, rest.crop, look=True)
            flows = self._flows(rest, before, after, posed, earlier)
            if flows is not None:
                marks = np.stack([_marks(rest.shot), _marks(posed)])
                front, seen, still, true, face, trust = flows
                pictures = (before.picture, after.picture, posed.picture)
                return row, MotionPair(*pictures, front, seen, still, true, face, trust, shown[1], _six(pose), marks)
        raise BadInput(f"MediaPipe finds no face in {_TRIES} pictures of {row.person}: leave that photo out")

    def _flows(
        self, rest: _Rest, before: _Shot, after: _Shot, posed: _Shot, earlier: _Shot | None
    ) -> tuple[Halves, Halves, Halves, Halves, Picture, Picture] | None:
        """The four flows, face and trust; None when the turned head is not found."""
        if posed.landmarks_px is None:
            return None
        try:
            still, trust = self._still(rest, posed, earlier)
        except FaceLost:
            return None
        measured = self.meter.measure(before.picture, after.picture).flow
        seen = self.meter.measure(before.picture if earlier is None else earlier.picture, posed.picture).flow
        true, face = self._truth(before, after)
        first, second, third, fourth = (np.asarray(flow, np.float16) for flow in (measured, seen, still, true))
        return first, second, third, fourth, face, np.rint(255 * trust).astype(np.uint8)

    def _still(self, rest: _Rest, posed: _Shot, earlier: _Shot | None) -> tuple[Floats, Floats]:
        """Ours, with the rest as the only reference.  Raises FaceLost."""
        marks = _marks(posed)
        if earlier is None:
            found = expression_flow(self.meter, rest.head, rest.shot.picture, posed.picture, marks)
            return found.flow, found.trust
        if earlier.landmarks_px is None:
            raise FaceLost("the earlier picture shows no face")
        turns = [rest.head.turn(shot_marks) for shot_marks in (earlier.landmarks_px, marks)]
        first, second = (
            rest.head.unturned(shot.picture, turn) for shot, turn in zip((earlier, posed), turns, strict=True)
        )
        both = np.minimum(rest.head.trust(turns[0]), rest.head.trust(turns[1]))
        trust = _small(both, self.meter.size)
        return self.meter.measure(first, second).flow * trust[:, :, None], trust

    def _truth(self, before: _Shot, after: _Shot) -> tuple[Floats, Picture]:
        """How the skin moved from one frontal picture to the other, and where it is."""
        skin = self.fitter.face.triangles
        way = np.ascontiguousarray((after.projected - before.projected)[:, :2])
        self.raster.clear()
        self.raster.draw(before.projected, skin)
        field = self.raster.interpolate(way, skin)
        seen = 255 * (self.raster.triangle >= 0).astype(np.float32)
        return resized_flow(field, self.meter.size), np.rint(_small(seen, self.meter.size)).astype(np.uint8)

    def _shot(
        self, person: Person, expression: Floats, pose: HeadPose, light: Light, crop: Affine, look: bool = False
    ) -> _Shot:
        """Draw, add a camera's noise, cut, and where asked let MediaPipe look at it."""
        drawn = self.studio.render(person, expression, pose, light)
        self._shots += 1
        self.noise.add(drawn.picture, self._shots)
        picture = warp(drawn.picture, crop, np.empty((self.size, self.size, 3), np.uint8))
        projected = drawn.projected[:NARROW].copy()
        projected[:, :2] = projected[:, :2] @ crop[:, :2].T + crop[:, 2]
        read = self.reader.read(drawn.picture) if look else None
        marks = None if read is None else (read.landmarks_px @ crop[:, :2].T + crop[:, 2]).astype(np.float32)
        return _Shot(picture, np.ascontiguousarray(projected, np.float32), marks)


def _held(performance: Performance, emotion: bool, rng: np.random.Generator) -> Held:
    """A contraction of a task that every emotion, or every other movement, is as likely to be."""
    by_task: dict[str, list[Held]] = {}
    for held in performance.held:
        by_task.setdefault(held.task, []).append(held)
    names = [name for name in by_task if (name in EMOTION_TASKS) == emotion]
    if emotion:
        names = list(EMOTION_TASKS)
    name = str(rng.choice(names))
    if name == EMOTION_TASKS[0]:  # nothing is held at rest
        clip = next(i for i, clip in enumerate(performance.clips) if clip.task.name == name)
        first, last = performance.first_s[clip] + 0.5, performance.first_s[clip + 1] - 0.5
        return Held(clip, name, float(first), float(last), 1.0)
    return by_task[name][int(rng.integers(len(by_task[name])))]


def _moments(held: Held, frames: bool, rng: np.random.Generator) -> tuple[float, float]:
    """Seconds of the performance: from frame to frame somewhere on the way up or down, else while it is held."""
    if not frames:
        moment = float(rng.uniform(held.start_s, held.end_s))
        return moment, moment
    middle = float(rng.choice([held.start_s - 0.15, held.end_s + 0.2]))
    half = float(rng.uniform(*_APART_S)) / 2
    return middle - half, middle + half


def _emotion(task: str) -> int:
    return EMOTION_TASKS.index(task) if task in EMOTION_TASKS else NO_EMOTION


def _turned(rest: HeadPose, turn: str, rng: np.random.Generator) -> HeadPose:
    """The pose at rest turned as one of TURNS says, and a little in every other way."""
    sign = rng.choice([-1.0, 1.0], 3)
    yaw, pitch, roll = rng.normal(0, (1.0, 1.0, 0.8))
    right, up, zoom = *rng.normal(0, 0.2, 2), float(np.exp(rng.normal(0, 0.01)))
    if turn == "yaw":
        yaw += sign[0] * rng.uniform(8, 32)
    elif turn == "pitch":
        pitch += sign[1] * rng.uniform(6, 22)
    elif turn == "roll":
        roll += sign[2] * rng.uniform(6, 25)
    elif turn == "diagonal":
        yaw, pitch = yaw + sign[0] * rng.uniform(8, 25), pitch + sign[1] * rng.uniform(5, 18)
    elif turn == "translation":
        right, up, zoom = sign[0] * rng.uniform(1, 3.5), sign[1] * rng.uniform(0.3, 1.5), zoom * rng.uniform(0.94, 1.07)
    return HeadPose(
        *(rest.yaw_deg + float(yaw), rest.pitch_deg + float(pitch), rest.roll_deg + float(roll)),
        *(rest.right_cm + float(right), rest.up_cm + float(up), rest.zoom * float(zoom)),
    )


def _between(rest: HeadPose, pose: HeadPose, rng: np.random.Generator) -> HeadPose:
    """Where the head was a moment before: on its way from rest, not further than a head goes in that time."""
    now, start = _six(pose), _six(rest)
    most = float(np.abs(now[:3] - start[:3]).max())
    share = min(1.0, _MOST_TURN_DEG / max(most, 1e-6)) * float(rng.uniform(0.1, 1.0))
    return HeadPose(*(now + share * (start - now)).astype(float).tolist())


def _six(pose: HeadPose) -> Floats:
    return np.array([pose.yaw_deg, pose.pitch_deg, pose.roll_deg, pose.right_cm, pose.up_cm, pose.zoom], np.float32)


def _marks(shot: _Shot) -> Floats:
    assert shot.landmarks_px is not None
    return shot.landmarks_px


def _small(plane: Floats, side: int) -> Floats:
    return np.asarray(cv2.resize(plane, (side, side), interpolation=cv2.INTER_AREA), np.float32)


def _light(rng: np.random.Generator) -> Light:
    direction = (float(rng.uniform(-0.8, 0.8)), float(rng.uniform(0.0, 0.8)), 1.0)
    tint = tuple(np.exp(rng.normal(0, (0.05, 0.02, 0.05))).tolist())
    return Light(direction, float(rng.uniform(0.8, 1.1)), float(rng.uniform(0.45, 0.75)), tint)


_room: _Room | None = None  # of this process
_stack = ExitStack()


def _begin(job: _Job, cohort: CohortSettings) -> None:
    global _room
    cv2.setNumThreads(1)
    _room = _Room(job, cohort, _stack)


def _take(sitter: _Sitter) -> Made:
    assert _room is not None
    return _room.take(sitter)
