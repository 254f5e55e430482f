"""`myomirror parameters`, for rt/commands.py to find.  Imported for `--help`: nothing heavy up here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from calibration.encoder_parameters import Seeing

parameters = typer.Typer(add_completion=False)


@parameters.command()
def write_parameters(
    write: Annotated[
        list[str],
        typer.Argument(metavar="METHOD=ENCODER[+RESTORER]", help="Bundles' folders, or names of shipped ones."),
    ],
    data: Annotated[Path, typer.Option(help="A cohort, recordings in MMM's layout, or signals with --faces.")],
    faces: Annotated[Path | None, typer.Option(help="Stills on which to see how an encoder reads.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what other bundles have seen.")] = False,
    backend: Annotated[str | None, typer.Option(help="tensorrt, torch, openvino or onnxruntime.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32, bf16 or fp16; the backend's fastest by default.")] = None,
) -> None:
    """What face encoders see in all clips with electrodes, as parameter files for EMG networks to learn from.

    Methods: E_N-occluded, E_N-restored, E_S-occluded, Live. An interrupted run goes on. Signals have no pictures:
    how the encoders read is modelled on faces whose expressions are known.
    """
    from rich.console import Console

    from calibration.counted import counted
    from calibration.data.mmm import Recordings
    from calibration.encoder_parameters import Seeing, write_parameters
    from rt.assets import FACE_LANDMARKER, verify

    seeings = [Seeing.parse(words) for words in write]
    console = Console()
    if faces is not None:
        _model(console, data, faces, seeings, backend, precision)
        return
    recordings = Recordings.open(data)
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


def _model(
    console: Console, signals: Path, faces: Path, seeings: list[Seeing], backend: str | None, precision: str | None
) -> None:
    from calibration.counted import counted
    from calibration.data.face_set import FaceSet
    from calibration.encoder_readings import MOST, write_readings

    with counted(console, "Stills", MOST * len(seeings), kept=True) as step:
        count = write_readings(signals, FaceSet.open(faces), seeings, backend, precision, done=step)
    methods = ", ".join(seeing.method for seeing in seeings)
    console.print(f"{signals}: {methods} as read on {count} stills of {faces}", highlight=False, soft_wrap=True)
