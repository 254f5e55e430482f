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
                faces.add(FaceRow(f"p{place}", "cohort", f"{place + 1:03d}_clip", frame, split), covered, clean, mask)
    return folder


@pytest.fixture(scope="session")
def mmm_folder(tmp_path_factory):
    """A tiny folder in MMM's layout: one person, four clips with electrodes, 48 frames.  Not to be changed."""
    import csv
    import gzip

    from calibration.data.clip_video import ClipWriter
    from calibration.data.mmm_layout import EMG_COLUMNS, METHODS, ClipId, index_row, parameter_row
    from engines.face.blendshapes import BLENDSHAPES

    folder, rng, frames = tmp_path_factory.mktemp("mmm") / "MMM", np.random.default_rng(0), 48
    tasks = (("schaede", "Face-At-Rest"), ("schaede", "Smile-Closed"), ("schaede", "Snarl"), ("emotion", "happy"))
    clips = [ClipId("099", "1S", mode, place, task) for place, (mode, task) in enumerate(tasks)]
    groups = zip(("idt", "exp", "eyelid", "jaw", "pose", "cam"), METHODS["SMIRK"].values(), strict=True)
    flame = [f"{name}_{i}" for name, count in groups for i in range(count)]

    def table(path, header, values):
        path.parent.mkdir(parents=True, exist_ok=True)
        with (gzip.open if path.suffix == ".gz" else open)(path, "wt", newline="") as lines:
            csv.writer(lines).writerows([header, *values.tolist()])

    for place, clip in enumerate(clips):
        effort = np.abs(np.sin(np.arange(frames) / frames * 3 * np.pi))[:, None] * (place > 0)
        for kind in ("video", "video_no-cut", "video_noelec"):
            (folder / clip.path(kind)).parent.mkdir(parents=True, exist_ok=True)
            with ClipWriter(folder / clip.path(kind), (32, 32), 30) as video:
                for _ in range(frames):
                    video.write(np.full((32, 32, 3), 90, np.uint8))
        emg = 3 + effort * np.linspace(40, 200, 22) + rng.random((frames, 22))
        table(folder / clip.path("emg"), ["", *EMG_COLUMNS], np.column_stack([np.arange(frames), emg]))
        table(folder / clip.parameters_path("SMIRK"), flame, effort * np.linspace(-1, 1, 361) + 0.01 * place)
        table(folder / clip.parameters_path("MediaPipe"), BLENDSHAPES, effort * np.linspace(0, 1, 52))
    parameters = [parameter_row(clip, ("SMIRK", "MediaPipe")) for clip in clips]
    for name, rows in (("MMM", [index_row(clip) for clip in clips]), ("MMM_3DMM", parameters)):
        with (folder / f"{name}.csv").open("w", newline="") as lines:
            writer = csv.DictWriter(lines, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return folder


@pytest.fixture(scope="session")
def signals_folder(tmp_path_factory):
    """Signals of five synthetic people, without pictures, 4 tasks.  Not to be changed."""
    from calibration.data.emg_signals import make_signals

    tasks = ("Face-At-Rest", "Smile-Closed", "Snarl", "happy")
    settings = CohortSettings(participants=5, sessions=1, tasks=tasks, seconds=6.0, mishaps=0.0)
    folder = tmp_path_factory.mktemp("signals") / "signals"
    make_signals(settings, ("standard",), folder, 2, lambda n: None)
    return folder


@pytest.fixture(scope="session")
def grey_faces(tmp_path_factory):
    """A made set of rendered grey faces, 40 px, whose parameters are known: 3 people to learn from, 1 held out.

    Four pictures each; white squares are the electrodes.  Do not change it.
    """
    torch = pytest.importorskip("torch")
    if not (ASSETS / "ict_facekit_light.npz").is_file():
        pytest.skip("needs MYOMIRROR_ASSETS")
    from calibration.data.face_set import FaceRow, FaceSetWriter
    from calibration.face_truth import Truth
    from engines.face.crop_geometry import CropGeometry
    from engines.face.mesh import FaceModel

    rng, folder, size = np.random.default_rng(0), tmp_path_factory.mktemp("grey") / "faces", 40
    geometry = CropGeometry(FaceModel.load(ASSETS / "ict_facekit_light.npz"), size)
    about = {"synthetic": True, "origin": "faces rendered for a test", "licence": "CC0", "seed": 0}
    with FaceSetWriter(folder, size, 16, 16, True, about, truth_modes=5) as faces:
        for person in range(4):
            shape = rng.normal(0, 1, 5).astype(np.float32)
            tint = rng.uniform(0.6, 1, 3)
            for frame in range(4):
                expression = (rng.random(52) * (rng.random(52) < 0.2)).astype(np.float32)
                six = np.array([*rng.normal(0, 0.1, 3), 8 + rng.normal(0, 0.3), *rng.normal(0, 0.005, 2)], np.float32)
                given = (expression, shape, six[:3], six[3:])
                placed = geometry.place(*(torch.from_numpy(part)[None] for part in given))
                grey = geometry.render(placed)[0, 0].numpy()[:, :, None]
                clean = np.rint(np.where(grey > 0, 255 * grey * tint, 60)).astype(np.uint8)
                mask = np.zeros((size, size), np.uint8)
                for y, x in rng.integers(8, 30, (5, 2)):
                    mask[y : y + 4, x : x + 4] = 255
                covered = np.where(mask[:, :, None] > 0, 250, clean).astype(np.uint8)
                marks = np.zeros((478, 2), np.float32)
                marks[:468] = (placed.landmarks[0].numpy() + 1) * size / 2 - 0.5
                row = FaceRow(f"p{person}", "cohort", f"p{person}_clip", frame, "train" if person < 3 else "validation")
                faces.add(row, covered, clean, mask, Truth(expression, shape, six, marks))
    return folder


@pytest.fixture(scope="session")
def smileys(tmp_path_factory):
    """A made set of drawn faces, 40 px, that knows its sittings: 4 people to learn from, 2 held out, 2 for the test.

    Each sits once and shows seven expressions, told by mouth, brows and lids.  Do not change it.
    """
    from calibration.data.face_set import FaceRow, FaceSetWriter
    from calibration.face_truth import unknown
    from engines.emg.muscles import shown_by
    from engines.emg.tasks import TASKS
    from engines.face.mesh import MEDIAPIPE_68

    rng, folder, size = np.random.default_rng(0), tmp_path_factory.mktemp("smileys") / "faces", 40
    emotions = [shown_by(task.intent) for task in TASKS if task.mode == "emotion"]
    shown = [np.zeros(52), *emotions]
    about = {"synthetic": True, "origin": "faces drawn for a test", "licence": "CC0", "seed": 0}
    places = np.zeros((68, 2))
    places[17:27], places[27:36], places[36:48], places[48:68] = (20, 12), (20, 21), (20, 16), (20, 29)
    with FaceSetWriter(folder, size, 56, 56, True, about, truth_modes=3) as faces:
        for person in range(8):
            split = "train" if person < 4 else "validation" if person < 6 else "test"
            skin, pose = rng.uniform(90, 200, 3), rng.normal(0, 0.05, 6).astype(np.float32)
            for frame, values in enumerate(shown):
                expression = np.asarray(values * rng.uniform(0.9, 1.0), np.float32)
                clean = _smiley(expression, size, skin)
                mask = np.zeros((size, size), np.uint8)
                mask[4:8, 10 + frame : 16 + frame] = 255
                covered = np.where(mask[:, :, None] > 0, 250, clean).astype(np.uint8)
                marks = np.zeros((478, 2), np.float32)
                marks[list(MEDIAPIPE_68)] = places
                truth = unknown(3)._replace(
                    expression=expression, identity=np.full(3, person, np.float32), pose=pose, landmarks_px=marks
                )
                row = FaceRow(f"p{person}", "cohort", f"p{person}-sitting-0", frame, split)
                faces.add(row, covered, clean, mask, truth)
    return folder


def _smiley(expression, size, skin):
    """(size, size, 3): brows that rise and fall, lids that open, a mouth whose corners and jaw move."""
    from engines.face.blendshapes import BLENDSHAPE_INDEX

    def weight(name):
        return float(expression[BLENDSHAPE_INDEX[name]])

    big = 4
    picture = np.full((size * big, size * big, 3), 30, np.uint8)
    cv2.ellipse(picture, (20 * big, 20 * big), (15 * big, 18 * big), 0, 0, 360, skin.tolist(), -1)
    corners = 4 * (weight("mouthFrownLeft") - weight("mouthSmileLeft"))
    jaw = 1 + 5 * weight("jawOpen") + 2 * weight("mouthStretchLeft") - 0.7 * weight("mouthPressLeft")
    for side in (-1, 1):
        brow = 11 - 3 * weight("browOuterUpLeft") + 2 * weight("browDownLeft")
        inner = brow - 2 * weight("browInnerUp") + weight("noseSneerLeft")
        ends = [(round((20 + side * x) * big), round(y * big)) for x, y in ((3, inner), (10, brow))]
        cv2.line(picture, *ends, (20, 20, 40), big)
        lids = 1.2 + 1.5 * weight("eyeWideLeft") - weight("eyeSquintLeft")
        eye = (round((20 + side * 6) * big), 16 * big)
        cv2.ellipse(picture, eye, (3 * big, max(1, round(lids * big))), 0, 0, 360, (240, 240, 240), -1)
    curve = np.linspace(-1, 1, 21)
    upper = np.column_stack([20 + 7 * curve, 28 + corners * curve**2 - weight("mouthUpperUpLeft") * (1 - curve**2)])
    lower = np.column_stack([20 + 7 * curve, 28 + corners * curve**2 + jaw * (1 - curve**2)])[::-1]
    cv2.fillPoly(picture, [np.rint(np.concatenate([upper, lower]) * big).astype(np.int32)], (40, 40, 160))
    return np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


@pytest.fixture(scope="session")
def drawn_motion(tmp_path_factory):
    """A set of movements without a renderer, 64 px: blobs whose mouth goes up (happy) or down (sad).  Do not change it.

    Twelve people of four pairs.  The head's movement is a shift to the right; flow_still has a third of it left.
    """
    from calibration.data.motion_set import NEUTRAL_APEX, TURNS, MotionPair, MotionRow, MotionSetWriter
    from engines.face.landmarks import COUNT

    rng, folder, size, flow = np.random.default_rng(0), tmp_path_factory.mktemp("motion") / "set", 64, 32
    y, x = np.mgrid[:flow, :flow]
    face = (((x - 16) / 10.0) ** 2 + ((y - 16) / 13.0) ** 2 < 1).astype(np.float32)
    mouth = np.exp(-(((x - 16) / 5.0) ** 2) - ((y - 22) / 3.0) ** 2)
    people = {f"p{n:02d}": [f"p{n:02d}"] for n in range(12)}
    about = {"synthetic": True, "origin": "blobs drawn for a test", "licence": "CC0", "seed": 0, "people": people}
    with MotionSetWriter(folder, size, flow, 48, about) as motion:
        for number, person in enumerate(people):
            split = ("train", "train", "train", "validation", "test", "test")[number % 6]
            skin = rng.uniform(100, 220, 3)
            for k in range(4):
                way = -3.0 if k % 2 == 0 else 3.0
                true = np.stack([np.zeros_like(mouth), way * mouth], -1).astype(np.float32)
                head = np.stack([face * rng.uniform(3, 6), np.zeros_like(face)], -1)
                pictures = []
                for shift, down in ((0, 0.0), (0, way), (8, way)):
                    picture = rng.integers(20, 40, (size, size, 3)).astype(np.uint8)
                    cv2.ellipse(picture, (32 + shift, 32), (20, 26), 0, 0, 360, skin.tolist(), -1)
                    cv2.ellipse(picture, (32 + shift, int(44 + 2 * down)), (9, 3), 0, 0, 360, (30, 30, 140), -1)
                    pictures.append(picture)
                flows = [np.asarray(part, np.float16) for part in (true, true + head, true + head / 3, true)]
                bytes_ = np.rint(255 * face).astype(np.uint8)
                marks = rng.uniform(10, 54, (2, COUNT, 2)).astype(np.float32)
                rest = np.array([0, 0, 0, 0, 0, 1], np.float32)
                row = MotionRow(person, f"{number:03d}", ("happy", "sad")[k % 2], 4 + k % 2, NEUTRAL_APEX,
                                TURNS[(number + k) % 6], float(k), split)  # fmt: skip
                pair = MotionPair(*pictures, *flows, bytes_, bytes_, np.zeros(52, np.float32), rest, marks)
                motion.add(row, pair)
    return folder
