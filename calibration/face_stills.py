"""A set of aligned faces with and without electrodes, made picture by picture: no films, so a thousand cost a minute.

Every participant of a cohort (engines/face/person.py, animated; electrodes on the mesh), and every photo as it is
(electrodes on its landmarks, FACTS 1.1), with other electrodes, light and expression every few pictures.  The folds and
splits are the cohort's with the same seed, and a photo belongs to the split of the person who was made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from calibration.cohort_plan import CohortSettings, Participant, plan_people, plan_recordings, random
from calibration.cohort_signals import Signals
from calibration.cohort_sources import CREDIT, Photos, Sources
from calibration.data.face_set import FaceRow, FaceSetWriter
from calibration.face_truth import Known, Seen, Truth, TruthFinder
from engines.errors import BadInput
from engines.face.canonical import CanonicalFace
from engines.face.crop import crop_from_landmarks, warp
from engines.face.electrodes import Electrodes
from engines.face.light import Light
from engines.face.mesh import FaceModel
from engines.face.mesh_electrodes import MeshElectrodes
from engines.face.person import Person
from engines.face.pose import HeadPose
from engines.face.studio import Studio

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_STILLS = 100  # what chance is drawn for, beside the purposes of calibration/cohort_plan.py
_STUDIO_PX = 300  # least side of the picture that is drawn
_CROP_SHARE = 0.65  # of that side is about the crop, as in a webcam's picture of a person at arm's length
_PER_ELECTRODES = 4  # pictures before the electrodes are put on anew
_SMILING = "smiling"


@dataclass(frozen=True)
class StillSettings:
    """What a set is to hold.  It and the photos decide every byte.

    count: pictures, with electrodes and without.  size: px of a crop.  people: participants, beyond the photos' own
    number mixed from several.  photos_share: share of pictures that are photos as they are.
    """

    count: int = 4000
    size: int = 144
    people: int = 150
    photos_share: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise BadInput for the first value that cannot work."""
        for name, value, least, most in (
            ("count", self.count, 1, 10**6),
            ("size", self.size, 32, 1024),
            ("people", self.people, 6, 999),
        ):
            if not least <= value <= most:
                raise BadInput(f"{name} must be {least} to {most}, found {value}")
        if not 0 <= self.photos_share <= 1:
            raise BadInput(f"the share of photos must be 0 to 1, found {self.photos_share:g}")
        if not 0 <= self.seed < 2**63:
            raise BadInput(f"the seed must be 0 or more, found {self.seed}")


class Still(NamedTuple):
    """One picture: (size, size, 3) with electrodes and without, (size, size) the mask, what is known about the face."""

    row: FaceRow
    covered: Picture
    clean: Picture
    mask: Picture
    truth: Truth


class _Shot(NamedTuple):
    """The same before the crop, valid until the next one."""

    covered: Picture
    clean: Picture
    mask: Picture
    known: Known


@dataclass(frozen=True)
class _Sitter:
    """Somebody to take pictures of: a participant to animate, or a photo as it is."""

    number: int
    participant: Participant
    photo: str  # "" for a participant
    pictures: int


@dataclass(frozen=True)
class _Job:
    settings: StillSettings
    sources: Sources
    canonical: Path
    smiling: Photos = field(default_factory=lambda: Photos({}, {}))


def make_stills(
    settings: StillSettings,
    sources: Sources,
    canonical: Path,
    out: Path,
    processes: int = 1,
    smiling: Photos | None = None,
    made: Callable[[int], None] = lambda count: None,
) -> None:
    """Make a set in a new folder.

    sources: neutral photos and the face model.  canonical: MediaPipe's canonical_face_model.obj.  smiling: Photos of
    the same people with another expression, or None.  made: called with the number of pictures that were just made.
    Raises BadInput when there are too few photos or the folder is not empty.
    """
    job = _Job(settings, sources, canonical, smiling or Photos({}, {}))
    sitters = _sitters(job)
    count = sum(sitter.pictures for sitter in sitters)
    about = {
        "synthetic": True,
        "origin": f"{CREDIT}; faces fitted, mixed and animated, electrodes drawn by MyoMirror",
        "licence": "CC BY 4.0, as the photos",
        "seed": settings.seed,
        "settings": asdict(settings),
    }
    modes = len(FaceModel.load(sources.face_model).identity)
    with FaceSetWriter(out, settings.size, count, count, True, about, modes) as faces:
        for stills in _taken(job, sitters, processes):
            for still in stills:
                faces.add(*still)
            made(len(stills))


