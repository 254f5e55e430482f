"""One supervised process: started, watched, killed when it hangs, started again with back-off, given up at last."""

import os
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path

import numpy as np

from rt import clock
from rt.board import State
from rt.worker import run_in_thread

HANG_S = 1.0  # no heartbeat from the work loop for this long, not counting the time in which it had no core
_HANG_MOST_S = 3.0  # then it does not matter why
_SILENT_S = 0.1  # from here on it is looked up whether the loop waits for a core
OPENING_S = 60.0  # opening devices and models has no heartbeat of its own
_BACK_OFF_S = (0.0, 0.2, 0.5, 1.0, 2.0)
_WINDOW_S = 60.0
_MOST_RESTARTS = 5

# Two cores are shared by all: a library that spins up its own pool in each process only makes the others late.
_ONE_THREAD = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "TBB_NUM_THREADS")
}


class Group:
    """A worker and its history. `watch` is called by the session about 50 times a second."""

    def __init__(self, name: str, folder: Path, rows: list[np.ndarray], log_folder: Path, threads: bool) -> None:
        self.name = name
        self.generation = 0
        self.degraded = False
        self._folder = folder
        self._rows = rows
        self._log = log_folder / f"{name}.log"
        self._threads = threads
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._t_started = 0.0
        self._t_next: float | None = None
        self._recent: deque[float] = deque()
        self._waited_s: float | None = None  # for a core, when its silence began

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def state(self) -> State:
        return State(int(self._rows[0]["state"][0]))

    @property
    def exit_code(self) -> int | None:
        """None while it runs; -1 for a thread that ended without finishing."""
        if self._thread is not None:
            return None if self._thread.is_alive() else (0 if self.state == State.DONE else -1)
        return self._process.poll() if self._process else None

    def start(self) -> None:
        self._t_started, self._t_next = clock.now(), None
        for row in self._rows:
            row["state"], row["heartbeat"] = State.STARTING, clock.now()
        if self._threads:
            self._thread = run_in_thread(self._folder, self.name)
            return
        command = [sys.executable, "-m", "rt.worker", str(self._folder), self.name]
        command += [str(self.generation), str(os.getpid())]
        self._log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # logs are tidied; a session may run for days
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            # A session of its own, so that Ctrl-C reaches only the supervisor, which stops in order.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
                env={**os.environ, **_ONE_THREAD},
            )
        finally:
            os.close(descriptor)

    def watch(self) -> str | None:
        """What has just gone wrong, as a sentence; schedules the restart. None when all is well."""
        if self._t_next is not None:
            if clock.now() >= self._t_next:
                self.start()
            return None
        if self.degraded or self._process is None:
            return None
        if self.state == State.DONE:
            return None  # nothing is left to do; however it takes its libraries apart
        code = self._process.poll()
        if code is not None:
            return self._schedule(f"{self.name} died ({_how(code)})")
        silent_s = clock.now() - max(float(row["heartbeat"][0]) for row in self._rows)
        if self._hangs(silent_s):
            self._process.kill()
            self._process.wait()
            return self._schedule(f"{self.name} hung for {silent_s:.1f} s and was killed")
        return None

    def _hangs(self, silent_s: float) -> bool:
        """Whether a silence this long means that nothing will come. A loop that waits for a core is slow, not hung."""
        if self.state == State.STARTING:
            return silent_s > OPENING_S
        if silent_s < _SILENT_S:
            self._waited_s = None
            return False
        waited_s = self._waited_for_a_core_s()
        if self._waited_s is None:
            self._waited_s = waited_s
        return silent_s > _HANG_MOST_S or silent_s - (waited_s - self._waited_s) > HANG_S

    def _waited_for_a_core_s(self) -> float:
        """How long its threads have been ready to run without running, so far; 0 where the kernel does not say.

        All of them: the work loop may wait for a thread of a library, which waits for a core.
        """
        threads = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        try:
            return sum(int(thread.read_text().split()[1]) for thread in threads) * 1e-9
        except (OSError, IndexError, ValueError):
            return self._waited_s or 0.0  # a thread that ended while it was looked at

    def _schedule(self, what: str) -> str:
        now = clock.now()
        self._recent.append(now)
        while now - self._recent[0] > _WINDOW_S:
            self._recent.popleft()
        if len(self._recent) > _MOST_RESTARTS:
            self.degraded = True
            for row in self._rows:
                row["state"] = State.DEGRADED
            return f"{what}; it has failed {len(self._recent)} times in a minute and stays off ({self.last_words()})"
        for row in self._rows:
            row["state"] = State.ABSENT
        self.generation += 1
        self._t_next = now + _BACK_OFF_S[min(len(self._recent) - 1, len(_BACK_OFF_S) - 1)]
        return f"{what}; restart {self.generation}"

    def last_words(self) -> str:
        """The last line of its log."""
        try:
            lines = self._log.read_text(errors="replace").strip().splitlines()
        except OSError:
            return "no log"
        return lines[-1][-300:] if lines else "its log is empty"

    def wait(self, t_limit: float) -> bool:
        """Wait for it until t_limit (LSL seconds). True when it has ended by itself."""
        seconds = max(t_limit - clock.now(), 0.001)
        if self._thread is not None:
            self._thread.join(seconds)
            return not self._thread.is_alive()
        if self._process is None:
            return True
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def terminate(self) -> None:
        """Ask the operating system to end it; nothing when it has ended (a thread cannot be made to)."""
        if self._process is not None:
            self._process.terminate()

    def kill(self, t_limit: float) -> None:
        """Leave it until t_limit, then no more."""
        if self._process is not None and not self.wait(t_limit):
            self._process.kill()
            self._process.wait()


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
