"""The one training loop: every recipe that learns step by step runs in it.

    with ranks(device) as processes:
        outcome = train(McCycleGan(...), Run(folder, minutes=30), processes, console)

In this order, for each step: the batch (made ahead on another thread), chance seeded anew, the recipe's step, the end
of an epoch, the log, the checkpoint, and the question whether to stop.  A run that was interrupted and goes on takes
the very same steps as one that was not: bit by bit on a processor with as many threads.
"""

import math
import random
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from calibration.checkpoint import NAME, Checkpoint, read_checkpoint, write_checkpoint
from calibration.distributed import Ranks
from calibration.recipe import Recipe, chance
from calibration.stopping import StopSignal
from calibration.train_display import TrainDisplay
from calibration.train_log import FOLDER, TrainLog
from engines.errors import EngineError
from rt.errors import BadSettings

LOOK_EVERY_S = 10.0
Ending = Literal["finished", "time", "stopped"]  # all epochs; the minutes are over; Ctrl-C or SIGTERM


@dataclass(frozen=True)
class Run:
    """How a training is run; nothing here changes what it learns, except where it ends."""

    folder: Path  # of the checkpoint and the log
    resume: bool = False  # go on from the checkpoint there
    minutes: float | None = None  # of this run; then the bundle is written as if all epochs were done
    checkpoint_minutes: float = 5.0
    checkpoint_steps: int | None = None  # also after so many
    log_steps: int = 50  # or every 10 s
    picture_steps: int = 1000

    def __post_init__(self) -> None:
        """Raises BadSettings for a number that is not positive."""
        for name in ("minutes", "checkpoint_minutes", "checkpoint_steps", "log_steps", "picture_steps"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise BadSettings(f"{name} must be more than 0, found {value}")


@dataclass(frozen=True)
class Outcome:
    """How it ended."""

    ending: Ending
    steps: int
    seconds: float  # of this run


def train(recipe: Recipe, run: Run, ranks: Ranks, console: Console) -> Outcome:
    """Train until all epochs are done, the time is over or somebody stops it; then finish, unless stopped.

    The checkpoint stays in run.folder: a training that was finished by the clock can be continued too.
    Raises BundleError for a damaged checkpoint, BadSettings for one of other settings, EngineError when a loss is no
    number any more; the last checkpoint before that is kept.
    """
    loop = _Loop(recipe, run, ranks, console)
    try:
        with loop.display, StopSignal(alone=ranks.size == 1) as stop:
            ending = loop.work(stop)
    finally:
        loop.close()
    if ending != "stopped" and ranks.first:
        recipe.finish()
    ranks.wait()
    return Outcome(ending, loop.steps, time.monotonic() - loop.began)


class _Loop:
    """The state of one run."""

    def __init__(self, recipe: Recipe, run: Run, ranks: Ranks, console: Console) -> None:
        self.recipe, self.run, self.ranks = recipe, run, ranks
        self.total = recipe.epochs * recipe.steps_per_epoch
        self.path = run.folder / NAME
        self.steps, other_threads = _restored(recipe, self.path) if run.resume else (0, None)
        _make_folder(run.folder)
        self.display = TrainDisplay(
            console if ranks.first else Console(quiet=True),
            recipe.name + (f", at most {run.minutes:g} min" if run.minutes else ""),
            recipe.epochs,
            recipe.steps_per_epoch,
            self.steps,
        )
        self.log = TrainLog(run.folder / FOLDER, self.steps) if ranks.first else None
        for sentence in (other_threads, self.log.why_not if self.log else None):
            if sentence:
                self.display.say(sentence)
        self.began = self.saved = time.monotonic()
        self.sums = _Sums()

    def work(self, stop: StopSignal) -> Ending:
        ending: Ending = "finished"
        with _ahead(self.recipe, self.steps, self.total) as batches:
            for batch in batches:
                self._step(batch)
                stopped, over, due, look = self.ranks.any(stop.asked, self._over(), self._due(), self._to_look())
                if look:
                    self._log()
                if stopped or over:
                    ending = "stopped" if stopped else "time"
                    break
                if due:
                    self._save()
        self._save()
        return ending

    def close(self) -> None:
        if self.log is not None:
            self.log.close()

    def _step(self, batch: Any) -> None:
        _seed(self.recipe.seed, self.steps, self.ranks.rank)
        self.sums.add(self.recipe.step(batch))
        self.steps += 1
        if self.steps % self.recipe.steps_per_epoch == 0:
            self.recipe.epoch_ended()
        self.display.step(self.steps)
        if self.steps % self.run.picture_steps == 0 and self.log is not None:
            self.log.pictures(self.recipe.pictures(), self.steps)

    def _log(self) -> None:
        """Show and write the mean losses since the last time.  Raises EngineError when one is no number."""
        if not self.sums.count:
            return
        speed = self.sums.steps_per_s()
        losses = self.ranks.mean(self.sums.take())
        lost = [name for name, value in losses.items() if not math.isfinite(value)]
        if lost:
            raise EngineError(
                f"the loss {lost[0]} is {losses[lost[0]]} at step {self.steps}, training cannot go on: lower the "
                f"learning rate or use --precision fp32; the last checkpoint in {self.run.folder} is from before"
            )
        self.display.losses(losses, self.steps, speed)
        if self.log is not None:
            self.log.numbers(
                {**{f"loss/{name}": value for name, value in losses.items()}, "steps_per_s": speed}, self.steps
            )

    def _to_look(self) -> bool:
        """Whether it is time for losses: by steps, by the clock where steps are slow, and after the first."""
        return self.steps % self.run.log_steps == 0 or self.sums.first or self.sums.seconds() >= LOOK_EVERY_S

    def _over(self) -> bool:
        return self.run.minutes is not None and time.monotonic() - self.began >= 60 * self.run.minutes

    def _due(self) -> bool:
        """Whether it is time for a checkpoint."""
        by_steps = self.run.checkpoint_steps is not None and self.steps % self.run.checkpoint_steps == 0
        return by_steps or time.monotonic() - self.saved >= 60 * self.run.checkpoint_minutes

    def _save(self) -> None:
        """Write the checkpoint, after a look at the losses: a broken state does not replace a good one."""
        self._log()
        self.saved = time.monotonic()
        if self.ranks.first:
            states = {name: kept.state_dict() for name, kept in self.recipe.kept.items()}
            about = (self.recipe.name, self.recipe.identity, self.steps, torch.get_num_threads())
            write_checkpoint(self.path, Checkpoint(*about, states))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise BadSettings(f"{folder} cannot be made ({error.strerror}): choose another --out") from error


def _restored(recipe: Recipe, path: Path) -> tuple[int, str | None]:
    """Load the checkpoint into the recipe.  Returns the steps that were taken, and a sentence or None."""
    found = read_checkpoint(path)
    if found.recipe != recipe.name:
        raise BadSettings(f"{path} is a training of {found.recipe}, not of {recipe.name}: give another --out")
    other = _first_difference(found.identity, recipe.identity)
    if other is not None:
        raise BadSettings(f"{path} is another training ({other}): --resume needs the same, --force trains anew")
    if set(found.states) != set(recipe.kept):
        raise BadSettings(f"{path} was written by another version of MyoMirror: train anew with --force")
    for name, kept in recipe.kept.items():
        kept.load_state_dict(found.states[name])
    threads = torch.get_num_threads()
    if found.threads == threads:
        return found.steps, None
    return found.steps, (
        f"The training began with {found.threads} threads and goes on with {threads}: the same up to rounding, "
        f"bit by bit only with OMP_NUM_THREADS={found.threads}."
    )


def _first_difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str | None:
    for name in sorted({*there, *here}):
        if there.get(name) != here.get(name):
            return f"{name} is {there.get(name)} there and {here.get(name)} here"
    return None


def _seed(seed: int, step: int, rank: int) -> None:
    """Whatever draws from a global source draws the same numbers in this step, in every run."""
    number = int(chance(seed, "step", step, rank).integers(2**32))
    torch.manual_seed(number)
    np.random.seed(number)
    random.seed(number)


@contextmanager
def _ahead(recipe: Recipe, first: int, total: int) -> Iterator[Iterator[Any]]:
    """All batches from `first` on, each made while the step before it runs."""
    with ThreadPoolExecutor(1, "batches") as thread:

        def batches() -> Iterator[Any]:
            coming: Future[Any] | None = None
            for number in range(first, total):
                batch = (coming or thread.submit(recipe.batch, number)).result()
                coming = thread.submit(recipe.batch, number + 1) if number + 1 < total else None
                yield batch

        yield batches()


class _Sums:
    """Mean losses and speed since the last look.  Tensors stay on their device until then."""

    def __init__(self) -> None:
        self.first = True
        self.count = 0
        self._sums: dict[str, float | Tensor] = {}
        self._began = time.monotonic()

    def add(self, losses: Mapping[str, float | Tensor]) -> None:
        self.count += 1
        for name, value in losses.items():
            number = value.detach().double() if isinstance(value, Tensor) else value
            self._sums[name] = self._sums.get(name, 0.0) + number

    def seconds(self) -> float:
        return time.monotonic() - self._began

    def steps_per_s(self) -> float:
        return self.count / max(self.seconds(), 1e-9)

    def take(self) -> dict[str, float]:
        means = {name: float(total) / self.count for name, total in self._sums.items()}
        self.first, self.count, self._sums, self._began = False, 0, {}, time.monotonic()
        return means
