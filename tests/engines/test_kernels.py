"""Compiled functions: what several processes make at the same moment is all kept, each entry under its own types."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from engines.kernels import inlined, kernel

TWICE = """
from engines.kernels import kernel

@kernel
def twice(x):
    return x + x
"""
# The writing of the index is made slow, so that without a lock both have read it before either has written
CALL = """
import json, sys, time
from numba.core.caching import IndexDataCacheFile
save = IndexDataCacheFile._save_index
IndexDataCacheFile._save_index = lambda *args: (time.sleep(1.0), save(*args))
import twice
print("ready", flush=True)
sys.stdin.readline()
value = twice.twice(eval(sys.argv[1]))
stats = twice.twice.stats
print(json.dumps([str(value), sum(stats.cache_hits.values()), sum(stats.cache_misses.values())]))
"""


@pytest.fixture
def start(tmp_path):
    (tmp_path / "twice.py").write_text(TWICE)
    paths = os.pathsep.join([str(tmp_path), *[path for path in sys.path if path]])
    started = []

    def begin(argument):
        process = subprocess.Popen(
            [sys.executable, "-c", CALL, argument],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths, "NUMBA_CACHE_DIR": str(tmp_path / "kernels")},
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def _answer(process):
    said, _ = process.communicate("go\n", timeout=60)
    return json.loads(said)


def _together(processes):
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    return [json.loads(process.communicate(timeout=60)[0]) for process in processes]


def test_two_that_compile_at_once_both_find_their_own_again(start):
    assert _together([start("3"), start("1.5")]) == [["6", 0, 1], ["3.0", 0, 1]]
    assert [_answer(start(argument)) for argument in ("3", "1.5")] == [["6", 1, 0], ["3.0", 1, 0]]


def test_a_lock_that_cannot_be_had_stops_nobody(start, tmp_path):
    """A folder of somebody else's; as root may open everything, a folder stands where the lock should."""
    _answer(start("3"))
    (lock,) = (tmp_path / "kernels").rglob("*.lock")
    lock.unlink()
    lock.mkdir()
    (lock / "x").touch()
    assert _answer(start("3")) == ["6", 1, 0]
    assert _answer(start("1.5")) == ["3.0", 0, 1]


def test_a_holder_that_died_holds_nothing(start, tmp_path):
    _answer(start("3"))
    (lock,) = (tmp_path / "kernels").rglob("*.lock")
    hold = f"import fcntl, time; fcntl.flock(open({str(lock)!r}), fcntl.LOCK_EX); print(flush=True); time.sleep(99)"
    holder = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE)
    holder.stdout.readline()
    waiting = start("3")
    waiting.stdin.write("go\n")
    waiting.stdin.flush()
    holder.kill()
    holder.communicate()
    assert json.loads(waiting.communicate(timeout=60)[0]) == ["6", 1, 0]


def test_what_is_inlined_is_compiled_with_what_it_stands_in():
    @inlined
    def add(a, b):
        return a + b

    @kernel
    def sums(values):
        total = 0.0
        for value in values:
            total = add(total, value)
        return total

    assert sums(np.arange(4.0)) == 6
