"""What a cohort's faces are made from: the photos that show a face, with its landmarks, and the face model."""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from calibration.data.london_faces import ATTRIBUTION, LICENCE
from engines.errors import BadInput
from engines.face.mesh_files import PACKED
from rt.assets import FOLDER_VARIABLE as ASSETS_VARIABLE
from rt.assets import cache_folder
from rt.recording.disk import hash_file
from rt.stages.native_chatter import chatter_to_log

FOLDER_VARIABLE = "MYOMIRROR_DATA"
FOLDER = "london_faces"
ADDRESS = "https://doi.org/10.6084/m9.figshare.5047666"
CREDIT = f"{ATTRIBUTION}, {LICENCE}"
MODEL_ADDRESS = "https://github.com/ICT-VGL/ICT-FaceKit"
_ENDINGS = (".jpg", ".jpeg", ".png")

_log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Photos:
    """Where faces come from.

    files: photo id -> file.  landmarks_px: photo id -> (478, 2) float32, (x, y) in photo px, MediaPipe's order.
    blendshapes: photo id -> (52,) float32, what MediaPipe reads off the face; empty when it was not asked.
    """

    files: dict[str, Path]
    landmarks_px: dict[str, Floats]
    blendshapes: dict[str, Floats] = field(default_factory=dict)

    def read(self, name: str) -> npt.NDArray[np.uint8]:
        """One photo, (height, width, 3) uint8 BGR.  Raises BadInput when it cannot be read."""
        photo = cv2.imread(str(self.files[name]), cv2.IMREAD_COLOR)
        if photo is None:
            raise BadInput(f"{self.files[name]} is not a picture that can be read")
        return np.asarray(photo, np.uint8)


@dataclass(frozen=True)
class Sources:
    """Everything that pictures are made from.  face_model: packed file or folder."""

    photos: Photos
    face_model: Path


def find_face_model(given: Path | None) -> Path:
    """The face model's packed file or folder: the given one, else from the assets' folders.

    Raises BadInput saying where it comes from when there is none; it is not downloaded.
    """
    place = given if given is not None else _asset(PACKED)
    if place is not None and place.exists():
        return place
    where = f"there is none at {given}" if given is not None else f"no {PACKED} is among the assets"
    raise BadInput(
        f"a cohort needs the face model, and {where}: get ICT-FaceKit ({MODEL_ADDRESS}, MIT) and name its folder "
        "FaceXModel with --face-model"
    )


def _asset(name: str) -> Path | None:
    given = os.environ.get(ASSETS_VARIABLE)
    folders = [*([Path(given)] if given else []), cache_folder()]
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def hash_model(model: Path) -> str:
    """SHA-256 of the face model, file or folder."""
    if model.is_file():
        return hash_file(model)
    digest = hashlib.sha256()
    for path in sorted(path for path in model.iterdir() if path.is_file()):
        digest.update(f"{path.name} {hash_file(path)}\n".encode())
    return digest.hexdigest()


def photo_folder(given: Path | None) -> Path:
    """The folder of neutral photos: the given one, its neutral/, or the London faces'.

    Raises BadInput saying where the London faces come from when there is none.
    """
    root = os.environ.get(FOLDER_VARIABLE)
    wanted = given or (Path(root) / FOLDER if root else None)
    for folder in (wanted / "neutral", wanted) if wanted is not None else ():
        if any(_photos_in(folder)):
            return folder
    where = f"{wanted} holds no photos" if wanted is not None else f"${FOLDER_VARIABLE} is not set"
    raise BadInput(
        f"a cohort's faces are made from photos, and {where}: unpack the Face Research Lab London Set ({ADDRESS}, "
        f"CC BY 4.0) into a folder neutral/ and name the folder above it with --photos"
    )


def _photos_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS)


def find_faces(folder: Path, landmarker: Path) -> Photos:
    """Look for the face in every photo of a folder; those without one are left out.

    landmarker: MediaPipe's face_landmarker.task.  Raises BadInput when the model is missing or a file is no picture.
    """
    import mediapipe as mp
    from mediapipe.tasks.python import BaseOptions, vision

    if not landmarker.is_file():
        raise BadInput(f"MediaPipe's model {landmarker} is missing: run myomirror assets fetch")
    found = Photos({path.stem: path for path in _photos_in(folder)}, {})
    base = BaseOptions(model_asset_path=str(landmarker))
    options = vision.FaceLandmarkerOptions(base_options=base, output_face_blendshapes=True)
    with chatter_to_log(_log), vision.FaceLandmarker.create_from_options(options) as tracker:
        for name in found.files:
            photo = found.read(name)
            image = mp.Image(image_format=mp.ImageFormat.SRGB, data=photo[:, :, ::-1].copy())
            height, width = photo.shape[:2]
            seen = tracker.detect(image)
            for face, scores in zip(seen.face_landmarks[:1], seen.face_blendshapes[:1], strict=True):
                points = [(point.x * width, point.y * height) for point in face]
                found.landmarks_px[name] = np.array(points, np.float32)
                found.blendshapes[name] = np.array([category.score for category in scores], np.float32)
    return found
