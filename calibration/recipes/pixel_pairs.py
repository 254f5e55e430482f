"""Pairs of one face, neutral and with an expression, to fit pixel maps on and to judge them by.

Between two photos the head moves too.  `in_neutral_pose` takes that out of the target: what is left is the expression,
which is what a map can know.  The head's movement is what a turn and shift of a rigid face does to its landmarks,
fitted to the landmarks that the expression moves least.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from calibration.data.london_faces import EXPRESSIONS, read_london_faces, split_people
from engines.errors import BadInput
from engines.face.canonical import CanonicalFace
from engines.face.crop import Affine, crop_from_landmarks, crop_from_pose
from engines.face.pixel_mesh import LANDMARKS, MESH, mesh_of, redraw, with_rim

Pictures = npt.NDArray[np.uint8]  # (pair, size, size, 3) BGR
Points = npt.NDArray[np.float32]  # (pair, 478, 2), x y in px of the crop
Bools = npt.NDArray[np.bool_]

Alignment = Literal["centred", "upright"]
ALIGNMENTS: tuple[Alignment, ...] = ("centred", "upright")
BOX = 1.4  # side of the crop in mean sides of the landmarks' box
_UPPER_LIP, _LOWER_LIP = 13, 14  # the lips' inner borders
_OPEN = 0.006  # of the crop's side: between the lips of a smile that shows teeth
_STEADY = 0.0025  # of the crop's side: landmarks that move less by the expression all count alike


@dataclass(frozen=True, eq=False)
class FacePairs:
    """Pictures and landmarks of the same people twice.

    people: one id per pair.  neutral, target: (pair, size, size, 3) uint8 BGR.  neutral_px, target_px: (pair, 478, 2)
    float32, MediaPipe's order, (x, y) in px of the crop.
    Raises BadInput when the numbers do not match or there is no pair.
    """

    people: tuple[str, ...]
    neutral: Pictures
    target: Pictures
    neutral_px: Points
    target_px: Points

    def __post_init__(self) -> None:
        count = len(self.people)
        shape = (count, self.size, self.size, 3)
        if count == 0 or self.neutral.shape != shape or self.target.shape != shape:
            raise BadInput(f"pairs need pictures {shape}, found {self.neutral.shape} and {self.target.shape}")
        if not self.neutral_px.shape == self.target_px.shape == (count, LANDMARKS, 2):
            raise BadInput(f"pairs need {LANDMARKS} landmarks each, found {self.neutral_px.shape}")

    @property
    def size(self) -> int:
        """Side of the crops, px."""
        return int(self.neutral.shape[1])

    def of(self, people: Sequence[str]) -> FacePairs:
        """Only these people's pairs, in this order.  Raises BadInput when one is missing."""
        missing = set(people) - set(self.people)
        if missing or not people:
            raise BadInput(f"no pairs of {', '.join(sorted(missing)) or 'nobody'}: ask for people that are there")
        rows = [row for person in people for row, name in enumerate(self.people) if name == person]
        return FacePairs(
            tuple(self.people[row] for row in rows),
            self.neutral[rows],
            self.target[rows],
            self.neutral_px[rows],
            self.target_px[rows],
        )

    def split(self, held_out: int, seed: int) -> tuple[FacePairs, FacePairs]:
        """(pairs to learn from, pairs of people never seen); the same seed gives the same split."""
        learn, unseen = split_people(sorted(set(self.people)), held_out, seed)
        return self.of(learn), self.of(unseen)

    def folds(self, count: int, seed: int) -> list[tuple[FacePairs, FacePairs]]:
        """Cross-validation by people: `count` times (learn, unseen), everybody unseen once."""
        everybody = np.random.default_rng(seed).permutation(sorted(set(self.people))).tolist()
        if not 2 <= count <= len(everybody):
            raise BadInput(f"cannot make {count} folds of {len(everybody)} people")
        parts = [everybody[k::count] for k in range(count)]
        return [(self.of([p for p in everybody if p not in part]), self.of(part)) for part in parts]


def crop_matrix(landmarks_px: npt.NDArray[np.floating], size: int, alignment: Alignment) -> Affine:
    """(2, 3), crop from photo.

    "centred": the landmarks' box in the middle, as the paper crops.  "upright": this project's live crop, a similarity
    on landmarks that expressions hardly move.
    """
    if alignment == "upright":
        return crop_from_landmarks(landmarks_px, size)
    low, high = landmarks_px.min(0), landmarks_px.max(0)
    middle, side = (low + high) / 2, (high - low).mean() * BOX
    return crop_from_pose(np.array([middle[0], middle[1], np.log(side), 0.0]), size)


