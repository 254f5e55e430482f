"""A tiny cohort whose pictures are painted, not rendered: everything but the faces, in milliseconds; and real faces."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.cohort import Cohort, make_cohort
from calibration.cohort_plan import CohortSettings, plan_clips, plan_people, splits
from calibration.cohort_sources import Sources, find_face_model, find_faces, photo_folder
from calibration.cohort_stage import Shot
from calibration.cohort_workers import Job, Maker
from calibration.data.mmm_layout import SIZE_PX

DATA, ASSETS = (Path(os.environ.get(name, "/missing")) for name in ("MYOMIRROR_DATA", "MYOMIRROR_ASSETS"))
LONDON_FACES, LANDMARKER = DATA / "london_faces" / "neutral", ASSETS / "face_landmarker.task"
PHOTOS = [f"{n:03d}" for n in range(1, 31)]
TINY = CohortSettings(participants=1, sessions=1, tasks=("Smile-Closed", "happy"), seconds=0.2)


class PaintedStage:
    """Films stripes that move with the smile, a square over them, and numbers that tell the frame."""

    def __init__(self, settings):
        self.settings = settings

    def neutral(self, participant):
        return np.full((4, 3), participant.seed % 97, np.float32)

    def film(self, plan):
        return PaintedFilm(plan)


class PaintedFilm:
    def __init__(self, plan):
        self.plan = plan

    def gazing(self, expression):
        return expression

    def shot(self, frame, expression):
        y, x = np.mgrid[:SIZE_PX, :SIZE_PX]
        shift = 10 * float(expression.sum()) + frame + self.plan.recording.number * 31
        clean = np.stack([(x + shift) % 200, (y + shift) % 180, np.full_like(x, 90)], axis=2).astype(np.uint8)
        mask = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
        mask[50 + frame : 90 + frame, 60:120] = 255
        mask[100:110, 60:120] = 102
        electrodes = self.plan.id.electrodes
        covered = np.where(mask[:, :, None] == 255, 240, clean).astype(np.uint8)
        row = np.full(6, frame, np.float32)
        return Shot(
            *(clean, clean[::-1].copy(), covered if electrodes else None, mask if electrodes else None),
            *(row, row + 1, np.ones((3, 4), np.float32) * frame, np.zeros((3, 4), np.float32)),
            *(np.full((68, 2), frame, np.float32), np.zeros((68, 2), np.float32), np.full(8, 0.5, np.float32)),
        )


def painted(settings: CohortSettings) -> Cohort:
    people = plan_people(settings, PHOTOS)
    about = {"origin": "synthetic", "settings": settings.as_json(), "splits": dict(splits(people))}
    return Cohort(settings, people, plan_clips(settings, people), about)


def make_here(job, plans, processes, made):
    """As cohort_workers.make_all, without processes."""
    maker = Maker(job)
    for plan in plans:
        made(plan, maker.make(plan))


def make(out, settings=TINY, stage=PaintedStage, made=lambda plan, size: None, how=make_here):
    return make_cohort(painted(settings), Job(settings, out, stage, ()), 1, made, make=how)


@pytest.fixture(scope="session")
def painted_cohort(tmp_path_factory):
    """A finished one: 1 person, with electrodes and without, 2 tasks, 6 frames.  Not to be changed."""
    out = tmp_path_factory.mktemp("painted") / "cohort"
    make(out)
    return out


@pytest.fixture
def cohort_maker():
    """make(out, settings, stage, made, how) and what it is made from."""
    return make


@pytest.fixture
def painted_parts():
    """The pieces, for tests that put them together in other ways."""
    return TINY, painted, PaintedStage, make_here


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A folder with six photos of the London faces, and a wall."""
    if not (LONDON_FACES.is_dir() and LANDMARKER.is_file()):
        pytest.skip("needs MYOMIRROR_DATA and MYOMIRROR_ASSETS")
    folder = tmp_path_factory.mktemp("photos")
    for path in sorted(LONDON_FACES.glob("*.jpg"))[:6]:
        (folder / path.name).symlink_to(path)
    cv2.imwrite(str(folder / "wall.jpg"), np.full((300, 300, 3), 128, np.uint8))
    return folder


@pytest.fixture(scope="session")
def sources(photos):
    """What a cohort of those people is made from."""
    return Sources(find_faces(photo_folder(photos), LANDMARKER), find_face_model(None))


@pytest.fixture(scope="session")
def oval_faces(tmp_path_factory):
    """A made set of ovals, 36 px: 2 people to learn from, 1 of each other split, 3 pictures each.  Do not change it."""
    from calibration.data.face_set import FaceRow, FaceSetWriter

    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("ovals") / "faces"
    about = {"synthetic": True, "origin": "ovals drawn for a test", "licence": "CC0", "seed": 0}
    with FaceSetWriter(folder, 36, 12, 12, True, about) as faces:
        for place, split in enumerate(("train", "train", "validation", "test")):
            for frame in range(3):
                clean = rng.integers(30, 50, (36, 36, 3)).astype(np.uint8)
                cv2.ellipse(clean, (18 + frame, 18), (12, 16), 0, 0, 360, (90 + 20 * place, 120, 180), -1)
                mask = np.zeros((36, 36), np.uint8)
                mask[10 + frame : 16 + frame, 12:18] = 255
                covered = np.where(mask[:, :, None] > 0, 240, clean).astype(np.uint8)
                faces.add(FaceRow(f"p{place}", "cohort", f"p{place}_clip", frame, split), covered, clean, mask)
    return folder
