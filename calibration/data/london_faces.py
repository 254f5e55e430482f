"""The Face Research Lab London Set: the same people neutral and smiling.

DeBruine and Jones 2017, doi 10.6084/m9.figshare.5047666, CC BY 4.0.  On disk: neutral/ID.jpg and smiling/ID.jpg.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from engines.errors import BadInput, FaceLost
from engines.face.crop import crop_from_landmarks, warp

ATTRIBUTION = "Face Research Lab London Set, DeBruine & Jones 2017, doi 10.6084/m9.figshare.5047666"
LICENCE = "CC BY 4.0"
EXPRESSIONS = ("neutral", "smiling")

Picture = npt.NDArray[np.uint8]
Landmarks = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Person:
    """One person's two photos.

    photos: {"neutral", "smiling"} -> (height, width, 3) uint8 BGR.  landmarks_px: the same keys -> (478, 2)
    float32, (x, y) in photo pixels, MediaPipe's order.
    """

    person: str
    photos: dict[str, Picture]
    landmarks_px: dict[str, Landmarks]

    def crop(self, expression: str, size: int) -> Picture:
        """Cut the aligned face out: (size, size, 3) uint8 BGR, as the live crop would."""
        out = np.empty((size, size, 3), dtype=np.uint8)
        matrix = crop_from_landmarks(self.landmarks_px[expression], size)
        return warp(self.photos[expression], matrix, out)


def people_in(folder: Path) -> list[str]:
    """List the people who have both photos, sorted.  Raises BadInput when there are none."""
    ids = [{path.stem for path in (folder / expression).glob("*.jpg")} for expression in EXPRESSIONS]
    both = sorted(ids[0] & ids[1])
    if not both:
        raise BadInput(f"{folder} holds no pairs neutral/ID.jpg and smiling/ID.jpg: give the London faces' folder")
    return both


def read_london_faces(folder: Path, model: Path) -> Iterator[Person]:
    """Read everybody, one at a time, with landmarks.

    folder: holds neutral/ and smiling/.  model: MediaPipe's face_landmarker.task.
    Raises FaceLost when a photo shows no face, BadInput when a file cannot be read.
    """
    import mediapipe as mp
    from mediapipe.tasks.python import BaseOptions, vision

    people = people_in(folder)
    if not model.is_file():
        raise BadInput(f"MediaPipe's model {model} is missing: run myomirror assets fetch")
    options = vision.FaceLandmarkerOptions(base_options=BaseOptions(model_asset_path=str(model)))
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        for person in people:
            photos = {name: _read_photo(folder / name / f"{person}.jpg") for name in EXPRESSIONS}
            landmarks_px = {}
            for name, photo in photos.items():
                rgb = mp.Image(image_format=mp.ImageFormat.SRGB, data=photo[:, :, ::-1].copy())
                faces = landmarker.detect(rgb).face_landmarks
                if not faces:
                    raise FaceLost(f"no face found in {name}/{person}.jpg: leave this person out")
                height, width = photo.shape[:2]
                points = [(point.x * width, point.y * height) for point in faces[0]]
                landmarks_px[name] = np.array(points, dtype=np.float32)
            yield Person(person, photos, landmarks_px)


def _read_photo(path: Path) -> Picture:
    photo = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if photo is None:
        raise BadInput(f"{path} is not a picture that can be read")
    return np.asarray(photo, dtype=np.uint8)


def split_people(people: list[str], held_out: int, seed: int) -> tuple[list[str], list[str]]:
    """Split into people to learn from and people never seen; the same seed gives the same split.

    Returns (learn, unseen), both sorted; no person is in both.  Raises BadInput when too few are left.
    """
    if not 0 < held_out < len(people):
        raise BadInput(f"cannot hold out {held_out} of {len(people)} people")
    unseen = set(np.random.default_rng(seed).permutation(people)[:held_out].tolist())
    return [p for p in people if p not in unseen], sorted(unseen)