def london_pairs(data: Path, model: Path, size: int, alignments: Sequence[Alignment]) -> dict[Alignment, FacePairs]:
    """The London faces, neutral and smiling, cropped in one or several ways.

    Raises as read_london_faces does.
    """
    found: dict[Alignment, list[tuple[str, list[Pictures], list[Points]]]] = {name: [] for name in alignments}
    for person in read_london_faces(data, model):
        for alignment in alignments:
            matrices = [crop_matrix(person.landmarks_px[name], size, alignment) for name in EXPRESSIONS]
            pictures = [
                np.asarray(cv2.warpAffine(person.photos[name], matrix, (size, size)), np.uint8)
                for name, matrix in zip(EXPRESSIONS, matrices, strict=True)
            ]
            points = [
                (person.landmarks_px[name] @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
                for name, matrix in zip(EXPRESSIONS, matrices, strict=True)
            ]
            found[alignment].append((person.person, pictures, points))
    return {name: _stack(rows) for name, rows in found.items()}


def _stack(rows: list[tuple[str, list[Pictures], list[Points]]]) -> FacePairs:
    people, pictures, points = zip(*rows, strict=True)
    both, places = np.stack([np.stack(p) for p in pictures]), np.stack([np.stack(p) for p in points])
    return FacePairs(people, both[:, 0].copy(), both[:, 1].copy(), places[:, 0].copy(), places[:, 1].copy())


def in_neutral_pose(pairs: FacePairs, canonical: CanonicalFace) -> FacePairs:
    """The same pairs with each target drawn as if the head had not moved since the neutral photo.

    The expression's own movement, which must not be mistaken for the head's, is the pairs' mean one: give all pairs of
    one expression at once.  canonical: for the depth of the landmarks.
    """
    way = (pairs.target_px - pairs.neutral_px)[:, :MESH].astype(np.float64)
    mean = way.mean(0)
    weight = 1 / (_STEADY * pairs.size + np.hypot(*mean.T)) ** 2
    rigid = np.column_stack([np.ones(MESH), canonical.vertices])  # small turns and shifts move x and y linearly
    of_way = rigid @ np.linalg.solve((rigid.T * weight) @ rigid, rigid.T * weight)  # (468, 468)
    head = np.einsum("ij,njx->nix", of_way, way - mean)
    moved = pairs.target_px.copy()
    moved[:, :MESH] -= head.astype(np.float32)
    irises = head[:, [468 - 1]].astype(np.float32)  # the pupils go with the eyes' landmark
    moved[:, MESH:] -= irises
    mesh = mesh_of(moved.mean(0))
    target = np.stack(
        [
            redraw(picture, with_rim(source), with_rim(goal), mesh)
            for picture, source, goal in zip(pairs.target, pairs.target_px, moved, strict=True)
        ]
    )
    return replace(pairs, target=target, target_px=moved)


def by_mouth(pairs: FacePairs) -> dict[str, FacePairs]:
    """Smiles apart by whether they show teeth: {"smile-open", "smile-closed"}.

    Some people asked to smile open their mouth and some do not; no neutral face tells which.
    Raises BadInput when nobody does the one or the other.
    """
    gap = (pairs.target_px[:, _LOWER_LIP, 1] - pairs.target_px[:, _UPPER_LIP, 1]) / pairs.size
    people = np.array(pairs.people)
    return {
        "smile-open": pairs.of(people[gap > _OPEN].tolist()),
        "smile-closed": pairs.of(people[gap <= _OPEN].tolist()),
    }


def face_mask(pairs: FacePairs) -> Bools:
    """(pair, size, size): inside the face's oval, the neutral one or the target's; where people are judged."""
    masks = np.zeros((len(pairs.people), pairs.size, pairs.size), np.uint8)
    for mask, *shapes in zip(masks, pairs.neutral_px, pairs.target_px, strict=True):
        for shape in shapes:
            hull = cv2.convexHull(np.ascontiguousarray(shape[:MESH], np.float32))
            cv2.fillConvexPoly(mask, np.rint(hull).astype(np.int32), 1)
    return masks > 0
