"""`myomirror simulate motion`, for rt/commands.py to find.  Imported for `--help`: nothing heavy up here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

motion = typer.Typer(add_completion=False)


@motion.command()
def simulate_motion(
    out: Annotated[Path, typer.Option(help="A new folder.")],
    count: Annotated[int, typer.Option(help="Pairs: a movement from the front and with the head turned.")] = 3000,
    size: Annotated[int, typer.Option(help="Side of the pictures, px; flows have half of it.")] = 256,
    people: Annotated[int, typer.Option(help="How many; beyond the photos' number they are mixed.")] = 90,
    emotions: Annotated[float, typer.Option(help="Share that shows an emotion, 0 to 1.")] = 0.6,
    frames: Annotated[float, typer.Option(help="Share from frame to frame, not from rest.")] = 0.2,
    patients: Annotated[float, typer.Option(help="Share with palsy, synkinesis or a recovery, 0 to 1.")] = 0.2,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    photos: Annotated[
        Path | None, typer.Option(help="Folder with neutral/ID.jpg; $MYOMIRROR_DATA/london_faces by default.")
    ] = None,
    face_model: Annotated[Path | None, typer.Option(help="ICT-FaceKit, packed or its folder; an asset.")] = None,
    processes: Annotated[int | None, typer.Option(help="One core each; all cores by default.")] = None,
) -> None:
    """Movements seen from the front and with the head turned, to train and judge eMotion-GAN."""
    import os

    from rich.console import Console

    from calibration.cohort_sources import Sources, find_face_model, find_faces, photo_folder
    from calibration.counted import counted
    from calibration.motion_pairs import MotionSettings, make_motion
    from rt.assets import FACE_LANDMARKER, verify

    settings = MotionSettings(count, size, people, emotions, frames, patients, seed)
    console = Console()
    folder, model = photo_folder(photos), find_face_model(face_model)
    landmarker = verify(FACE_LANDMARKER)
    with console.status("Looking for the faces in the photos ..."):
        sources = Sources(find_faces(folder, landmarker), model)
    with counted(console, "Pairs", count, kept=True) as step:
        cores = len(os.sched_getaffinity(0)) if processes is None else processes
        make_motion(settings, sources, landmarker, out, cores, step)
    console.print(f"{out}: {count} movements of synthetic people, frontal and turned", highlight=False, soft_wrap=True)
