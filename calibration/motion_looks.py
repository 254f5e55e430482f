"""Synthetic people who move one side of the face more than the other, with the head turned; and what MediaPipe sees.

What a face really does is known here on both sides, so the symmetry that is read from it can be learned and judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from calibration.cohort_sources import Sources
from calibration.metrics.expression import ExpressionReader
from engines.errors import BadInput
from engines.face.arrays import Floats
from engines.face.blendshapes import BLENDSHAPE_INDEX, BLENDSHAPES
from engines.face.light import Light
from engines.face.mesh import FaceModel
from engines.face.person import Person
from engines.face.pose import HeadPose
from engines.face.sensor_noise import SensorNoise
from engines.face.studio import Studio

SIDE_PX = 416  # of the studio's picture; a face fills about a third of it, as before a webcam
_NAMES = {
    "smile": ("mouthSmile", "cheekSquint", "mouthDimple"),
    "open smile": ("mouthSmile", "mouthUpperUp", "mouthLowerDown", "cheekSquint"),
    "brows up": ("browOuterUp",),
    "brows down": ("browDown", "eyeSquint"),
    "eyes shut": ("eyeBlink", "eyeSquint", "cheekSquint"),
    "nose": ("noseSneer", "mouthUpperUp"),
    "corners down": ("mouthFrown", "mouthStretch"),
    "lips pressed": ("mouthPress",),
    "pucker": (),
    "funnel": (),
    "mouth open": (),
    "inner brows up": (),
}
MOVEMENTS = tuple(_NAMES)
_MIDDLE = {  # what has no sides: as much as the weaker one
    "open smile": {"jawOpen": 0.35},
    "brows up": {"browInnerUp": 1.0},
    "pucker": {"mouthPucker": 1.0},
    "funnel": {"mouthFunnel": 1.0, "jawOpen": 0.2},
    "mouth open": {"jawOpen": 0.8},
    "inner brows up": {"browInnerUp": 1.0},
}


class Look(NamedTuple):
    """One picture of somebody, and what is known about it.

    expression: (52,) float32.  rest_px, landmarks_px: (478, 2) float32 px of the picture, at rest and now.
    blendshapes: (52,) as MediaPipe reads them.  picture: (SIDE_PX, SIDE_PX, 3) uint8 BGR.
    """

    person: str
    movement: str
    pose: HeadPose
    expression: Floats
    rest_px: Floats
    landmarks_px: Floats
    blendshapes: Floats
    picture: npt.NDArray[np.uint8]


class LookStudio:
    """Draws people and lets MediaPipe look at them."""

    def __init__(self, sources: Sources, landmarker: Path, reader: ExpressionReader, seed: int) -> None:
        self.model = FaceModel.load(sources.face_model)
        self._photos, self._reader = sources.photos, reader
        self._studio, self._noise = Studio(SIDE_PX, SIDE_PX), SensorNoise(SIDE_PX, SIDE_PX, seed)
        self._drawn = seed

    def sitting(
        self, name: str, asked: Sequence[tuple[str, Floats, HeadPose]], rest: HeadPose, light: Light
    ) -> Iterator[Look]:
        """One person at rest, then every movement that is asked for; pictures without a face that is seen are left out.

        name: of the photo.  asked: movement's name, expression, pose.  Raises BadInput when no face is seen at rest.
        """
        person = Person.from_photo(self.model, self._photos.read(name), self._photos.landmarks_px[name], self._drawn)
        still = self._look(person, np.zeros(len(BLENDSHAPES), np.float32), rest, light)
        if still is None:
            raise BadInput(f"MediaPipe finds no face in {name} at rest: leave that photo out")
        for movement, expression, pose in asked:
            found = self._look(person, expression, pose, light)
            if found is not None:
                yield Look(name, movement, pose, expression, still[0], *found)

    def _look(
        self, person: Person, expression: Floats, pose: HeadPose, light: Light
    ) -> tuple[Floats, Floats, npt.NDArray[np.uint8]] | None:
        drawn = self._studio.render(person, expression, pose, light)
        self._drawn += 1
        self._noise.add(drawn.picture, self._drawn)
        seen = self._reader.read(drawn.picture)
        return None if seen is None else (seen.landmarks_px, seen.blendshapes, drawn.picture.copy())


def one_sided(movement: str, right: float, left: float) -> Floats:
    """A movement of MOVEMENTS as (52,) float32, with these amounts (0..1) on the person's right and left."""
    values = np.zeros(len(BLENDSHAPES), np.float32)
    for name in _NAMES[movement]:
        values[BLENDSHAPE_INDEX[f"{name}Right"]], values[BLENDSHAPE_INDEX[f"{name}Left"]] = right, left
    for name, share in _MIDDLE.get(movement, {}).items():
        values[BLENDSHAPE_INDEX[name]] = share * min(right, left)
    return values


def chance_look(rng: np.random.Generator, most_yaw: float, most_pitch: float) -> tuple[str, Floats, HeadPose]:
    """A movement, sometimes two, even or not, with the head turned anyhow."""
    movement = str(rng.choice(MOVEMENTS))
    values = one_sided(movement, *chance_sides(rng))
    if rng.random() < 0.4:
        values = np.maximum(values, one_sided(str(rng.choice(MOVEMENTS)), *chance_sides(rng)))
    values[BLENDSHAPE_INDEX["jawOpen"]] += np.float32(rng.choice([0, 0, 0, rng.uniform(0, 0.5)]))
    yaw, pitch = (float(rng.uniform(-most, most)) for most in (most_yaw, most_pitch))
    if rng.random() < 0.15:
        yaw, pitch = (float(x) for x in rng.normal(0, 2, 2))
    zoom = float(np.exp(rng.normal(0, 0.08)))
    return movement, values.clip(0, 1), HeadPose(yaw, pitch, float(rng.normal(0, 5)), zoom=zoom)


def chance_sides(rng: np.random.Generator) -> tuple[float, float]:
    """Amounts on the right and the left: a third of all even, one side weaker in the others."""
    strong = float(rng.uniform(0.25, 1.0))
    weak = strong if rng.random() < 0.33 else strong * float(rng.random())
    return (strong, weak) if rng.random() < 0.5 else (weak, strong)


def chance_light(rng: np.random.Generator) -> Light:
    """Light from anywhere in front."""
    direction = (float(rng.uniform(-0.8, 0.8)), float(rng.uniform(0.0, 0.8)), 1.0)
    return Light(direction, float(rng.uniform(0.8, 1.1)), float(rng.uniform(0.45, 0.75)), (1.0, 1.0, 1.0))
