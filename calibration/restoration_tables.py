"""The tables of `myomirror evaluate` for electrode removal, built as those of Buechner et al. 2023.

Table 1: without, with and removed electrodes.  Then kinds of skin, inside and outside the training people (their Table
4), altered colours, whole frames, six folds, and how the results stand to what they are to reach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from calibration.emotion_classifier import EMOTIONS
from calibration.report_table import show_reach, titled
from calibration.restoration import ATTACHED, WITHOUT, Number, Row

# measure -> (column, digits); arrows say which way is better
COLUMNS: dict[str, tuple[str, int]] = {
    "ssim_face": ("SSIM ↑", 3),
    "psnr_face": ("PSNR dB ↑", 1),
    "gmsd": ("GMSD ↓", 3),
    "mdsi": ("MDSI ↓", 3),
    "frechet": ("Frechet ↓", 1),
    "expression": ("expression ↓", 3),
    "expression_truth": ("against truth ↓", 3),
    "face_found": ("faces found ↑", 2),
    "psnr_kept": ("kept dB ↑", 1),
    **{f"{kind}_{region}": (f"{region} {word} ↑", digits)
       for region in ("covered", "shaded", "untouched")
       for kind, word, digits in (("ssim", "SSIM", 3), ("psnr", "dB", 1))},
}  # fmt: skip
WHOLE = ("ssim_face", "psnr_face", "gmsd", "mdsi", "frechet", "expression", "expression_truth", "face_found")
SKIN = (
    *(f"{kind}_{region}" for region in ("covered", "shaded", "untouched") for kind in ("ssim", "psnr")),
    "psnr_kept",
)
SHORT = ("ssim_face", "psnr_covered", "psnr_untouched", "mdsi", "frechet", "expression")

CAPTION = (
    "Mean over pictures ± standard deviation over people. SSIM and PSNR in the face, GMSD and MDSI over the whole "
    "picture, Frechet distance on own features (no FID), expression: mean absolute error of 51 blendshapes against "
    "the clean picture's (0 to 1), where a face is found. Kept: untouched skin against the picture with electrodes."
)


def show(console: Console, report: Mapping[str, Any]) -> None:
    """Print everything that the report holds."""
    tables: Mapping[str, Mapping[str, Row]] = report["tables"]
    emotions: Mapping[str, Row] = report.get("emotions", {})
    data = report["data"]
    kind = "synthetic people, nobody was recorded" if data["synthetic"] else "recordings of people"
    console.print(f"Electrode removal on {data['folder']}: {data['kind']}, {kind}, cut: {data['cut']}", highlight=False)
    for name, peer in report.get("peers", {}).items():
        console.print(
            f"{name}: mask grown by {peer['dilation_px']} px, radius {peer['radius_px']} px ({peer['chosen_on']})",
            highlight=False,
        )
    for name, rows in tables.items():
        if emotions and name in ("frames", "recordings"):
            _print(console, f"Emotions recognised, {name}", emotions, (*EMOTIONS, "overall"))
        _print(console, f"{name.capitalize()}: {_count(rows)} pictures", rows, WHOLE)
        if any("psnr_covered" in row for row in rows.values()):
            _print(console, f"{name.capitalize()}: kinds of skin", _without(rows), SKIN)
    _trained(console, tables)
    if folds := report.get("six_fold"):
        _print(console, "Six folds: trained on the person?", folds, SHORT)
    if flicker := report.get("flicker"):
        _flicker(console, flicker)
    if reached := report["reach"]:
        show_reach(console, reached)
    console.print(CAPTION, style="dim", highlight=False)
    for note in report["notes"]:
        console.print(f"Note: {note}.", style="dim", highlight=False)


def over_folds(rows: Sequence[Row]) -> Row:
    """Mean of the folds' means, and their standard deviation."""
    names = [name for name in rows[0] if all(name in row for row in rows)]
    found = {}
    for name in names:
        means = [row[name].mean for row in rows]
        sd = float(np.std(means, ddof=1)) if len(means) > 1 else None
        found[name] = Number(float(np.mean(means)), sd, sum(row[name].pictures for row in rows))
    return found


def _without(rows: Mapping[str, Row]) -> dict[str, Row]:
    return {name: row for name, row in rows.items() if name != WITHOUT}


def _count(rows: Mapping[str, Row]) -> int:
    return max(number.pictures for row in rows.values() for number in row.values())


def _trained(console: Console, tables: Mapping[str, Mapping[str, Row]]) -> None:
    """Their Table 4: one line per bundle inside and outside the training people."""
    inside, outside = tables.get("people seen in training"), tables.get("people never seen")
    if inside is None or outside is None:
        return
    peers = (WITHOUT, ATTACHED)
    rows = {
        f"{name}: {word}": table[name]
        for name in outside
        if name not in peers and "true mask" not in name
        for word, table in (("False", outside), ("True", inside))
    }
    _print(console, "Trained on the person?", rows, SHORT)


def _print(console: Console, title: str, rows: Mapping[str, Row], columns: Sequence[str]) -> None:
    shown = [name for name in columns if any(name in row for row in rows.values())]
    table = titled(console, title)
    table.add_column("electrodes" if ATTACHED in rows else "", overflow="fold")
    for name in shown:
        table.add_column(COLUMNS.get(name, (name, 0))[0], justify="right", overflow="fold")
    for name, row in rows.items():
        table.add_row(Text(name), *(_cell(row.get(column), column) for column in shown))
    console.print(table, highlight=False)


def _cell(number: Number | None, column: str) -> str:
    if number is None:
        return "-"
    if column not in COLUMNS:
        return f"{100 * number.mean:.1f} %"
    digits = COLUMNS[column][1]
    spread = "" if number.sd is None or column == "face_found" else f" ± {number.sd:.{digits}f}"
    return f"{number.mean:.{digits}f}{spread}"


def _flicker(console: Console, flicker: Mapping[str, Mapping[str, float | None]]) -> None:
    table = titled(console, "Flicker in covered skin, clean clip = 1")
    for name in ("", "picture", "of the error ↓"):
        table.add_column(name, justify="left" if not name else "right")
    for name, found in flicker.items():
        values = [found["flicker"], found["of_error"]]
        table.add_row(Text(name), *("-" if value is None else f"{value:.2f}" for value in values))
    console.print(table, highlight=False)
