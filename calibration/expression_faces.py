"""Faces and the expression that each is to be given, as Cascade EF-GAN learns: batches by number.

What a face is to show is what another one shows, drawn from the whole set.  Where a set shows the same sitting with
several expressions (calibration/expression_stills.py), the true picture comes along: for measuring, and for our own
paired term.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from calibration.camera_variation import CameraVariation, VariationSettings
from calibration.data.face_set import FaceSet
from calibration.distributed import Ranks
from calibration.expression_classes import prototypes
from calibration.planes import Picture, planes_of, resized
from calibration.recipe import chance
from engines.errors import BadInput
from engines.face.action_units import labels_from_arkit52, mirrored
from engines.face.mesh import MEDIAPIPE_68
from engines.networks.cascade_editor import PAPER_PATCHES, Patch, patch_at

Floats = npt.NDArray[np.float32]

# Of the 68 landmarks: brows and lids, nose, mouth
_POINTS = (tuple(range(17, 27)) + tuple(range(36, 48)), tuple(range(27, 36)), tuple(range(48, 68)))


class Wish(NamedTuple):
    """Some faces, what they show and what they are to show."""

    face: Tensor  # (N, 3, size, size) float32 RGB in [-1, 1]
    source: Tensor  # (N, labels) in [0, 1]
    target: Tensor  # (N, labels)
    truth: Tensor  # (N, 3, size, size): the same moment with the target expression, where that is known
    known: Tensor  # (N,) bool: where it is


@dataclass(frozen=True)
class ExpressionChoices:
    """How wishes are drawn.

    size: px.  profile: of the labels.  classes: labels become the nearest of the seven known expressions.
    paired: share of the wishes whose true picture is known, where the set has such.  flip: share that is mirrored.
    variation: how far cameras differ, 0..1; 0 leaves the pictures as they are.
    """

    size: int
    profile: str
    classes: bool = False
    paired: float = 0.0
    flip: float = 0.5
    variation: float = 0.0


@dataclass(frozen=True, eq=False)
class LabelledFaces:
    """The clean faces of a set whose expression is known.  at: rows of the set's arrays.  sitting: equal numbers, the
    same person, pose and light.  blendshapes: (N, 52)."""

    faces: FaceSet
    at: npt.NDArray[np.int64]
    people: tuple[str, ...]  # of every face
    blendshapes: Floats
    sitting: npt.NDArray[np.int64]

    @classmethod
    def of(cls, faces: FaceSet) -> "LabelledFaces":
        """Raises BadInput when a set knows no expressions, or fewer than two faces'."""
        if faces.truth is None:
            raise BadInput(
                f"{faces.folder} does not know its faces' expressions: make faces with this version of myomirror "
                f"simulate faces, or with python -m calibration.expression_stills"
            )
        blendshapes = np.asarray(faces.truth.expression[faces.clean_at])
        good = np.flatnonzero(np.isfinite(blendshapes).all(1))
        if len(good) < 2:
            raise BadInput(f"{faces.folder} knows the expressions of {len(good)} faces here: make a larger set")
        rows = [faces.clean_rows[i] for i in good]
        poses = np.asarray(faces.truth.pose[faces.clean_at[good]])
        keys: dict[tuple[str, str, bytes], int] = {}
        sitting = [
            keys.setdefault((row.person, row.clip, pose.tobytes() if np.isfinite(pose).all() else b"%d" % i), len(keys))
            for i, (row, pose) in enumerate(zip(rows, poses, strict=True))
        ]  # two poses that nobody knows are not the same
        people = tuple(row.person for row in rows)
        return cls(faces, faces.clean_at[good], people, blendshapes[good], np.array(sitting, np.int64))

    def __len__(self) -> int:
        return len(self.at)

    def picture(self, place: int, size: int) -> Picture:
        """(size, size, 3) uint8 BGR."""
        return resized(np.asarray(self.faces.clean[self.at[place]]), size)

    def partners(self) -> list[npt.NDArray[np.int64]]:
        """For each face, places of the others of its sitting."""
        order = np.argsort(self.sitting, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(self.sitting[order])) + 1)
        found: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)] * len(self)
        for group in groups:
            for place in group:
                found[place] = group[group != place]
        return found

    def patches(self, size: int) -> tuple[Patch, ...]:
        """Where eyes, nose and mouth are on average, as patches of the paper's shapes, in px of `size`."""
        assert self.faces.truth is not None
        landmarks = np.asarray(self.faces.truth.landmarks_px[self.at])  # (N, 478, 2)
        landmarks = landmarks[np.isfinite(landmarks).all((1, 2))]
        if not len(landmarks):
            raise BadInput(f"{self.faces.folder} knows no landmarks: make the set again")
        scale = size / self.faces.size
        found = []
        for points, shape in zip(_POINTS, PAPER_PATCHES, strict=True):
            x, y = (landmarks[:, [MEDIAPIPE_68[point] for point in points]].mean((0, 1)) + 0.5) * scale
            found.append(patch_at((float(x), float(y)), shape, size))
        return tuple(found)


