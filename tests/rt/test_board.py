"""Counters in shared memory: seen by everybody at once, and still there when their writer is killed."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from rt.board import BIN_MS, METRICS, REASONS, Board, State

NODES, EDGES = ["camera", "show"], ["camera.frame->show.frame"]


@pytest.fixture
def board(tmp_path):
    return Board(tmp_path / "board", NODES, EDGES, create=True)


def again(board, tmp_path):
    return Board(tmp_path / "board", NODES, EDGES)


def test_begins_with_zeros(board):
    assert board.flags["go"][0] == board.flags["stop"][0] == 0
    assert all(not board.node(name)[0].tobytes().strip(b"\0") for name in board.node_names)
    assert not board.edge(EDGES[0])[0].tobytes().strip(b"\0")


def test_every_cell_is_its_own(board, tmp_path):
    """Written through one mapping, read through another: each value where it belongs and nowhere else."""
    value = 0
    for row in [*map(board.node, NODES), *map(board.edge, EDGES)]:
        for name in row.dtype.names:
            for place in np.ndindex(row[name].shape):
                value += 1
                row[name][place] = value
    seen = []
    other = again(board, tmp_path)
    for row in [*map(other.node, NODES), *map(other.edge, EDGES)]:
        seen += [int(v) for name in row.dtype.names for v in row[name].ravel()]
    assert seen == list(range(1, value + 1))
    assert other.flags["stop"][0] == 0
    assert other.histogram(METRICS[0]).percentiles().n == 0


def test_counts_outlive_a_kill(board, tmp_path):
    code = f"""
        import sys, time
        from rt.board import Board
        row = Board({str(tmp_path / "board")!r}, {NODES}, {EDGES}).node("show")
        row["shown"] += 41
        print("ready", flush=True)
        row["dropped"][0, 3] = 7
        time.sleep(60)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE)
    process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert board.node("show")["shown"][0] == 41
    assert board.node("camera")["shown"][0] == 0


def test_percentiles_agree_with_numpy_to_one_bin(board):
    values = np.random.default_rng(5).gamma(2.0, 20.0, 3000)
    histogram = board.histogram("photon_to_pixel")
    for value in values:
        histogram.add(value)
    found = histogram.percentiles()
    assert found.n == len(values)
    assert found.max == values.max()
    for q, said in ((50, found.p50), (95, found.p95), (99, found.p99)):
        exact = np.percentile(values, q, method="inverted_cdf")
        assert exact <= said <= exact + BIN_MS


@pytest.mark.parametrize(("value", "p50"), [(-3.0, 0.0), (0.0, 0.0), (1e9, 1000.0)])
def test_values_at_the_ends(board, value, p50):
    histogram = board.histogram("camera")
    histogram.add(value)
    found = histogram.percentiles()
    assert (found.n, found.p50, found.max) == (1, p50, max(value, 0.0))


def test_nan_is_not_counted(board):
    histogram = board.histogram("camera")
    histogram.add(float("nan"))
    found = histogram.percentiles()
    assert found.n == 0
    assert np.isnan(found.p50)


def test_unknown_names_are_errors(board):
    for look in (board.node, board.edge, board.histogram):
        with pytest.raises(KeyError):
            look("nobody")


def test_the_order_of_life():
    assert State.ABSENT < State.STARTING < State.READY < State.RUNNING < State.DRAINING < State.DONE < State.DEGRADED
    assert len(set(REASONS)) == len(REASONS)


def test_private_and_made_only_once(board, tmp_path):
    assert (tmp_path / "board").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        Board(tmp_path / "board", NODES, EDGES, create=True)
