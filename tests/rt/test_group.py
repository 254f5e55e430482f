"""When a silent process counts as hung."""

import math
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from rt import clock
from rt.board import State
from rt.group import Group

ROW = np.dtype([("state", "<i8"), ("heartbeat", "<f8")])


class Process:
    """A child that lives until it is killed."""

    pid = 1
    killed = False

    def poll(self):
        return -9 if self.killed else None

    def kill(self):
        self.killed = True

    def wait(self):
        return -9


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """watched(silence, waited, state): what the supervisor says after so many silent seconds, looking every 20 ms.

    waited: the share of that time in which the process had no core.
    """

    def watch(silent_s, waited=0.0, state=State.RUNNING):
        t = [1000.0]
        monkeypatch.setattr(clock, "now", lambda: t[0])
        row = np.zeros(1, ROW)
        row["state"], row["heartbeat"] = state, t[0]
        found = Group("vision", tmp_path, [row], tmp_path, threads=False)
        found._process = Process()
        monkeypatch.setattr(found, "_waited_for_a_core_s", lambda: 7.0 + waited * (t[0] - 1000.0))
        while t[0] < 1000.0 + silent_s:
            t[0] += 0.02
            if said := found.watch():
                return said
        return None

    return watch


def test_a_second_of_silence_is_a_hang(watched):
    assert watched(0.9) is None
    assert "vision hung for 1.0 s and was killed" in watched(1.1)


def test_a_loop_that_waits_for_a_core_is_not_hung(watched):
    assert watched(2.0, waited=0.8) is None
    assert watched(1.5, waited=0.2) is not None


def test_nobody_is_waited_for_without_end(watched):
    assert "hung for 3.0 s" in watched(3.1, waited=1.0)


def test_opening_has_no_heartbeat(watched):
    assert watched(30.0, state=State.STARTING) is None
    assert "hung" in watched(61.0, state=State.STARTING)


def test_the_kernel_tells_how_long_a_process_waited(tmp_path):
    found = Group("vision", tmp_path, [np.zeros(1, ROW)], tmp_path, threads=False)
    assert found._waited_for_a_core_s() == 0.0  # there is no process
    found._process = Process()
    found._process.pid = os.getpid()
    told = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
    if not told.is_file():
        pytest.skip("this kernel keeps no schedstat")
    before_s = int(told.read_text().split()[1]) * 1e-9
    assert before_s <= found._waited_for_a_core_s() < math.inf