def _taken(job: _Job, sitters: list[_Sitter], processes: int) -> Iterator[list[Still]]:
    """In order, whoever takes them."""
    if processes == 1:
        room = _Room(job)
        yield from map(room.take, sitters)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin, (job,)) as pool:
        yield from pool.map(_take, sitters)


def _sitters(job: _Job) -> list[_Sitter]:
    """Who sits how often; the pictures are dealt out evenly."""
    settings, photos = job.settings, job.sources.photos
    people = plan_people(CohortSettings(participants=settings.people, seed=settings.seed), list(photos.landmarks_px))
    # A photo's split is that of its fold, whoever is mixed from it
    of_photo = {person.photos[0]: person for person in people if len(person.photos) == 1}
    of_photo |= {name: person for person in people for name in person.photos if name not in of_photo}
    of_photos = round(settings.count * settings.photos_share)
    animated = _dealt(settings.count - of_photos, len(people))
    found = [_Sitter(i, person, "", n) for i, (person, n) in enumerate(zip(people, animated, strict=True)) if n]
    names = sorted(of_photo)
    still = _dealt(of_photos, len(names))
    first = len(people)
    return found + [
        _Sitter(first + i, of_photo[name], name, n) for i, (name, n) in enumerate(zip(names, still, strict=True)) if n
    ]