class ExpressionFaces:
    """Batches by number: the same number gives the same batch, in every run."""

    def __init__(
        self, labelled: LabelledFaces, choices: ExpressionChoices, batch: int, parts: int, seed: int, ranks: Ranks
    ) -> None:
        """batch: faces over all processes.  parts: how many batches a step takes.

        Raises BadSettings when processes cannot share, BadInput when true pictures are asked for and none are known.
        """
        self.labelled, self.choices, self.batch_size, self.parts, self.seed = labelled, choices, batch, parts, seed
        self.labels = labels_from_arkit52(labelled.blendshapes, choices.profile)
        if choices.classes:
            known = prototypes(choices.profile)
            self.labels = known[((self.labels[:, None] - known[None]) ** 2).sum(2).argmin(1)]
        self._share, self._partners = ranks.share(batch), labelled.partners()
        if choices.paired and not any(len(others) for others in self._partners):
            raise BadInput(
                f"{labelled.faces.folder} shows no sitting with two expressions, so no true picture is known: make a "
                f"set with python -m calibration.expression_stills, or train with --set paired=0"
            )
        still = VariationSettings(choices.size, 0, 0, 0, 0, choices.variation, 0)
        self._vary = CameraVariation(still) if choices.variation else None
        self.steps_per_epoch = math.ceil(len(labelled) / (batch * parts))
        self._order = (-1, np.zeros(0, np.int64))

    def batch(self, number: int) -> list[Wish]:
        """Step `number`'s batches, from 0 over all epochs; on the CPU.  An epoch goes through all faces, shuffled."""
        epoch, at = divmod(number, self.steps_per_epoch)
        if self._order[0] != epoch:
            self._order = (epoch, chance(self.seed, "order", epoch).permutation(len(self.labelled)))
        order = self._order[1]
        found = []
        for part in range(self.parts):
            wishes = []
            for slot in range(self.batch_size)[self._share]:
                number_in_epoch = (at * self.parts + part) * self.batch_size + slot
                place = int(order[number_in_epoch % len(order)])
                wishes.append(self._wish(place, chance(self.seed, "wish", number, part, slot)))
            faces, truths, sources, targets, known = zip(*wishes, strict=True)
            source, target = (torch.from_numpy(np.stack(each)) for each in (sources, targets))
            found.append(Wish(planes_of(faces), source, target, planes_of(truths), torch.tensor(known)))
        return found

    def _wish(self, place: int, draw: np.random.Generator) -> tuple[Picture, Picture, Floats, Floats, bool]:
        choices, partners = self.choices, self._partners[place]
        known = bool(draw.random() < choices.paired) and len(partners) > 0
        other = int(partners[draw.integers(len(partners))]) if known else int(draw.integers(len(self.labelled)))
        face = self.labelled.picture(place, choices.size)
        truth = self.labelled.picture(other, choices.size) if known else face
        if self._vary is not None:
            seen = self._vary(face, truth, np.zeros(face.shape[:2], np.uint8), draw)
            face, truth = seen.covered, seen.clean
        source, target = self.labels[place], self.labels[other]
        if draw.random() < choices.flip:
            face, truth = face[:, ::-1], truth[:, ::-1]
            source, target = (mirrored(labels, choices.profile) for labels in (source, target))
        return face, truth, source, target, known
