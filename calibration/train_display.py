"""What somebody who waits for a training sees: a bar on a terminal, a line now and then in a file."""

import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

LINE_EVERY_S = 60.0  # where there is no terminal


class _WithLosses(Progress):
    """The bar, and the losses in a line of their own below it: together they are wider than a terminal."""

    numbers = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        yield Text(self.numbers)


class TrainDisplay:
    """Epoch, steps, speed, losses, time left."""

    def __init__(self, console: Console, name: str, epochs: int, steps_per_epoch: int, steps: int) -> None:
        """steps: taken before this run."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[at]}"),
        )
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=False))
        self._progress = _WithLosses(
            *columns, *times, console=console, disable=not console.is_terminal, speed_estimate_period=120
        )
        self._console, self._epochs, self._steps_per_epoch = console, epochs, steps_per_epoch
        self._bar = self._progress.add_task(name, total=epochs * steps_per_epoch, completed=steps, at="")
        self._said = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def step(self, steps: int) -> None:
        """Another one is done."""
        self._progress.update(self._bar, completed=steps)

    def losses(self, losses: Mapping[str, float], steps: int, steps_per_s: float) -> None:
        """Show the newest losses and the speed."""
        epoch = min((steps - 1) // self._steps_per_epoch + 1, self._epochs)
        numbers = "  ".join(f"{name} {value:.3g}" for name, value in losses.items())
        at = f"epoch {epoch}/{self._epochs}  {steps_per_s:.3g} steps/s"
        self._progress.numbers = numbers
        self._progress.update(self._bar, at=at)
        if not self._console.is_terminal and time.monotonic() - self._said >= LINE_EVERY_S:
            self._said = time.monotonic()
            self.say(f"step {steps}  {at}  {numbers}")

    def say(self, sentence: str) -> None:
        """Print a line above the bar."""
        self._console.print(sentence, highlight=False, soft_wrap=True, markup=False)
