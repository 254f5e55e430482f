"""The learning room's commands, for rt/commands.py to find.  Imported for `--help`: nothing heavy up here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from calibration.cohort import Cohort
    from calibration.cohort_plan import CohortSettings
    from calibration.cohort_sources import Sources

cohort = typer.Typer(add_completion=False)
faces = typer.Typer(add_completion=False)

STOPPED = 130  # exit code of a program that Ctrl-C ended, by the shells' convention


@cohort.command()
def simulate_cohort(
    out: Annotated[Path | None, typer.Option(help="The cohort's folder; an interrupted one is continued.")] = None,
    preview: Annotated[Path | None, typer.Option(help="Draw a contact sheet into this PNG file.")] = None,
    participants: Annotated[int, typer.Option(help="How many people.")] = 36,
    sessions: Annotated[int, typer.Option(help="Visits of each; in one visit without electrodes and with.")] = 2,
    tasks: Annotated[str, typer.Option(help="Only these, with commas between; all 17 by default.")] = "",
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    photos: Annotated[
        Path | None, typer.Option(help="Folder with neutral/ID.jpg; $MYOMIRROR_DATA/london_faces by default.")
    ] = None,
    face_model: Annotated[Path | None, typer.Option(help="ICT-FaceKit, packed or its folder; an asset.")] = None,
    mixed: Annotated[bool, typer.Option("--mixed", help="Mix every face from several photos.")] = False,
    patients: Annotated[float, typer.Option(help="Share with palsy, synkinesis or a recovery, 0 to 1.")] = 0.0,
    emotion_repeats: Annotated[int, typer.Option(help="How often each emotion comes.")] = 1,
    repetitions: Annotated[int, typer.Option(help="Of each movement in its clip.")] = 3,
    mishaps: Annotated[float, typer.Option(help="What goes wrong with electrodes; 1 = as usual, 0 = nothing.")] = 1.0,
    raw_emg: Annotated[bool, typer.Option("--raw-emg/--no-raw-emg", help="Keep the raw EMG: half of the disk.")] = True,
    seconds: Annotated[float | None, typer.Option(help="Only the beginning of each clip.")] = None,
    processes: Annotated[int | None, typer.Option(help="One core each; all cores by default.")] = None,
) -> None:
    """Synthetic people with known truth: video, electrodes, EMG, laid out as the public MMM data set."""
    from calibration.cohort_plan import CohortSettings
    from engines.emg.tasks import TASKS

    chosen = tuple(name.strip() for name in tasks.split(",")) if tasks else tuple(task.name for task in TASKS)
    settings = CohortSettings(
        participants=participants,
        sessions=sessions,
        tasks=chosen,
        emotion_repeats=emotion_repeats,
        repetitions=repetitions,
        seed=seed,
        mixed=mixed,
        patients=patients,
        mishaps=mishaps,
        raw_emg=raw_emg,
        seconds=seconds,
    )
    _simulate_cohort(settings, out, preview, (photos, face_model), processes)


def _simulate_cohort(
    settings: CohortSettings,
    out: Path | None,
    preview: Path | None,
    given: tuple[Path | None, Path | None],
    processes: int | None,
) -> None:
    import os

    from rich.console import Console

    from calibration.cohort import plan_cohort
    from calibration.cohort_sources import Sources, find_face_model, find_faces, photo_folder
    from rt.assets import FACE_LANDMARKER, verify
    from rt.errors import BadSettings

    if out is None and preview is None:
        raise BadSettings("say where the cohort goes with --out FOLDER, or ask for a --preview FILE.png")
    if preview is not None and not (
        preview.suffix in (".png", ".jpg") and preview.parent.is_dir() and not preview.is_dir()
    ):
        raise BadSettings(
            f"the preview cannot be written to {preview}: give a .png or .jpg file in a folder that exists"
        )
    console = Console()
    folder, model = photo_folder(given[0]), find_face_model(given[1])
    landmarker = verify(FACE_LANDMARKER)
    with console.status("Looking for the faces in the photos ..."):
        sources = Sources(find_faces(folder, landmarker), model)
    planned = plan_cohort(settings, sources)
    if preview is not None:
        _draw(console, planned, sources, preview)
    if out is not None:
        _make(console, planned, sources, out, len(os.sched_getaffinity(0)) if processes is None else processes)


def _make(console: Any, planned: Cohort, sources: Sources, out: Path, processes: int) -> None:
    """Make the cohort with a progress bar.  Ctrl-C ends it within a second and leaves complete clips only."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from calibration.cohort import face_job, make_cohort

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("Clips", total=len(planned.clips))
        job = face_job(planned, sources, out)
        try:
            outcome = make_cohort(
                planned,
                job,
                processes,
                lambda plan, size: progress.update(bar, advance=1),
                lambda n: progress.update(bar, completed=n),
            )
        except KeyboardInterrupt:
            progress.stop()
            console.print(
                f"Stopped. What is complete is kept in {out}: the same command goes on.",
                highlight=False,
                soft_wrap=True,
            )
            raise typer.Exit(STOPPED) from None
    text = f"{out}: {len(planned.clips)} clips of {len(planned.people)} synthetic people"
    text += f", {outcome.made} of them made now, {outcome.size / 1e6:.0f} MB" if outcome.made else ", all there already"
    console.print(text, highlight=False, soft_wrap=True)


