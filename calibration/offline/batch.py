"""Many recordings: shared out, each by itself, and an account of what became of all of them."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from calibration.offline import on_ray
from calibration.offline.jobs import LOST, Result
from calibration.offline.order import AUTO, LOCK, OFF, Order, Recording, job_text
from calibration.offline.workers import Advanced, run_here
from engines.errors import BadInput
from rt.errors import BadRecording
from rt.recording.disk import lock

_MOST = 1024
BAD_INPUT = 2

Ended = Callable[[Recording, Result], None]


@dataclass
class Account:
    """results: of the recordings that were dealt with.  refused: path -> why it is none."""

    results: dict[str, Result] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> dict[str, Result]:
        """Those that could not be processed, by name."""
        return {name: result for name, result in self.results.items() if result.failed}

    @property
    def exit_code(self) -> int:
        """0 when everything is there, 4 when data was lost, else 2 (DESIGN 13)."""
        codes = [result.failed for result in self.failed.values()] + [BAD_INPUT for _ in self.refused]
        return LOST if LOST in codes else BAD_INPUT if codes else 0

    @property
    def notes(self) -> Counter[str]:
        """What should be known of the tables, and of how many recordings it is true."""
        return Counter(note for result in self.results.values() for note in result.notes)


def process_all(
    recordings: Sequence[Recording], order: Order, processes: int, ray: str, ended: Ended, advanced: Advanced
) -> Account:
    """Process all of them; one that fails does not stop the others.

    processes: at once, on this machine.  ray: "off" for worker processes, "local", a cluster's address, or "auto":
    local where Ray is installed and there is more than one recording.  ended: called for each when it is dealt with.
    advanced: as workers.run_here; on Ray only `ended` is called.
    Raises BadInput for a number of processes that cannot be, BadSettings or MissingDevice where Ray cannot be had.
    After an interruption nothing half-written is left.
    """
    if not 1 <= processes <= _MOST:
        raise BadInput(f"processes must be 1 to {_MOST}, found {processes}")
    account = Account()

    def finished(place: int, result: Result) -> None:
        account.results[str(recordings[place].target)] = result
        ended(recordings[place], result)

    jobs = [job_text(recording, order) for recording in recordings]
    try:
        if uses_ray(ray, len(recordings)):
            on_ray.run_on_ray(jobs, on_ray.LOCAL if ray == AUTO else ray, min(processes, len(jobs)), finished)
        elif jobs:
            run_here(jobs, processes, finished, advanced)
    finally:
        for recording in recordings:
            result = account.results.get(str(recording.target))
            if result is None or result.failed == LOST:
                _discard(recording.part)
    return account


def _discard(part: Path) -> None:
    """What a process that was ended has left; not what another one is working on."""
    with suppress(OSError, BadRecording):
        fd = os.open(part / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        lock(fd, part)
        shutil.rmtree(part, ignore_errors=True)
        os.close(fd)


def uses_ray(ray: str, recordings: int) -> bool:
    """Whether these go through Ray."""
    if ray == AUTO:
        return recordings > 1 and on_ray.is_installed()
    return ray != OFF and recordings > 0
