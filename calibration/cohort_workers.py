"""Clips made by several processes, one thread each: the same bytes with one process as with sixteen."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2

from calibration.cohort_clip import make_clip
from calibration.cohort_plan import ClipPlan, CohortSettings
from calibration.cohort_signals import Signals
from calibration.cohort_stage import Stage
from calibration.worker_process import ONE_THREAD, end_with_parent, environment
from rt.errors import DataLost

Made = Callable[[ClipPlan, int], None]
"""Called when a clip is complete, with its bytes on disk."""


class Job(NamedTuple):
    """What every process needs.

    open_stage: a function or class of a module, called with the settings and `arguments` once in each process.
    """

    settings: CohortSettings
    out: Path
    open_stage: Callable[..., Stage]
    arguments: tuple[object, ...]


class Maker:
    """Makes clips, one after the other; remembers the recording it is in."""

    def __init__(self, job: Job) -> None:
        """Opens the stage."""
        self._job = job
        self._stage = job.open_stage(job.settings, *job.arguments)
        self._signals = lru_cache(maxsize=2)(lambda recording: Signals(job.settings, recording))

    def make(self, plan: ClipPlan) -> int:
        """As make_clip."""
        signals = self._signals(plan.recording)
        return make_clip(plan, self._job.settings, signals, self._stage, self._job.out)


def make_all(job: Job, plans: Sequence[ClipPlan], processes: int, made: Made) -> None:
    """Make the clips, in no particular order between processes.

    Raises DataLost when a process ends unasked, whatever a clip raises otherwise, and KeyboardInterrupt; in all these
    cases no process is left behind.
    """
    before = set(multiprocessing.active_children())
    with environment(ONE_THREAD):
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(min(processes, len(plans)) or 1, context, _begin, (job,))
        try:
            waiting = {pool.submit(_make, plan): plan for plan in plans}
            for done in as_completed(waiting):
                made(waiting[done], done.result())
        except BrokenProcessPool:
            raise DataLost(
                "a process that makes clips was ended from outside (is there enough memory?); what is complete is "
                "kept: run the same command again, with fewer processes"
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_maker: Maker | None = None  # of this process; a pool hands its processes nothing else to keep it in


def _begin(job: Job) -> None:
    """In a new process.  Ctrl-C reaches the whole group; the parent alone decides what it means."""
    global _maker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()
    os.umask(0o077)
    cv2.setNumThreads(1)
    _maker = Maker(job)


def _make(plan: ClipPlan) -> int:
    assert _maker is not None
    return _maker.make(plan)
