"""`myomirror train RECIPE`, for rt/commands.py to find.  Imported for `--help`: nothing heavy up here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from calibration.loop import Outcome
    from calibration.train_order import Kind, Order

train = typer.Typer(add_completion=False)

STOPPED = 130  # exit code of a program that Ctrl-C ended, by the shells' convention


def _mc_cyclegan() -> Kind:
    from calibration.recipes.mc_cyclegan import KIND

    return KIND


def _restore() -> Kind:
    from calibration.recipes.restore import KIND

    return KIND


def _emg_mlp() -> Kind:
    from calibration.recipes.emg_mlp import KIND

    return KIND


def _emg_mlp_ours() -> Kind:
    from calibration.recipes.emg_mlp import KIND_OURS

    return KIND_OURS


def _pixel_rr() -> Kind:
    from calibration.recipes.pixel_train import KIND

    return KIND


def _encoder() -> Kind:
    from calibration.recipes.encoder import KIND

    return KIND


def _eifer() -> Kind:
    from calibration.recipes.eifer import KIND

    return KIND


def _cascade_ef_gan() -> Kind:
    from calibration.recipes.cascade_ef_gan import KIND

    return KIND


def _cascade_ef_gan_live() -> Kind:
    from calibration.recipes.cascade_ef_gan import KIND_LIVE

    return KIND_LIVE


def _recogniser() -> Kind:
    from calibration.recipes.recogniser import KIND

    return KIND


def _emotion_gan() -> Kind:
    from calibration.recipes.emotion_gan import KIND

    return KIND


def _emotion_gan_live() -> Kind:
    from calibration.recipes.emotion_gan import KIND_LIVE

    return KIND_LIVE


RECIPES: dict[str, Callable[[], Kind]] = {
    "mc_cyclegan": _mc_cyclegan,
    "restore": _restore,
    "encoder": _encoder,
    "eifer": _eifer,
    "pixel_rr": _pixel_rr,
    "cascade_ef_gan": _cascade_ef_gan,
    "cascade_ef_gan_live": _cascade_ef_gan_live,
    "emg_mlp": _emg_mlp,
    "emg_mlp_ours": _emg_mlp_ours,
    "recogniser": _recogniser,
    "emotion_gan": _emotion_gan,
    "emotion_gan_live": _emotion_gan_live,
}


@train.command()
def train_recipe(
    recipe: Annotated[str, typer.Argument(help=f"One of {', '.join(RECIPES)}.", show_default=False)],
    data: Annotated[Path, typer.Option(help="Folder of faces, as `myomirror simulate faces` makes one.")],
    out: Annotated[Path, typer.Option(help="The bundle's folder; beside it, OUT.training keeps checkpoint and log.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting of the recipe, name=value.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Short for --set epochs=N.")] = None,
    size: Annotated[int | None, typer.Option(help="Short for --set size=PX.")] = None,
    ngf: Annotated[int | None, typer.Option(help="Short for --set ngf=N.")] = None,
    seed: Annotated[int | None, typer.Option(help="Short for --set seed=N.")] = None,
    precision: Annotated[str | None, typer.Option(help="Short for --set precision=fp32, bf16 or fp16.")] = None,
    people: Annotated[str, typer.Option(help="Learn from these people only, with commas between.")] = "",
    fraction: Annotated[float, typer.Option(help="Of these people's pictures; the rest is held out.")] = 1.0,
    start_from: Annotated[Path | None, typer.Option(help="A bundle to train further.")] = None,
    ablation: Annotated[str, typer.Option(help="Train a row of bundles into OUT, and write their table.")] = "",
    minutes: Annotated[float | None, typer.Option(help="End after so long, with a bundle.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a run was stopped.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda; several GPUs: see above.")] = "auto",
    checkpoint_minutes: Annotated[float, typer.Option(help="Between two checkpoints.")] = 5.0,
) -> None:
    """Train a network and write it as a bundle.

    Ctrl-C keeps a checkpoint. Losses and pictures: tensorboard --logdir OUT.training/log. Several GPUs:
    torchrun --nproc-per-node N --no-python myomirror train ...
    """
    from engines.backends.library import import_library

    import_library("torch")  # a sentence where it is missing: everything below needs it
    from calibration.loop import Run
    from calibration.setting_words import words
    from calibration.train_order import Order
    from rt.errors import BadSettings

    if resume and force:
        raise BadSettings("--resume goes on with what is there, --force replaces it: give one of them")
    if device not in ("auto", "cpu", "cuda"):
        raise BadSettings(f"--device is auto, cpu or cuda, found {device!r}")
    kind = _kind(recipe)
    run = Run(out, resume, minutes, checkpoint_minutes)
    who = tuple(name.strip() for name in people.split(",") if name.strip())
    order = Order(data, out, who, fraction, start_from, device, run)
    short = {"epochs": epochs, "size": size, "ngf": ngf, "seed": seed, "precision": precision}
    changes = {**words(set_ or ()), **{name: value for name, value in short.items() if value is not None}}
    if ablation:
        _train_row(kind, ablation, order, changes, force)
    else:
        _train_one(kind, order, changes, force)


def _kind(recipe: str) -> Kind:
    import difflib

    from rt.errors import BadSettings

    if recipe not in RECIPES:
        near = difflib.get_close_matches(recipe, RECIPES, 1, cutoff=0.0)[0]
        raise BadSettings(f"there is no recipe {recipe!r}; the nearest one is {near!r}")
    return RECIPES[recipe]()


def _train_one(kind: Kind, order: Order, changes: dict[str, Any], force: bool) -> None:
    from calibration.train_order import clear, order_for, settings_for

    settings = settings_for(kind, order.start_from, changes)
    order = order_for(order, force)
    console = _console()
    _say_what_begins_anew(console, order)
    if force:
        clear(order)
    _say(console, order, kind.learn(order, settings, console))


def _train_row(kind: Kind, ablation: str, order: Order, changes: dict[str, Any], force: bool) -> None:
    from calibration.ablation import row_of, write_table
    from calibration.train_order import clear

    console = _console()
    row = row_of(kind, ablation, order, changes, force)
    for item in row:
        if item.done:
            console.print(f"{item.order.out}: all there already", highlight=False, soft_wrap=True)
            continue
        if force:
            clear(item.order)
        _say(console, item.order, kind.learn(item.order, item.settings, console))
        item.finish()
    table = write_table(order.out, row)
    console.print(str(table), highlight=False, soft_wrap=True)


def _say_what_begins_anew(console: Any, order: Order) -> None:
    """A bundle holds what runs; what only trains, such as critics, lies in the training beside it."""
    from calibration.checkpoint import NAME
    from calibration.train_order import work_folder
    from engines.shipped import bundle_folder

    if order.start_from is None or order.run.resume:
        return
    there = work_folder(bundle_folder(order.start_from)) / NAME
    if not there.is_file():
        text = f"There is no {there}: networks that the bundle does not hold, such as critics, begin anew."
        console.print(text, highlight=False, soft_wrap=True)


def _say(console: Any, order: Order, outcome: Outcome) -> None:
    """One line about how it ended.  Raises typer.Exit when somebody stopped it."""
    steps = "1 step" if outcome.steps == 1 else f"{outcome.steps} steps"
    took = f"{steps}, {outcome.seconds / 60:.1f} min in this run"
    if outcome.ending == "stopped":
        console.print(f"Stopped after {took}: --resume goes on.", highlight=False, soft_wrap=True)
        raise typer.Exit(STOPPED)
    why = "the time is over, --resume goes on" if outcome.ending == "time" else "all epochs done"
    console.print(f"{order.out}: {took}; {why}", highlight=False, soft_wrap=True)


def _console() -> Any:
    """Where the first process speaks; torchrun's others are silent."""
    import os

    from rich.console import Console

    return Console(quiet=os.environ.get("RANK", "0") != "0")
