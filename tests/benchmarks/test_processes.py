import mmap
import os
import subprocess
import sys

import pytest

from benchmarks.processes import last_line, memory_mb, private_folder, running, usage

HOLD = """
import mmap, os, sys, time
memory = mmap.mmap(os.open(sys.argv[1], os.O_RDWR), 0)
kept = memory[:1] + bytes(memory[i] for i in range(0, len(memory), 4096))
print("ready", flush=True)
time.sleep(60)
"""


def test_pages_that_two_share_are_counted_once_not_twice(tmp_path):
    path = tmp_path / "shared"
    path.write_bytes(bytes(64 * 2**20))
    holders = [
        subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) for _ in "ab"
    ]
    try:
        for holder in holders:
            holder.stdout.readline()
        measured = [memory_mb(holder.pid) for holder in holders]
    finally:
        for holder in holders:
            holder.kill()
            holder.wait()
            holder.stdout.close()
    assert sum(rss for _, rss in measured) > 2 * 67.1
    assert 67.1 < sum(pss for pss, _ in measured) < 67.1 + sum(rss for _, rss in measured) - 2 * 67.1


OPEN = """
import os, subprocess, sys
print("ready", flush=True)
sys.stdin.readline()
held = [os.open(os.devnull, os.O_RDONLY) for _ in range(7)]
child = subprocess.Popen([sys.executable, "-c", "print('ready', flush=True); input()"])
sys.stdin.readline()
"""


def test_usage_counts_files_and_processes():
    parent = subprocess.Popen(
        [sys.executable, "-c", OPEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        parent.stdout.readline()
        before = usage(parent.pid)
        parent.stdin.write("\n")
        parent.stdout.readline()
        after = usage(parent.pid)
    finally:
        parent.communicate("\n\n", timeout=20)
    assert (before.processes, after.processes) == (1, 2)
    assert before.files + 7 + 3 <= after.files
    assert after.pss_mb > before.pss_mb > 0


def test_memory_grows_by_what_is_taken():
    before, _ = memory_mb(os.getpid())
    taken = mmap.mmap(-1, 50_000_000)
    taken.write(b"x" * 50_000_000)
    after, _ = memory_mb(os.getpid())
    taken.close()
    assert after - before == pytest.approx(50, abs=5)


def test_a_command_that_is_still_running_is_stopped():
    with private_folder() as folder:
        with running(["--help"], folder / "log") as child:
            assert child.wait(30) == 0
        assert (folder / "log").stat().st_size > 0
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


def test_the_last_line_is_what_is_quoted(tmp_path):
    (tmp_path / "log").write_text("first\nthe reason\n\n")
    assert last_line(tmp_path / "log") == "the reason"
    (tmp_path / "log").write_text("")
    assert last_line(tmp_path / "log") == "it printed nothing"
