"""What is moved is moved with its truth; the same number gives the same batch."""

import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration.data.face_set import FaceSet  # noqa: E402
from calibration.distributed import Ranks  # noqa: E402
from calibration.face_truth import Truth, unknown  # noqa: E402
from calibration.known_faces import KnownFaces, Movements, mirrored, moved  # noqa: E402
from engines.errors import BadInput  # noqa: E402
from engines.face.crop_camera import matrix_from_six  # noqa: E402
from engines.face.crop_geometry import CropGeometry  # noqa: E402
from engines.face.mesh import FaceModel  # noqa: E402

MODEL = Path(os.environ.get("MYOMIRROR_ASSETS", "/missing"))
HERE = Ranks(torch.device("cpu"))
STILL = Movements(40, turn_deg=0, zoom=0, shift=0, strength=0)


def test_a_truth_moves_with_its_picture():
    rng = np.random.default_rng(2)
    six = np.array([0.1, -0.2, 0.05, 8.0, 0.01, 0.02], np.float32)
    truth = unknown(3)._replace(pose=six, landmarks_px=rng.uniform(0, 40, (478, 2)).astype(np.float32))
    move = np.array([[0.9, -0.1, 3.0], [0.1, 0.9, -2.0]])
    found = moved(truth, 40, move, 36)
    np.testing.assert_allclose(found.landmarks_px, truth.landmarks_px @ move[:, :2].T + move[:, 2], rtol=1e-5)
    vertices = np.column_stack([rng.normal(0, 8, (6, 3)), np.ones(6)])
    before = vertices @ matrix_from_six(six, 40)[:2].T
    after = vertices @ matrix_from_six(found.pose, 36)[:2].T
    np.testing.assert_allclose(after, before @ move[:, :2].T + move[:, 2], atol=1e-3)
    assert np.isnan(found.expression).all()
    assert np.isnan(moved(unknown(3), 40, move, 36).pose).all()


def test_unmoved_faces_are_the_sets_own(grey_faces):
    faces = FaceSet.open(grey_faces)
    batch = KnownFaces(faces, STILL, 16, 1, HERE).batch(0)
    for row in range(16):
        (at,) = np.flatnonzero((faces.truth.expression == batch.expression[row].numpy()).all(1))
        np.testing.assert_allclose(batch.rigid[row].numpy(), faces.truth.pose[at], atol=1e-4)
        grey = (batch.picture[row].flip(0).permute(1, 2, 0).numpy() + 1) * 127.5
        assert np.abs(grey - cv2.GaussianBlur(faces.clean[at], (0, 0), 0.6)).mean() < 6
    assert not batch.measured.any()


def test_moved_landmarks_lie_on_the_moved_picture(grey_faces):
    """A face's middle of brightness stays where the landmarks' middle says it is."""
    movements = Movements(40, turn_deg=20, zoom=0.1, shift=0.15, strength=0)
    batch = KnownFaces(FaceSet.open(grey_faces), movements, 16, 1, HERE).batch(0)
    still = KnownFaces(FaceSet.open(grey_faces), STILL, 16, 1, HERE).batch(0)
    here, there = (each.landmarks.mean(1).numpy() for each in (batch, still))
    assert np.abs(here - there).max() > 0.1
    yx = np.linspace(-1, 1, 40)
    for one, middle in ((batch, here), (still, there)):
        bright = (one.picture.mean(1) > 0.1).float().numpy()
        x = (bright * yx).sum((1, 2)) / bright.sum((1, 2))
        assert np.abs(x - middle[:, 0]).mean() < 0.15


def test_a_mirrored_truth_is_the_truth_of_the_mirrored_picture():
    """Rendered without an identity of its own, the face model is even on both sides."""
    if not (MODEL / "ict_facekit_light.npz").is_file():
        pytest.skip("needs MYOMIRROR_ASSETS")
    geometry = CropGeometry(FaceModel.load(MODEL / "ict_facekit_light.npz"), 64)
    rng = np.random.default_rng(1)
    expression = (rng.random(52) * (rng.random(52) < 0.3)).astype(np.float32)
    six = np.array([0.1, 0.3, -0.15, 8.0, 0.02, -0.01], np.float32)
    truth = Truth(expression, np.zeros(3, np.float32), six, np.zeros((478, 2), np.float32))
    flipped = mirrored(truth)
    assert np.isnan(flipped.identity).all()
    assert np.isnan(flipped.landmarks_px).all()
    faces = []
    for one in (truth, flipped):
        given = (one.expression, np.zeros(3, np.float32), one.pose[:3], one.pose[3:])
        with torch.no_grad():
            placed = geometry.place(*(torch.from_numpy(part)[None] for part in given))
            faces.append(geometry.render(placed)[0, 0].numpy())
    there, back = faces[0][:, ::-1], faces[1]
    assert np.abs(there - back).mean() < 0.01
    assert np.abs(there - faces[0]).mean() > 0.03  # it was not even to begin with
    again = mirrored(flipped._replace(identity=truth.identity, landmarks_px=truth.landmarks_px))
    np.testing.assert_array_equal(again.expression, truth.expression)
    np.testing.assert_array_equal(again.pose, truth.pose)


def test_mirrored_faces_come_with_their_pictures(grey_faces):
    faces = FaceSet.open(grey_faces)
    plain, flipped = (KnownFaces(faces, replace(STILL, mirror=share), 16, 1, HERE).batch(0) for share in (0.0, 1.0))
    assert torch.isnan(flipped.landmarks).all()
    np.testing.assert_array_equal(flipped.rigid[:, 4].numpy(), -plain.rigid[:, 4].numpy())
    away = (flipped.picture.flip(3) - plain.picture).abs().mean()
    assert away < 0.02  # but for the noise that mirrors with it
    assert (flipped.picture - plain.picture).abs().mean() > 3 * away


def test_a_set_of_larger_pictures_shows_the_same_faces(grey_faces):
    """At less than half of the stored size: made smaller by area first, and the truth goes with it."""
    faces = FaceSet.open(grey_faces)
    half = replace(STILL, size=20)
    batch = KnownFaces(faces, half, 16, 1, HERE).batch(0)
    own = KnownFaces(faces, STILL, 16, 1, HERE).batch(0)
    torch.testing.assert_close(batch.landmarks, own.landmarks, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(batch.rigid, own.rigid, atol=1e-3, rtol=1e-3)
    smaller = torch.nn.functional.avg_pool2d(own.picture, 2)
    assert (batch.picture - smaller).abs().mean() < 0.05


def test_some_faces_are_seen_under_electrodes(grey_faces):
    faces = FaceSet.open(grey_faces)
    bare, under = (
        KnownFaces(faces, replace(STILL, covered=share), 16, 1, HERE).batch(0).picture for share in (0.0, 1.0)
    )
    brighter = (under - bare > 0.2).float().mean((1, 2, 3))
    assert (brighter > 0.01).all()


def test_the_same_number_gives_the_same_batch(grey_faces):
    one, other = (KnownFaces(FaceSet.open(grey_faces), Movements(32), 4, 1, HERE) for _ in range(2))
    one.batch(0)
    for a, b in zip(one.batch(5), other.batch(5), strict=True):
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def test_a_set_that_knows_nothing(oval_faces):
    with pytest.raises(BadInput, match="does not know its faces' parameters"):
        KnownFaces(FaceSet.open(oval_faces), STILL, 2, 1, HERE)
