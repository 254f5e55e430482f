"""Sets of movements: written once, read back, divided by people; and told when they are none."""

import numpy as np
import pytest

from calibration.data.motion_set import (
    ABOUT,
    FRAME_TO_FRAME,
    NEUTRAL_APEX,
    NO_EMOTION,
    MotionPair,
    MotionRow,
    MotionSet,
    MotionSetWriter,
    shapes,
)
from engines.errors import BadInput

ABOUT_IT = {"synthetic": True, "origin": "drawn for a test", "licence": "CC0", "seed": 0}


def pair(seed, size=32):
    rng = np.random.default_rng(seed)
    return MotionPair(
        **{name: (rng.random(shape) * 9).astype(dtype) for name, (shape, dtype) in shapes(size, size // 2).items()}
    )


def row(person, split="train", kind=NEUTRAL_APEX, emotion=4):
    return MotionRow(person, "001", "happy", emotion, kind, "yaw", 1.5, split)


@pytest.fixture
def written(tmp_path):
    """Twelve people of one photo, and two mixed ones; two pairs each."""
    folder = tmp_path / "set"
    people = {f"{n:03d}": [f"{n:03d}"] for n in range(12)}
    people |= {"mix-a": ["000", "005"], "mix-b": ["007", "008"]}
    with MotionSetWriter(folder, 32, 16, 28, {**ABOUT_IT, "people": people}) as motion:
        for i, name in enumerate(people):
            split = ("train", "validation", "test")[i % 3]
            motion.add(row(name, split), pair(2 * i))
            motion.add(row(name, split, FRAME_TO_FRAME, NO_EMOTION), pair(2 * i + 1))
    return folder


def test_what_went_in_comes_out(written):
    found = MotionSet.open(written)
    assert (found.size, found.flow, len(found.rows)) == (32, 16, 28)
    for i in (0, 5, 27):
        for name, values in pair(i)._asdict().items():
            np.testing.assert_array_equal(found.of(name, i), values)
    assert found.rows[0] == row("000")
    assert (written / ABOUT).stat().st_mode & 0o077 == 0


def test_parts_hold_the_right_rows(written):
    found = MotionSet.open(written)
    test = found.select(split="test")
    assert test.who == ("002", "005", "008", "011")
    np.testing.assert_array_equal(test.of("pose", 2), found.of("pose", 10))
    assert {r.kind for r in found.select(kind=NEUTRAL_APEX).rows} == {NEUTRAL_APEX}
    assert all(r.emotion != NO_EMOTION for r in found.select(emotions=True).rows)
    assert len(found.spread(7).rows) == 7
    assert found.spread(100) is found
    assert found.select(people=("mix-a",)).select(kind=FRAME_TO_FRAME).at.tolist() == [25]


def test_ten_folds_share_no_photo(written):
    found = MotionSet.open(written)
    everybody = []
    for number in range(10):
        train, held_out = found.fold(number)
        theirs = {photo for name in held_out.who for photo in found.people[name]}
        assert not theirs & {photo for name in train.who for photo in found.people[name]}
        assert all(len(found.people[name]) == 1 for name in held_out.who)
        everybody += held_out.who
    assert sorted(everybody) == [f"{n:03d}" for n in range(12)]
    assert "mix-a" not in found.fold(0)[0].who
    assert "mix-b" in found.fold(0)[0].who
    with pytest.raises(BadInput, match=r"0\.\.9"):
        found.fold(10)
    with pytest.raises(BadInput, match="ten people"):
        found.select(people=("000", "001")).fold(0)


def test_what_is_not_there_is_told(written):
    found = MotionSet.open(written)
    with pytest.raises(BadInput, match="no person 'nobody'"):
        found.select(people=("nobody",))
    with pytest.raises(BadInput, match="no movements of test"):
        found.select(people=("000",)).select(split="test")


def test_a_folder_that_is_none(tmp_path, written):
    with pytest.raises(BadInput, match="myomirror simulate motion"):
        MotionSet.open(tmp_path)
    (written / ABOUT).write_text("{}")
    with pytest.raises(BadInput, match="does not describe"):
        MotionSet.open(written)


def test_arrays_that_do_not_fit(written):
    np.save(written / "pose.npy", np.zeros((28, 5), np.float32))
    with pytest.raises(BadInput, match=r"pose.npy holds float32 \(28, 5\)"):
        MotionSet.open(written)
    (written / "trust.npy").write_bytes(b"")
    (written / "pose.npy").unlink()
    with pytest.raises(BadInput, match=r"trust.npy is missing|pose.npy is missing"):
        MotionSet.open(written)


def test_a_set_is_whole_or_not_there(tmp_path):
    with (
        pytest.raises(BadInput, match="2 pairs were announced, 1 came"),
        MotionSetWriter(tmp_path / "a", 32, 16, 2, {**ABOUT_IT, "people": {}}) as motion,
    ):
        motion.add(row("000"), pair(0))
    assert not (tmp_path / "a" / ABOUT).exists()
    with pytest.raises(BadInput, match="not empty"):
        MotionSetWriter(tmp_path / "a", 32, 16, 2, ABOUT_IT)
    with (
        pytest.raises(BadInput, match="row 0 of 1 does not fit"),
        MotionSetWriter(tmp_path / "b", 32, 16, 1, {**ABOUT_IT, "people": {}}) as motion,
    ):
        motion.add(row("000"), pair(0, size=64))
