"""A turned face from the front: what is seen is the person's own, what is hidden is filled and hatched."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.errors import BadInput
from engines.face import frontal
from engines.face.camera import Camera
from engines.face.frontal import FrontalFace
from engines.face.head_turn import HeadFitter
from engines.face.landmarks import FaceLandmarks
from engines.face.mesh import FaceModel
from engines.face.pose import HeadPose
from engines.face.raster import Raster

MODEL = Path(os.environ.get("MYOMIRROR_ASSETS", "/missing")) / "ict_facekit_light.npz"
SIZE = 128


@pytest.fixture(scope="module")
def shot():
    """A textured face at any pose: (picture, landmarks)."""
    if not MODEL.is_file():
        pytest.skip("needs MYOMIRROR_ASSETS")
    model = FaceModel.load(MODEL)
    part, table = model.part("narrow_face"), FaceLandmarks.load()
    smooth = cv2.GaussianBlur(np.random.default_rng(0).random((96, 96, 3)).astype(np.float32), (0, 0), 2)
    skin = cv2.normalize(smooth, None, 60, 200, cv2.NORM_MINMAX).astype(np.uint8)
    rest = np.zeros(len(model.expression), np.float32)

    def draw(yaw=0.0, light=1.0):
        camera = Camera(5.2, HeadPose(yaw).rotation, np.array([63.5, 66.0]))
        raster = Raster(SIZE, SIZE)
        raster.draw(camera.project(part.vertices([0.0], rest)), part.triangles)
        picture = np.full((SIZE, SIZE, 3), 90, np.uint8)
        raster.texture(part.uvs, part.triangle_uvs, skin, picture)
        lit = np.clip(picture * light, 0, 255).astype(np.uint8)
        return lit, table.positions(camera.project(model.vertices([0.0], rest))[:, :2])

    draw.fitter = HeadFitter(model)
    return draw


@pytest.fixture(scope="module")
def face(shot):
    picture, marks = shot()
    return FrontalFace(shot.fitter, picture, marks)


def seen(face, shot, yaw, light=1.0):
    picture, marks = shot(yaw, light)
    turn = face.movement(marks).turn
    return face.show(face.unturned(picture, turn), turn), turn


def test_at_rest_it_is_the_picture_and_hides_nothing(face, shot):
    (picture, hidden), turn = seen(face, shot, 0.0)
    assert hidden < 0.01
    assert np.abs(picture.astype(int) - face.neutral)[face.head.trust(turn) > 0.99].mean() < 1


@pytest.mark.parametrize("yaw", [-20.0, 20.0])
def test_a_turn_is_undone(face, shot, yaw):
    (picture, hidden), turn = seen(face, shot, yaw)
    assert turn.yaw_deg == pytest.approx(yaw, abs=2)
    inside = cv2.erode((face.head.trust(turn) > 0.9).astype(np.uint8), np.ones((9, 9))) > 0
    error = np.abs(picture.astype(float) - face.neutral)[inside].mean()
    before = np.abs(shot(yaw)[0].astype(float) - face.neutral)[inside].mean()
    assert error < 0.4 * before
    assert hidden < 0.15


def test_more_turn_hides_more_and_fills_it_in_the_light_of_now(face, shot):
    (picture, hidden), turn = seen(face, shot, 40.0, light=0.6)
    assert hidden > seen(face, shot, 20.0)[0].hidden + 0.02
    assert hidden == pytest.approx(face.hidden_share(face.head.trust(turn)), rel=1e-3)
    filled = (face._seen > 0.99) & (face.head.trust(turn) < 0.01)
    assert filled.sum() > 50
    stripes = picture[filled].mean(1) / face.neutral[filled].mean(1)
    assert np.median(stripes[stripes > np.median(stripes)]) == pytest.approx(0.6, abs=0.12)  # between the hatches
    assert np.median(stripes[stripes < np.median(stripes)]) < 0.45  # and on them


def test_what_is_around_a_turned_face_is_the_neutral_pictures(face, shot):
    far = face._around > 0.99
    assert 0.2 < far.mean() < 0.8
    column = np.flatnonzero(face.head.face[:, SIZE // 2] > 0.5)
    above, below = int(column.min()), int(column.max())
    assert face._around[min(below + 5, SIZE - 1), SIZE // 2] < 0.1  # there a chin may be
    assert face._around[max(above - 12, 0), SIZE // 2] > 0.9
    for yaw, much in ((2.0, False), (-25.0, True)):
        picture, marks = shot(yaw)
        picture[:8] = 0  # what is not as it was at rest
        turn = face.movement(marks).turn
        shown = face.show(face.unturned(picture, turn), turn).picture
        same = np.abs(shown[:4].astype(int) - face.neutral[:4]).mean() < 3
        assert same == much


def slow(still, neutral, face, trust, around, most, light, period):
    out, hidden = np.zeros_like(still), 0.0
    for y, x in np.ndindex(face.shape):
        share = max(float(face[y, x]) - float(trust[y, x]), 0.0)
        hidden += share
        dark = 0.62 if (x + y) // period % 2 else 1.0
        for c in range(3):
            lit, beside = min(float(neutral[y, x, c]) * float(light[c]), 255.0), float(around[y, x]) * most
            shown = float(still[y, x, c]) * (1 - beside) + lit * beside
            out[y, x, c] = int(shown * (1 - share) + lit * dark * share + 0.5)
    return out, hidden


def test_the_kernel_is_its_slow_twin():
    rng = np.random.default_rng(3)
    still, neutral = (rng.integers(0, 256, (20, 20, 3), np.uint8) for _ in range(2))
    planes = [rng.random((20, 20), np.float32) for _ in range(3)]
    light, out = np.array([0.8, 1.0, 1.7], np.float32), np.zeros((20, 20, 3), np.uint8)
    hidden = frontal._lay(still, neutral, *planes, np.float32(0.7), light, 3, out)
    expected, share = slow(still, neutral, *planes, 0.7, light, 3)
    assert hidden == pytest.approx(share, rel=1e-4)
    assert np.abs(out.astype(int) - expected).max() <= 1


def test_arrays_that_do_not_fit_are_refused(face, shot):
    _, turn = seen(face, shot, 0.0)
    with pytest.raises(BadInput, match="brought to rest"):
        face.show(np.zeros((64, 64, 3), np.uint8), turn)
    with pytest.raises(BadInput, match="output"):
        face.show(face.neutral, turn, np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(BadInput, match="neutral face"):
        FrontalFace(shot.fitter, np.zeros((SIZE, SIZE), np.uint8), shot()[1])