def _dealt(count: int, places: int) -> list[int]:
    return [count // places + (i < count % places) for i in range(places)]


class _Room:
    """What a process keeps between sitters."""

    def __init__(self, job: _Job) -> None:
        self.job = job
        self.model = FaceModel.load(job.sources.face_model)
        self.canonical = CanonicalFace.load(job.canonical)
        side = max(_STUDIO_PX, round(job.settings.size / _CROP_SHARE))  # px; a crop is not blown up
        self.studio = Studio(side, side)
        self.clean = np.zeros((side, side, 3), np.uint8)
        self.mask = np.zeros((side, side), np.uint8)
        self.person = lru_cache(maxsize=1)(self._person)
        self.truth = TruthFinder(self.model)

    def _person(self, participant: Participant) -> Person:
        photos = self.job.sources.photos
        made = [
            Person.from_photo(self.model, photos.read(name), photos.landmarks_px[name], participant.seed)
            for name in participant.photos
        ]
        return made[0] if len(made) == 1 else Person.mixed(made, participant.weights, participant.seed)

    def take(self, sitter: _Sitter) -> list[Still]:
        pictures = self._of_photo(sitter) if sitter.photo else self._animated(sitter)
        return [self._cropped(sitter, i, shot) for i, shot in enumerate(pictures)]

    def _cropped(self, sitter: _Sitter, number: int, shot: _Shot) -> Still:
        size = self.job.settings.size
        crop = crop_from_landmarks(shot.known.landmarks_px, size)
        pictures = [warp(picture, crop, np.empty((size, size, 3), np.uint8)) for picture in (shot.covered, shot.clean)]
        cut = cv2.warpAffine(shot.mask, crop, (size, size), flags=cv2.INTER_LINEAR)
        person = sitter.photo or (
            sitter.participant.photos[0] if len(sitter.participant.photos) == 1 else f"mix-{sitter.participant.pid}"
        )
        row = FaceRow(
            person, "london" if sitter.photo else "cohort", sitter.participant.pid, number, sitter.participant.split
        )
        return Still(row, pictures[0], pictures[1], np.asarray(cut, np.uint8), shot.known.cropped(crop, size))

    def _animated(self, sitter: _Sitter) -> Iterator[_Shot]:
        """A participant at moments of a whole session, before changing light, under changing electrodes."""
        seed = self.job.settings.seed
        cohort = CohortSettings(participants=1, sessions=1, seed=seed, patients=0.0)
        rng = random(seed, _STILLS, sitter.number)
        recording = plan_recordings(cohort, [sitter.participant])[1]
        performance = Signals(cohort, recording).performance
        person = self.person(sitter.participant)
        identity = self.truth.identity(person)
        for number in range(sitter.pictures):
            if number % _PER_ELECTRODES == 0:
                electrodes = MeshElectrodes(self.model, int(rng.integers(2**31)))
            t_s = rng.uniform(0, performance.duration_s, 1)
            expression = np.clip(performance.expression(t_s)[0] * rng.uniform(0.8, 1.2), 0, 1).astype(np.float32)
            seen = self.studio.render(person, expression, _pose(rng), _light(rng), self.clean)
            covered = self.clean.copy()
            electrodes.draw(covered, seen.projected, seen.raster, seen.light, self.mask, float(t_s[0]))
            drawn = Seen(seen.pose, seen.out_from_photo, seen.landmarks_px)
            yield _Shot(covered, self.clean, self.mask, self.truth.posed(person, identity, expression, drawn))

    def _of_photo(self, sitter: _Sitter) -> Iterator[_Shot]:
        """A photo, neutral or smiling by turns, with other electrodes every time."""
        rng = random(self.job.settings.seed, _STILLS, sitter.number)
        choices = [self._photo(self.job.sources.photos, sitter.photo)]
        if sitter.photo in self.job.smiling.landmarks_px:
            choices.append(self._photo(self.job.smiling, sitter.photo))
        for number in range(sitter.pictures):
            photo, known = choices[number % len(choices)]
            electrodes = Electrodes(self.canonical, int(rng.integers(2**31)))
            covered = photo.copy()
            mask = electrodes.draw(covered, known.landmarks_px, float(rng.uniform(0, 100)), _light(rng, tinted=False))
            yield _Shot(covered, photo, mask, known)

    def _photo(self, photos: Photos, name: str) -> tuple[Picture, Known]:
        """A photo and what is known about it; the person's shape is always that of the neutral one."""
        neutral = self.job.sources.photos
        photo, landmarks = photos.read(name), photos.landmarks_px[name]
        identity = self.truth.photo_identity(neutral.landmarks_px[name], neutral.read(name).shape[:2])
        blendshapes = photos.blendshapes.get(name)
        return photo, self.truth.photographed(identity, blendshapes, landmarks, photo.shape[:2])


def _pose(rng: np.random.Generator) -> HeadPose:
    yaw, pitch, roll, right, up = rng.normal(0, (5.0, 3.5, 2.5, 0.4, 0.4)).clip(-14, 14).tolist()
    return HeadPose(yaw, pitch, roll, right, up, float(rng.uniform(0.9, 1.2)))


def _light(rng: np.random.Generator, tinted: bool = True) -> Light:
    direction = (float(rng.uniform(-1.0, 1.0)), float(rng.uniform(0.0, 0.8)), 1.0)
    tint = np.exp(rng.normal(0, (0.06, 0.02, 0.06))) if tinted else np.ones(3)
    return Light(direction, float(rng.uniform(0.75, 1.15)), float(rng.uniform(0.4, 0.75)), tuple(tint.tolist()))


_room: _Room | None = None  # of this process


def _begin(job: _Job) -> None:
    global _room
    cv2.setNumThreads(1)
    _room = _Room(job)


def _take(sitter: _Sitter) -> list[Still]:
    assert _room is not None
    return _room.take(sitter)
