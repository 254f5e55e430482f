"""Known numbers put in, the same ones found: identity weights of a mesh, a camera through a crop."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from calibration.face_truth import Known, Seen, TruthFinder, unknown
from engines.face.camera import Camera, rotation_from_vector
from engines.face.crop_camera import matrix_from_six
from engines.face.landmarks import FaceLandmarks
from engines.face.mesh import FaceModel
from engines.face.pose import HeadPose

MODEL = Path(os.environ.get("MYOMIRROR_ASSETS", "/missing")) / "ict_facekit_light.npz"
CROP = np.array([[0.5, 0.02, -30.0], [-0.02, 0.5, -12.0]])
SIZE = 96


def known(matrix):
    return Known(np.zeros(52, np.float32), np.zeros(4, np.float32), matrix, np.ones((478, 2), np.float32))


def test_the_crop_moves_camera_and_landmarks_alike():
    camera = Camera(16.0, rotation_from_vector([0.1, -0.2, 0.05]), np.array([150.0, 120.0]))
    truth = known(camera.matrix[:2]).cropped(CROP, SIZE)
    vertices = np.random.default_rng(0).normal(size=(5, 3)) * 8
    in_picture = camera.project(vertices)[:, :2]
    wanted = in_picture @ CROP[:, :2].T + CROP[:, 2]
    found = np.column_stack([vertices, np.ones(5)]) @ matrix_from_six(truth.pose, SIZE)[:2].T
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    np.testing.assert_allclose(truth.landmarks_px[0], CROP.sum(1), rtol=1e-6)


def test_what_nobody_knows_is_nan():
    assert np.isnan(known(np.full((2, 4), np.nan)).cropped(CROP, SIZE).pose).all()
    nothing = unknown(7)
    assert [part.shape for part in nothing] == [(52,), (7,), (6,), (478, 2)]
    assert all(np.isnan(part).all() for part in nothing)


@dataclass
class Head:
    """What of a person the truth is read off."""

    neutral: np.ndarray
    camera: Camera
    pivot_px: np.ndarray


@pytest.mark.skipif(not MODEL.is_file(), reason="needs MYOMIRROR_ASSETS")
class TestOnTheFaceModel:
    @pytest.fixture(scope="class")
    def model(self):
        return FaceModel.load(MODEL)

    @pytest.fixture(scope="class")
    def finder(self, model):
        return TruthFinder(model)

    @pytest.fixture(scope="class")
    def weights(self):
        return np.random.default_rng(1).normal(size=60).astype(np.float32)

    def test_a_shape_of_the_model_is_found_again(self, model, finder, weights):
        neutral = model.vertices(weights, np.zeros(len(model.expression)))
        found = finder.identity(Head(neutral, None, None))
        assert found.shape == (len(model.identity),)
        rebuilt = model.vertices(found, np.zeros(len(model.expression)))
        away = np.linalg.norm(rebuilt - neutral, axis=1)[:6706]
        start = np.linalg.norm(neutral - model.neutral, axis=1)[:6706]
        assert away.mean() < 0.15 * start.mean()
        assert np.corrcoef(found[:10], weights[:10])[0, 1] > 0.95

    def test_a_turned_head_lies_where_the_studio_draws_it(self, model, finder):
        camera = Camera(20.0, np.eye(3), np.array([160.0, 150.0]))
        pose = HeadPose(8.0, -5.0, 3.0, 0.5, -0.3, 1.1)
        pivot = camera.project(np.array([[0.0, -7.0, -1.0]]))[0].astype(np.float64)
        framing = np.array([[0.8, 0, 12], [0, 0.8, -7]], np.float32)
        seen = Seen(pose, framing, np.zeros((478, 2), np.float32))
        found = finder.posed(Head(model.neutral, camera, pivot), np.zeros(1), np.zeros(52), seen).matrix
        in_photo = camera.project(model.neutral[:50]).astype(np.float64)
        turned = np.column_stack([in_photo, np.ones(50)]) @ pose.turn_px(pivot, camera.scale).T
        wanted = turned[:, :2] * 0.8 + framing[:, 2]
        np.testing.assert_allclose(np.column_stack([model.neutral[:50], np.ones(50)]) @ found.T, wanted, atol=1e-2)

    def test_a_photo_is_fitted(self, model, finder, weights):
        camera = Camera(20.0, rotation_from_vector([0.05, 0.1, 0.0]), np.array([160.0, 150.0]))
        vertices = model.vertices(0.5 * weights, np.zeros(len(model.expression)))
        marks = FaceLandmarks.load().positions(camera.project(vertices)[:, :2])
        shapes = np.linspace(0, 1, 52, dtype=np.float32)
        identity = finder.photo_identity(marks, (400, 400))
        found = finder.photographed(identity, shapes, marks, (400, 400))
        assert np.isfinite(identity).all()
        np.testing.assert_array_equal(found.expression, shapes)
        rebuilt = model.vertices(identity, np.zeros(len(model.expression)))
        away = np.column_stack([rebuilt, np.ones(len(rebuilt))]) @ found.matrix.T - camera.project(vertices)[:, :2]
        assert np.linalg.norm(away[:6706], axis=1).mean() < 3  # px of a face 300 px wide

    def test_no_face_in_the_landmarks(self, finder):
        nowhere = np.zeros((478, 2), np.float32)
        assert np.isnan(finder.photo_identity(nowhere, (400, 400))).all()
        found = finder.photographed(np.zeros(3, np.float32), None, nowhere, (400, 400))
        assert np.isnan(found.matrix).all()
        assert np.isnan(found.expression).all()
