"""What `myomirror train` was asked for, and what a recipe must bring to be asked.

Where things lie: `--out BUNDLE` is the bundle; beside it `BUNDLE.training/` keeps the checkpoint and the log.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from calibration.checkpoint import NAME
from calibration.distributed import Ranks, ranks
from calibration.heap import keep_freed_memory
from calibration.loop import Outcome, Run, train
from calibration.recipe import Recipe
from calibration.setting_words import changed
from calibration.train_log import FOLDER
from engines.bundle import MANIFEST, read_bundle
from engines.shipped import bundle_folder
from rt.errors import BadSettings

WORK = ".training"  # behind the bundle's name


@dataclass(frozen=True)
class Order:
    """One training: from which data to which bundle."""

    data: Path
    out: Path
    people: tuple[str, ...] = ()  # only these; empty = everybody
    fraction: float = 1.0  # of these people's pictures
    start_from: Path | None = None  # a bundle whose networks are trained further
    device: str = "auto"
    run: Run = field(default_factory=lambda: Run(Path()))  # its folder is set by `order_for`


@dataclass(frozen=True)
class Kind:
    """A recipe as the command line sees it."""

    settings: Any  # a frozen dataclass: the paper's numbers
    learn: Callable[[Order, Any, Console], Outcome]
    fine_tuning: Mapping[str, Any] = field(default_factory=dict)  # settings that --start-from brings along
    ablations: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)  # name -> label -> settings


def work_folder(out: Path) -> Path:
    """Where the training of a bundle keeps its checkpoint and log."""
    return out.with_name(out.name + WORK)


def order_for(order: Order, force: bool) -> Order:
    """The order with its run's folder, checked.

    Raises BadSettings when there is something at the bundle's place already, unless it is to be continued or `force`.
    """
    if not 0 < order.fraction <= 1:
        raise BadSettings(f"--fraction is more than 0 and at most 1, found {order.fraction}")
    there = [path for path in (order.out / MANIFEST, work_folder(order.out)) if path.exists()]
    if order.out.exists() and not order.out.is_dir():
        raise BadSettings(f"{order.out} is a file: a bundle is a folder, give another --out")
    if not there and order.out.is_dir() and any(order.out.iterdir()):
        raise BadSettings(f"{order.out} holds something else than a bundle: give a folder that is new")
    if there and not (order.run.resume or force):
        raise BadSettings(f"{there[0]} exists: --resume goes on with that training, --force replaces it")
    return replace(order, run=replace(order.run, folder=work_folder(order.out)))


def clear(order: Order) -> None:
    """Remove what an earlier training left beside the bundle."""
    (order.run.folder / NAME).unlink(missing_ok=True)
    shutil.rmtree(order.run.folder / FOLDER, ignore_errors=True)


def settings_for(kind: Kind, start_from: Path | None, changes: Mapping[str, Any]) -> Any:
    """The recipe's settings with changes; a bundle that is trained further brings its sizes along.

    Raises BadSettings for a setting that does not exist or does not fit, BundleError for a bundle that cannot be read.
    """
    settings = kind.settings
    if start_from is not None:
        manifest = read_bundle(bundle_folder(start_from)).manifest
        known = {field.name for field in fields(settings)}
        sizes = {name: size for name, size in manifest.sizes.items() if name in known}
        if "size" in known and manifest.inputs[0].shape is not None:
            sizes["size"] = manifest.inputs[0].shape[0]
        settings = changed(settings, {**kind.fine_tuning, **sizes})
    return changed(settings, changes)


def in_loop(make: Callable[[Order, Any, Ranks], Recipe]) -> Callable[[Order, Any, Console], Outcome]:
    """What `Kind.learn` is for a recipe that learns step by step.  make: builds it for this process."""

    def learn(order: Order, settings: Any, console: Console) -> Outcome:
        keep_freed_memory()
        with ranks(order.device) as processes:
            return train(make(order, settings, processes), order.run, processes, console)

    return learn
