"""One hop of a 1280 x 720 x 3 picture between two processes at 30 fps: ours against what others use, in one run.

    python -m benchmarks.link_throughput [--quick]

The ways take turns, several rounds, each time in fresh processes. See `hop_meter` for what is measured.
"""

import argparse
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

import numpy as np

from benchmarks import hop_ways
from benchmarks.hop_meter import Job
from benchmarks.measure import Row, Spread, Target, conditions, show, warn_when_busy, write_results
from rt.runtime_folder import shared_memory_root

EZMSG = "ezmsg, newest wins"
EZMSG_EVERY = "ezmsg, holds back"
WHOLE = "whole runtime, in place"
IN_PLACE = "ring and link, in place"
WAYS = (
    *(WHOLE, IN_PLACE, "ring and link, one copy in"),
    *(EZMSG, EZMSG_EVERY, "ZeroMQ ipc, copy=False", "ZeroMQ ipc, pickle", "multiprocessing.Queue"),
)
_MOST_P50, _MOST_CPU = 0.5, 0.3  # of ezmsg's, DESIGN 12
_SHARED = (WHOLE, IN_PLACE)  # whose pictures are made in shared memory

Pair = tuple[dict[str, Any], dict[str, Any]]  # what the producer and the consumer wrote


def run_way(way: str, job: Job) -> None:
    """Run one way to its end; its two processes leave their numbers in the job's folder."""
    if way == WHOLE:
        from benchmarks.hop_graph import run_session

        run_session(job)
    elif way in (EZMSG, EZMSG_EVERY):
        _apart(_run_ezmsg, job, way == EZMSG)
    else:
        hop_ways.run_pair(way, job)


def _run_ezmsg(job: Job, newest: bool) -> None:
    os.environ["EZMSG_LOGLEVEL"] = "ERROR"  # read when ezmsg is imported, here and in its own processes
    from benchmarks.hop_ezmsg import run_ezmsg

    run_ezmsg(job, newest)


def _apart(work: Callable[[Job, bool], None], job: Job, newest: bool) -> None:
    process = multiprocessing.get_context("spawn").Process(target=work, args=(job, newest))
    process.start()
    process.join(30 + job.frames / job.fps)
    if process.exitcode != 0:
        process.kill()
        raise RuntimeError(f"{work.__name__} ended with {process.exitcode}: see what it printed")


def measure(rounds: int = 3, frames: int = 105, warm_up: int = 15, ways: Sequence[str] = WAYS) -> list[Row]:
    """Every way `rounds` times, in turns. Rows: way, p50_ms, ..., cpu_ms (per frame, both processes), frames, lost."""
    taken: dict[str, list[Pair]] = {way: [] for way in ways}
    for turn in range(rounds):
        shift = turn % len(ways)
        for way in (*ways[shift:], *ways[:shift]):
            with tempfile.TemporaryDirectory(prefix="hop-", dir=shared_memory_root()) as folder:
                job = Job(folder, frames, warm_up)
                run_way(way, job)
                taken[way].append((job.result("producer"), job.result("consumer")))
    pixels_ms = [
        float(np.median([taken[way][turn][0]["fill_ms"] for way in ways if way not in _SHARED] or [0.0]))
        for turn in range(rounds)
    ]
    return [_row(way, taken[way], pixels_ms, frames - warm_up) for way in ways]


def _row(way: str, taken: list[Pair], pixels_ms: list[float], sent: int) -> Row:
    wrong = sum(consumer["wrong"] for _, consumer in taken)
    if wrong:
        raise RuntimeError(f"{way}: {wrong} pictures arrived damaged, so nothing was measured")
    latency = Spread.of([ms for _, consumer in taken for ms in consumer["latency_ms"]])
    cpu = Spread.of([p["cpu_ms"] + c["cpu_ms"] - made for (p, c), made in zip(taken, pixels_ms, strict=True)])
    return {
        "way": way,
        "p50_ms": latency.median,
        "p05_ms": latency.p05,
        "p95_ms": latency.p95,
        "p99_ms": latency.p99,
        "cpu_ms": cpu.median,
        "cpu_producer_ms": float(np.median([p["cpu_ms"] for p, _ in taken])),
        "cpu_consumer_ms": float(np.median([c["cpu_ms"] for _, c in taken])),
        "making_pixels_ms": float(np.median([p["fill_ms"] for p, _ in taken])),
        "frames": latency.n,
        "lost": sent * len(taken) - latency.n,
    }


def with_ratios(rows: Sequence[Row]) -> list[Row]:
    """The same rows with p50 and CPU as multiples of ezmsg's newest-wins subscriber."""
    peer = next(row for row in rows if row["way"] == EZMSG)
    return [
        {**row, "p50_x_ezmsg": row["p50_ms"] / peer["p50_ms"], "cpu_x_ezmsg": row["cpu_ms"] / peer["cpu_ms"]}
        for row in rows
    ]


def targets(rows: Sequence[Row]) -> list[Target]:
    """The hop of DESIGN 12 against both kinds of ezmsg subscribers in the same run."""
    by_way = {row["way"]: row for row in rows}
    ours, found = by_way[IN_PLACE], []
    for way in (EZMSG, EZMSG_EVERY):
        peer = by_way[way]
        found += [
            Target(f"720p hop between processes: p50 / {way}", ours["p50_ms"] / peer["p50_ms"], _MOST_P50, "x"),
            Target(f"720p hop between processes: CPU / {way}", ours["cpu_ms"] / peer["cpu_ms"], _MOST_CPU, "x"),
        ]
    return found


def main() -> None:
    """Measure, print, write results/link_throughput.json (not with --quick)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round, nothing is written")
    quick = parser.parse_args().quick
    under = conditions()
    rows = with_ratios(measure(rounds=1, frames=75) if quick else measure())
    notes = [
        "Latency: pixels ready -> the other process has an array and has read its first and last byte.",
        "CPU: both processes, all threads, per frame, less the making of the pixels (the same amount for every way).",
        f"ezmsg {metadata.version('ezmsg')}: two processes, as many buffers as our ring, large from the start.",
        "ezmsg's 'newest wins' (leaky) promises what our `latest` edge does; 'holds back' hands out a view instead.",
        "'whole runtime': a real session with work loop, heartbeats and board; 'ring and link': transport alone.",
        *warn_when_busy(under),
    ]
    show("One hop, 1280 x 720 x 3 at 30 fps", rows, targets(rows), notes)
    if not quick:
        write_results("link_throughput", rows, targets(rows), notes, under)


if __name__ == "__main__":
    main()
