"""Jobs on this machine: one after the other in each of several processes; one that dies takes only its own job along.

Texts cross the pipes, never pickles.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import NamedTuple

from calibration.offline.jobs import LOST, Result, run_job
from calibration.worker_process import ONE_THREAD, end_with_parent, environment

_TELL_EVERY_S = 0.2
_END = b""

Finished = Callable[[int, Result], None]
"""Called with a job's place and what became of it."""
Advanced = Callable[[int, int, int], None]
"""Called with a job's place, its pictures so far, and how many there are."""


class _Worker:
    """One process and the job that it has."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs,), daemon=True)
        with environment(ONE_THREAD):
            self.process.start()
        theirs.close()
        self.place = -1

    def give(self, place: int, job: str) -> None:
        """One that has died meanwhile is noticed when it is listened to."""
        self.place = place
        with suppress(OSError):
            self.pipe.send_bytes(job.encode() if job else _END)

    def stop(self) -> None:
        """At once, whatever it is doing."""
        self.process.terminate()
        self.process.join()
        self.pipe.close()


def run_here(jobs: Sequence[str], processes: int, finished: Finished, advanced: Advanced) -> None:
    """Run all jobs.  processes: at most so many.  No process is left behind, KeyboardInterrupt included."""
    waiting = list(enumerate(jobs))[::-1]
    workers: list[_Worker] = []
    try:
        while waiting or workers:
            while waiting and len(workers) < processes:
                workers.append(_Worker())
                _give_next(workers[-1], waiting)
            busy = {worker.pipe: worker for worker in workers}
            for pipe in wait(list(busy)):
                _hear(busy[pipe], workers, waiting, finished, advanced)  # type: ignore[index]
    finally:
        for worker in workers:
            worker.stop()


def _give_next(worker: _Worker, waiting: list[tuple[int, str]]) -> None:
    worker.give(*(waiting.pop() if waiting else (-1, "")))


def _hear(
    worker: _Worker, workers: list[_Worker], waiting: list[tuple[int, str]], finished: Finished, advanced: Advanced
) -> None:
    """One message of a worker, or its end."""
    try:
        told = _Told(*json.loads(worker.pipe.recv_bytes()))
    except (EOFError, OSError):
        workers.remove(worker)
        worker.stop()
        if worker.place >= 0:
            code = worker.process.exitcode
            text = f"the process that worked on it ended unasked ({code}): is there enough memory?"
            finished(worker.place, Result(failed=LOST, text=text))
        return
    if told.result is None:
        advanced(worker.place, told.done, told.of)
        return
    finished(worker.place, Result.of(told.result))
    _give_next(worker, waiting)


class _Told(NamedTuple):
    """done, of: pictures.  result: the job's, when it has ended."""

    done: int
    of: int
    result: str | None


def _work(pipe: Connection) -> None:
    """In a new process.  Ctrl-C reaches the whole group; the parent alone decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()
    while (job := pipe.recv_bytes()) != _END:
        told_s = [time.monotonic()]

        def tell(done: int, of: int, told_s: list[float] = told_s) -> None:
            if time.monotonic() - told_s[0] > _TELL_EVERY_S:
                told_s[0] = time.monotonic()
                pipe.send_bytes(json.dumps(_Told(done, of, None)).encode())

        result = run_job(job.decode(), tell)
        pipe.send_bytes(json.dumps(_Told(0, 0, result)).encode())
