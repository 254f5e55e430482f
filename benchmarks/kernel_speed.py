"""How fast the kernels are, each against what it replaces: envelope, Pixel-RR map, pasting, XDF write.

    python -m benchmarks.kernel_speed [--quick]

Each kernel's own benchmark has a `measure`; they are run several times in turns, and a row's numbers are the medians.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import envelope_speed, map_speed, paste_speed, xdf_write
from benchmarks.measure import Row, Target, conditions, merge_rounds, show, warn_when_busy, write_results

SUITES: tuple[Callable[[], list[Row]], ...] = (
    envelope_speed.measure,
    map_speed.measure,
    paste_speed.measure,
    xdf_write.measure,
)


def measure(rounds: int = 3, suites: Sequence[Callable[[], list[Row]]] = SUITES) -> list[Row]:
    """Rows of all suites: what, ours_us, peer, peer_us, ratio (peer / ours) and whatever else a suite reports."""
    return merge_rounds([[row for suite in suites for row in suite()] for _ in range(rounds)], ("what", "peer"))


def targets(rows: Sequence[Row]) -> list[Target]:
    """The kernels' lines of DESIGN 12; of several presets or peers of one kind the slowest counts."""
    return [
        Target(
            "control-loop envelope: scipy.signal.sosfilt's time / ours",
            min(_all(rows, "ratio", "envelope", "scipy")),
            *(4.0, "x", False),
        ),
        Target("Pixel-RR map: NumPy's time / ours", min(_all(rows, "ratio", "Pixel-RR", "NumPy")), 5.0, "x", False),
        Target(
            "Pixel-RR map: our time / a memory copy of the same bytes",
            1 / min(_all(rows, "ratio", "Pixel-RR", "copy of the same bytes")),
            *(2.0, "x"),
        ),
        Target(
            f"{paste_speed.LAY}, all of the crop",
            max(_all(rows, "ours_us", paste_speed.LAY)),
            paste_speed.LIMIT_US,
            "us",
        ),
        Target("XDF write per 31 ms chunk", max(_all(rows, "ours_us", "XDF write")), 50.0, "us"),
    ]


def _all(rows: Sequence[Row], number: str, what: str, peer: str = "") -> list[float]:
    found: list[Any] = [row[number] for row in rows if what in row["what"] and peer in row.get("peer", "")]
    if not found:
        raise ValueError(f"no row measures {what!r} against {peer!r}: a suite has changed its names")
    return found


def main() -> None:
    """Measure, print, write results/kernel_speed.json (not with --quick)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round, nothing is written")
    quick = parser.parse_args().quick
    under = conditions()
    rows = measure(1 if quick else 3)
    notes = ["ratio: the peer's time / ours, measured in the same run.", *warn_when_busy(under)]
    show("Kernels, one core", rows, targets(rows), notes)
    if not quick:
        write_results("kernel_speed", rows, targets(rows), notes, under)


if __name__ == "__main__":
    main()