def _draw(console: Any, planned: Cohort, sources: Sources, preview: Path) -> None:
    from calibration.contact_sheet import draw_contact_sheet

    with console.status("Drawing the contact sheet ..."):
        draw_contact_sheet(planned, sources, preview)
    console.print(str(preview), highlight=False, soft_wrap=True)


@faces.command()
def simulate_faces(
    out: Annotated[Path, typer.Option(help="A new folder.")],
    count: Annotated[int, typer.Option(help="Pictures, each with electrodes and without.")] = 4000,
    size: Annotated[int, typer.Option(help="Side of a crop, px; an eighth more than a network's leaves room.")] = 144,
    people: Annotated[int, typer.Option(help="How many to animate; beyond the photos' number they are mixed.")] = 150,
    photos_share: Annotated[float, typer.Option(help="Share of pictures that are photos as they are.")] = 0.3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    photos: Annotated[
        Path | None, typer.Option(help="Folder with neutral/ID.jpg; $MYOMIRROR_DATA/london_faces by default.")
    ] = None,
    face_model: Annotated[Path | None, typer.Option(help="ICT-FaceKit, packed or its folder; an asset.")] = None,
    processes: Annotated[int | None, typer.Option(help="One core each; all cores by default.")] = None,
) -> None:
    """Aligned faces with electrodes and without, to train and judge their removal."""
    import os

    from rich.console import Console

    from calibration.cohort_sources import Sources, find_face_model, find_faces, photo_folder
    from calibration.counted import counted
    from calibration.face_stills import StillSettings, make_stills
    from rt.assets import CANONICAL_FACE, FACE_LANDMARKER, verify

    settings = StillSettings(count, size, people, photos_share, seed)
    console = Console()
    folder, model = photo_folder(photos), find_face_model(face_model)
    landmarker, canonical = verify(FACE_LANDMARKER), verify(CANONICAL_FACE)
    smiling_folder = folder.parent / "smiling"
    with console.status("Looking for the faces in the photos ..."):
        sources = Sources(find_faces(folder, landmarker), model)
        smiling = find_faces(smiling_folder, landmarker) if smiling_folder.is_dir() else None
    with counted(console, "Pictures", count, kept=True) as step:
        cores = len(os.sched_getaffinity(0)) if processes is None else processes
        make_stills(settings, sources, canonical, out, cores, smiling, step)
    console.print(f"{out}: {count} synthetic pictures, with electrodes and without", highlight=False, soft_wrap=True)
