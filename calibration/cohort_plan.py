"""Who is in a synthetic cohort and what they do: settings -> people, sessions, clips and splits, all from the seed.

Every choice is drawn from (seed, what it is for, who, which session), so a person or clip does not depend on how many
others there are: a cohort of 2 is the beginning of a cohort of 36.  (Only a recovery is spread over the sessions that
there are.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from calibration.data.mmm_layout import FPS, ClipId
from engines.emg.profile import PALSY_RESIDUAL, PalsySide, Profile, healthy, palsy, recovery, synkinetic
from engines.emg.tasks import TASKS, Clip, emotion_clip, functional_clip, session_clips, task_named
from engines.errors import BadInput

Condition = Literal["healthy", "palsy", "synkinesis", "recovery"]

FOLDS = 6
TEST_FOLD, VALIDATION_FOLD = 1, 2  # the others teach
_MIXED_FROM = (4, 6)  # photos that go into a new face, from and to
_GOLDEN = (math.sqrt(5) - 1) / 2  # spreads patients evenly over any number of people

# What a random number is for: the second word of its seed.
PHOTOS, CONDITION, MIXTURE, PERSON, ORDER, SIGNALS, LOOK, VIEW, READING = range(9)


@dataclass(frozen=True)
class CohortSettings:
    """What a cohort is to hold. It and the photos decide every byte.

    tasks: names of FACTS 1.6.  emotion_repeats: how often each emotion comes (the Jena recordings have 4).
    repetitions: of each functional movement within its clip.  mixed: every face is mixed from several photos, so that
    nobody can be recognised.  patients: share of participants with palsy, synkinesis or a recovery.
    mishaps: how much goes wrong with electrodes and cables, 1 = as usual.  raw_emg: keep the raw EMG, too, which is
    half of the disk that a cohort takes.  seconds: keep only the beginning of each clip; None keeps all.
    """

    participants: int = 36
    sessions: int = 2
    tasks: tuple[str, ...] = tuple(task.name for task in TASKS)
    emotion_repeats: int = 1
    repetitions: int = 3
    seed: int = 0
    mixed: bool = False
    patients: float = 0.0
    mishaps: float = 1.0
    raw_emg: bool = True
    seconds: float | None = None

    def __post_init__(self) -> None:
        """Raise BadInput for the first value that cannot work."""
        for name, value, most in (
            ("participants", self.participants, 999),
            ("sessions", self.sessions, 9),
            ("emotion_repeats", self.emotion_repeats, 16),
            ("repetitions", self.repetitions, 10),
        ):
            if not 1 <= value <= most:
                raise BadInput(f"{name} must be 1 to {most}, found {value}")
        if not 0 <= self.seed < 2**63:
            raise BadInput(f"the seed must be 0 or more, found {self.seed}")
        if not 0 <= self.mishaps <= 100:
            raise BadInput(f"mishaps must be 0 (nothing goes wrong) to 100 times as usual, found {self.mishaps:g}")
        if not 0 <= self.patients <= 1:
            raise BadInput(f"the share of patients must be 0 to 1, found {self.patients:g}")
        if self.seconds is not None and not 0.2 <= self.seconds <= 3600:
            raise BadInput(f"clips of {self.seconds:g} s cannot be made: keep 0.2 s or more")
        if not self.tasks or len(set(self.tasks)) != len(self.tasks):
            raise BadInput(f"each task once and at least one, found {', '.join(self.tasks) or 'none'}")
        for name in self.tasks:
            task_named(name)

    def as_json(self) -> dict[str, Any]:
        """For cohort.json."""
        return asdict(self) | {"tasks": list(self.tasks)}


@dataclass(frozen=True)
class Participant:
    """One synthetic person.

    photos, weights: whose photos the face is made from and in which shares; one photo is that person's own face.
    condition: what their nerves are; side: the affected one, "" in health.  seed: of what stays between sessions.
    """

    pid: str
    fold: int
    photos: tuple[str, ...]
    weights: tuple[float, ...]
    condition: Condition
    side: PalsySide | Literal[""]
    grade: str
    seed: int

    @property
    def split(self) -> Literal["train", "validation", "test"]:
        """Where this person belongs: train, validation or test."""
        if self.fold == TEST_FOLD:
            return "test"
        return "validation" if self.fold == VALIDATION_FOLD else "train"

    def profile(self, session: int, sessions: int) -> Profile:
        """Their innervation in a session, from 1; only a recovery changes from one to the next."""
        if self.condition == "healthy" or not self.side:
            return healthy(self.seed)
        if self.condition == "palsy":
            return palsy(self.side, self.grade)
        if self.condition == "synkinesis":
            return synkinetic(self.side)
        return recovery(self.side, max(sessions, 2))[session - 1]


@dataclass(frozen=True)
class RecordingPlan:
    """One visit with electrodes or without: what is done, in order.  number: the participant's, from 0."""

    participant: Participant
    number: int
    session: int
    electrodes: bool
    clips: tuple[Clip, ...]
    ids: tuple[ClipId, ...]

    @property
    def rec(self) -> str:
        """The recording's name in MMM: "1N", "2S"."""
        return f"{self.session}{'S' if self.electrodes else 'N'}"

    @property
    def key(self) -> tuple[int, int, int]:
        """What chance in this recording is drawn from, beside seed and purpose."""
        return self.number, self.session, int(self.electrodes)


