"""What people are asked to do: the 17 tasks of the Jena recordings and how a session is made of them (FACTS 1.6).

Eleven functional movements in a fixed order, each three times, then the six basic emotions, each four times in random
order (EIFER, supplement B.1). In an emotion clip the person sees the face for three seconds and shows it in the three
seconds after; the peak is taken to be at 4.5 s.

Levels are what a healthy person intends, 0..1 of the maximum, the same on both sides. Which muscles take part: FACS for
the functional movements, the EMFACS prototypes for the emotions (happy 6+12, sad 1+4+15, angry 4+5+7+23, fearful
1+2+4+5+20+26, disgusted 9+10+15+17, surprised 1+2+5+26), and that every exercise moves nearly all muscles a little
(Schumann et al. 2010, 2021). The numbers themselves are a choice.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from engines.emg.muscles import ACTIONS, MUSCLES, action_columns
from engines.errors import BadInput

Mode = Literal["schaede", "emotion", "calibration"]


@dataclass(frozen=True)
class Task:
    """One movement. moves: (action, level) with the action of both sides (`zygomaticus`) or one (`zygomaticus_left`).

    Raises BadInput for an unknown action (naming the nearest) or a level outside [0, 1].
    """

    name: str
    mode: Mode
    moves: tuple[tuple[str, float], ...]

    def __post_init__(self) -> None:
        for action, level in self.moves:
            action_columns(action)
            if not 0 <= level <= 1:
                raise BadInput(f"task {self.name}: the level of {action} is {level}; it must lie in 0 to 1")

    @cached_property
    def intent(self) -> np.ndarray:
        """(38,) float64 in [0, 1]: every action at the task's full strength. Read-only."""
        levels = np.zeros(len(ACTIONS))
        for action, level in self.moves:
            levels[list(action_columns(action))] = level
        levels.setflags(write=False)
        return levels


def _task(name: str, mode: Mode, **moves: float) -> Task:
    return Task(name, mode, tuple(moves.items()))


TASKS: tuple[Task, ...] = (
    _task("Face-At-Rest", "schaede"),
    _task(
        "Forehead-Raise",
        "schaede",
        medial_frontalis=0.8,
        lateral_frontalis=0.85,
        lid_raise=0.25,
        corrugator_supercilii=0.12,
        depressor_supercilii=0.06,
        orbicularis_oculi=0.04,
    ),
    _task("Eye-Gentle", "schaede", lid_close=1.0, orbicularis_oculi=0.1, corrugator_supercilii=0.04),
    _task(
        "Eye-Tight",
        "schaede",
        lid_close=1.0,
        orbicularis_oculi=0.8,
        corrugator_supercilii=0.4,
        depressor_supercilii=0.45,
        nose_wrinkle=0.2,
        levator_labii_superioris=0.15,
        zygomaticus=0.15,
        mentalis=0.08,
    ),
    _task(
        "Smile-Closed",
        "schaede",
        zygomaticus=0.65,
        orbicularis_oculi=0.12,
        levator_labii_superioris=0.1,
        lip_press=0.1,
        dimple=0.1,
        mentalis=0.06,
    ),
    _task(
        "Smile-Open",
        "schaede",
        zygomaticus=0.85,
        orbicularis_oculi=0.25,
        levator_labii_superioris=0.25,
        jaw_open=0.15,
        lip_depress=0.2,
        lip_stretch=0.1,
        depressor_anguli_oris=0.08,
        mentalis=0.08,
        masseter=0.05,
    ),
    _task(
        "Nose-Wrinkler",
        "schaede",
        nose_wrinkle=0.9,
        levator_labii_superioris=0.4,
        depressor_supercilii=0.5,
        corrugator_supercilii=0.35,
        orbicularis_oculi=0.3,
        zygomaticus=0.1,
    ),
    _task(
        "Cheeks-Blow",
        "schaede",
        cheek_puff=0.9,
        lip_press=0.6,
        orbicularis_oris=0.25,
        mentalis=0.35,
        depressor_anguli_oris=0.25,
        masseter=0.05,
    ),
    _task(
        "Lip-Pucker",
        "schaede",
        orbicularis_oris=0.85,
        mentalis=0.4,
        depressor_anguli_oris=0.2,
        levator_labii_superioris=0.05,
    ),
    _task(
        "Snarl",
        "schaede",
        levator_labii_superioris=0.65,
        nose_wrinkle=0.4,
        zygomaticus=0.2,
        depressor_supercilii=0.25,
        corrugator_supercilii=0.25,
        orbicularis_oculi=0.25,
        lip_depress=0.15,
    ),
    _task(
        "Depress-Lip",
        "schaede",
        lip_depress=0.85,
        depressor_anguli_oris=0.45,
        lip_stretch=0.35,
        mentalis=0.35,
        orbicularis_oris=0.1,
        masseter=0.05,
    ),
    _task(
        "angry",
        "emotion",
        corrugator_supercilii=0.75,
        depressor_supercilii=0.6,
        orbicularis_oculi=0.25,
        lid_raise=0.2,
        lip_press=0.6,
        mentalis=0.3,
        masseter=0.3,
        depressor_anguli_oris=0.2,
        levator_labii_superioris=0.1,
    ),
    _task(
        "disgusted",
        "emotion",
        nose_wrinkle=0.6,
        levator_labii_superioris=0.55,
        depressor_supercilii=0.4,
        corrugator_supercilii=0.3,
        orbicularis_oculi=0.25,
        depressor_anguli_oris=0.3,
        mentalis=0.3,
        lip_depress=0.2,
        jaw_open=0.1,
    ),
    _task(
        "fearful",
        "emotion",
        medial_frontalis=0.6,
        lateral_frontalis=0.4,
        corrugator_supercilii=0.4,
        depressor_supercilii=0.15,
        lid_raise=0.7,
        lip_stretch=0.6,
        jaw_open=0.3,
        depressor_anguli_oris=0.15,
    ),
    _task(
        "happy",
        "emotion",
        zygomaticus=0.75,
        orbicularis_oculi=0.4,
        levator_labii_superioris=0.2,
        lip_depress=0.1,
        jaw_open=0.1,
    ),
    _task(
        "sad",
        "emotion",
        medial_frontalis=0.45,
        corrugator_supercilii=0.45,
        depressor_supercilii=0.2,
        depressor_anguli_oris=0.6,
        mentalis=0.5,
        orbicularis_oculi=0.08,
        lid_close=0.15,
    ),
    _task(
        "surprised",
        "emotion",
        medial_frontalis=0.7,
        lateral_frontalis=0.75,
        lid_raise=0.65,
        jaw_open=0.75,
    ),
)
"""The 17 tasks: 11 functional ones (mode `schaede`) in the order of the recordings, then 6 emotions."""

