from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration.data.face_set import FaceSet  # noqa: E402
from calibration.distributed import Ranks  # noqa: E402
from calibration.same_person_faces import Changes, SamePersonFaces, changed  # noqa: E402
from engines.errors import BadInput  # noqa: E402

HERE = Ranks(torch.device("cpu"))
PLAIN = Changes(size=36, load=36, sharpen=0, flip=0, upside_down=0)
ALL = Changes(size=32, load=36, sharpen=0.5, flip=0.5, upside_down=0.5)


def level(planes):
    """The oval's blue tells who it is: 90 + 20 per person (tests/calibration/conftest.py)."""
    return round((planes[2, 20, 24].item() + 1) * 127.5)


def test_both_pictures_are_of_one_person(oval_faces):
    faces = SamePersonFaces(FaceSet.open(oval_faces), PLAIN, 1, 3, HERE)
    seen = [(level(batch.covered[0]), level(batch.clean[0])) for batch in map(faces.batch, range(24))]
    assert all(a == b for a, b in seen)
    assert {a for a, _ in seen} == {90, 110, 130, 150}


def test_an_epoch_shows_everybody_under_electrodes_once(oval_faces):
    whole = FaceSet.open(oval_faces)
    faces = SamePersonFaces(whole, PLAIN, 2, 3, HERE)
    assert faces.steps_per_epoch == 6
    for epoch in range(2):
        batches = [faces.batch(6 * epoch + step).covered for step in range(6)]
        found = sorted(picture.numpy().tobytes() for batch in batches for picture in batch)
        assert len(set(found)) == 12


def test_moments_differ(oval_faces):
    faces = SamePersonFaces(FaceSet.open(oval_faces), PLAIN, 1, 3, HERE)
    same = [torch.equal(batch.covered, batch.clean) for batch in map(faces.batch, range(12))]
    assert not any(same)  # electrodes are on one of them


def test_the_same_number_gives_the_same_batch(oval_faces):
    one, other = (SamePersonFaces(FaceSet.open(oval_faces), ALL, 2, 3, HERE) for _ in range(2))
    one.batch(0)
    assert torch.equal(one.batch(7).covered, other.batch(7).covered)
    assert torch.equal(one.batch(7).clean, other.batch(7).clean)


def test_changes_are_the_papers():
    picture = np.random.default_rng(0).integers(60, 190, (36, 36, 3)).astype(np.uint8)
    draws = [np.random.default_rng(seed) for seed in range(3)]
    np.testing.assert_array_equal(changed(picture, PLAIN, draws[0]), picture)
    np.testing.assert_array_equal(changed(picture, replace(PLAIN, flip=1), draws[0]), picture[:, ::-1])
    np.testing.assert_array_equal(changed(picture, replace(PLAIN, upside_down=1), draws[1]), picture[::-1])
    sharp = changed(picture, replace(PLAIN, sharpen=1), draws[2])
    assert sharp.std() > 1.1 * picture.std()
    cut = changed(picture, replace(PLAIN, size=32), np.random.default_rng(5))
    assert cut.shape == (32, 32, 3)
    assert any(np.array_equal(cut, picture[y : y + 32, x : x + 32]) for y in range(5) for x in range(5))


def test_somebody_who_is_never_seen_without_electrodes(oval_faces):
    faces = FaceSet.open(oval_faces)
    kept = [i for i, row in enumerate(faces.clean_rows) if row.person != "p1"]
    less = replace(faces, clean_rows=tuple(faces.clean_rows[i] for i in kept), clean_at=faces.clean_at[kept])
    with pytest.raises(BadInput, match="shows p1 only under electrodes"):
        SamePersonFaces(less, PLAIN, 1, 3, HERE)
