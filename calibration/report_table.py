"""What the tables of every evaluation have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def titled(console: Console, title: str) -> Table:
    """A table's title stands by itself: as a part of the table it would be folded to the table's width."""
    console.print()
    console.print(title, style="bold", highlight=False)
    return Table(box=None, pad_edge=False)


def show_reach(console: Console, reached: Sequence[Mapping[str, Any]]) -> None:
    """How results stand to what they are to reach: bundle, what, measured (None: nothing could be), target, reached."""
    table = titled(console, "What is to be reached")
    for name in ("bundle", "what", "measured", "target", ""):
        table.add_column(name, justify="right" if name in ("measured", "target") else "left", overflow="fold")
    for one in reached:
        verdict = "reached" if one["reached"] else "MISSED"
        measured = "-" if one["measured"] is None else f"{one['measured']:.3g}"
        table.add_row(Text(one["bundle"]), one["what"], measured, one["target"], verdict)
    console.print(table, highlight=False)
