"""The tables of `myomirror evaluate` for eMotion-GAN, built as those of Ikne et al. 2024."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from calibration.report_table import show_reach

# measure -> (column, digits); arrows say which way is better
COLUMNS: dict[str, tuple[str, int]] = {
    "epe": ("EPE px ↓", 2),
    "epe_skin": ("EPE of the skin px ↓", 2),
    "epe_picture": ("EPE whole picture px ↓", 2),
    "ssim": ("SSIM ↑", 3),
    "ssim_face": ("SSIM in the face ↑", 3),
    "rmse": ("RMSE ↓", 1),
    "rmse_face": ("RMSE in the face ↓", 1),
}
PEERS = ("no frontalisation", "similarity of landmarks", "3D model drawn again", "registration by DIS flow")
CAPTION = (
    "People never seen, from rest to the movement held; mean ± standard deviation over pairs. EPE in the face, px of "
    "the flow's side, against Farneback of the frontal face as in the paper, and against how the skin moved; pictures "
    "at the flow's size."
)


def show(console: Console, report: Mapping[str, Any]) -> None:
    """Print everything that the report holds."""
    data = report["data"]
    kind = "synthetic people, nobody was recorded" if data["synthetic"] else "recordings of people"
    console.print(
        f"Movements without the head's, {data['folder']}: {data['pairs']} pairs of {data['people']} people, {kind}, "
        f"{data['size']} px",
        highlight=False,
    )
    for name, peer in report.get("peers", {}).items():
        console.print(
            f"{name}: smoothed by {100 * peer['smooth']:.0f} % of the side, chosen on {peer['chosen_on']} others",
            highlight=False,
        )
    for title, rows in report["tables"].items():
        _print(console, title, rows)
    if report.get("reach"):
        show_reach(console, report["reach"])
    console.print(CAPTION, style="dim", highlight=False)
    for note in report["notes"]:
        console.print(f"Note: {note}.", style="dim", highlight=False)


def reach(report: Mapping[str, Any], ours: Sequence[str]) -> list[dict[str, Any]]:
    """How ways of ours, with a trained generator or without, stand to what is to be reached.  ours: their names.

    EPE at most half of the best peer's, SSIM above all peers', and the gap in recognising motion halved.
    """
    table = report["tables"]["frontal view"]
    found: list[dict[str, Any]] = []
    for name in ours:
        row = table[name]
        peers = [table[peer] for peer in PEERS]
        best = min(peer["epe"]["mean"] for peer in peers)
        share = row["epe"]["mean"] / best
        found.append(_one(name, "EPE over the best peer's", share, "<= 0.5", share <= 0.5))
        if "ssim_face" in row:
            most = max(peer["ssim_face"]["mean"] for peer in peers)
            ahead = row["ssim_face"]["mean"] - most
            found.append(_one(name, "SSIM in the face above the best peer's", ahead, "> 0", ahead > 0))
        for title, by_way in report["tables"].items():
            if not title.startswith("recognised by") or name not in by_way:
                continue
            frontal, plain, own = (by_way[way]["all"]["mean"] for way in ("frontal, the truth", PEERS[0], name))
            if frontal > plain:
                left = (frontal - own) / (frontal - plain)
                found.append(_one(name, f"gap left, {title}", left, "<= 0.5", left <= 0.5))
    return found


def _one(bundle: str, what: str, measured: float, target: str, reached: bool) -> dict[str, Any]:
    return {"bundle": bundle, "what": what, "measured": measured, "target": target, "reached": bool(reached)}


def _print(console: Console, title: str, rows: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    order = [name for name in COLUMNS if name in columns] or columns
    console.print()
    console.print(title[0].upper() + title[1:], style="bold", highlight=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("", overflow="fold")
    for name in order:
        table.add_column(COLUMNS.get(name, (name, 0))[0], justify="right", overflow="fold")
    for name, row in rows.items():
        table.add_row(Text(name), *(_cell(row.get(column), column, title) for column in order))
    console.print(table, highlight=False)


def _cell(number: Mapping[str, Any] | None, column: str, title: str) -> str:
    if number is None or number["mean"] is None:
        return "-"
    if title.startswith("recognised"):
        return f"{100 * number['mean']:.0f} %"
    digits = COLUMNS.get(column, ("", 2))[1]
    return f"{number['mean']:.{digits}f} ± {number['sd']:.{digits}f}"
