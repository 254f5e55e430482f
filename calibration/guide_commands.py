"""`myomirror calibrate`, for rt/commands.py to find.  Imported for `--help`: nothing heavy up here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

calibrate = typer.Typer(add_completion=False)


@calibrate.command()
def calibrate_person(
    station: Annotated[Path, typer.Argument(help="The station's YAML file.", show_default=False)],
    subject: Annotated[str, typer.Option(help="The person's pseudonym, never a name.", show_default=False)],
    movement: Annotated[
        list[str] | None,
        typer.Option(help="A movement to fit, for example pixel-smile-open; may be given several times."),
    ] = None,
    emg: Annotated[
        bool | None,
        typer.Option(
            "--emg/--no-emg", help="Measure rest and contractions of the muscles too; by default once per person."
        ),
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0.5, help="Stop after this many seconds.")] = None,
    countdown: Annotated[float, typer.Option(min=0.0, max=20.0, help="Seconds before each step.")] = 3.0,
    report: Annotated[Path | None, typer.Option(help="Write a JSON report to this file.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the page; 0 = any free one.")] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
) -> None:
    """Fit the movements to practise to one person: prompts on the page, frames that are fit only, kept when accepted.

    Nothing is recorded. The person's own maps lie in the station's `practise.people`, and sessions with this subject
    use them.
    """
    from rich.console import Console

    from calibration.guide_session import (
        calibration_graph,
        calibration_station,
        movements_to_fit,
        person_folder_for,
    )
    from rt.cli import writable
    from rt.graph import Graph
    from rt.live import RunOptions, run_station
    from rt.stages.pixel_map import own_movements
    from rt.station import Station, read_station

    settings = calibration_station(read_station(station), subject, emg)
    if port is not None:
        settings = settings.model_copy(update={"page": settings.page.model_copy(update={"port": port})})
    wanted = movements_to_fit(settings, movement or ())
    options = RunOptions(seconds, False, writable(report), browser and settings.page.open_browser)

    def build(found: Station, headless: bool, token: str, free: int, start_s: float) -> Graph:
        return calibration_graph(found, wanted, token, free, start_s, countdown)

    console = Console()
    with person_folder_for(settings) as folder:
        code = run_station(settings, build, options, console)
        own = own_movements(folder)
    text = f"{settings.subject} has own maps in {folder}: {', '.join(own)}" if own else "No map was kept."
    console.print(text, highlight=False, soft_wrap=True)
    raise typer.Exit(code)
