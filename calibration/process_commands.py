"""`myomirror process`, for rt/commands.py to find.  Imported for `--help`: nothing heavy up here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from calibration.offline.batch import Account
    from calibration.offline.jobs import Result
    from calibration.offline.order import Recording

process = typer.Typer(add_completion=False)

STOPPED = 130  # exit code of a program that Ctrl-C ended, by the shells' convention


@process.command()
def process_recordings(
    recordings: Annotated[
        list[Path],
        typer.Argument(
            metavar="RECORDING",
            help="Folders of sessions, folders of such, folders in MMM's layout, or videos of clips in one.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="One folder of tables per recording in this one; beside each by default.")
    ] = None,
    station: Annotated[
        Path | None, typer.Option(help="A station file whose settings hold instead of the recording's own.")
    ] = None,
    format: Annotated[
        str, typer.Option(help="csv, parquet, or both with a comma; both where pyarrow is installed.")
    ] = "",
    restore: Annotated[
        str, typer.Option(help="The bundle that removes electrodes before the face encoder reads the picture.")
    ] = "off",
    expression: Annotated[str, typer.Option(help="The face encoder's bundle, mediapipe, off, or auto.")] = "auto",
    exp2emg: Annotated[
        str, typer.Option(help="The bundle that estimates muscles from the picture, off, auto.")
    ] = "auto",
    emg2exp: Annotated[str, typer.Option(help="The bundle that drives a face by muscles, off, or auto.")] = "auto",
    processes: Annotated[int | None, typer.Option(help="Recordings at once, one core each; all cores.")] = None,
    ray: Annotated[
        str, typer.Option(help="local, HOST:PORT of a cluster, off, or auto: local for many where it is installed.")
    ] = "auto",
) -> None:
    """Take recordings through the stages of a live session: tables of expression, envelopes and estimates.

    Nothing is skipped and nothing depends on the clock. Finished recordings are not done again.
    """
    import os

    from rich.console import Console

    from calibration.offline.batch import process_all
    from calibration.offline.find import find_recordings
    from calibration.offline.order import Order
    from calibration.offline.tables import choose_formats

    content = None if station is None else _read(station)
    bundles = map(_place, (restore, expression, exp2emg, emg2exp))
    order = Order(content, choose_formats(format), *bundles)
    found, refused = find_recordings(recordings, out)
    cores = len(os.sched_getaffinity(0)) if processes is None else processes
    console = Console()
    with _Display(console, found) as display:
        try:
            account = process_all(found, order, cores, ray, display.ended, display.advanced)
        except KeyboardInterrupt:
            display.close()
            console.print("Stopped. What is finished is kept: the same command goes on.", highlight=False)
            raise typer.Exit(STOPPED) from None
    account.refused = refused
    _tell(console, account, display.seconds)
    raise typer.Exit(account.exit_code)


def _read(station: Path) -> dict[str, Any]:
    from rt.station import read_station

    return read_station(station.resolve()).model_dump(mode="json")


def _place(bundle: str) -> str:
    """A bundle's folder by its whole path, which means the same to a process that works somewhere else."""
    folder = Path(bundle).expanduser()
    return str(folder.resolve()) if (folder / "manifest.json").is_file() else bundle


class _Display:
    """A bar for all recordings and one for each in hand, on a terminal; elsewhere a line for each that is done."""

    def __init__(self, console: Any, recordings: list[Recording]) -> None:
        import time

        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._console, self._recordings = console, recordings
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
        self._all = self._progress.add_task("Recordings", total=len(recordings))
        self._each: dict[str, Any] = {}
        self._clock = time.monotonic
        self._began = self._clock()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return self._clock() - self._began

    def __enter__(self) -> _Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the bars away."""
        self._progress.stop()

    def advanced(self, place: int, done: int, of: int) -> None:
        """A recording is being worked on."""
        name = self._recordings[place].name
        if name not in self._each:
            self._each[name] = self._progress.add_task(name, total=of)
        self._progress.update(self._each[name], completed=done)

    def ended(self, recording: Recording, result: Result) -> None:
        """A recording is dealt with."""
        self._progress.update(self._all, advance=1)
        task = self._each.pop(recording.name, None)
        if task is not None:
            self._progress.remove_task(task)
        if result.failed:
            text = f"{recording.name}: not processed: {result.text}"
        else:
            what = "synthetic, " if result.synthetic else ""
            how = ", there already" if result.found else ""
            text = f"{recording.name}: {what}{result.pictures} rows{how}: {recording.target}"
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)


def _tell(console: Any, account: Account, seconds: float) -> None:
    """What became of all of them."""

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True, markup=False)

    for path, why in account.refused.items():
        say(f"{path}: {why}" if path not in why else why)
    for note, count in account.notes.items():
        say(f"note: {note}" + (f" ({count} recordings)" if count > 1 else ""))
    new = [result for result in account.results.values() if not (result.failed or result.found)]
    recorded_s = sum(result.seconds for result in new)
    text = f"{len(new)} processed, {sum(r.found for r in account.results.values())} there already"
    if failed := len(account.failed) + len(account.refused):
        text += f", {failed} FAILED"
    if new:
        text += (
            f"; {recorded_s:.0f} s of recording in {seconds:.0f} s, {recorded_s / max(seconds, 1e-3):.1f} x real time"
        )
    say(text)
