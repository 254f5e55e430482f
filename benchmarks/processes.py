"""What a command and all its processes use: memory without counting shared pages twice, and open files."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

MYOMIRROR = Path(sys.executable).with_name("myomirror")


class Usage(NamedTuple):
    """Of a process and its descendants: PSS and RSS in MB (10^6 bytes), open file descriptors, processes."""

    pss_mb: float
    rss_mb: float
    files: int
    processes: int


@contextmanager
def running(arguments: list[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`myomirror` with these arguments, its output in `log`; stopped in order at the end, killed when that fails."""
    with log.open("wb") as output:
        child = subprocess.Popen(
            [str(MYOMIRROR), *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def usage(pid: int) -> Usage:
    """Now. Processes that end while they are looked at count as nothing."""
    parent = psutil.Process(pid)
    sums, counted = [0.0, 0.0, 0], 0
    for process in [parent, *parent.children(recursive=True)]:
        try:
            pss, rss = memory_mb(process.pid)
            files = process.num_fds()
        except (psutil.Error, OSError):
            continue
        sums[0] += pss
        sums[1] += rss
        sums[2] += files
        counted += 1
    return Usage(sums[0], sums[1], int(sums[2]), counted)


def memory_mb(pid: int) -> tuple[float, float]:
    """PSS and RSS of one process in MB. PSS divides every shared page by the number of processes that share it."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, value = line.partition(":")
        found[name] = int(value.split()[0]) * 1024 / 1e6
    return found["Pss"], found["Rss"]


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder for reports and logs that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        os.chmod(folder, 0o700)
        yield Path(folder)


def last_line(log: Path) -> str:
    """What a command said last, for an error message."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it printed nothing"
