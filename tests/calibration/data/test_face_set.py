"""A set of faces: what was put in comes out, parts share the arrays, damage is one sentence."""

import json
import stat

import numpy as np
import pytest

from calibration.data.face_set import ABOUT, FaceRow, FaceSet, FaceSetWriter
from calibration.face_truth import Truth, unknown
from engines.errors import BadInput

SIZE = 16
WHAT = {"synthetic": True, "origin": "made up for a test", "licence": "none", "seed": 3}


def picture(number, channels=3):
    shape = (SIZE, SIZE, 3) if channels == 3 else (SIZE, SIZE)
    return np.full(shape, number, np.uint8)


def rows():
    people = (("a", "train"), ("a", "train"), ("b", "validation"), ("c", "test"))
    return [FaceRow(person, "cohort", "clip", i, split) for i, (person, split) in enumerate(people)]


@pytest.fixture
def folder(tmp_path):
    with FaceSetWriter(tmp_path / "faces", SIZE, 4, 4, True, WHAT) as faces:
        for i, row in enumerate(rows()):
            faces.add(row, picture(10 + i), picture(20 + i), picture(30 + i, 1))
    return tmp_path / "faces"


def test_what_was_put_in_comes_out(folder):
    faces = FaceSet.open(folder)
    assert (faces.size, faces.paired, faces.synthetic, faces.seed) == (SIZE, True, True, 3)
    assert faces.covered_rows == faces.clean_rows == tuple(rows())
    assert [int(faces.covered[i, 0, 0, 0]) for i in faces.covered_at] == [10, 11, 12, 13]
    assert [int(faces.clean[i, 0, 0, 0]) for i in faces.clean_at] == [20, 21, 22, 23]
    assert faces.mask is not None
    assert faces.mask[2, 0, 0] == 32
    assert faces.people == ("a", "b", "c")


def test_a_part_points_into_the_whole(folder):
    part = FaceSet.open(folder).select("validation")
    assert part.people == ("b",)
    assert [int(part.clean[i, 0, 0, 0]) for i in part.clean_at] == [22]
    assert FaceSet.open(folder).select(people=["a", "c"]).people == ("a", "c")


def test_files_are_their_owners(folder):
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_an_unpaired_set_has_no_truth(tmp_path):
    row = rows()[0]
    with FaceSetWriter(tmp_path / "real", SIZE, 1, 2, False, {**WHAT, "synthetic": False}) as faces:
        faces.add(row, picture(1), None)
        faces.add(row, None, picture(2))
        faces.add(row, None, picture(3))
    found = FaceSet.open(tmp_path / "real")
    assert (len(found.covered_rows), len(found.clean_rows), found.mask) == (1, 2, None)


def test_an_interrupted_set_is_none(tmp_path):
    with pytest.raises(RuntimeError), FaceSetWriter(tmp_path / "faces", SIZE, 1, 1, True, WHAT):
        raise RuntimeError("stopped")
    with pytest.raises(BadInput, match="simulate faces"):
        FaceSet.open(tmp_path / "faces")


def test_a_folder_with_something_in_it_is_left_alone(folder):
    with pytest.raises(BadInput, match="not empty"):
        FaceSetWriter(folder, SIZE, 1, 1, True, WHAT)


def test_fewer_pictures_than_announced(tmp_path):
    with pytest.raises(BadInput, match="announced"), FaceSetWriter(tmp_path / "f", SIZE, 2, 2, True, WHAT) as faces:
        faces.add(rows()[0], picture(1), picture(2), picture(3, 1))


def test_a_pair_needs_its_mask(tmp_path):
    with pytest.raises(BadInput, match="mask"), FaceSetWriter(tmp_path / "f", SIZE, 1, 1, True, WHAT) as faces:
        faces.add(rows()[0], picture(1), picture(2))


def test_unknown_people_and_empty_parts(folder):
    faces = FaceSet.open(folder)
    with pytest.raises(BadInput, match="no person 'z'"):
        faces.select(people=["z"])
    with pytest.raises(BadInput, match="test"):
        faces.select("test", ["a"])


@pytest.mark.parametrize("damage", ["cut", "missing", "other size", "no json", "no rows"])
def test_damage_is_one_sentence(folder, damage):
    about = json.loads((folder / ABOUT).read_text())
    if damage == "cut":
        (folder / "clean.npy").write_bytes((folder / "clean.npy").read_bytes()[:100])
    elif damage == "missing":
        (folder / "mask.npy").unlink()
    elif damage == "other size":
        (folder / ABOUT).write_text(json.dumps({**about, "size": SIZE + 1}))
    elif damage == "no json":
        (folder / ABOUT).write_text("{")
    else:
        (folder / ABOUT).write_text(json.dumps({name: about[name] for name in about if name != "covered"}))
    with pytest.raises(BadInput) as refused:
        FaceSet.open(folder)
    assert str(folder) in str(refused.value)
    assert "\n" not in str(refused.value)


def truth(number):
    shapes = [one.shape for one in unknown(3)]
    return Truth(*(np.full(shape, number + k / 8, np.float32) for k, shape in enumerate(shapes)))


@pytest.fixture
def known(tmp_path):
    with FaceSetWriter(tmp_path / "known", SIZE, 4, 4, True, WHAT, truth_modes=3) as faces:
        for i, row in enumerate(rows()):
            faces.add(row, picture(10 + i), picture(20 + i), picture(30 + i, 1), truth(i))
    return tmp_path / "known"


def test_truths_come_out_and_parts_share_them(known):
    faces = FaceSet.open(known)
    assert faces.truth_modes == 3
    assert [part.shape for part in faces.truth] == [(4, 52), (4, 3), (4, 6), (4, 478, 2)]
    part = faces.select("validation")
    at = part.clean_at[0]
    for found, wanted in zip(part.truth, truth(2), strict=True):
        np.testing.assert_array_equal(found[at], wanted)
    assert stat.S_IMODE((known / "identity.npy").stat().st_mode) == 0o600


def test_older_sets_know_nothing(folder):
    faces = FaceSet.open(folder)
    assert (faces.truth_modes, faces.truth) == (0, None)
    assert "truth_modes" not in json.loads((folder / ABOUT).read_text())


def test_a_truth_comes_where_it_was_announced_and_only_there(tmp_path):
    row = rows()[0]
    with pytest.raises(BadInput, match="truth"), FaceSetWriter(tmp_path / "a", SIZE, 1, 1, True, WHAT, 3) as faces:
        faces.add(row, picture(1), picture(2), picture(3, 1))
    with pytest.raises(BadInput, match="truth"), FaceSetWriter(tmp_path / "b", SIZE, 1, 1, True, WHAT) as faces:
        faces.add(row, picture(1), picture(2), picture(3, 1), truth(0))


@pytest.mark.parametrize("name", ["expression", "identity", "pose", "landmarks_px"])
def test_a_damaged_truth_is_one_sentence(known, name):
    np.save(known / f"{name}.npy", np.zeros((4, 2), np.float32))
    with pytest.raises(BadInput, match=f"{name}.npy holds float32"):
        FaceSet.open(known)
