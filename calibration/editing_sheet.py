"""Figure 7 of Cascade EF-GAN: a face on its way to another expression, step by step, to look at.

The expressions between come from the interpolator; each picture is the whole cascade's, from the input on.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import torch

from calibration.editing import Edits
from calibration.expression_classes import EXPRESSIONS
from calibration.planes import pictures_of, planes_of
from engines.face.action_units import labels_from_arkit52
from engines.networks.cascade_editor import CascadeEditor

Picture = npt.NDArray[np.uint8]

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
ROWS = 7
_TILE, _GAP, _TOP, _MARGIN = 160, 6, 84, 20  # px
_INK, _SOFT, _PAPER = (48, 40, 36), (130, 122, 118), (252, 250, 249)


@torch.no_grad()
def on_the_way(editor: CascadeEditor, edits: Edits, shares: tuple[float, ...] = SHARES) -> list[Picture]:
    """(N, size, size, 3) uint8 BGR for each share of the way, and at last (N, size, size) where it looked then."""
    faces = planes_of(list(edits.faces))
    profile = editor.sizes.profile
    source, target = (torch.from_numpy(labels_from_arkit52(one, profile)) for one in (edits.source, edits.target))
    found = []
    for share in shares:
        made = editor(faces, source, target if share == 1 else editor.between(source, target, share))
        found.append(pictures_of(made.face))
    looked = (made.edit[:, 0] * 255).round().to(torch.uint8).numpy()
    return [*found, looked]


def choose_rows(edits: Edits, most: int = ROWS) -> Edits:
    """Edits of different people to different expressions, as far as there are such."""
    order, people, wanted = [], set(), set()
    for place, (person, goal) in enumerate(zip(edits.people, edits.classes.tolist(), strict=True)):
        if person not in people and goal not in wanted:
            order.append(place)
            people.add(person)
            wanted.add(goal)
    rest = [place for place in range(len(edits.people)) if place not in order]
    rows = np.array((order + rest)[:most])
    kept = [part[rows] for part in (edits.faces, edits.source, edits.target, edits.classes, edits.truth)]
    of, names = (tuple(words[row] for row in rows) for words in (edits.of, edits.people))
    return Edits(kept[0], kept[1], kept[2], kept[3], kept[4], of, names)


def draw_continuous(editor: CascadeEditor, edits: Edits, title: str) -> Picture:
    """(height, width, 3) uint8 BGR: one row for each edit: the input, the way, the true picture, where it looked."""
    way = on_the_way(editor, edits)
    names = ["input", *(f"{100 * share:.0f} %" for share in SHARES), "a true picture", "where it looked"]
    columns = [edits.faces, *way[:-1], edits.truth, np.repeat(way[-1][..., None], 3, axis=3)]
    width = 2 * _MARGIN + len(columns) * (_TILE + _GAP) - _GAP
    height = _TOP + len(edits.faces) * (_TILE + _GAP + 20) + _MARGIN
    sheet = np.full((height, width, 3), _PAPER, np.uint8)
    _text(sheet, title, (_MARGIN, 36), 18, _INK, 600)
    for column, name in enumerate(names):
        _text(sheet, name, (_MARGIN + column * (_TILE + _GAP), 68), 13, _SOFT)
    for row, goal in enumerate(edits.classes.tolist()):
        top = _TOP + row * (_TILE + _GAP + 20)
        wanted = EXPRESSIONS[goal] if goal >= 0 else "another expression"
        _text(sheet, f"{wanted}; the true picture is of {_of(edits.of[row])}", (_MARGIN, top + 12), 13, _SOFT)
        for column, pictures in enumerate(columns):
            left = _MARGIN + column * (_TILE + _GAP)
            sheet[top + 18 : top + 18 + _TILE, left : left + _TILE] = cv2.resize(
                pictures[row], (_TILE, _TILE), interpolation=cv2.INTER_CUBIC
            )
    return sheet


def _of(kind: str) -> str:
    return {"sitting": "the same moment", "person": "the same person"}.get(kind, "somebody else")


def _text(
    sheet: Picture, words: str, at: tuple[int, int], size: int, colour: tuple[int, int, int], weight: int = 400
) -> None:
    cv2.putText(sheet, words, at, colour, cv2.FontFace("sans"), size, weight)
