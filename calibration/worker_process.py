"""What processes that share out work have in common: one thread each, and none outlives its parent."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

# Libraries read these when they are loaded: set before the processes start.  The work is shared out over the cores, and
# more threads could add up in another order.
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")}


@contextmanager
def environment(words: Mapping[str, str]) -> Iterator[None]:
    """What is set within it, and inherited by processes that are started there; afterwards all is as before."""
    before = {name: os.environ.get(name) for name in words}
    os.environ.update(words)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def end_with_parent() -> None:
    """For a thread of a worker: ends the process when its parent is gone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
