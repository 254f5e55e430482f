"""A set of faces that shows the same sitting with several expressions: what RaFD is to the paper, made by us.

    python -m calibration.expression_stills --out FACES

Every participant of a cohort sits a few times, each time in another pose and light; in a sitting the face is neutral,
shows the six emotions, and a few functional movements, weak or strong, and nothing else changes, the crop included.  So
the true picture of every edit within a sitting is known.  Splits are the cohort's.  Each picture comes with electrodes
too, as in other made sets.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from calibration.cohort_plan import CohortSettings, Participant, plan_people, random
from calibration.cohort_sources import CREDIT, Photos, Sources, find_face_model, find_faces, photo_folder
from calibration.data.face_set import FaceRow, FaceSetWriter
from calibration.face_truth import Seen, Truth, TruthFinder
from calibration.recipes.pixel_synthetic import strength_of
from engines.emg.muscles import shown_by
from engines.emg.tasks import TASKS, Task
from engines.errors import BadInput, EngineError
from engines.face.crop import crop_from_landmarks, warp
from engines.face.light import Light
from engines.face.mesh import FaceModel
from engines.face.mesh_electrodes import MeshElectrodes
from engines.face.person import Person
from engines.face.pose import HeadPose
from engines.face.studio import Studio
from rt.assets import FACE_LANDMARKER, verify

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

EMOTIONS = tuple(task for task in TASKS if task.mode == "emotion")
MOVEMENTS = tuple(task for task in TASKS if task.mode != "emotion" and task.moves)
_PURPOSE = 101  # what chance is drawn for, beside the purposes of cohort_plan and face_stills
_CROP_SHARE = 0.65  # of the drawn picture's side is about the crop
_SMALLEST_STUDIO_PX = 300
_SHAKEN = 0.12  # log strength of an emotion, from one time to the next
_WEAKEST, _STRONGEST = 0.3, 1.1  # of a functional movement's height


@dataclass(frozen=True)
class SittingSettings:
    """What a set is to hold; it and the photos decide every byte.

    people: participants, beyond the photos' own number mixed from several.  sittings: of each.  movements: functional
    ones in a sitting, beside neutral and six emotions.  size: px of a crop.
    """

    people: int = 120
    sittings: int = 2
    movements: int = 3
    size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise BadInput for the first value that cannot work."""
        limits = {"people": (6, 999), "sittings": (1, 99), "movements": (0, len(MOVEMENTS)), "size": (32, 1024)}
        for name, (least, most) in {**limits, "seed": (0, 2**31)}.items():
            if not least <= getattr(self, name) <= most:
                raise BadInput(f"{name} must be {least} to {most}, found {getattr(self, name)}")

    @property
    def count(self) -> int:
        """Pictures."""
        return self.people * self.sittings * (1 + len(EMOTIONS) + self.movements)


class Shown(NamedTuple):
    """One picture, (size, size, 3) with electrodes and without, (size, size) the mask, the truth."""

    row: FaceRow
    covered: Picture
    clean: Picture
    mask: Picture
    truth: Truth


def make_sittings(
    settings: SittingSettings, sources: Sources, out: Path, made: Callable[[int], None] = lambda count: None
) -> None:
    """Make a set in a new folder.

    sources: neutral photos and the face model.  made: called with the number of pictures that were just made.
    Raises BadInput when there are too few photos or the folder is not empty.
    """
    people = plan_people(
        CohortSettings(participants=settings.people, seed=settings.seed), list(sources.photos.landmarks_px)
    )
    about = {
        "synthetic": True,
        "origin": f"{CREDIT}; faces fitted, mixed and animated, electrodes drawn by MyoMirror",
        "licence": "CC BY 4.0, as the photos",
        "seed": settings.seed,
        "settings": {**asdict(settings), "kind": "sittings"},
    }
    room = _Room(settings, sources)
    with FaceSetWriter(out, settings.size, settings.count, settings.count, True, about, room.modes) as faces:
        for number, participant in enumerate(people):
            for sitting in range(settings.sittings):
                for shown in room.sit(number, participant, sitting):
                    faces.add(*shown)
                    made(1)


