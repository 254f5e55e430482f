"""The real stage: photos, face model and electrodes; and the whole cohort from them, in processes."""

import json
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.cohort import face_job, make_cohort, plan_cohort
from calibration.cohort_plan import CohortSettings
from calibration.cohort_signals import Signals
from calibration.cohort_sources import (
    find_face_model,
    find_faces,
    hash_model,
    photo_folder,
)
from calibration.cohort_stage import FaceStage
from calibration.data.mmm import Recordings
from calibration.data.truth import neutral_path
from engines.errors import BadInput
from engines.face.mesh import LANDMARKS_68, FaceModel, expression_from_arkit52
from rt.assets import FACE_LANDMARKER

ASSETS = Path(os.environ.get("MYOMIRROR_ASSETS", "/missing"))
SETTINGS = CohortSettings(participants=1, sessions=1, tasks=("Smile-Open",), seconds=0.2)


@pytest.fixture(scope="module")
def shots(sources):
    """Rest and the middle of a smile, with electrodes; and where they came from."""
    cohort = plan_cohort(SETTINGS, sources)
    stage = FaceStage(cohort.settings, sources)
    plan = next(plan for plan in cohort.clips if plan.id.electrodes)
    shown = Signals(cohort.settings, plan.recording).performed(plan.place, 495).expression.astype(np.float32)
    film = stage.film(plan)
    smile = int(np.argmax(shown.sum(axis=1)))
    found = []
    for frame in (0, smile):
        shot = film.shot(frame, shown[frame])
        found.append(shot._replace(**{k: getattr(shot, k).copy() for k in ("clean", "posed", "covered", "mask")}))
    return found, shown[[0, smile]], stage.neutral(plan.recording.participant)


def test_photos_without_a_face_are_left_out(sources):
    assert len(sources.photos.files) == 7
    assert len(sources.photos.landmarks_px) == 6
    assert "wall" not in sources.photos.landmarks_px


def test_electrodes_change_only_what_they_cover_or_shade(shots):
    for shot in shots[0]:
        differs = np.abs(shot.covered.astype(int) - shot.clean).max(axis=2)
        assert (shot.mask > 128).mean() > 0.02
        assert differs[shot.mask > 200].mean() > 25
        far = cv2.dilate(shot.mask, np.ones((25, 25), np.uint8)) == 0
        assert far.mean() > 0.1
        assert differs[far].max() <= 1


def test_the_truth_puts_the_face_models_landmarks_where_the_picture_has_them(shots, sources):
    """Face at rest, expression and camera, as they are written down, against the renderer's own landmarks."""
    found, shown, neutral = shots
    model = replace(FaceModel.load(sources.face_model), neutral=neutral)
    for shot, expression in zip(found, shown, strict=True):
        vertices = model.vertices([], expression_from_arkit52(expression))
        for camera, landmarks in ((shot.camera, shot.landmarks_px), (shot.camera_posed, shot.landmarks_posed_px)):
            placed = vertices[list(LANDMARKS_68)] @ camera[:, :3].T + camera[:, 3]
            assert np.median(np.linalg.norm(placed[17:, :2] - landmarks[17:], axis=1)) < 4
    assert not np.allclose(found[0].landmarks_px, found[1].landmarks_px, atol=1)


def test_both_cameras_see_a_face_of_the_same_size_turned(shots):
    for shot in shots[0]:
        assert 12 <= abs(shot.pose_posed[0] - shot.pose[0]) <= 24
        assert np.abs(shot.posed.astype(int) - shot.clean).mean() > 3
        heights = [np.ptp(points[:, 1]) for points in (shot.landmarks_px, shot.landmarks_posed_px)]
        assert heights[0] == pytest.approx(heights[1], rel=0.1)


def test_one_process_and_two_make_the_same_bytes(sources, tmp_path):
    cohort, sizes = plan_cohort(SETTINGS, sources), []
    for processes in (1, 2):
        out = tmp_path / str(processes)
        outcome = make_cohort(cohort, face_job(cohort, sources, out), processes, lambda plan, size: sizes.append(size))
        assert outcome.made == 2
    first, second = (
        {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
        for out in (tmp_path / "1", tmp_path / "2")
    )
    assert [name for name in first | second if first.get(name) != second.get(name)] == []
    assert len(sizes) == 4
    _check_what_was_made(tmp_path / "1")


def _check_what_was_made(out):
    about = json.loads((out / "cohort.json").read_text())
    assert about["complete"]
    assert about["origin"] == "synthetic"
    assert "CC BY 4.0" in about["licence"]
    assert any("London Set" in line for line in about["attribution"])
    assert any("ICT-FaceKit" in line for line in about["attribution"])
    assert len(about["sources"]["photos"]) == 1
    assert str(out.parent) not in json.dumps(about)
    clip = Recordings.open(out).select(electrodes=True)[0]
    truth = clip.truth()
    assert len(truth) == len(clip.emg_uv()) == 6
    with np.load(out / neutral_path(clip.id.pid)) as person:
        assert person["neutral"].shape[1] == 3
    covered, clean, mask = (next(clip.pictures(kind)) for kind in ("video", "video_noelec", "mask"))
    assert covered.shape == clean.shape == (286, 286, 3)
    assert np.abs(covered.astype(int) - clean)[mask > 200].mean() > 15


# ---------------------------------------------------------------------- what is missing


def test_missing_photos_say_where_they_come_from(monkeypatch, tmp_path):
    monkeypatch.delenv("MYOMIRROR_DATA", raising=False)
    with pytest.raises(BadInput, match=r"MYOMIRROR_DATA is not set: .*London Set .*--photos"):
        photo_folder(None)
    with pytest.raises(BadInput, match=r"holds no photos: .*London Set"):
        photo_folder(tmp_path)
    (tmp_path / "neutral").mkdir()
    (tmp_path / "neutral" / "001.jpg").touch()
    assert photo_folder(tmp_path) == tmp_path / "neutral"
    assert photo_folder(tmp_path / "neutral") == tmp_path / "neutral"


def test_missing_models_say_where_they_come_from(monkeypatch, tmp_path):
    monkeypatch.setenv("MYOMIRROR_ASSETS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(BadInput, match=r"needs the face model, .*ICT-FaceKit.*--face-model"):
        find_face_model(None)
    with pytest.raises(BadInput, match=r"there is none at .*nowhere"):
        find_face_model(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="assets fetch"):
        find_faces(tmp_path, tmp_path / "none.task")


def test_a_photo_that_is_none_is_named(tmp_path):
    if not (ASSETS / FACE_LANDMARKER).is_file():
        pytest.skip("needs MYOMIRROR_ASSETS")
    (tmp_path / "001.jpg").write_text("no picture")
    with pytest.raises(BadInput, match=r"001\.jpg is not a picture"):
        find_faces(tmp_path, ASSETS / FACE_LANDMARKER)


def test_a_models_hash_tells_folders_apart(tmp_path):
    (tmp_path / "a.obj").write_text("1")
    before = hash_model(tmp_path)
    (tmp_path / "a.obj").write_text("2")
    assert hash_model(tmp_path) != before
    assert len(hash_model(tmp_path / "a.obj")) == 64
