"""Letting other processes go first."""

import contextlib
import os
from pathlib import Path

_NICENESS = 5  # about a third of a share
_THREADS = Path("/proc/self/task")


def give_way() -> None:
    """From now on this process has what others leave of the processor: every thread it has, and those it starts.

    Linux has a niceness for each thread, so libraries that have started theirs would keep their share otherwise.
    """
    wanted = min(os.nice(0) + _NICENESS, 19)
    if not _THREADS.is_dir():
        os.nice(_NICENESS)
        return
    for thread in _THREADS.iterdir():
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.setpriority(os.PRIO_PROCESS, int(thread.name), wanted)
