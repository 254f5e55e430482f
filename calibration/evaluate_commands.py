"""`myomirror evaluate`, for rt/commands.py to find.  Imported for `--help`: nothing heavy up here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

evaluate = typer.Typer(add_completion=False)

_WIDE = 150  # columns where nobody looks at a terminal


@evaluate.command()
def evaluate_bundles(
    bundles: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[BUNDLE]", help="Bundles' folders, or names of shipped ones.", show_default=False),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="A set of faces (simulate faces), a cohort, or MMM recordings.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write everything into this JSON file.")] = None,
    pictures: Annotated[Path | None, typer.Option(help="Draw a sheet to look at into this PNG file.")] = None,
    folds: Annotated[Path | None, typer.Option(help="Folder with fold_0 ... fold_5, each trained without it.")] = None,
    classifier: Annotated[str | None, typer.Option(help="MODULE:FUNCTION that reads emotions off faces.")] = None,
    most: Annotated[int, typer.Option(help="Pictures per table, at most.")] = 300,
    clips: Annotated[int, typer.Option(help="Clips, at most.")] = 24,
    cut: Annotated[str, typer.Option(help="Of stills: middle, as in training, or whole, as a live crop.")] = "middle",
    seed: Annotated[int, typer.Option(help="Of the altered colours.")] = 0,
    backend: Annotated[str | None, typer.Option(help="tensorrt, torch, openvino or onnxruntime.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32, bf16 or fp16; the backend's fastest by default.")] = None,
) -> None:
    """How good trained bundles are: tables as in their papers, peers beside them, a JSON file, a sheet to look at."""
    from rich.console import Console

    from calibration.evaluation import Request, as_json, evaluation_of
    from rt.errors import BadSettings
    from rt.recording.disk import write_atomically

    if data is None:
        raise BadSettings("say what to evaluate on with --data DIR: a set of faces, a cohort, or MMM recordings")
    for path, endings in ((report, (".json",)), (pictures, (".png", ".jpg"))):
        if path is not None and not (path.suffix in endings and path.parent.is_dir() and not path.is_dir()):
            raise BadSettings(f"{path} cannot be written: give a {endings[0]} file in a folder that exists")
    if cut not in ("middle", "whole"):
        raise BadSettings(f"stills are cut as middle or whole, found {cut!r}")
    request = Request(
        bundles=tuple(bundles or ()),
        data=data,
        folds=folds,
        pictures=pictures,
        classifier=classifier,
        most=most,
        clips=clips,
        cut="middle" if cut == "middle" else "whole",
        seed=seed,
        backend=backend,
        precision=precision,
    )
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)
    found = evaluation_of(request)(request, console)
    if report is not None:
        write_atomically(report, as_json(found).encode())
    for path in (report, pictures):
        if path is not None:
            console.print(str(path), highlight=False, soft_wrap=True)
