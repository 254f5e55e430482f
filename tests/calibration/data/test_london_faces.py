import os
from pathlib import Path

import numpy as np
import pytest

from calibration.data.london_faces import people_in, read_london_faces, split_people
from engines.errors import BadInput
from engines.face.crop import crop_from_landmarks

DATA, ASSETS = (Path(os.environ.get(name, "/missing")) for name in ("MYOMIRROR_DATA", "MYOMIRROR_ASSETS"))
FACES, MODEL = DATA / "london_faces", ASSETS / "face_landmarker.task"


def test_only_people_with_both_photos_count(tmp_path):
    for name in ("neutral/001", "neutral/002", "smiling/002", "smiling/003"):
        path = tmp_path / f"{name}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert people_in(tmp_path) == ["002"]


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no pairs"):
        people_in(tmp_path)


def test_a_missing_model_is_refused(tmp_path):
    for name in ("neutral", "smiling"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "001.jpg").touch()
    with pytest.raises(BadInput, match="assets fetch"):
        next(read_london_faces(tmp_path, tmp_path / "none.task"))


def test_the_split_is_by_people_repeatable_and_seeded():
    people = [f"{k:03}" for k in range(90)]
    learn, unseen = split_people(people, 12, seed=1)
    assert len(unseen) == 12
    assert sorted(learn + unseen) == people
    assert split_people(people, 12, seed=1) == (learn, unseen)
    assert split_people(people, 12, seed=2) != (learn, unseen)


@pytest.mark.parametrize("held_out", [0, 3, 5])
def test_a_split_that_leaves_nobody_is_refused(held_out):
    with pytest.raises(BadInput, match="hold out"):
        split_people(["001", "002", "003"], held_out, seed=0)


@pytest.mark.skipif(not (FACES.is_dir() and MODEL.is_file()), reason="needs MYOMIRROR_DATA and MYOMIRROR_ASSETS")
def test_aligned_crops_put_the_eyes_at_the_same_place(tmp_path):
    for name in ("neutral", "smiling"):
        (tmp_path / name).mkdir()
        for person in ("001", "007"):
            (tmp_path / name / f"{person}.jpg").symlink_to(FACES / name / f"{person}.jpg")
    people = list(read_london_faces(tmp_path, MODEL))
    assert [p.person for p in people] == ["001", "007"]
    eyes = []
    for person in people:
        for name in ("neutral", "smiling"):
            assert person.crop(name, 128).shape == (128, 128, 3)
            matrix = crop_from_landmarks(person.landmarks_px[name], 128)
            corners = person.landmarks_px[name][[33, 263]]
            eyes.append(corners.mean(0) @ matrix[:, :2].T + matrix[:, 2])
    assert np.ptp(eyes, axis=0).max() < 3  # pixels of 128