@dataclass(frozen=True)
class ClipPlan:
    """One clip of a recording.  place: its place there."""

    recording: RecordingPlan
    place: int

    @property
    def id(self) -> ClipId:
        """Its name in the files."""
        return self.recording.ids[self.place]

    @property
    def clip(self) -> Clip:
        """What is done when."""
        return self.recording.clips[self.place]

    def frames(self, seconds: float | None) -> int:
        """How many frames it has; seconds: keep only so many of them, None keeps all."""
        whole = round(self.clip.duration_s * FPS)
        return whole if seconds is None else min(whole, max(1, round(seconds * FPS)))


def random(seed: int, purpose: int, *which: int) -> np.random.Generator:
    """The one way to chance: independent numbers for every purpose and whatever counts further."""
    return np.random.default_rng([seed, purpose, *which])


def plan_people(settings: CohortSettings, photos: Sequence[str]) -> tuple[Participant, ...]:
    """Everybody, in order of pid.

    photos: ids of the photos with a face.  They are dealt out over the folds first, and a mixed face takes photos of
    its own fold only: what is learned from one split has seen no part of another's faces.
    Raises BadInput when there are too few photos for six folds.
    """
    fewest = _MIXED_FROM[0] if settings.mixed or settings.participants > len(photos) else 1
    if len(photos) < FOLDS * fewest:
        raise BadInput(f"a cohort needs {FOLDS * fewest} photos with a face or more, found {len(photos)}")
    order = random(settings.seed, PHOTOS).permutation(sorted(photos)).tolist()
    folds = [order[fold::FOLDS] for fold in range(FOLDS)]
    people: list[Participant] = []
    patients = 0
    for number in range(settings.participants):
        condition, side, grade = _condition(settings, number, patients)
        patients += condition != "healthy"
        faces, weights = _faces(settings, folds[number % FOLDS], number)
        seed = int(random(settings.seed, PERSON, number).integers(2**31))
        pid = f"{number + 1:03d}"
        people.append(Participant(pid, number % FOLDS, faces, weights, condition, side, grade, seed))
    return tuple(people)


def _condition(settings: CohortSettings, number: int, patients: int) -> tuple[Condition, PalsySide | Literal[""], str]:
    if (_GOLDEN * (number + 1)) % 1.0 >= settings.patients:
        return "healthy", "", ""
    kinds: tuple[Condition, ...] = ("palsy", "synkinesis", "recovery")
    rng = random(settings.seed, CONDITION, number)
    side: PalsySide = "left" if rng.random() < 0.5 else "right"
    kind = kinds[patients % (3 if settings.sessions > 1 else 2)]
    return kind, side, str(rng.choice(list(PALSY_RESIDUAL))) if kind == "palsy" else ""


def _faces(settings: CohortSettings, fold: Sequence[str], number: int) -> tuple[tuple[str, ...], tuple[float, ...]]:
    turn = number // FOLDS
    if not settings.mixed and turn < len(fold):
        return (fold[turn],), (1.0,)
    rng = random(settings.seed, MIXTURE, number)
    count = int(rng.integers(_MIXED_FROM[0], min(_MIXED_FROM[1], len(fold)) + 1))
    chosen = sorted(rng.choice(len(fold), count, replace=False).tolist())
    shares = rng.dirichlet(np.full(count, 4.0))
    weights = [round(float(share), 4) for share in shares[:-1]]
    return tuple(fold[i] for i in chosen), (*weights, round(1.0 - sum(weights), 4))


def plan_clips(settings: CohortSettings, people: Sequence[Participant]) -> tuple[ClipPlan, ...]:
    """Every clip, in the order of the files: person, session, without electrodes and with, task.

    A recording always is the whole one; tasks that are not wanted are done, but not filmed.
    """
    return tuple(
        ClipPlan(recording, place)
        for recording in plan_recordings(settings, people)
        for place, clip in enumerate(recording.clips)
        if clip.task.name in settings.tasks
    )


def plan_recordings(settings: CohortSettings, people: Sequence[Participant]) -> tuple[RecordingPlan, ...]:
    """Every recording with all its tasks: the functional movements in their order, the emotions in a random one."""
    return tuple(
        _recording(settings, person, number, session, electrodes)
        for number, person in enumerate(people)
        for session in range(1, settings.sessions + 1)
        for electrodes in (False, True)
    )


def _recording(
    settings: CohortSettings, person: Participant, number: int, session: int, electrodes: bool
) -> RecordingPlan:
    order = int(random(settings.seed, ORDER, number, session, int(electrodes)).integers(2**31))
    tasks = [clip.task for clip in session_clips(order, TASKS, settings.emotion_repeats)]
    clips: list[Clip] = []
    ids: list[ClipId] = []
    for task in tasks:
        emotion = task.mode == "emotion"
        seq = sum(before.mode == task.mode for before in ids)
        clips.append(emotion_clip(task) if emotion else functional_clip(task, settings.repetitions))
        ids.append(ClipId(person.pid, f"{session}{'S' if electrodes else 'N'}", task.mode, seq, task.name))
    return RecordingPlan(person, number, session, electrodes, tuple(clips), tuple(ids))


def splits(people: Sequence[Participant]) -> Mapping[str, list[str]]:
    """Who teaches, who chooses between models, who is kept for the end; and the same people in six folds."""
    found: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    found |= {f"fold_{fold}": [] for fold in range(FOLDS)}
    for person in people:
        found[person.split].append(person.pid)
        found[f"fold_{person.fold}"].append(person.pid)
    return found
