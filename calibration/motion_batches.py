"""Movements as eMotion-GAN and its recognisers learn from them: batches by number, mirrored by chance."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from calibration.data.motion_set import MotionSet
from calibration.distributed import Ranks
from calibration.planes import Picture, planes_of, resized
from calibration.recipe import chance
from engines.face.arrays import Floats
from engines.face.flow import resized_flow
from rt.errors import BadSettings

GIVEN = {"posed": "flow_posed", "still": "flow_still", "front": "flow_front"}
"""What a network is shown: the turning head's flow, the same brought to rest by the 3D face (ours), the frontal one."""


class MotionBatch(NamedTuple):
    """One batch, or a process' share of it.  Flows in px of their side."""

    given: Tensor  # (N, 2, size, size)
    front: Tensor  # (N, 2, size, size): the truth
    before: Tensor  # (N, 3, size, size) RGB in [-1, 1]
    after: Tensor  # the same
    posed: Tensor  # the same
    face: Tensor  # (N, 1, size, size) 0..1
    emotion: Tensor  # (N,) int64, -1 for none
    number: int


class MotionBatches:
    """The same number gives the same batch, in every run."""

    def __init__(
        self,
        motion: MotionSet,
        size: int,
        given: str,
        batch: int,
        seed: int,
        ranks: Ranks,
        frontal: float = 0.0,
        mirror: bool = True,
    ) -> None:
        """size: px, at most the set's flows.  given: of GIVEN.  batch: over all processes.

        frontal: share of the batch whose given flow is the frontal one, lest a network changes what is frontal already.
        Raises BadSettings when something does not fit.
        """
        if given not in GIVEN:
            raise BadSettings(f"given is {', '.join(GIVEN)}, found {given!r}")
        if size > motion.flow:
            raise BadSettings(f"{motion.folder} holds flows of {motion.flow} px, {size} px are asked for: --size")
        self.motion, self.size, self.seed = motion, size, seed
        self._given, self._frontal, self._mirror = given, frontal, mirror
        self.batch_size, self._share = batch, ranks.share(batch)
        self.steps_per_epoch = math.ceil(len(motion.rows) / batch)
        self._order = (-1, np.zeros(0, np.int64))

    def batch(self, number: int) -> MotionBatch:
        """Batch `number`, from 0 over all epochs; on the CPU.  Every epoch goes through all pairs once, shuffled."""
        epoch, at = divmod(number, self.steps_per_epoch)
        if self._order[0] != epoch:
            self._order = (epoch, chance(self.seed, "order", epoch).permutation(len(self.motion.rows)))
        places, mirrored, frontal = [], [], []
        for slot in range(self.batch_size)[self._share]:
            draw = chance(self.seed, "motion", number, slot)
            places.append(int(self._order[1][(at * self.batch_size + slot) % len(self._order[1])]))
            mirrored.append(self._mirror and draw.random() < 0.5)
            frontal.append(draw.random() < self._frontal)
        return self.read(places, number, mirrored, frontal)

    def read(
        self, places: list[int], number: int = 0, mirrored: list[bool] | None = None, frontal: list[bool] | None = None
    ) -> MotionBatch:
        """These rows, each mirrored or given the frontal flow where asked."""
        flip, plain = mirrored or [False] * len(places), frontal or [False] * len(places)
        names = [GIVEN["front" if plainly else self._given] for plainly in plain]
        given = [self._flow(name, place, turned) for name, place, turned in zip(names, places, flip, strict=True)]
        front = [self._flow("flow_front", place, turned) for place, turned in zip(places, flip, strict=True)]
        before, after, posed = (
            planes_of([self._picture(name, place, turned) for place, turned in zip(places, flip, strict=True)])
            for name in ("before", "after", "posed")
        )
        face = np.stack([self._picture("face", place, turned) for place, turned in zip(places, flip, strict=True)])
        emotion = torch.tensor([self.motion.rows[place].emotion for place in places])
        weight = torch.from_numpy(face[:, None].astype(np.float32) / 255)
        return MotionBatch(_flows(given), _flows(front), before, after, posed, weight, emotion, number)

    def _flow(self, name: str, place: int, mirrored: bool) -> Floats:
        flow = resized_flow(np.asarray(self.motion.of(name, place), np.float32), self.size)
        if mirrored:
            flow = flow[:, ::-1] * np.array([-1, 1], np.float32)
        return flow

    def _picture(self, name: str, place: int, mirrored: bool) -> Picture:
        picture = resized(self.motion.of(name, place), self.size)
        return picture[:, ::-1] if mirrored else picture


def _flows(flows: list[Floats]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.stack(flows).transpose(0, 3, 1, 2), dtype=np.float32))
