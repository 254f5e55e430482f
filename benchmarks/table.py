"""The committed results as one Markdown table, written between markers into the README files.

    python -m benchmarks.table           write benchmarks/README.md, and what a session is about into README.md
    python -m benchmarks.table --print   only print it

A test holds the tables in the README files against the JSON, so that nobody edits one without the other.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.measure import RESULTS, ROOT

BEGIN, END = "<!-- numbers -->", "<!-- /numbers -->"
ORDER = ("frame_latency", "link_throughput", "kernel_speed", "raster_speed", "start_time", "soak")
"""What the design asks of a live session: these come first, and README.md has no others."""
PAGES = {Path("benchmarks/README.md"): False, Path("README.md"): True}  # whether it shows ORDER's only


def read_results(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """All result files, those of ORDER first."""
    files = sorted(folder.glob("*.json"), key=lambda path: (_place(path.stem), path.stem))
    return [json.loads(path.read_text()) for path in files]


def page_table(page: Path) -> str:
    """The table of one of PAGES."""
    results = read_results()
    return render([result for result in results if not PAGES[page] or result["name"] in ORDER])


def _place(name: str) -> int:
    return ORDER.index(name) if name in ORDER else len(ORDER)


def render(results: list[dict[str, Any]]) -> str:
    """The table, and under it on which machine, when, and at which commit each part was measured."""
    lines = ["| what | measured | target | |", "|---|--:|--:|---|"]
    for result in results:
        for target in result["targets"]:
            sign = "≤" if target["at_most"] else "≥"
            limit = f"{sign} {_number(target['limit'])} {target['unit']}"
            verdict = "reached" if target["reached"] else "**missed**"
            lines.append(f"| {target['what']} | {_number(target['value'])} {target['unit']} | {limit} | {verdict} |")
    measured = [name for name in ORDER if name not in {result["name"] for result in results}]
    lines += [f"| `{name}` | not measured yet | | |" for name in measured]
    return "\n".join([*lines, "", *_conditions(results)])


def _conditions(results: list[dict[str, Any]]) -> list[str]:
    """Results that were measured under the same conditions share a line."""
    where: dict[str, list[str]] = {}
    for result in results:
        machine = result["machine"]
        text = (
            f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']:g} GB, Linux {machine['kernel']}, "
            f"Python {result['versions']['python']}, commit {result['commit'] or 'unknown'}, {result['date']}"
        )
        where.setdefault(text, []).append(f"`{result['name']}`")
    return [f"{', '.join(names)}: {text}.\n" for text, names in where.items()]


def _number(value: float | None) -> str:
    """Three digits, whole numbers in full."""
    if value is None:
        return "nothing"
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def put_in(page: str, table: str) -> str:
    """The page with the table between the markers. Raises ValueError when it does not have both, once, in order."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in after:
        raise ValueError(f"the page needs {BEGIN} and {END} once each, in this order: the table goes between them")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main() -> None:
    """Write the table into every page that has the markers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", dest="only_print", help="write nothing")
    if parser.parse_args().only_print:
        print(render(read_results()))
        return
    for page in PAGES:
        path = ROOT / page
        if path.exists() and BEGIN in path.read_text():
            path.write_text(put_in(path.read_text(), page_table(page)))


if __name__ == "__main__":
    main()
