"""The common frame of all benchmarks: how to time, under which conditions, and where the numbers go.

A number is worth what is known about it: every result file says which machine, which versions, which commit and how
busy the machine was. Times are taken in turns with the peer's, in one process and one run, so that a noisy machine is
noisy for both; what counts is the ratio.
"""

import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
BUSY_LOAD = 0.5  # run queue per core above which numbers are not to be trusted

_LIBRARIES = (
    *("numpy", "scipy", "numba", "opencv-contrib-python", "mediapipe", "pylsl", "pyzmq", "ezmsg", "av"),
    *("starlette", "uvicorn", "pydantic", "typer"),
)
_SOURCES = ("engines", "rt", "calibration", "benchmarks/*.py", "setup.cfg")

Row = dict[str, Any]


@dataclass(frozen=True)
class Spread:
    """One kind of measurement: median, 5th, 95th and 99th percentile of n values, in the unit of the values."""

    median: float
    p05: float
    p95: float
    p99: float
    n: int

    @staticmethod
    def of(values: Sequence[float] | np.ndarray) -> "Spread":
        """Raises ValueError when there are no values."""
        if not len(values):
            raise ValueError("nothing was measured: no values to summarise")
        p05, median, p95, p99 = np.percentile(np.asarray(values, np.float64), [5, 50, 95, 99])
        return Spread(float(median), float(p05), float(p95), float(p99), len(values))


@dataclass(frozen=True)
class Target:
    """A number of DESIGN 12 and what was measured. limit is the largest (at_most) or smallest value that will do."""

    what: str
    value: float
    limit: float
    unit: str
    at_most: bool = True

    @property
    def reached(self) -> bool:
        """NaN has not reached anything."""
        return self.value <= self.limit if self.at_most else self.value >= self.limit


def alternate(
    works: Mapping[str, Callable[[], object]], repeats: int = 300, warm_up: int = 30, in_a_row: int = 1
) -> dict[str, Spread]:
    """Microseconds per call of each work, taken in turns: one turn is `in_a_row` calls of each.

    in_a_row > 1 when the works would otherwise push each other out of the caches and the real use would not.
    The first `warm_up` turns are thrown away.
    """
    names = list(works)
    times: dict[str, list[float]] = {name: [] for name in names}
    collecting = gc.isenabled()
    gc.disable()  # a collection belongs to nobody in particular
    try:
        for turn in range(warm_up + repeats):
            shift = turn % len(names)
            for name in names[shift:] + names[:shift]:  # nobody is always first
                taken = _time_us(works[name], in_a_row)
                if turn >= warm_up:
                    times[name].extend(taken)
    finally:
        if collecting:
            gc.enable()
    return {name: Spread.of(values) for name, values in times.items()}


def repeat(work: Callable[[], object], repeats: int = 300, warm_up: int = 30) -> Spread:
    """Microseconds per call of one work that has no peer."""
    return alternate({"": work}, repeats, warm_up)[""]


def _time_us(work: Callable[[], object], calls: int) -> list[float]:
    taken = []
    for _ in range(calls):
        begin = time.perf_counter_ns()
        work()
        taken.append((time.perf_counter_ns() - begin) / 1e3)
    return taken


def merge_rounds(rounds: Sequence[Sequence[Row]], keys: Sequence[str]) -> list[Row]:
    """The same table measured several times -> one: numbers become their median, with `ratio_from` and `ratio_to`.

    Rows belong together when they agree in `keys`. Raises ValueError when the rounds do not hold the same rows.
    """
    tables = [{tuple(row.get(key) for key in keys): row for row in table} for table in rounds]
    if any(table.keys() != tables[0].keys() for table in tables):
        raise ValueError("the rounds measured different rows: they cannot be merged")
    merged = []
    for key, first in tables[0].items():
        same = [table[key] for table in tables]
        row = {name: _middle([one[name] for one in same]) for name in first}
        if "ratio" in first:
            row["ratio_from"], row["ratio_to"] = (pick(one["ratio"] for one in same) for pick in (min, max))
        merged.append(row)
    return merged


def _middle(values: list[Any]) -> Any:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return statistics.median(values) if numbers else values[0]


def conditions() -> dict[str, Any]:
    """Machine, versions, commit and load: call it *before* measuring, the load is part of the result."""
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": _commit(),
        "machine": {
            "cpu": _from_proc("cpuinfo", "model name") or platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gb": round(int(_from_proc("meminfo", "MemTotal").split()[0]) / 2**20, 1),
            "kernel": platform.release(),
        },
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "versions": {"python": platform.python_version(), **_versions()},
    }


def _from_proc(file: str, field: str) -> str:
    for line in Path("/proc", file).read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == field:
            return value.strip()
    return ""


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def _commit() -> str:
    """Short hash, with '+changes' when a source file differs from it; '' outside a git checkout."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+changes" if _git("status", "--porcelain", "--", *_SOURCES) else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def write_results(
    name: str,
    rows: Sequence[Row],
    targets: Sequence[Target] = (),
    notes: Sequence[str] = (),
    under: Mapping[str, Any] | None = None,
    folder: Path = RESULTS,
) -> Path:
    """Write folder/NAME.json: numbers with four digits, keys in a fixed order, so that a diff shows what changed.

    under: `conditions()` from before the measurement; taken now when not given.
    """
    result = {
        "name": name,
        **(under or conditions()),
        "targets": [{**asdict(target), "reached": target.reached} for target in targets],
        "rows": list(rows),
        "notes": list(notes),
    }
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(_rounded(result), indent=1, ensure_ascii=False) + "\n")
    return path


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.4g}") if np.isfinite(value) else None
    return value


def show(title: str, rows: Sequence[Row], targets: Sequence[Target] = (), notes: Sequence[str] = ()) -> None:
    """Print rows as a table whose columns are the keys of all rows, then the targets, then the notes."""
    from rich.console import Console  # here: a machine that is only measured on may not have it
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 200)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(*columns, title=title, box=None, title_justify="left")
    for row in rows:
        table.add_row(*(_text(row.get(column)) for column in columns))
    console.print(table)
    for target in targets:
        sign, verdict = ("<=" if target.at_most else ">="), ("reached" if target.reached else "missed")
        console.print(
            f"{verdict:8} {target.what}: {target.value:.3g} {target.unit}, wanted {sign} {target.limit:g}",
            highlight=False,
        )
    for note in notes:
        console.print(f"         {note}", highlight=False)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)


def warn_when_busy(under: Mapping[str, Any]) -> list[str]:
    """A note when others were using the machine before the measurement began."""
    load = under["load_average"][0] / under["machine"]["cores"]
    if load <= BUSY_LOAD:
        return []
    return [f"The machine was busy beforehand (load {load:.2f} per core): ratios hold, absolute times are too long."]
