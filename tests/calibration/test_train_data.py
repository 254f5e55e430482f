import pytest

from calibration.data.face_set import FaceRow, FaceSet, FaceSetWriter
from calibration.train_data import open_faces, parts_of
from engines.errors import BadInput


@pytest.fixture
def faces(oval_faces):
    return open_faces(oval_faces)


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
        open_faces(tmp_path)
