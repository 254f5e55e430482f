"""Render the demo's person: a face mixed from many, at exercises, with electrodes and without, into two small videos.

    python -m calibration.demo_person --out engines/bundles/demo-person

What the face does is engines/emg/demo_performance.py's, which also makes the EMG; here come the head's and the eyes'
own small movements, which begin and end in the same place, and the light.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from calibration.cohort_sources import find_face_model, find_faces, photo_folder
from calibration.data.london_faces import ATTRIBUTION, LICENCE
from calibration.demo_video import DemoVideo
from calibration.mixed_photo import mix_photos
from engines.bundle import Manifest, Metric, Training, write_bundle
from engines.emg.demo_performance import PERIOD_S, demo_performance
from engines.emg.montage import FRIDLUND
from engines.errors import BadInput, EngineError
from engines.face.blendshapes import BLENDSHAPE_INDEX
from engines.face.demo_clip import CLEAN, ELECTRODES, SYSTEM, truth_arrays
from engines.face.electrode_style import ElectrodeStyle
from engines.face.light import Light
from engines.face.mesh import FaceModel
from engines.face.mesh_electrodes import MeshElectrodes
from engines.face.person import Person
from engines.face.pose import HeadPose
from engines.face.studio import Studio
from engines.spec import ArraySpec
from rt import assets
from rt.errors import LiveError

HEIGHT, WIDTH, FPS = 480, 640, 30
SEED = 5  # of glances and furrows
ELECTRODES_SEED = 1

LIGHT = Light(direction=(-0.5, 0.4, 1.0), intensity=1.06, ambient=0.5, tint=(0.96, 1.0, 1.02))
STYLE = ElectrodeStyle(cable_cm=0.10, error_cm=0.12, upwards=0.0, down_the_chin=0.4, cap=None)
QUALITY = {ELECTRODES: 29, CLEAN: 34}
"""Constant rate factors: what is shown by default gets most of the bytes."""

PEOPLE = (
    "007", "011", "016", "020", "030", "032", "034", "039", "066", "086", "094", "124", "127", "134", "138", "144",
)  # fmt: skip
"""Sixteen people of the London set with dark hair tied back, so that hair lies on hair."""

Picture = npt.NDArray[np.uint8]


class Shot(NamedTuple):
    """One picture and its truth; valid until the next one."""

    clean: Picture
    electrodes: Picture
    landmarks_px: npt.NDArray[np.float32]
    expression: npt.NDArray[np.float32]


_RAISED = [BLENDSHAPE_INDEX[name] for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")]
_TIGHT = [BLENDSHAPE_INDEX[name] for name in ("browDownRight", "eyeSquintRight", "noseSneerRight")]


def head_at(t_s: float, expression: npt.NDArray[np.floating]) -> HeadPose:
    """Somebody sitting still in front of a screen: millimetres and a few degrees, periodic over the loop.

    The head goes along with strong movements: back with the brows, forward and down with a tight face.
    """

    def wave(*parts: tuple[int, float, float]) -> float:
        return sum(size * math.sin(2 * math.pi * cycles * t_s / PERIOD_S + phase) for cycles, size, phase in parts)

    raised, tight = expression[_RAISED].mean(), expression[_TIGHT].mean()
    return HeadPose(
        yaw_deg=1.5 + wave((2, 1.6, 0.3), (5, 1.0, 2.0), (13, 0.35, 1.1)),
        pitch_deg=wave((3, 0.9, 1.0), (7, 0.5, 0.2), (16, 0.2, 2.5)) + 1.6 * raised - 1.4 * tight,
        roll_deg=wave((2, 0.9, 2.2), (6, 0.5, 0.7)),
        right_cm=wave((1, 0.25, 0.4), (4, 0.15, 1.9)),
        up_cm=wave((3, 0.10, 0.0), (15, 0.04, 0.6)),  # the last one is breath
        zoom=1.0 + wave((2, 0.008, 1.4)),
    )


def gaze(seed: int) -> npt.NDArray[np.float32]:
    """Where the eyes look in every picture of the loop: (frame, 52), eyeLook shapes only.

    On the mirror most of the time, with a glance elsewhere every few seconds; a saccade takes two pictures.
    """
    rng = np.random.default_rng(seed)
    frames = round(PERIOD_S * FPS)
    place = np.zeros((frames, 2))  # to the person's left, up
    t = FPS
    while t < frames - 2 * FPS:
        length = int(rng.uniform(0.4, 1.2) * FPS)
        place[t : t + length] = rng.normal(0, (0.16, 0.06))
        t += length + int(rng.uniform(1.0, 4.5) * FPS)
    place = np.stack([np.convolve(np.tile(axis, 3), [0.25, 0.5, 0.25], "same")[frames:-frames] for axis in place.T], 1)
    left, up = place.T
    shapes = np.zeros((frames, len(BLENDSHAPE_INDEX)), np.float32)
    for name, amount in (
        ("OutLeft", left), ("InRight", left), ("InLeft", -left), ("OutRight", -left),
        ("UpLeft", up), ("UpRight", up), ("DownLeft", -up), ("DownRight", -up),
    ):  # fmt: skip
        shapes[:, BLENDSHAPE_INDEX[f"eyeLook{name}"]] = np.clip(amount, 0, 1)
    return shapes


def shots(person: Person) -> Iterator[Shot]:
    """Every picture of the loop in order, under the electrodes of the 22 channels whose EMG is made."""
    studio = Studio(HEIGHT, WIDTH)
    electrodes = MeshElectrodes(person.anatomy.model, ELECTRODES_SEED, (FRIDLUND,), STYLE)
    frames = round(PERIOD_S * FPS)
    expressions = (demo_performance().expression(np.arange(frames) / FPS) + gaze(SEED)).astype(np.float32)
    covered, mask = np.empty((HEIGHT, WIDTH, 3), np.uint8), np.empty((HEIGHT, WIDTH), np.uint8)
    for number, expression in enumerate(expressions):
        shot = studio.render(person, expression, head_at(number / FPS, expression), LIGHT)
        covered[:] = shot.picture
        electrodes.draw(covered, shot.projected, shot.raster, LIGHT, mask, _sway_s(number / FPS))
        yield Shot(shot.picture, covered, shot.landmarks_px, expression)


def _sway_s(t_s: float) -> float:
    """Cables sway to and fro, so that they too end where they began."""
    return 4.0 * math.sin(2 * math.pi * t_s / PERIOD_S)


def record(person: Person, out: Path) -> Manifest:
    """Render the loop and write the bundle."""
    with (
        DemoVideo((WIDTH, HEIGHT), FPS, QUALITY[ELECTRODES]) as covered,
        DemoVideo((WIDTH, HEIGHT), FPS, QUALITY[CLEAN]) as clean,
    ):
        landmarks, expressions = [], []
        for shot in shots(person):
            covered.write(shot.electrodes)
            clean.write(shot.clean)
            landmarks.append(shot.landmarks_px.copy())
            expressions.append(shot.expression)
    videos = {ELECTRODES: covered.content, CLEAN: clean.content}
    return write_bundle(
        out, _manifest(len(landmarks), videos), truth_arrays(np.array(landmarks), np.array(expressions)), videos
    )


def _manifest(frames: int, videos: dict[str, bytes]) -> Manifest:
    number = ArraySpec("number", "", "int64", (0, frames - 1), "picture")
    frame = ArraySpec("frame", "height, width, colour", "uint8", (0, 255), "grey level", "BGR")
    landmarks = ArraySpec("landmarks_px", "landmark, xy", "float32", (0, WIDTH), "px")
    expression = ArraySpec("expression", "blendshape", "float32", (0, 1), "share of a full movement")
    return Manifest(
        system=SYSTEM,
        network="two videos of one performance, and the truth of every picture",
        sizes={"height": HEIGHT, "width": WIDTH, "frames": frames, "fps": FPS, "codec": "AV1"},
        inputs=(number,),
        outputs=(frame, landmarks, expression),
        training=Training(
            data=f"{ATTRIBUTION}; {len(PEOPLE)} photos mixed into one and altered; geometry: ICT-FaceKit Light, MIT",
            people=len(PEOPLE),
            synthetic=True,
            licence=LICENCE,
            seed=SEED,
        ),
        metrics={f"bytes_{Path(name).stem}": Metric(len(content), "byte", name) for name, content in videos.items()},
        versions={name: version(name) for name in ("numpy", "av", "mediapipe", "opencv-contrib-python")},
    )


def make_person(photos: Path, landmarker: Path, face_model: Path) -> Person:
    """Mix PEOPLE's photos and dress the result with the face model.

    Raises BadInput when a photo, its face or a model is missing.
    """
    faces = find_faces(photos, landmarker)
    missing = sorted(set(PEOPLE) - set(faces.landmarks_px))
    if missing:
        raise BadInput(f"{photos} lacks faces {', '.join(missing)}: unpack the whole London set")
    mixed = mix_photos([faces.read(name) for name in PEOPLE], [faces.landmarks_px[name] for name in PEOPLE])
    return Person.from_photo(FaceModel.load(face_model), mixed.photo, mixed.landmarks_px, SEED)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the bundle (about five minutes); returns the exit code."""
    parser = argparse.ArgumentParser(description="Render the demo's person.")
    parser.add_argument("--photos", type=Path, help="the London set's folder; otherwise $MYOMIRROR_DATA's")
    parser.add_argument("--face-model", type=Path, help="ICT-FaceKit Light, file or folder; otherwise among the assets")
    parser.add_argument("--out", type=Path, required=True, help="the bundle's folder")
    options = parser.parse_args(arguments)
    try:
        landmarker = assets.verify(assets.FACE_LANDMARKER)
        person = make_person(photo_folder(options.photos), landmarker, find_face_model(options.face_model))
        manifest = record(person, options.out)
    except (EngineError, LiveError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for name, metric in manifest.metrics.items():
        sys.stdout.write(f"{name:20} {metric.value:12.1f} {metric.unit}  {metric.on}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
