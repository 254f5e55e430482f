"""Pairs of synthetic people: the neutral face and the height of each task, rendered; for maps that no photos teach.

Each person is mixed from several photos' people (engines/face/mixing.py), so nobody is anybody; people to judge by are
mixed from other photos than people to learn from.  Everybody moves a little differently: each action of the face has a
strength of its own, and the light is another one.  Neutral and apex share pose and light.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.cohort_sources import Sources
from calibration.recipes.pixel_pairs import FacePairs
from engines.emg.muscles import ACTIONS, shown_by
from engines.emg.tasks import TASK_BY_NAME, Task
from engines.errors import BadInput
from engines.face.crop import crop_from_landmarks, warp
from engines.face.light import Light
from engines.face.mesh import FaceModel
from engines.face.person import Person
from engines.face.pose import HeadPose
from engines.face.studio import Studio

EXPRESSIONS = tuple(name for name, task in TASK_BY_NAME.items() if any(level for _, level in task.moves))
_STUDIO_PX = 2.4  # picture that is drawn, in sides of the crop, which is about 0.65 of it
_ACTION_SD = 0.15  # log strength of an action, between people: a choice
_SIDE_SD = 0.05  # between the sides of one person
_YAW_SD, _PITCH_SD, _ROLL_SD = 2.5, 2.0, 1.2  # degrees, as in the cohort
_STRANGENESS = 0.6


@dataclass(frozen=True)
class SyntheticSettings:
    """How many people, from how many photos."""

    people: int = 60
    unseen: int = 12  # of them, mixed from photos of their own
    photos: int = 30  # that people are mixed from
    unseen_photos: int = 8  # of them, for the unseen
    mixed_from: int = 4
    size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise BadInput for numbers that leave too few people or photos."""
        least = min(self.photos - self.unseen_photos, self.unseen_photos)
        if not 0 < self.unseen < self.people or not 2 <= self.mixed_from <= least:
            raise BadInput(
                f"{self.people} people, {self.unseen} of them unseen, cannot be mixed from {self.mixed_from} of "
                f"{self.photos} photos, {self.unseen_photos} of them for the unseen: ask for more photos"
            )


def sitters(sources: Sources, settings: SyntheticSettings) -> list[tuple[str, Person, bool]]:
    """The people: (id, person, unseen).  Raises BadInput when there are too few photos with a face."""
    rng = np.random.default_rng((settings.seed, 1))
    names = sorted(sources.photos.landmarks_px)
    if len(names) < settings.photos:
        raise BadInput(f"{settings.photos} photos with a face are needed, found {len(names)}")
    names = rng.permutation(names)[: settings.photos].tolist()
    model = FaceModel.load(sources.face_model)
    own = [
        Person.from_photo(model, sources.photos.read(name), sources.photos.landmarks_px[name], number)
        for number, name in enumerate(names)
    ]
    groups = {False: own[: len(own) - settings.unseen_photos], True: own[len(own) - settings.unseen_photos :]}
    found = []
    for number in range(settings.people):
        unseen = number >= settings.people - settings.unseen
        chosen = rng.permutation(len(groups[unseen]))[: settings.mixed_from]
        weights = rng.dirichlet(np.full(settings.mixed_from, 4.0))
        person = Person.mixed([groups[unseen][k] for k in chosen], weights.tolist(), number, _STRANGENESS)
        found.append((f"synthetic-{number:03d}", person, unseen))
    return found


def apex(task: Task, strength: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """(52,) the expression at a task's height, for a person whose 38 actions have these strengths (1 = as usual)."""
    return np.asarray(shown_by(np.clip(task.intent * strength, 0, 1)), np.float32)


def strength_of(number: int, seed: int) -> npt.NDArray[np.float64]:
    """(38,) how strongly one person moves each action; both sides nearly alike."""
    rng = np.random.default_rng((seed, 2, number))
    both: dict[str, float] = {}
    found = np.empty(len(ACTIONS))
    for k, action in enumerate(ACTIONS):
        name = action.removesuffix("_left").removesuffix("_right")
        both.setdefault(name, float(rng.normal(0, _ACTION_SD)))
        found[k] = math.exp(both[name] + rng.normal(0, _SIDE_SD))
    return found


def render_pairs(
    people: Sequence[tuple[str, Person]],
    tasks: Sequence[str],
    size: int,
    seed: int,
    visits: int = 1,
    made: Callable[[int], None] = lambda count: None,
) -> dict[str, FacePairs]:
    """Neutral and apex of everybody, task by task, in upright crops.

    people: (id, person).  visits: pairs per person and task, each in another light and pose, a little stronger or
    weaker.  made: called with the number of people done.  Raises BadInput for an unknown task.
    """
    unknown = [name for name in tasks if name not in EXPRESSIONS]
    if unknown:
        raise BadInput(f"no task moves the face as {unknown[0]!r}: choose of {', '.join(EXPRESSIONS)}")
    side = round(_STUDIO_PX * size)
    studio, rows = Studio(side, side), {name: _Rows() for name in tasks}
    for done, (name, person) in enumerate(people):
        strength = strength_of(done, seed)
        for visit in range(visits):
            rng = np.random.default_rng((seed, 3, done, visit))
            pose, light = _pose(rng), _light(rng)
            today = strength * math.exp(rng.normal(0, 0.05)) if visits > 1 else strength
            rest = _shot(studio, person, np.zeros(52, np.float32), pose, light, size)
            for task in tasks:
                shown = _shot(studio, person, apex(TASK_BY_NAME[task], today), pose, light, size, rest[2])
                rows[task].add(name, rest, shown)
        made(done + 1)
    return {name: row.pairs() for name, row in rows.items()}


_Shot = tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32], npt.NDArray[np.float64]]


class _Rows:
    def __init__(self) -> None:
        self.people: list[str] = []
        self.shots: list[_Shot] = []

    def add(self, name: str, rest: _Shot, shown: _Shot) -> None:
        self.people.append(name)
        self.shots += [rest, shown]

    def pairs(self) -> FacePairs:
        pictures, points, _ = zip(*self.shots, strict=True)
        both, places = np.stack(pictures), np.stack(points)
        return FacePairs(
            tuple(self.people), both[::2].copy(), both[1::2].copy(), places[::2].copy(), places[1::2].copy()
        )


def _shot(
    studio: Studio,
    person: Person,
    expression: npt.NDArray[np.float32],
    pose: HeadPose,
    light: Light,
    size: int,
    crop_from_frame: npt.NDArray[np.float64] | None = None,
) -> _Shot:
    """One picture, its landmarks and its crop; the apex is cropped as its neutral was: the head has not moved."""
    rendered = studio.render(person, expression, pose, light)
    matrix = crop_from_landmarks(rendered.landmarks_px, size) if crop_from_frame is None else crop_from_frame
    picture = warp(rendered.picture, matrix, np.empty((size, size, 3), np.uint8))
    points = rendered.landmarks_px @ matrix[:, :2].T + matrix[:, 2]
    return picture, points.astype(np.float32), matrix


def _pose(rng: np.random.Generator) -> HeadPose:
    yaw, pitch, roll = rng.normal(0, (_YAW_SD, _PITCH_SD, _ROLL_SD))
    return HeadPose(yaw_deg=float(yaw), pitch_deg=float(pitch), roll_deg=float(roll))


def _light(rng: np.random.Generator) -> Light:
    direction = (float(rng.uniform(-0.6, 0.6)), float(rng.uniform(0.1, 0.6)), 1.0)
    return Light(direction, float(rng.uniform(0.9, 1.08)), float(rng.uniform(0.5, 0.7)))
