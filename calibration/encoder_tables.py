"""The tables of `myomirror evaluate` for EIFER's first phase: how faces are read, and what pictures become of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from calibration.report_table import show_reach, titled
from calibration.restoration import Number, Row
from calibration.restoration_tables import COLUMNS as PICTURES

READINGS: dict[str, tuple[str, int]] = {
    "expression": ("expression ↓", 4),
    "expression_mm": ("expression mm ↓", 2),
    "geometry_mm": ("geometry mm ↓", 2),
    "identity_mm": ("identity unsteady mm ↓", 2),
    "landmarks": ("landmarks % ↓", 2),
    "landmarks_same": ("same frames % ↓", 2),
    "face_found": ("faces found ↑", 2),
}
RECONSTRUCTION = ("ssim_face", "psnr_face", "gmsd", "mdsi", "frechet")

CAPTION = (
    "Mean over pictures ± standard deviation over people. Expression: mean absolute error of 51 blendshapes (0 to 1), "
    "and of what they move on the face. Geometry: the face's surface after the best rotation, shift and size. "
    "Identity: rms of a person's face at rest around its own mean over pictures. Landmarks: without the face's oval, "
    "in % of the crop's side; same frames: where MediaPipe finds that very face."
)
CAPTION_PICTURES = (
    "N-N: the person's most similar other moment without electrodes. N-S: the picture with electrodes. SSIM and PSNR "
    "in the face, GMSD and MDSI over the whole picture, Frechet distance on own features (no FID)."
)


def show(console: Console, report: Mapping[str, Any]) -> None:
    """Print everything that the report holds."""
    data = report["data"]
    console.print(
        f"Faces read on {data['folder']}: {data['kind']}, synthetic people, nobody was recorded", highlight=False
    )
    for who, kinds in report["readings"].items():
        rows = {(kind, reader): row for kind, readers in kinds.items() for reader, row in readers.items()}
        _print(console, f"{who.capitalize()}: {_count(rows.values())} pictures", rows, READINGS)
    if pictures := report["reconstruction"]:
        columns = {name: PICTURES[name] for name in RECONSTRUCTION}
        rows = {("", name): row for name, row in pictures.items()}
        _print(console, f"Reconstruction, {data['picture_size']} px: {_count(rows.values())} pictures", rows, columns)
    if reached := report["reach"]:
        show_reach(console, reached)
    console.print(CAPTION, style="dim", highlight=False)
    if pictures:
        console.print(CAPTION_PICTURES, style="dim", highlight=False)
    for note in report["notes"]:
        console.print(f"Note: {note}.", style="dim", highlight=False)


def _count(rows: Any) -> int:
    return max((number.pictures for row in rows for number in row.values()), default=0)


def _print(
    console: Console, title: str, rows: Mapping[tuple[str, str], Row], columns: Mapping[str, tuple[str, int]]
) -> None:
    shown = [name for name in columns if any(name in row for row in rows.values())]
    kinds = any(kind for kind, _ in rows)
    table = titled(console, title)
    if kinds:
        table.add_column("pictures", overflow="fold")
    table.add_column("read by" if kinds else "", overflow="fold")
    for name in shown:
        table.add_column(columns[name][0], justify="right", overflow="fold")
    before = None
    for (kind, reader), row in rows.items():
        first = [Text(kind if kind != before else "")] if kinds else []
        before = kind
        table.add_row(*first, Text(reader), *(_cell(row.get(name), columns[name][1], name) for name in shown))
    console.print(table, highlight=False)


def _cell(number: Number | None, digits: int, name: str) -> str:
    if number is None:
        return "-"
    spread = "" if number.sd is None or name == "face_found" else f" ± {number.sd:.{digits}f}"
    return f"{number.mean:.{digits}f}{spread}"
