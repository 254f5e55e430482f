"""`myomirror parameters`, for rt/commands.py to find.  Imported for `--help`: nothing heavy up here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

parameters = typer.Typer(add_completion=False)


@parameters.command()
def write_parameters(
    write: Annotated[
        list[str],
        typer.Argument(metavar="METHOD=ENCODER[+RESTORER]", help="Bundles' folders, or names of shipped ones."),
    ],
    data: Annotated[Path, typer.Option(help="A cohort, or recordings in MMM's layout.")],
    force: Annotated[bool, typer.Option("--force", help="Replace what other bundles have seen.")] = False,
    backend: Annotated[str | None, typer.Option(help="tensorrt, torch, openvino or onnxruntime.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32, bf16 or fp16; the backend's fastest by default.")] = None,
) -> None:
    """What face encoders see in all clips with electrodes, as parameter files for EMG networks to learn from.

    Methods: E_N-occluded, E_N-restored, E_S-occluded, Live. An interrupted run goes on.
    """
    from rich.console import Console

    from calibration.counted import counted
    from calibration.data.mmm import Recordings
    from calibration.encoder_parameters import Seeing, write_parameters
    from rt.assets import FACE_LANDMARKER, verify

    seeings = [Seeing.parse(words) for words in write]
    recordings = Recordings.open(data)
    console = Console()
    with counted(console, "Clips", sum(clip.id.electrodes for clip in recordings.clips), kept=True) as step:
        found = write_parameters(
            recordings,
            seeings,
            verify(FACE_LANDMARKER),
            force=force,
            backend=backend,
            precision=precision,
            done=step,
        )
    methods = ", ".join(seeing.method for seeing in seeings)
    console.print(
        f"{data}: {methods} of {found.clips} clips, {found.frames} frames ({found.lost} without a face); "
        f"{found.there} clips were there",
        highlight=False,
        soft_wrap=True,
    )
