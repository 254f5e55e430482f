"""A page to look at: what each way makes of a turned head, picture above, flow below."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from calibration.motion_peers import Frontalised, Movement
from calibration.motion_score import flow_picture
from calibration.planes import Picture
from engines.face.arrays import Floats

_TILE, _GAP, _TOP, _MARGIN, _WORDS = 150, 6, 62, 20, 24  # px
_INK, _SOFT, _PAPER, _EMPTY = (48, 40, 36), (130, 122, 118), (252, 250, 249), (236, 232, 230)

Block = tuple[str, Movement, Frontalised, Sequence[tuple[str, Frontalised]]]


def draw_motion_sheet(blocks: Sequence[Block]) -> Picture:
    """(height, width, 3) uint8 BGR: two rows per movement.

    blocks: words, the movement, the frontal truth, and (name, result) of every way.
    """
    names = ["at rest", "frontal, the truth", "turned", *(name for name, _ in blocks[0][3])]
    wide = 2 * _MARGIN + len(names) * (_TILE + _GAP) - _GAP
    high = _TOP + len(blocks) * (2 * (_TILE + _GAP) + _WORDS) + _MARGIN
    sheet = np.full((high, wide, 3), _PAPER, np.uint8)
    for column, name in enumerate(names):
        for line, words in enumerate(_lines(name)):
            _text(sheet, words, (_MARGIN + column * (_TILE + _GAP), 26 + 18 * line), 13, _INK)
    top = _TOP
    for words, given, truth, found in blocks:
        _text(sheet, words, (_MARGIN, top + 14), 12, _SOFT)
        top += _WORDS
        nothing = np.zeros_like(given.flow_posed)
        pictures = [given.neutral, truth.picture, given.posed, *(one.picture for _, one in found)]
        flows = [nothing, truth.flow, given.flow_posed, *(one.flow for _, one in found)]
        for column, (picture, flow) in enumerate(zip(pictures, flows, strict=True)):
            left = _MARGIN + column * (_TILE + _GAP)
            _put(sheet, picture, top, left)
            _put(sheet, None if flow is None else _seen(flow), top + _TILE + _GAP, left)
        top += 2 * (_TILE + _GAP)
    return sheet


def _seen(flow: Floats) -> Picture:
    return flow_picture(np.asarray(flow, np.float32))


def _put(sheet: Picture, picture: Picture | None, top: int, left: int) -> None:
    place = sheet[top : top + _TILE, left : left + _TILE]
    if picture is None:
        place[:] = _EMPTY
        return
    way = cv2.INTER_AREA if picture.shape[0] > _TILE else cv2.INTER_CUBIC
    place[:] = cv2.resize(picture, (_TILE, _TILE), interpolation=way)


def _lines(name: str) -> list[str]:
    """At most two lines of a column's width."""
    words, lines = name.split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) > 18 and len(lines) < 2:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _text(sheet: Picture, words: str, at: tuple[int, int], size: int, colour: tuple[int, int, int]) -> None:
    cv2.putText(sheet, words, at, colour, cv2.FontFace("sans"), size, 400)
