"""A history is read alike from rows and from live frames, and never from another clip or the future."""

import numpy as np
import pytest

from engines.emg.taps import TapHistory, tap_offsets, tap_rows
from engines.errors import BadInput

TAPS = (0, 33, 67, 100, 167)


def test_frames_at_thirty_per_second_are_meant_by_their_milliseconds():
    np.testing.assert_array_equal(tap_offsets(TAPS, 30.0), [0, 1, 2, 3, 5])


def test_rows_stop_at_their_clip():
    rows, first = np.array([0, 1, 10, 11]), np.array([0, 0, 9, 9])
    found = tap_rows(rows, first, np.array([0, 1, 5]))
    np.testing.assert_array_equal(found, [[0, 0, 0], [1, 0, 0], [10, 9, 9], [11, 10, 9]])


def test_live_frames_are_read_as_rows_are():
    values = np.random.default_rng(0).random((40, 3), np.float32)
    rows = tap_rows(np.arange(40), np.zeros(40, np.int64), tap_offsets(TAPS, 30.0))
    history, jitter = TapHistory(TAPS, 3), np.random.default_rng(1).uniform(-0.001, 0.001, 40)
    for i in range(40):
        np.testing.assert_array_equal(history.push(100 + i / 30 + jitter[i], values[i]), values[rows[i]])


def test_one_tap_is_the_moment_itself():
    assert TapHistory((0,), 3).push(0.0, np.ones(3)).shape == (3,)


@pytest.mark.parametrize("t_s", [100.6, 99.9])
def test_a_pause_or_a_step_back_forgets_the_past(t_s):
    history = TapHistory((0, 33), 1)
    history.push(100.0, np.array([7.0]))
    np.testing.assert_array_equal(history.push(t_s, np.array([1.0])), [[1], [1]])


def test_missing_frames_leave_the_last_that_is_old_enough():
    history = TapHistory((0, 100), 1)
    for t_s, value in ((0.0, 1.0), (0.03, 2.0), (0.2, 3.0)):
        found = history.push(t_s, np.array([value]))
    np.testing.assert_array_equal(found, [[3], [2]])


def test_another_width_is_refused():
    with pytest.raises(BadInput, match=r"a moment has 3 values, found shape \(4,\)"):
        TapHistory((0,), 3).push(0.0, np.ones(4))
