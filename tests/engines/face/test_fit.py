"""The fit: a face that the model itself made is found again, outliers and missing landmarks do little, photos fit."""

import os
from pathlib import Path

import numpy as np
import pytest

from engines.errors import BadInput, FaceLost
from engines.face.camera import Camera, rotation_from_vector
from engines.face.fit import ANY_EXPRESSION, NEUTRAL, Fitter, fit
from engines.face.landmarks import OVAL, FaceLandmarks
from engines.face.mesh import FaceModel

SIZE = (640, 640)
ASSETS = Path(os.environ.get("MYOMIRROR_ASSETS", "/missing"))
LONDON = Path(os.environ.get("MYOMIRROR_DATA", "/missing")) / "london_faces"

pytestmark = pytest.mark.skipif(not ASSETS.is_dir(), reason="needs the packed face model: set $MYOMIRROR_ASSETS")


@pytest.fixture(scope="module")
def model():
    return FaceModel.load(ASSETS).part("narrow_face", "eyeball_left", "eyeball_right")


@pytest.fixture(scope="module")
def fitter(model):
    return Fitter(model)


def seen_face(model, identity, expression, turn=(0.0, 0.0, 0.0), scale=15.0):
    """(478, 2) px of a face that the model makes, with its camera."""
    camera = Camera(scale, rotation_from_vector(turn), np.array([320.0, 340.0]))
    vertices = model.vertices(identity, model.weights(expression))
    return FaceLandmarks.load().on(model).positions(camera.project(vertices)[:, :2]), camera


def off_cm(model, one, other):
    """Root mean square distance of two identities on the face."""
    moved = model.person(one).neutral - model.person(other).neutral
    return float(np.sqrt((moved[: model.regions["face"][1]] ** 2).sum(1).mean()))


@pytest.mark.parametrize("turn", [(0, 0, 0), (0.2, -0.3, 0.1), (-0.1, 0.5, -0.4)])
@pytest.mark.parametrize("expression", [{}, {"mouthSmile_L": 0.8, "mouthSmile_R": 0.6, "jawOpen": 0.3}])
def test_a_made_face_is_found_again(model, fitter, turn, expression):
    identity = np.random.default_rng(3).normal(size=60) * 0.7
    seen, camera = seen_face(model, identity, expression, turn)
    found = fitter.fit(seen, SIZE)
    assert found.rms_px < 0.6
    turned = np.degrees(np.arccos(np.clip((np.trace(found.camera.rotation @ camera.rotation.T) - 1) / 2, -1, 1)))
    assert turned < 3
    assert found.camera.scale == pytest.approx(camera.scale, rel=0.05)
    assert off_cm(model, found.identity, identity) < 0.6 * off_cm(model, np.zeros(60), identity)
    for name in ("mouthSmile_L", "mouthSmile_R", "jawOpen"):
        assert found.expression[model.expression_index(name)] == pytest.approx(expression.get(name, 0.0), abs=0.25)
    assert found.expression.min() >= 0


def test_a_smile_does_not_become_somebody_else(model, fitter):
    identity = np.random.default_rng(4).normal(size=60) * 0.7
    still = fitter.fit(seen_face(model, identity, {})[0], SIZE)
    smiling = fitter.fit(
        seen_face(model, identity, {"mouthSmile_L": 0.7, "mouthSmile_R": 0.7, "jawOpen": 0.2})[0], SIZE
    )
    other = fitter.fit(seen_face(model, -identity, {})[0], SIZE)
    assert off_cm(model, still.identity, smiling.identity) < 0.35 * off_cm(model, still.identity, other.identity)


def test_wrong_landmarks_hardly_bend_the_face(model, fitter):
    seen, _ = seen_face(model, np.random.default_rng(5).normal(size=60) * 0.7, {})
    wrong = seen.copy()
    numbers = np.setdiff1d(np.arange(468), OVAL)[::40]
    wrong[numbers] += 25
    clean, robust = fitter.fit(seen, SIZE), fitter.fit(wrong, SIZE)
    assert off_cm(model, clean.identity, robust.identity) < 0.12
    assert robust.rms_px > 2  # the distances are reported all the same


def test_landmarks_outside_the_picture_are_left_out(model, fitter):
    seen, _ = seen_face(model, np.zeros(1), {})
    seen = seen - [0, seen[:, 1].max() - 600]  # the chin near the picture's lower edge
    guessed = np.where(seen[:, 1:] > 560, np.add(seen, (60, 30)), seen)  # what the tracker guesses below y = 560
    left_out, taken = fitter.fit(guessed, (560, 640)), fitter.fit(guessed, (700, 640))
    np.testing.assert_allclose(left_out.camera.translation_px, fitter.fit(seen, SIZE).camera.translation_px, atol=4)
    assert left_out.rms_px < 0.6
    assert taken.rms_px > 5


def test_the_whole_model_gives_what_its_part_gives(model):
    seen, _ = seen_face(model, np.random.default_rng(6).normal(size=20), {})
    np.testing.assert_allclose(
        fit(FaceModel.load(ASSETS), seen, SIZE).identity, fit(model, seen, SIZE).identity, atol=1e-3
    )


@pytest.mark.skipif(not LONDON.is_dir(), reason="needs the London faces: set $MYOMIRROR_DATA")
def test_photos_fit_to_a_pixel_and_smiles_are_seen(model):
    from calibration.data.london_faces import EXPRESSIONS, people_in, read_london_faces

    first = people_in(LONDON)[:3]
    smile = [model.expression_index(f"mouthSmile_{side}") for side in "LR"]
    neutral, anything = Fitter(model, NEUTRAL), Fitter(model, ANY_EXPRESSION)
    for person, _ in zip(read_london_faces(LONDON, ASSETS / "face_landmarker.task"), first, strict=False):
        seen = {name: person.landmarks_px[name] for name in EXPRESSIONS}
        still, smiling = neutral.fit(seen["neutral"], SIZE), anything.fit(seen["smiling"], SIZE)
        assert max(still.rms_px, smiling.rms_px) < 2
        assert smiling.expression[smile].mean() > still.expression[smile].mean() + 0.1


def test_what_is_no_face_is_refused_with_a_sentence(model, fitter):
    seen, _ = seen_face(model, np.zeros(1), {})
    with pytest.raises(BadInput, match=r"must be \(478, 2\) pixels, found \(68, 2\)"):
        fitter.fit(seen[:68], SIZE)
    for lost in (np.full((478, 2), np.nan), seen * 0.01, np.repeat(seen[:, :1], 2, axis=1) * [1, 0]):
        with pytest.raises(FaceLost, match="no face of 24 px"):
            fitter.fit(lost, SIZE)
    with pytest.raises(FaceLost, match="outside the picture"):
        fitter.fit(seen + 400, SIZE)
    with pytest.raises(FaceLost, match="on one line"):
        fitter.fit(np.repeat(seen[:, :1], 2, axis=1), SIZE)
