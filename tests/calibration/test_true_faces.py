"""Clips of a cohort as faces whose truth is known: what lies in the frame lies in the crop."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from calibration import true_faces
from calibration.data.mmm_layout import ClipId
from calibration.data.truth import neutral_path
from calibration.restoration_clips import Moment
from calibration.true_faces import true_clips
from engines.errors import BadInput
from engines.face.anatomy import NARROW
from engines.face.crop_camera import matrix_from_six
from engines.face.landmarks import FaceLandmarks
from engines.face.mesh import FaceModel, expression_from_arkit52

MODEL = Path(os.environ.get("MYOMIRROR_ASSETS", "/missing")) / "ict_facekit_light.npz"
pytestmark = pytest.mark.skipif(not MODEL.is_file(), reason="needs MYOMIRROR_ASSETS")
FRAME, SIZE, FRAMES = 60, 24, 23


@pytest.fixture(scope="module")
def model():
    return FaceModel.load(MODEL)


@pytest.fixture
def cohort(tmp_path, model, monkeypatch):
    """One clip of one person, whose face lies where a camera that is known sees it; and what it was made from."""
    rng = np.random.default_rng(0)
    rest = model.vertices(rng.normal(0, 1, 5), np.zeros(len(model.expression), np.float32))
    path = tmp_path / neutral_path("001")
    path.parent.mkdir(parents=True)
    np.savez(path, neutral=rest)
    camera = matrix_from_six(np.array([0.1, -0.2, 0.05, 6.0, 0.01, 0.0]), FRAME).astype(np.float32)
    expression = (rng.random((FRAMES, 52)) * (rng.random((FRAMES, 52)) < 0.2)).astype(np.float32)
    truth = SimpleNamespace(expression=expression, camera=np.repeat(camera[None], FRAMES, 0))
    clip = SimpleNamespace(id=ClipId("001", "1S", "emotion", 0, "happy"), truth=lambda: truth)
    crop = np.array([[0.5, 0.05, -3.0], [-0.05, 0.5, -2.0]])
    picture = rng.integers(0, 256, (FRAME, FRAME, 3)).astype(np.uint8)

    def moments(asked, size, landmarker, frames):
        assert (asked, size) == (clip, SIZE)
        for number in range(FRAMES):
            yield Moment(number, picture, picture, picture[:, :, 0].copy(), crop, np.zeros((478, 2), np.float32))

    monkeypatch.setattr(true_faces, "moments", moments)
    return SimpleNamespace(folder=tmp_path), clip, truth, rest, crop


def test_every_tenth_frame_with_its_surface_and_landmarks_in_the_crop(cohort, model):
    recordings, clip, truth, rest, crop = cohort
    asked = []
    found = true_clips(recordings, [clip], model, SIZE, Path("none"), lambda: asked.append(1))
    assert (len(found), len(asked)) == (3, 1)
    for number, face in zip((0, 10, 20), found, strict=True):
        moved = rest + np.tensordot(expression_from_arkit52(truth.expression[number]), model.expression, 1)
        frame_px = np.column_stack([moved, np.ones(len(moved))]) @ truth.camera[number].astype(np.float64).T
        crop_px = frame_px[:, :2] @ crop[:, :2].T + crop[:, 2]
        inside = np.column_stack([moved[:NARROW], np.ones(NARROW)]) @ face.crop_from_model.T
        np.testing.assert_allclose(inside[:, :2], crop_px[:NARROW], atol=1e-3)
        np.testing.assert_allclose(face.landmarks_px, FaceLandmarks.load().positions(crop_px), atol=1e-3)
        np.testing.assert_array_equal(face.expression, truth.expression[number])
        np.testing.assert_array_equal(face.rest_cm, rest[:NARROW])
        assert face.covered.shape == (SIZE, SIZE, 3)
        assert face.mask.shape == (SIZE, SIZE)
        depth = np.ptp(inside[:, 2]) / np.ptp(frame_px[:NARROW, 2])  # grows and shrinks as the picture does
        assert depth == pytest.approx(np.sqrt(np.linalg.det(crop[:, :2])))


def test_a_face_at_rest_that_is_missing_or_of_another_model(cohort, model):
    recordings, clip, _, rest, _ = cohort
    path = recordings.folder / neutral_path("001")
    np.savez(path, neutral=rest[:-1])
    with pytest.raises(BadInput, match="use the cohort's own model"):
        true_clips(recordings, [clip], model, SIZE, Path("none"))
    path.write_bytes(b"cut short")
    with pytest.raises(BadInput, match="no person's face at rest"):
        true_clips(recordings, [clip], model, SIZE, Path("none"))
