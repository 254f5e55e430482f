"""Commands that other packages add to the command line: found by name, imported only when they are asked for.

A distribution lists them under `myomirror.commands` in its entry points. A dot puts a command into a group:

    [options.entry_points]
    myomirror.commands =
        train = calibration.commands:train
        simulate.cohort = calibration.commands:cohort

Each names a `typer.Typer(add_completion=False)`: with one command it becomes that command, with several a group. Its
module is imported for `--help` too, so it imports numpy and the like inside the commands. A command that cannot be
loaded is listed all the same, and says why when it is called. Our own commands cannot be replaced.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from rt.errors import BadSettings

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "myomirror.commands"
_LEARNING_ROOM = "calibration"


@functools.cache
def registered() -> dict[str, EntryPoint]:
    """What installed distributions add, by the words to type, for example "simulate cohort"; sorted."""
    from importlib import metadata  # 40 ms that our own commands need not wait for

    found = metadata.entry_points(group=ENTRY_POINTS)
    return {" ".join(entry.name.split(".")): entry for entry in sorted(found, key=lambda entry: entry.name)}


class Commands(TyperGroup):
    """A group in which the registered commands stand behind its own."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of our own commands in the order of the source, then those that others added."""
        own = super().list_commands(ctx)
        place = _words(ctx)
        added = [words[-1] for words in map(str.split, registered()) if words[:-1] == place]
        return [*own, *(name for name in added if name not in own)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Our own command of that name, else the registered one, imported now; None when there is none."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        entry = registered().get(" ".join([*_words(ctx), cmd_name]))
        return None if entry is None else _load(entry, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Raises BadSettings for an unknown command where the package that could bring it is not installed."""
        if self.get_command(ctx, args[0]) is None and importlib.util.find_spec(_LEARNING_ROOM) is None:
            command = " ".join(["myomirror", *_words(ctx), args[0]])
            raise BadSettings(
                f"there is no command `{command}` here; commands that make data, train and evaluate need the package "
                f"{_LEARNING_ROOM}, which is not installed: install the whole of MyoMirror"
            )
        return super().resolve_command(ctx, args)


def _words(ctx: Any) -> list[str]:
    """What was typed behind `myomirror` to reach this group."""
    return [] if ctx.parent is None else [*_words(ctx.parent), ctx.info_name]


def _load(entry: EntryPoint, name: str) -> Any:
    try:
        command = typer.main.get_command(entry.load())
    except ImportError as error:
        return _Absent(entry, name, error)
    command.name = name
    return command


class _Absent(TyperCommand):
    """Stands for a command whose module cannot be imported; takes any arguments, to say so whatever was typed."""

    def __init__(self, entry: EntryPoint, name: str, error: ImportError) -> None:
        missing = error.name or entry.module
        self._sentence = (
            f"`myomirror {' '.join(entry.name.split('.'))}` needs the package {missing}, which cannot be imported: "
            "install the whole of MyoMirror"
            if missing == entry.module.partition(".")[0]
            else f"`myomirror {' '.join(entry.name.split('.'))}` cannot be loaded: {error}"
        )
        settings = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
        help_text = f"Not available here: {missing} is not installed."
        super().__init__(name=name, callback=self._refuse, help=help_text, context_settings=settings)

    def _refuse(self) -> NoReturn:
        raise BadSettings(self._sentence)
