"""Faces with electrodes and faces without of the same person, of different moments: what EIFER learns from."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from calibration.data.face_set import FaceSet
from calibration.distributed import Ranks
from calibration.planes import Picture, planes_of, resized
from calibration.recipe import chance
from calibration.unpaired_faces import Unpaired
from engines.errors import BadInput


@dataclass(frozen=True)
class Changes:
    """How pictures are changed, each by itself.

    size: px that come out.  load: px that they are cut from.  sharpen: share that is sharpened.  flip, upside_down:
    shares that are mirrored.
    """

    size: int
    load: int
    sharpen: float
    flip: float
    upside_down: float


class SamePersonFaces:
    """Batches by number: the same number gives the same batch, in every run."""

    def __init__(self, faces: FaceSet, changes: Changes, batch: int, seed: int, ranks: Ranks) -> None:
        """batch: pairs over all processes.

        Raises BadInput when somebody under electrodes is never seen without, BadSettings when processes cannot share.
        """
        self.faces, self.changes, self.batch_size, self.seed = faces, changes, batch, seed
        self._share = ranks.share(batch)
        clean: dict[str, list[int]] = {}
        for at, row in zip(faces.clean_at, faces.clean_rows, strict=True):
            clean.setdefault(row.person, []).append(int(at))
        alone = sorted({row.person for row in faces.covered_rows} - set(clean))
        if alone:
            raise BadInput(
                f"{faces.folder} shows {alone[0]} only under electrodes: EIFER learns from the same person without "
                f"them, leave that person out with --people"
            )
        self._clean = clean
        self.steps_per_epoch = math.ceil(len(faces.covered_at) / batch)
        self._order = (-1, np.zeros(0, np.int64))

    def batch(self, number: int) -> Unpaired:
        """Batch `number`, from 0 over all epochs; on the CPU.  Every epoch shows each face under electrodes once."""
        epoch, at = divmod(number, self.steps_per_epoch)
        if self._order[0] != epoch:
            self._order = (epoch, chance(self.seed, "order", epoch).permutation(len(self.faces.covered_at)))
        order, faces = self._order[1], self.faces
        covered, clean = [], []
        for slot in range(self.batch_size)[self._share]:
            draw = chance(self.seed, "faces", number, slot)
            place = int(order[(at * self.batch_size + slot) % len(order)])
            theirs = self._clean[faces.covered_rows[place].person]
            covered.append(changed(faces.covered[faces.covered_at[place]], self.changes, draw))
            clean.append(changed(faces.clean[theirs[draw.integers(len(theirs))]], self.changes, draw))
        return Unpaired(planes_of(covered), planes_of(clean), number)


def changed(picture: Picture, changes: Changes, draw: np.random.Generator) -> Picture:
    """Cut somewhere, sharpened, mirrored: the paper's augmentations.  picture: square.  Returns (size, size, 3)."""
    loaded = resized(picture, changes.load)
    y, x = draw.integers(changes.load - changes.size + 1, size=2)
    cut = loaded[y : y + changes.size, x : x + changes.size]
    sharpen, flip, over = draw.random(3)
    if sharpen < changes.sharpen:
        soft = cv2.GaussianBlur(cut, (0, 0), 1.0)
        cut = np.asarray(cv2.addWeighted(cut, 1.5, soft, -0.5, 0), np.uint8)
    cut = cut[:, ::-1] if flip < changes.flip else cut
    return cut[::-1] if over < changes.upside_down else cut
