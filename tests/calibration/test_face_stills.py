"""Stills of synthetic people and photos: the same seed gives the same bytes, and the mask says what was covered."""

import sys

import numpy as np
import pytest

from calibration.cohort_sources import find_faces
from calibration.data.face_set import FaceSet
from calibration.face_stills import StillSettings, make_stills
from calibration.face_truth import Truth
from engines.errors import BadInput
from engines.face.crop_camera import matrix_from_six
from engines.face.landmarks import FaceLandmarks
from engines.face.mesh import FaceModel, expression_from_arkit52
from rt import cli
from rt.assets import CANONICAL_FACE, FACE_LANDMARKER, find

SETTINGS = StillSettings(count=5, size=72, people=6, photos_share=0.4, seed=2)


@pytest.fixture(scope="module")
def made(tmp_path_factory, sources):
    canonical = find(CANONICAL_FACE)
    if canonical is None:
        pytest.skip("needs canonical_face_model.obj in MYOMIRROR_ASSETS")
    folder = tmp_path_factory.mktemp("stills")
    counts = []
    for name in ("one", "other"):
        make_stills(SETTINGS, sources, canonical, folder / name, 1, sources.photos, counts.append)
    return folder, counts


def test_the_same_seed_gives_the_same_bytes(made):
    folder, counts = made
    assert sum(counts) == 2 * SETTINGS.count
    for path in (folder / "one").iterdir():
        assert path.read_bytes() == (folder / "other" / path.name).read_bytes(), path.name


def test_only_what_is_covered_or_shaded_has_changed(made):
    faces = FaceSet.open(made[0] / "one")
    assert faces.paired
    assert faces.synthetic
    assert faces.mask is not None
    for covered, clean, mask in zip(faces.covered, faces.clean, faces.mask, strict=True):
        change = covered.astype(int) - clean
        assert 0.03 < (mask > 127).mean() < 0.5
        assert np.abs(change[mask > 200]).mean() > 15
        free = change[mask == 0]
        assert free.max() <= 2  # shadows darken, nothing else
        assert (np.abs(free).max(-1) == 0).mean() > 0.3


def test_the_truth_lies_on_the_face(made, sources):
    faces = FaceSet.open(made[0] / "one")
    model, table = FaceModel.load(sources.face_model), FaceLandmarks.load()
    for row, at in zip(faces.clean_rows, faces.clean_at, strict=True):
        truth = Truth(*(part[at] for part in faces.truth))
        assert all(np.isfinite(part).all() for part in truth)
        assert 0 <= truth.expression.min() <= truth.expression.max() <= 1
        vertices = model.vertices(truth.identity, expression_from_arkit52(truth.expression))
        seen = np.column_stack([vertices, np.ones(len(vertices))]) @ matrix_from_six(truth.pose, SETTINGS.size)[:2].T
        away = np.linalg.norm(table.positions(seen) - truth.landmarks_px, axis=1)
        assert np.median(away) < 0.03 * SETTINGS.size, row  # a face is 0.7 of the crop
        assert truth.landmarks_px.min() > 0
        assert truth.landmarks_px.max() < SETTINGS.size


def test_a_persons_shape_does_not_change_with_the_expression(made):
    faces = FaceSet.open(made[0] / "one")
    for source in ("london", "cohort"):
        for person in faces.people:
            own = [faces.truth.identity[i] for i, row in zip(faces.clean_at, faces.clean_rows, strict=True)
                   if (row.person, row.source) == (person, source)]  # fmt: skip
            assert all(np.array_equal(own[0], other) for other in own[1:])


def test_everybody_is_in_one_split(made):
    faces = FaceSet.open(made[0] / "one")
    assert {row.source for row in faces.covered_rows} == {"cohort", "london"}
    for person in faces.people:
        assert len({row.split for row in faces.covered_rows if row.person == person}) == 1
    assert faces.covered_rows == faces.clean_rows


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"size": 8}, {"people": 2}, {"photos_share": 1.5}, {"seed": -1}], ids=str
)
def test_settings_that_cannot_work(wrong):
    with pytest.raises(BadInput, match=str(*wrong.values())):
        StillSettings(**wrong)


def test_the_command_refuses_a_folder_with_something_in_it(monkeypatch, capfd, tmp_path, photos):
    (tmp_path / "there").touch()
    arguments = ["--out", tmp_path, "--photos", photos, "--people", 6, "--count", 2, "--processes", 1]
    monkeypatch.setattr(sys, "argv", ["myomirror", "simulate", "faces", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "not empty" in capfd.readouterr().err


def test_photos_without_a_face_are_left_out(photos):
    landmarker = find(FACE_LANDMARKER)
    assert landmarker is not None
    assert len(find_faces(photos, landmarker).landmarks_px) == 6
