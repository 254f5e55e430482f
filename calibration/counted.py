"""A bar for work that is counted: silent where nobody watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def counted(console: Console, title: str, total: int, kept: bool = False) -> Iterator[Callable[..., None]]:
    """Within it, call what it gives with how many more are done (1 when nothing is said).

    total: how many there are.  kept: whether the bar stays on the screen afterwards.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=not kept) as progress:
        bar = progress.add_task(title, total=total)
        yield lambda more=1: progress.update(bar, advance=more)
