"""A page to look at: what each way makes of the same faces.  Numbers do not see everything."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from calibration.restoration import Removed, Sample, Way
from engines.errors import BadInput

Picture = npt.NDArray[np.uint8]

PEOPLE = 6
_TILE, _GAP, _TOP, _MARGIN = 176, 6, 58, 20  # px
_INK, _SOFT, _PAPER = (48, 40, 36), (130, 122, 118), (252, 250, 249)


def choose_people(samples: Sequence[Sample], most: int = PEOPLE) -> list[int]:
    """Places of samples of different people, evenly spread over them."""
    first: dict[str, int] = {}
    for place, sample in enumerate(samples):
        first.setdefault(sample.person, place)
    places = list(first.values())
    chosen = np.linspace(0, len(places) - 1, min(most, len(places))).round().astype(int)
    return [places[i] for i in np.unique(chosen)]


def draw_sheet(blocks: Sequence[tuple[str, Sequence[Sample]]], ways: Sequence[Way]) -> Picture:
    """(height, width, 3) uint8 BGR: one row per face, one block per title.

    Columns: without electrodes, with, every way, and behind a bundle where it edits, or what it changed.
    """
    names = ["without", "with electrodes"]
    for way in ways:
        names.append(way.name)
        if isinstance(way, Removed):
            names.append("where it edits" if way.has_edit else "its change x 4")
    rows = sum(len(samples) for _, samples in blocks)
    width = 2 * _MARGIN + len(names) * (_TILE + _GAP) - _GAP
    height = _MARGIN + len(blocks) * _TOP + rows * (_TILE + _GAP)
    sheet = np.full((height, width, 3), _PAPER, np.uint8)
    top = 0
    for title, samples in blocks:
        _text(sheet, title, (_MARGIN, top + 28), 18, _INK, 600)
        for column, name in enumerate(names):
            _text(sheet, name, (_MARGIN + column * (_TILE + _GAP), top + 50), 13, _SOFT)
        top += _TOP
        for sample in samples:
            for column, picture in enumerate(_pictures(sample, ways)):
                left = _MARGIN + column * (_TILE + _GAP)
                sheet[top : top + _TILE, left : left + _TILE] = cv2.resize(
                    picture, (_TILE, _TILE), interpolation=cv2.INTER_CUBIC
                )
            top += _TILE + _GAP
    return sheet


def _pictures(sample: Sample, ways: Sequence[Way]) -> list[Picture]:
    found = [sample.clean, sample.covered]
    for way in ways:
        found.append(way.crop(sample.covered, sample.mask))
        if isinstance(way, Removed):
            found.append(np.asarray(cv2.cvtColor(way.edit(sample.covered), cv2.COLOR_GRAY2BGR), np.uint8))
    return found


def write_sheet(path: Path, sheet: Picture) -> None:
    """Write it as a new file, 0600, over an older one.  Raises BadInput when it cannot be written."""
    try:
        content = cv2.imencode(path.suffix, sheet)[1].tobytes()
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
    except (OSError, cv2.error) as error:
        raise BadInput(f"the pictures cannot be written to {path} ({error})") from None


def _text(
    sheet: Picture, words: str, at: tuple[int, int], size: int, colour: tuple[int, int, int], weight: int = 400
) -> None:
    cv2.putText(sheet, words, at, colour, cv2.FontFace("sans"), size, weight)
