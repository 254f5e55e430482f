"""Learning where landmarks lie: faces whose landmarks are known give their places back; small pieces by hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from calibration import face_landmarks
from calibration.face_landmarks import LINES, Learner, learn, main, write
from engines.face.camera import Camera, rotation_from_vector
from engines.face.landmarks import COUNT, OVAL, FaceLandmarks
from engines.face.mesh import LANDMARKS_68, MEDIAPIPE_68, FaceModel

SIZE = (640, 640)
INNER = np.setdiff1d(np.arange(468), OVAL)


@pytest.fixture(scope="module")
def model():
    if not os.environ.get("MYOMIRROR_ASSETS"):
        pytest.skip("needs the packed face model: set $MYOMIRROR_ASSETS")
    return FaceModel.load(Path(os.environ["MYOMIRROR_ASSETS"]))


def made_photos(model, table, count):
    """Landmarks of faces that the model makes, every other one smiling, their places as in `table`."""
    rng = np.random.default_rng(0)
    photos = []
    for number in range(count):
        smile = {"mouthSmile_L": 0.6, "mouthSmile_R": 0.5, "jawOpen": 0.15} if number % 2 else {}
        vertices = model.vertices(rng.normal(size=30) * 0.5, model.weights(smile))
        camera = Camera(15.0, rotation_from_vector(rng.normal(size=3) * 0.03), np.array([320.0, 340.0]))
        photos.append(table.positions(camera.project(vertices)[:, :2]).astype(np.float64))
    return photos, [SIZE] * count


def test_known_places_are_found_again(model, monkeypatch):
    monkeypatch.setattr(face_landmarks, "ROUNDS", 3)
    monkeypatch.setattr(face_landmarks, "_FINER", 1)
    truth = FaceLandmarks.load()
    found, errors_cm = learn(model, *made_photos(model, truth, 6))
    off = np.linalg.norm(found.positions(model.neutral) - truth.positions(model.neutral), axis=1)
    first = np.linalg.norm(
        Learner(model).first_table().positions(model.neutral) - truth.positions(model.neutral), axis=1
    )[list(MEDIAPIPE_68)]
    assert np.median(off[INNER]) < 0.12
    assert np.percentile(off[INNER], 95) < 0.5
    assert np.median(off[list(MEDIAPIPE_68)]) < 0.5 * np.median(first)
    assert errors_cm.shape == (6, COUNT, 2)
    np.testing.assert_allclose(found.sd_cm, np.sqrt((errors_cm**2).mean((0, 2))), rtol=1e-4)
    np.testing.assert_allclose(found.weights.sum(1), 1, atol=1e-5)


def test_lips_and_lids_stay_on_their_lines(model):
    learner = Learner(model)
    table = FaceLandmarks.load()
    for line, (stops, numbers) in zip(learner._lines, LINES, strict=True):
        assert [line[0], line[-1]] == [LANDMARKS_68[stops[0]], LANDMARKS_68[stops[-1]]]
        used = table.weights[list(numbers)] > 0
        assert np.isin(table.corners[list(numbers)][used], line).all()
        lengths = np.linalg.norm(np.diff(model.neutral[line], axis=0), axis=1)
        assert lengths.max() < 0.8  # along edges of the mesh, not across the face


def test_the_first_table_knows_68_landmarks_and_no_others(model):
    table = Learner(model).first_table()
    assert np.isfinite(table.sd_cm).sum() == len(set(MEDIAPIPE_68))
    np.testing.assert_array_equal(table.positions(model.neutral)[152], model.neutral[966])


def test_along_is_the_nearest_place_of_a_line():
    line = np.array([[0.0, 0], [2, 0], [2, 4]])
    points = np.array([[0.5, 1], [-3, 0], [3, 2], [2, 9], [2.5, -0.1]])
    np.testing.assert_allclose(face_landmarks._along(line, points), [0.25, 0, 1.5, 2, 1], atol=1e-9)
    rng = np.random.default_rng(1)
    line, points = rng.normal(size=(6, 2)), rng.normal(size=(20, 2))
    steps = np.linspace(0, 5, 5001)
    dense = np.stack([np.interp(steps, np.arange(6), line[:, axis]) for axis in (0, 1)], 1)
    naive = [np.linalg.norm(dense - point, axis=1).min() for point in points]
    place = face_landmarks._along(line, points)
    found = np.stack([np.interp(place, np.arange(6), line[:, axis]) for axis in (0, 1)], 1)
    np.testing.assert_allclose(np.linalg.norm(found - points, axis=1), naive, atol=2e-3)


@pytest.mark.parametrize("axes", [2, 3])
def test_barycentric_weights_put_a_point_together(axes):
    rng = np.random.default_rng(2)
    corners, share = rng.normal(size=(9, 3, axes)), rng.dirichlet([1, 1, 1], 9)
    points = np.einsum("nc,ncx->nx", share, corners)
    np.testing.assert_allclose(face_landmarks._barycentric(corners, points), share, atol=1e-6)
    outside = face_landmarks._barycentric(corners, points + 50)
    assert outside.min() >= 0
    np.testing.assert_allclose(outside.sum(1), 1)


def test_what_is_seen_nearest_to_a_point():
    triangle = np.full((5, 6), -1, np.int32)
    triangle[1, 2], triangle[4, 5] = 7, 3
    points = np.array([[2.2, 0.9], [0, 0], [5, 3], [99, 99]])
    np.testing.assert_array_equal(face_landmarks._seen_at(triangle, points), [7, 7, 3, 3])


def test_the_bundle_is_what_the_engine_reads(tmp_path):
    table = FaceLandmarks.load()
    errors_cm = np.full((2, COUNT, 2), 0.03)
    manifest = write(table, errors_cm, 1, tmp_path / "bundle")
    again = FaceLandmarks.load(tmp_path / "bundle")
    np.testing.assert_array_equal(again.corners, table.corners)
    assert manifest.metrics["rms_skin"].value == pytest.approx(10 * 0.03 * np.sqrt(2), abs=1e-3)
    assert "London" in manifest.training.data


def test_missing_folders_are_one_sentence(tmp_path, capsys):
    arguments = ["--data", str(tmp_path), "--assets", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1
