"""What is fitted is how it was made, and what is drawn is as fitted."""

import numpy as np
import pytest

from calibration.data.readings import Readings
from engines.errors import BadInput

PEOPLE, EACH, COUNT = 60, 40, 5


@pytest.fixture(scope="module")
def made():
    """(truth, read, people, mixing): each person is off by 0.1 in parameter 1, each moment by 0.05 in all."""
    rng = np.random.default_rng(3)
    truth = rng.random((PEOPLE * EACH, COUNT)).astype(np.float32)
    mixing = 0.7 * np.eye(COUNT) + 0.1 * np.eye(COUNT, k=1)
    bias = np.zeros((PEOPLE, COUNT))
    bias[:, 1] = rng.normal(0, 0.1, PEOPLE)
    read = 0.1 + truth @ mixing + np.repeat(bias, EACH, 0) + rng.normal(0, 0.05, truth.shape)
    return truth, read.astype(np.float32), [f"p{i}" for i in range(PEOPLE) for _ in range(EACH)], mixing


@pytest.fixture(scope="module")
def readings(made):
    return Readings.fitted(*made[:3])


def test_what_was_put_in_is_found(made, readings):
    np.testing.assert_allclose(readings.mixing, made[3], atol=0.03)
    np.testing.assert_allclose(readings.offset, 0.1, atol=0.03)
    of_person, of_moment = (np.sqrt(np.diag(root @ root)) for root in (readings.of_person, readings.of_moment))
    np.testing.assert_allclose(of_person, [0, 0.1, 0, 0, 0], atol=0.02)
    np.testing.assert_allclose(of_moment, 0.05, atol=0.005)


def test_a_reading_is_drawn_as_it_was_fitted(readings):
    truth = np.full((4000, COUNT), 0.5, np.float32)
    drawn = [readings.of(truth, np.random.default_rng(i), np.random.default_rng(100 + i)) for i in range(30)]
    first = drawn[0]
    assert (first.shape, first.dtype) == (truth.shape, np.float32)
    within = np.mean([one.std(0) for one in drawn], 0)
    np.testing.assert_allclose(within, 0.05, atol=0.005)
    assert np.std([one.mean(0) for one in drawn], 0)[1] == pytest.approx(0.1, abs=0.04)
    wanted = 0.1 + truth[0] @ readings.mixing
    np.testing.assert_allclose(np.mean([one.mean(0) for one in drawn], 0), wanted, atol=0.06)
    change = np.diff(first, axis=0).std(0)
    assert (change < 0.6 * within).all()  # it stays for a while, and does not jump from frame to frame


def test_the_same_person_is_off_by_the_same_in_every_clip(readings):
    truth = np.full((3000, COUNT), 0.5, np.float32)
    first, second = (readings.of(truth, np.random.default_rng(7), np.random.default_rng(i)) for i in (1, 2))
    assert first.mean(0)[1] == pytest.approx(second.mean(0)[1], abs=0.02)
    assert not np.array_equal(first, second)


def test_it_stays_within_the_range(readings):
    drawn = readings.of(np.ones((500, COUNT), np.float32), np.random.default_rng(0), np.random.default_rng(1))
    assert drawn.min() >= 0
    assert drawn.max() <= 1


def test_written_and_read(readings, tmp_path):
    path = tmp_path / "new" / "Live.npz"
    readings.write(path)
    found = Readings.open(path)
    for name in ("mixing", "offset", "of_person", "of_moment"):
        np.testing.assert_array_equal(getattr(found, name), getattr(readings, name))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BadInput, match=r"Live\.npz cannot be read .* write it again"):
        Readings.open(path)


def test_one_person_is_too_few():
    with pytest.raises(BadInput, match="4 stills of 1 people do not tell"):
        Readings.fitted(np.zeros((4, 2), np.float32), np.zeros((4, 2), np.float32), ["p"] * 4)