class _Room:
    """What is kept between sittings."""

    def __init__(self, settings: SittingSettings, sources: Sources) -> None:
        self.settings, self.photos = settings, sources.photos
        self.model = FaceModel.load(sources.face_model)
        self.modes = len(self.model.identity)
        side = max(_SMALLEST_STUDIO_PX, round(settings.size / _CROP_SHARE))
        self.studio = Studio(side, side)
        self.clean, self.mask = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), np.uint8)
        self.truth = TruthFinder(self.model)
        self._person: tuple[int, Person, Floats] | None = None

    def sit(self, number: int, participant: Participant, sitting: int) -> Iterator[Shown]:
        """One sitting of somebody: everything but the expression stays as it is."""
        size = self.settings.size
        person, identity = self._somebody(number, participant)
        rng = random(self.settings.seed, _PURPOSE, number, sitting)
        pose, light = _pose(rng), _light(rng)
        electrodes = MeshElectrodes(self.model, int(rng.integers(2**31)))
        name = participant.photos[0] if len(participant.photos) == 1 else f"mix-{participant.pid}"
        crop: npt.NDArray[np.float64] | None = None
        for frame, expression in enumerate(expressions(self.settings, number, rng)):
            seen = self.studio.render(person, expression, pose, light, self.clean)
            covered = self.clean.copy()
            electrodes.draw(covered, seen.projected, seen.raster, seen.light, self.mask, float(frame))
            crop = crop_from_landmarks(seen.landmarks_px, size) if crop is None else crop  # neutral comes first
            cut = [warp(picture, crop, np.empty((size, size, 3), np.uint8)) for picture in (covered, self.clean)]
            mask = np.asarray(cv2.warpAffine(self.mask, crop, (size, size), flags=cv2.INTER_LINEAR), np.uint8)
            drawn = Seen(seen.pose, seen.out_from_photo, seen.landmarks_px)
            truth = self.truth.posed(person, identity, expression, drawn).cropped(crop, size)
            row = FaceRow(name, "cohort", f"{participant.pid}-sitting-{sitting}", frame, participant.split)
            yield Shown(row, cut[0], cut[1], mask, truth)

    def _somebody(self, number: int, participant: Participant) -> tuple[Person, Floats]:
        if self._person is None or self._person[0] != number:
            own = [
                Person.from_photo(self.model, self.photos.read(name), self.photos.landmarks_px[name], participant.seed)
                for name in participant.photos
            ]
            person = own[0] if len(own) == 1 else Person.mixed(own, participant.weights, participant.seed)
            self._person = number, person, self.truth.identity(person)
        return self._person[1:]


def expressions(settings: SittingSettings, person: int, rng: np.random.Generator) -> list[Floats]:
    """(52,) float32 each, 0..1: neutral, the six emotions as this person shows them, and some movements."""
    strength = strength_of(person, settings.seed)
    moves: list[tuple[Task, float]] = [(task, math.exp(rng.normal(0, _SHAKEN))) for task in EMOTIONS]
    chosen = rng.permutation(len(MOVEMENTS))[: settings.movements]
    moves += [(MOVEMENTS[k], float(rng.uniform(_WEAKEST, _STRONGEST))) for k in chosen]
    shown = [shown_by(np.clip(task.intent * strength * height, 0, 1)) for task, height in moves]
    return [np.zeros_like(shown[0], np.float32), *(np.asarray(one, np.float32) for one in shown)]


def _pose(rng: np.random.Generator) -> HeadPose:
    yaw, pitch, roll, right, up = rng.normal(0, (4.0, 3.0, 2.0, 0.3, 0.3)).clip(-12, 12).tolist()
    return HeadPose(yaw, pitch, roll, right, up, float(rng.uniform(0.95, 1.15)))


def _light(rng: np.random.Generator) -> Light:
    direction = (float(rng.uniform(-0.8, 0.8)), float(rng.uniform(0.0, 0.7)), 1.0)
    tint = np.exp(rng.normal(0, (0.05, 0.02, 0.05)))
    return Light(direction, float(rng.uniform(0.8, 1.12)), float(rng.uniform(0.45, 0.75)), tuple(tint.tolist()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a set; returns the exit code."""
    usual = SittingSettings()
    parser = argparse.ArgumentParser(description="Sittings of synthetic people with several expressions each.")
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    for name in ("people", "sittings", "movements", "size", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(usual, name))
    parser.add_argument("--photos", type=Path, help="folder with neutral/ID.jpg; the London faces' by default")
    parser.add_argument("--face-model", type=Path, help="ICT-FaceKit, packed or its folder; an asset by default")
    said = parser.parse_args(arguments)
    try:
        settings = SittingSettings(said.people, said.sittings, said.movements, said.size, said.seed)
        folder, model = photo_folder(said.photos), find_face_model(said.face_model)
        photos: Photos = find_faces(folder, verify(FACE_LANDMARKER))
        make_sittings(settings, Sources(photos, model), said.out)
    except EngineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{said.out}: {settings.count} pictures of {settings.people} synthetic people\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
