"""Faces with electrodes beside the same moment without, seen by many cameras, as a network that removes them learns."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from calibration.camera_variation import CameraVariation, VariationSettings
from calibration.data.face_set import FaceSet
from calibration.distributed import Ranks
from calibration.planes import planes_of, resized
from calibration.recipe import chance
from engines.errors import BadInput


class Paired(NamedTuple):
    """One batch, or a process' share of it."""

    covered: Tensor  # (N, 3, size, size) float32 RGB in [-1, 1]
    clean: Tensor  # the same, what is behind the electrodes
    mask: Tensor  # (N, 1, size, size) float32 in [0, 1], how far a pixel is covered
    number: int  # of the step


class PairedFaces:
    """Batches by number: the same number gives the same batch, in every run."""

    def __init__(
        self, faces: FaceSet, variation: VariationSettings, load: int, batch: int, seed: int, ranks: Ranks
    ) -> None:
        """variation: how cameras differ, and the size.  load: px that pictures are brought to before they are moved.

        batch: pictures over all processes.

        Raises BadInput when nobody knows what is behind these electrodes, BadSettings when processes cannot share.
        """
        if faces.mask is None:
            raise BadInput(
                f"{faces.folder} holds no truth behind the electrodes: make faces with myomirror simulate faces, or "
                "train mc_cyclegan, which needs none"
            )
        self.faces, self.load, self.batch_size, self.seed = faces, load, batch, seed
        self._mask, self._vary, self._share = faces.mask, CameraVariation(variation), ranks.share(batch)
        self.steps_per_epoch = math.ceil(len(faces.covered_at) / batch)
        self._order = (-1, np.zeros(0, np.int64))

    def batch(self, number: int) -> Paired:
        """Batch `number`, from 0 over all epochs; on the CPU.  Every epoch goes through all pairs once, shuffled."""
        epoch, at = divmod(number, self.steps_per_epoch)
        if self._order[0] != epoch:
            self._order = (epoch, chance(self.seed, "order", epoch).permutation(len(self.faces.covered_at)))
        order, faces, seen = self._order[1], self.faces, []
        for slot in range(self.batch_size)[self._share]:
            place = int(order[(at * self.batch_size + slot) % len(order)])
            a, b = faces.covered_at[place], faces.clean_at[place]
            draw = chance(self.seed, "faces", number, slot)
            loaded = [resized(p, self.load) for p in (faces.covered[a], faces.clean[b], self._mask[a])]
            seen.append(self._vary(loaded[0], loaded[1], loaded[2], draw))
        masks = np.stack([each.mask for each in seen])[:, None].astype(np.float32) / 255
        covered, clean = planes_of([each.covered for each in seen]), planes_of([each.clean for each in seen])
        return Paired(covered, clean, torch.from_numpy(masks), number)
