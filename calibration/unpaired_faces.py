"""Faces with electrodes and faces without, drawn independently of one another, as CycleGAN learns from them."""

import math
from typing import NamedTuple

import numpy as np
from torch import Tensor

from calibration.data.face_set import FaceSet
from calibration.distributed import Ranks
from calibration.planes import Picture, planes_of, resized
from calibration.recipe import chance


class Unpaired(NamedTuple):
    """One batch, or a process' share of it."""

    covered: Tensor  # (N, 3, size, size) float32 RGB in [-1, 1]; domain A
    clean: Tensor  # the same of domain B
    number: int  # of the step


class UnpairedFaces:
    """Batches by number: the same number gives the same batch, in every run."""

    def __init__(self, faces: FaceSet, size: int, load: int, batch: int, seed: int, ranks: Ranks) -> None:
        """size: px of the pictures.  load: px that crops are cut from (CycleGAN: 256 from 286).

        batch: pictures of each domain, over all processes.  Raises BadSettings when they cannot share it.
        """
        self.faces, self.size, self.load, self.batch_size, self.seed = faces, size, load, batch, seed
        self._share = ranks.share(batch)
        self._larger = max(len(faces.covered_rows), len(faces.clean_rows))
        self.steps_per_epoch = math.ceil(self._larger / batch)
        self._order = (-1, np.zeros(0, np.int64))

    def batch(self, number: int) -> Unpaired:
        """Batch `number`, from 0 over all epochs; on the CPU.

        Every epoch goes through the larger domain once, shuffled; the other one's pictures are drawn at random.
        """
        epoch, at = divmod(number, self.steps_per_epoch)
        order = self._shuffled(epoch)
        faces, covered, clean = self.faces, [], []
        for slot in range(self.batch_size)[self._share]:
            draw = chance(self.seed, "faces", number, slot)
            place = int(order[(at * self.batch_size + slot) % self._larger])
            a = faces.covered_at[place % len(faces.covered_at)]
            b = faces.clean_at[draw.integers(len(faces.clean_at))]
            covered.append(self._varied(faces.covered[a], draw))
            clean.append(self._varied(faces.clean[b], draw))
        return Unpaired(planes_of(covered), planes_of(clean), number)

    def _shuffled(self, epoch: int) -> np.ndarray:
        if self._order[0] != epoch:
            self._order = (epoch, chance(self.seed, "order", epoch).permutation(self._larger))
        return self._order[1]

    def _varied(self, picture: Picture, draw: np.random.Generator) -> Picture:
        """Cut somewhere, and mirrored every other time."""
        loaded = resized(picture, self.load)
        y, x = draw.integers(self.load - self.size + 1, size=2)
        cut = loaded[y : y + self.size, x : x + self.size]
        return cut[:, ::-1] if draw.random() < 0.5 else cut
