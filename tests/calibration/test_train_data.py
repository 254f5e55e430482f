import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration import recorded_faces, train_data  # noqa: E402
from calibration.data.face_set import FaceRow, FaceSet, FaceSetWriter  # noqa: E402
from calibration.distributed import Ranks  # noqa: E402
from calibration.folds import folds_of  # noqa: E402
from calibration.train_data import open_faces, parts_of  # noqa: E402
from engines.errors import BadInput  # noqa: E402
from rt.errors import BadSettings  # noqa: E402

ALONE = Ranks(torch.device("cpu"))


@pytest.fixture
def faces(oval_faces):
    return open_faces(oval_faces, oval_faces, 36, ALONE)


def test_a_set_is_divided_as_it_says(faces):
    parts = parts_of(faces)
    assert (parts.train.people, parts.held_out.people) == (("p0", "p1"), ("p2",))
    assert parts.held_out_words == "1 person held out"


def test_one_person_of_any_split_divided_by_time(faces):
    parts = parts_of(faces, ("p3",), 0.4)
    assert [row.frame for row in parts.train.covered_rows] == [0]
    assert [row.frame for row in parts.held_out.covered_rows] == [1, 2]
    assert list(parts.held_out.covered_at) == list(parts.held_out.clean_at) == [10, 11]
    assert parts.held_out_words == "the last 60 % of the recordings of 1 person it was trained on"


def test_everything_of_one_person(faces):
    parts = parts_of(faces, ("p0",))
    assert (len(parts.train.covered_rows), parts.held_out) == (3, None)


def test_a_fraction_of_everybody(faces):
    parts = parts_of(faces, fraction=0.5)
    assert parts.train.people == ("p0",)
    assert len(parts.train.covered_rows) == len(parts.held_out.covered_rows) == 3


def test_one_fold_is_left_out_of_all_splits(faces):
    folds = folds_of((*faces.covered_rows, *faces.clean_rows))
    parts = parts_of(faces, fold=folds["p0"])
    assert set(parts.held_out.people) == {person for person in folds if folds[person] == folds["p0"]}
    assert set(parts.train.people) == set(folds) - set(parts.held_out.people)
    assert parts.held_out_words.endswith(f"held out, fold {folds['p0']} of 6")


def test_a_fold_nobody_is_in(faces):
    empty = max(set(range(6)) - set(folds_of(faces.covered_rows).values()))
    with pytest.raises(BadInput, match=f"fold {empty} of .* has 0 people"):
        parts_of(faces, fold=empty)


@pytest.mark.parametrize(
    ("given", "said"),
    [({"fold": 6}, r"fold must be 0\.\.5.*found 6"), ({"fold": 0, "people": ("p0",)}, "leave out --people")],
)
def test_folds_that_cannot_be(faces, given, said):
    with pytest.raises(BadSettings, match=said):
        parts_of(faces, **given)


def test_at_least_one_picture(faces):
    assert len(parts_of(faces, ("p0",), 1e-6).train.covered_rows) == 1


def test_a_set_without_validation(tmp_path, faces):
    about = {"synthetic": True, "origin": "-", "licence": "-", "seed": 0}
    with FaceSetWriter(tmp_path / "f", 36, 1, 1, True, about) as writer:
        row = FaceRow("p0", "cohort", "c", 0, "train")
        writer.add(row, faces.covered[0], faces.clean[0], faces.mask[0])
    assert parts_of(FaceSet.open(tmp_path / "f")).held_out is None


def test_nobody(faces, tmp_path):
    with pytest.raises(BadInput, match="no person 'p9'"):
        parts_of(faces, ("p9",))
    with pytest.raises(BadInput, match="no set of faces"):
        open_faces(tmp_path, tmp_path / "work", 36, ALONE)


@pytest.fixture
def followed(monkeypatch):
    """A face that lies where it always lies, but for frame 2."""

    class Follower:
        def __init__(self, size, landmarker):
            self.matrix = np.array([[size / 286, 0, 0], [0, size / 286, 0]])

        def find(self, frame, number):
            return None if number == 2 else (self.matrix, np.zeros((478, 2), np.float32))

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(recorded_faces, "Follower", Follower)
    monkeypatch.setattr(recorded_faces, "EVERY", 1)
    monkeypatch.setattr(train_data, "verify", lambda name: name)


def test_a_cohort_gives_pairs_with_their_truth(painted_cohort, tmp_path, followed):
    faces = open_faces(painted_cohort, tmp_path, 40, ALONE)
    assert faces.paired
    assert faces.synthetic
    assert {row.source for row in faces.covered_rows} == {"cohort"}
    assert 2 not in {row.frame for row in faces.covered_rows}
    change = np.abs(faces.covered.astype(int) - faces.clean).mean(-1)
    assert change[faces.mask > 200].mean() > 5 * change[faces.mask == 0].mean()
    before = (tmp_path / "faces-40" / "covered.npy").stat().st_mtime_ns
    open_faces(painted_cohort, tmp_path, 40, ALONE)
    assert (tmp_path / "faces-40" / "covered.npy").stat().st_mtime_ns == before  # once


def test_recordings_of_people_are_two_sets(painted_cohort, tmp_path, followed):
    folder = shutil.copytree(painted_cohort, tmp_path / "real")
    (folder / "cohort.json").unlink()
    shutil.rmtree(folder / "mask")
    faces = open_faces(folder, tmp_path, 40, ALONE)
    assert not faces.paired
    assert not faces.synthetic
    assert faces.mask is None
    assert {row.split for row in (*faces.covered_rows, *faces.clean_rows)} == {"train"}
    assert {row.clip.split("_")[1] for row in faces.covered_rows} == {"1S"}
    assert {row.clip.split("_")[1] for row in faces.clean_rows} == {"1N"}


def test_recordings_without_a_face(painted_cohort, tmp_path, followed, monkeypatch):
    monkeypatch.setattr(recorded_faces.Follower, "find", lambda self, frame, number: None)
    with pytest.raises(BadInput, match="no face was found"):
        open_faces(painted_cohort, tmp_path, 40, ALONE)
