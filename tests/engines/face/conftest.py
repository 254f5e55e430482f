"""The face model, MediaPipe and a few people of the London set, made once for all tests of this folder."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

ASSETS = Path(os.environ.get("MYOMIRROR_ASSETS", "/missing"))
MODEL = "ict_facekit_light.npz"
PHOTOS = Path(os.environ.get("MYOMIRROR_DATA", "/missing")) / "london_faces" / "neutral"


@pytest.fixture(scope="session")
def face_model():
    from engines.face.mesh import FaceModel

    if not (ASSETS / MODEL).is_file():
        pytest.skip(f"{MODEL} is not there: set MYOMIRROR_ASSETS")
    return FaceModel.load(ASSETS)


@pytest.fixture(scope="session")
def read_face():
    """picture -> ((478, 2) landmarks px, {blendshape: score}), or (None, {}) where MediaPipe sees no face."""
    if not (ASSETS / "face_landmarker.task").is_file():
        pytest.skip("face_landmarker.task is not there: set MYOMIRROR_ASSETS")
    import mediapipe as mp
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(ASSETS / "face_landmarker.task")), output_face_blendshapes=True
    )
    with vision.FaceLandmarker.create_from_options(options) as landmarker:

        def read(picture):
            rgb = np.ascontiguousarray(picture[:, :, ::-1])
            found = landmarker.detect(mp.Image(mp.ImageFormat.SRGB, rgb))
            if not found.face_landmarks:
                return None, {}
            size = np.array(picture.shape[1::-1])
            points = np.array([(p.x, p.y) for p in found.face_landmarks[0]]) * size
            return points, {category.category_name: category.score for category in found.face_blendshapes[0]}

        yield read


@pytest.fixture(scope="session")
def london_photo():
    def load(number):
        path = PHOTOS / f"{number}.jpg"
        if not path.is_file():
            pytest.skip("the London faces are not there: set MYOMIRROR_DATA")
        return cv2.imread(str(path))

    return load


@pytest.fixture(scope="session")
def person_of(face_model, read_face, london_photo):
    """number of a London photo -> Person; each is made once."""
    from engines.face.person import Person

    made = {}

    def make(number):
        if number not in made:
            photo = london_photo(number)
            made[number] = Person.from_photo(face_model, photo, read_face(photo)[0])
        return made[number]

    return make


@pytest.fixture(scope="session")
def studio():
    from engines.face.studio import Studio

    return Studio(480, 640)


@pytest.fixture(scope="session")
def express():
    """express(mouthSmile=0.5) -> (52,) weights; a name without a side stands for both."""
    from engines.face.blendshapes import BLENDSHAPE_INDEX

    def weights(**amounts):
        values = np.zeros(52, np.float32)
        for name, amount in amounts.items():
            hit = [n for n in (name, f"{name}Left", f"{name}Right") if n in BLENDSHAPE_INDEX]
            assert hit, name
            values[[BLENDSHAPE_INDEX[n] for n in hit]] = amount
        return values

    return weights
