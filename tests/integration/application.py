"""The whole application as its user has it: the `myomirror` command, its processes, and what it leaves behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import psutil
import yaml

from rt.board import Board, Histogram, State
from rt.graph import Graph
from rt.ledger import read_ledger
from rt.runtime_folder import shared_memory_root

COMMAND = str(Path(sys.executable).with_name("myomirror"))
VIDEO = Path(os.environ.get("MYOMIRROR_DATA", "")) / "video" / "neutral_smile_neutral.mp4"
LONGEST_S = 150  # nothing outlives a test run that is killed by much
HANG = str(Path(__file__).parent / "hang")  # what makes SIGUSR1 a hung work loop


def until(condition, what, limit_s=30.0):
    """What the condition returns, once that is true."""
    t_limit = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < t_limit, f"it never happened: {what() if callable(what) else what}"
        time.sleep(0.02)
    return found


def others_share():
    """How much longer everything takes beside what else runs here: 1 on a machine that is not overloaded."""
    return max(1.0, os.getloadavg()[0] / len(os.sched_getaffinity(0)))


def run(*arguments, **options):
    """`myomirror ...` to its end."""
    command = [COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, **options)


def station_file(folder: Path, **sections) -> Path:
    """A station file with these sections."""
    path = folder / "station.yaml"
    path.write_text(yaml.safe_dump(sections))
    return path


def shared_folders() -> set[str]:
    """Folders of sessions in shared memory, hidden ones too."""
    return {path.name for path in shared_memory_root().iterdir() if "myomirror-" in path.name}


class Simulated:
    """`myomirror simulate emg` in a process of its own; `kill` and start another one with the same id."""

    def __init__(self, source_id: str, *options: str) -> None:
        command = [COMMAND, "simulate", "emg", "--source-id", source_id, "--seconds", str(LONGEST_S), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.said = self.process.stdout.readline()
        assert source_id in self.said, self.said

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


class Application:
    """A `myomirror` session as a process. `wait_until_running` before looking at anything else."""

    def __init__(self, folder: Path, *arguments, env=None, preexec=None) -> None:
        self.report_file = folder / "report.json"
        self.output_file = folder / "output.txt"
        arguments = [*map(str, arguments), "--report", str(self.report_file)]
        if arguments[0] != "replay":  # which ends with its recording
            arguments += ["--seconds", str(LONGEST_S)]
        with self.output_file.open("w") as output:
            self.process = subprocess.Popen(
                [COMMAND, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                preexec_fn=preexec,
            )

    @property
    def output(self) -> str:
        return self.output_file.read_text()

    @property
    def report(self) -> dict:
        return json.loads(self.report_file.read_text())

    # ------------------------------------------------------------------ its processes

    def workers(self) -> dict[str, psutil.Process]:
        """Living worker processes by group."""
        found = {}
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children():
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    line = child.cmdline()
                    if "rt.worker" in line and child.status() != psutil.STATUS_ZOMBIE:
                        found[line[line.index("rt.worker") + 2]] = child
        return found

    @cached_property
    def folder(self) -> Path:
        """The session's folder in shared memory."""

        def look():
            for child in self.workers().values():
                line = child.cmdline()
                return Path(line[line.index("rt.worker") + 1])
            assert self.process.poll() is None, self.output
            return None

        return until(look, "a worker")

    @cached_property
    def graph(self) -> Graph:
        return Graph.from_json((self.folder / "graph.json").read_text())

    @cached_property
    def board(self) -> Board:
        return Board(self.folder / "board", [n.name for n in self.graph.nodes], [e.name for e in self.graph.edges])

    def node_of(self, group: str) -> str:
        return self.graph.group(group)[0].name

    def state(self, group: str) -> State:
        return State(int(self.board.node(self.node_of(group))["state"][0]))

    @property
    def shown(self) -> int:
        """Pictures that reached the eye so far."""
        return read_ledger(self.graph, self.board).shown

    def count(self, edge: str) -> int:
        """Messages delivered on an edge so far."""
        return int(self.board.edge(edge)["delivered"][0])

    def latency(self, metric: str) -> Histogram:
        return self.board.histogram(metric)

    # ------------------------------------------------------------------ what is done to it

    def wait_until_running(self, shown: int = 3, limit_s: float = 60.0):
        """Until so many pictures have been shown."""

        def running():
            assert self.process.poll() is None, self.output
            return self.board.flags["go"][0] and self.shown >= shown

        until(running, lambda: self.output, limit_s)
        return self

    def strike(self, group: str, number: signal.Signals) -> int:
        """Send a signal to a group's process; returns its process id."""
        pid = self.workers()[group].pid
        os.kill(pid, number)
        return pid

    def replaced(self, group: str, pid: int) -> bool:
        """Whether the group has another process than this one, and that is at work."""
        process = self.workers().get(group)
        return process is not None and process.pid != pid and self.state(group) == State.RUNNING

    def stop(self, number: signal.Signals = signal.SIGINT, limit_s: float = 20.0) -> int:
        """Ask it to stop; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(limit_s)

    def kill_everything(self) -> None:
        """SIGKILL to the session and all its workers at once."""
        workers = list(self.workers().values())
        for pid in [self.process.pid, *(worker.pid for worker in workers)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        psutil.wait_procs(workers, timeout=5.0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            folder = self.folder if self.workers() else None
            self.kill_everything()
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


def recordings(folder: Path) -> list[Path]:
    """The session folders in a data folder."""
    return sorted(folder.iterdir()) if folder.is_dir() else []
