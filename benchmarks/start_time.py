"""How long a person waits: for `myomirror --help`, and from starting the demo to the first picture shown.

    python -m benchmarks.start_time [--quick]

Each start is a new process; the files are in the operating system's cache, as on the second use of a day.
"""

import argparse
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks.measure import Row, Spread, Target, conditions, show, warn_when_busy, write_results
from benchmarks.processes import MYOMIRROR, last_line, private_folder, running
from rt.board import Board
from rt.graph import Graph
from rt.ledger import read_ledger

_LOOK_S = 0.01
_LIMIT_S = 60.0


def help_s(times: int) -> Spread:
    """Seconds from start to exit of `myomirror --help`, after one start that fills the caches."""
    taken = []
    for turn in range(times + 1):
        begin = time.monotonic()
        subprocess.run([str(MYOMIRROR), "--help"], check=True, capture_output=True)
        if turn:
            taken.append(time.monotonic() - begin)
    return Spread.of(taken)


def first_picture_s() -> float:
    """Seconds from starting the demo's process to the first picture that its session counts as shown.

    Read from outside, on the session's board, so that the interpreter's own start and all imports count. Raises
    RuntimeError when the demo ends before it shows anything.
    """
    with private_folder() as folder:
        begin = time.monotonic()
        log = folder / "log"
        with running(["demo", "--headless"], log) as child:
            graph, board = _session_of(child, begin, log)
            while read_ledger(graph, board).shown == 0:
                _check(child, begin, log)
            return time.monotonic() - begin


def _session_of(child: "subprocess.Popen[bytes]", begin: float, log: Path) -> tuple[Graph, Board]:
    """Its workers are started as `python -m rt.worker FOLDER GROUP GENERATION`; graph and board lie in FOLDER."""
    while True:
        _check(child, begin, log)
        for worker in psutil.Process(child.pid).children():
            words = _words(worker)
            if "rt.worker" in words:
                folder = Path(words[words.index("rt.worker") + 1])
                graph = Graph.from_json((folder / "graph.json").read_text())
                names = [node.name for node in graph.nodes]
                return graph, Board(folder / "board", names, [edge.name for edge in graph.edges])


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def _check(child: "subprocess.Popen[bytes]", begin: float, log: Path) -> None:
    time.sleep(_LOOK_S)
    if child.poll() is not None:
        raise RuntimeError(f"the demo ended with {child.returncode} before it showed anything: {last_line(log)}")
    if time.monotonic() - begin > _LIMIT_S:
        raise RuntimeError(f"the demo has shown nothing for {_LIMIT_S:g} s: {last_line(log)}")


def measure(times_help: int = 10, times_demo: int = 3) -> list[Row]:
    """Rows: what, median_s, p05_s, p95_s, starts."""
    found = {
        "myomirror --help": help_s(times_help),
        "demo's first picture": Spread.of([first_picture_s() for _ in range(times_demo)]),
    }
    return [
        {"what": what, "median_s": s.median, "p05_s": s.p05, "p95_s": s.p95, "starts": s.n} for what, s in found.items()
    ]


def targets(rows: Sequence[Row]) -> list[Target]:
    """DESIGN 12."""
    shown = {row["what"]: row["median_s"] for row in rows}
    return [
        Target("myomirror --help", shown["myomirror --help"], 0.5, "s"),
        Target("demo's first shown frame, from the start of the process", shown["demo's first picture"], 8.0, "s"),
    ]


def main() -> None:
    """Measure, print, write results/start_time.json (not with --quick)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few starts, nothing is written")
    quick = parser.parse_args().quick
    under = conditions()
    rows = measure(3, 1) if quick else measure()
    notes = [f"'Shown' is read on the session's board every {_LOOK_S * 1e3:g} ms.", *warn_when_busy(under)]
    show("Waiting", rows, targets(rows), notes)
    if not quick:
        write_results("start_time", rows, targets(rows), notes, under)


if __name__ == "__main__":
    main()