TASK_BY_NAME = {task.name: task for task in TASKS}

MAXIMUM = Task("Maximum", "calibration", tuple((muscle, 1.0) for muscle in MUSCLES))
"""Every muscle at its maximum at once: no movement of a person, but what a calibration of a synthetic one needs."""


class Contraction(NamedTuple):
    """When within a clip a movement is meant to be held, seconds from the clip's start."""

    start_s: float
    end_s: float


@dataclass(frozen=True)
class Clip:
    """One recording: a task, how long it lasts, and when the movement is held; between the holds the face rests.

    Raises BadInput when a hold is empty, outside the clip, or begins before the one before it has ended.
    """

    task: Task
    duration_s: float
    holds: tuple[Contraction, ...]

    def __post_init__(self) -> None:
        end_s = 0.0
        for hold in self.holds:
            if not end_s < hold.start_s < hold.end_s < self.duration_s:
                raise BadInput(
                    f"clip {self.task.name}: {hold} does not fit into {self.duration_s:g} s or the hold before"
                )
            end_s = hold.end_s


def task_named(name: str) -> Task:
    """One of the 17 tasks. Raises BadInput naming the nearest."""
    if name not in TASK_BY_NAME:
        near = difflib.get_close_matches(name, TASK_BY_NAME, n=1, cutoff=0.3)
        raise BadInput(
            f"there is no task {name!r}; "
            + (f"did you mean {near[0]!r}?" if near else f"choose from {list(TASK_BY_NAME)}")
        )
    return TASK_BY_NAME[name]


def functional_clip(
    task: Task, repetitions: int = 3, hold_s: float = 2.5, rest_s: float = 2.5, lead_s: float = 1.5
) -> Clip:
    """Rest, then the movement `repetitions` times with a rest after each; 16.5 s by default (10 to 30 s in B.1).

    Raises BadInput when a number is not positive.
    """
    if repetitions < 1 or not min(hold_s, rest_s, lead_s) > 0:
        raise BadInput(f"a functional clip needs repetitions and positive times, got {repetitions}, {hold_s}, {rest_s}")
    period_s = hold_s + rest_s
    starts_s = [lead_s + i * period_s for i in range(repetitions)]
    holds = tuple(Contraction(s, s + hold_s) for s in starts_s) if task.moves else ()
    return Clip(task, lead_s + repetitions * period_s, holds)


def emotion_clip(task: Task) -> Clip:
    """Six seconds: the face is seen for three and shown in the three after, strongest around 4.5 s."""
    return Clip(task, 6.0, (Contraction(4.0, 5.0),))


def clip_of(task: Task) -> Clip:
    """The clip as it was recorded: three repetitions of a functional movement, six seconds of an emotion."""
    return emotion_clip(task) if task.mode == "emotion" else functional_clip(task)


def session_clips(seed: int = 0, tasks: Sequence[Task] = TASKS, emotion_repeats: int = 4) -> tuple[Clip, ...]:
    """A whole recording session: the functional movements in their order, then the emotions in random order.

    seed: of the emotions' order.  With the default tasks 35 clips, 325.5 s.  Raises BadInput without tasks.
    """
    if not tasks or emotion_repeats < 1:
        raise BadInput("a session needs at least one task and one repeat")
    functional = [task for task in tasks if task.mode != "emotion"]
    emotions = [task for task in tasks if task.mode == "emotion"] * emotion_repeats
    order = np.random.default_rng(seed).permutation(len(emotions))
    return tuple(clip_of(task) for task in functional + [emotions[i] for i in order])
