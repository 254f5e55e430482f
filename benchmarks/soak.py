"""The demo for ten minutes: does its memory grow, do files stay open, does the ledger close?

    python -m benchmarks.soak [--seconds 600]

Memory is the PSS of all its processes, read every two seconds; the slope is a Theil-Sen fit (the median of the slopes
between all pairs, which a garbage collection here and there does not move) after one minute of warm-up.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from benchmarks.measure import Row, Target, conditions, show, warn_when_busy, write_results
from benchmarks.processes import Usage, last_line, private_folder, running, usage

EVERY_S = 2.0
WARM_UP_S = 60.0
_GRACE_S = 60.0  # start and stop of the demo


class Sample(NamedTuple):
    """t: seconds since the start."""

    t: float
    usage: Usage


def slope_mb_per_min(samples: Sequence[Sample], warm_up_s: float = WARM_UP_S) -> tuple[float, float, float]:
    """The memory's slope and its 95 % limits, MB per minute. Raises ValueError with fewer than ten samples left."""
    after = [sample for sample in samples if sample.t >= warm_up_s]
    if len(after) < 10:
        raise ValueError(f"{len(after)} samples after {warm_up_s:g} s of warm-up are too few for a slope: run longer")
    minutes = np.array([sample.t for sample in after]) / 60
    fit = stats.theilslopes([sample.usage.pss_mb for sample in after], minutes, 0.95)
    return float(fit.slope), float(fit.low_slope), float(fit.high_slope)


def watch(child: "subprocess.Popen[bytes]", limit_s: float, every_s: float = EVERY_S) -> list[Sample]:
    """Samples until the child ends. Raises TimeoutError when it does not."""
    begin, samples = time.monotonic(), []
    while child.poll() is None:
        t = time.monotonic() - begin
        if t > limit_s:
            raise TimeoutError(f"the demo still runs after {t:.0f} s")
        samples.append(Sample(t, usage(child.pid)))
        time.sleep(max(every_s - (time.monotonic() - begin - t), 0.0))
    return samples


def run(seconds: float) -> tuple[list[Sample], dict[str, Any]]:
    """Run the demo headless; samples while it was up, and its report. Raises RuntimeError when it fails."""
    with private_folder() as folder:
        report, log = folder / "report.json", folder / "log"
        arguments = ["demo", "--headless", "--seconds", f"{seconds:g}", "--report", str(report)]
        with running(arguments, log) as child:
            samples = watch(child, seconds + _GRACE_S)
        if child.returncode != 0 or not report.exists():
            raise RuntimeError(f"the demo ended with {child.returncode}: {last_line(log)}")
        return samples, json.loads(report.read_text())


def summary(samples: Sequence[Sample], report: dict[str, Any], warm_up_s: float) -> tuple[list[Row], list[Target]]:
    """One row of numbers, and the targets. Samples of the shutdown (fewer processes than usual) are left out."""
    most = max(sample.usage.processes for sample in samples)
    steady = [sample for sample in samples if sample.usage.processes == most]
    slope, low, high = slope_mb_per_min(steady, warm_up_s)
    after = [sample for sample in steady if sample.t >= warm_up_s]
    frames = report["frames"]
    row = {
        "seconds": report["duration_s"],
        "processes": most,
        "pss_mb_first": after[0].usage.pss_mb,
        "pss_mb_last": after[-1].usage.pss_mb,
        "rss_mb_last": after[-1].usage.rss_mb,
        "slope_mb_per_min": slope,
        "slope_from": low,
        "slope_to": high,
        "files_first": after[0].usage.files,
        "files_last": after[-1].usage.files,
        "captured": frames["captured"],
        "shown": frames["shown"],
        "dropped": frames["dropped"],
        "closed": frames["closed"],
        "emg_gaps": report["emg"]["gaps"],
        "restarts": sum(report["restarts"].values()),
        "shown_fps": report["fps"]["shown"],
    }
    unexplained = frames["captured"] - frames["shown"] - sum(frames["dropped"].values())
    return [row], [
        Target("soak: memory slope", slope, 1.0, "MB/min"),
        Target(
            "soak: open files more at the end than after warm-up", row["files_last"] - row["files_first"], 0, "files"
        ),
        Target("soak: frames that the ledger cannot explain", abs(unexplained) + (not frames["closed"]), 0, "frames"),
    ]


def main() -> None:
    """Run, print, write results/soak.json (not when shorter than ten minutes)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--quick", action="store_true", help="40 s, 10 of them warm-up")
    options = parser.parse_args()
    seconds, warm_up_s = (40.0, 10.0) if options.quick else (options.seconds, min(WARM_UP_S, options.seconds / 4))
    under = conditions()
    samples, report = run(seconds)
    rows, targets = summary(samples, report, warm_up_s)
    notes = [
        f"PSS of all processes every {EVERY_S:g} s, Theil-Sen slope with 95 % limits after {warm_up_s:g} s of warm-up.",
        *warn_when_busy(under),
    ]
    show("Soak", rows, targets, notes)
    if seconds >= 600:
        write_results("soak", rows, targets, notes, under)


if __name__ == "__main__":
    main()
