"""What recognises expressions for eMotion-GAN: its Flow-CNN (D_E) on flows, and e_FER on faces; ours on both.

e_FER comes before the generators: it judges what G_W paints, and its features are the perceptual loss.  The Flow-CNN
judges motion in the tables.  Taught on frontal movements and tested on turned ones, it shows what a turned head costs.

    myomirror train recogniser --data MOTION --out e-fer --set sees=face
    myomirror train recogniser --data MOTION --out flow-cnn
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from calibration.data.motion_set import NEUTRAL_APEX, MotionSet
from calibration.descent import Descent
from calibration.distributed import Ranks
from calibration.losses.motion import emotion_loss
from calibration.motion_batches import GIVEN, MotionBatch, MotionBatches
from calibration.motion_bundles import recogniser_manifest, taught_by
from calibration.recipe import Kept, Losses, Picture
from calibration.setting_words import as_json
from calibration.train_order import Kind, Order, in_loop
from engines.bundle import Metric
from engines.errors import BadInput
from engines.networks.motion_gan import encoded
from engines.networks.recogniser import (
    FACE_WIDTHS,
    FLOW_WIDTHS,
    Recogniser,
    RecogniserSizes,
    initialise_recogniser,
)
from rt.errors import BadSettings

NOBODY = -1  # as a fold: the set's own splits
_AT_ONCE = 32


@dataclass(frozen=True)
class RecogniserSettings:
    """The paper gives layers, and SGD with 1e-4 while the generators learn; these are for one trained by itself."""

    sees: str = "flow"  # "face"
    given: str = "front"  # what it learns from: "posed", "still"; of faces "front" or "posed"
    widths: tuple[int, ...] = ()  # of the blocks; () takes D_E's, or for faces ours
    hidden: int = 128
    motion: str = "polar"  # form of a flow
    clip_px: float = 10.0
    drop: float = 0.3
    size: int = 128  # px
    batch: int = 32
    epochs: int = 30
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    fold: int = NOBODY  # which tenth of the people is held out, 0..9
    precision: str = "fp32"
    storage: str = "float16"  # of the bundle's weights
    seed: int = 1

    def __post_init__(self) -> None:
        """Raises BadSettings for a number that cannot be, BadInput for a recogniser that cannot be."""
        for name in ("batch", "epochs"):
            if getattr(self, name) < 1:
                raise BadSettings(f"{name} must be 1 or more, found {getattr(self, name)}")
        if self.given not in GIVEN or (self.sees == "face" and self.given == "still"):
            raise BadSettings(f"given is {', '.join(GIVEN)}, of faces front or posed; found {self.given!r}")
        smallest = Recogniser(self.sizes).smallest
        if self.size < smallest or self.size % smallest:
            raise BadSettings(f"size must divide by {smallest} for this recogniser, found {self.size}")

    @property
    def sizes(self) -> RecogniserSizes:
        """The network's."""
        widths = self.widths or (FLOW_WIDTHS if self.sees == "flow" else FACE_WIDTHS)
        return RecogniserSizes(self.sees, widths, self.hidden, motion=self.motion, clip_px=self.clip_px, drop=self.drop)


class RecogniserTraining:
    """The training as calibration/loop.py runs it (see calibration/recipe.py)."""

    name = "recogniser"

    def __init__(self, order: Order, settings: RecogniserSettings, ranks: Ranks) -> None:
        """Raises BadInput and BadSettings for data or settings that do not fit."""
        if order.start_from is not None:
            raise BadSettings("a recogniser is trained anew: leave --start-from out")
        self.order, self.settings, self.ranks = order, settings, ranks
        s = settings
        train, self.held_out, self.held_out_words = motion_parts(order, s.fold)
        self.train = train.select(emotions=True)
        self.batches = MotionBatches(self.train, s.size, s.given, s.batch, s.seed, ranks)
        self.seed, self.epochs, self.steps_per_epoch = s.seed, s.epochs, self.batches.steps_per_epoch
        self.network = Recogniser(s.sizes)
        initialise_recogniser(self.network, s.seed)
        self.network.to(ranks.device)
        self.identity: Mapping[str, Any] = {
            **as_json(s),
            "origin": self.train.origin,
            "people": list(self.train.who),
            "pairs": len(self.train.rows),
        }
        adam = torch.optim.AdamW(self.network.parameters(), s.learning_rate, weight_decay=s.weight_decay)
        self.descent = Descent(adam, ranks, s.precision)
        total = self.epochs * self.steps_per_epoch
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, max(1, total), s.learning_rate / 50)

    @property
    def kept(self) -> Mapping[str, Kept]:
        """Everything that the next step depends on."""
        return {"network": self.network, "descent": self.descent, "schedule": self.schedule}

    def batch(self, number: int) -> MotionBatch:
        """Step `number`'s movements: this process' share."""
        return self.batches.batch(number)

    def step(self, batch: MotionBatch) -> Losses:
        """Learn from one batch."""
        self.network.train()
        seen, emotion = self._seen(batch)
        with self.descent.precision():
            logits = self.network(seen)
        loss = emotion_loss(logits, emotion)
        self.descent.step(loss)
        self.schedule.step()
        right = (logits.argmax(1) == emotion).float().mean()
        return {"cross_entropy": loss.detach(), "right": right}

    def _seen(self, batch: MotionBatch) -> tuple[Tensor, Tensor]:
        s, device = self.settings, self.ranks.device
        emotion = batch.emotion.to(device)
        if s.sees == "flow":
            return encoded(batch.given.to(device), s.motion, s.clip_px), emotion
        shown = batch.after if s.given == "front" else batch.posed
        return _coloured(shown.to(device)), emotion

    def epoch_ended(self) -> None:
        """Nothing: the learning rate moves with every step."""

    def pictures(self) -> Mapping[str, Picture]:
        """There is nothing to look at."""
        return {}

    def finish(self) -> None:
        """Measure on the people that were held out, and write the bundle.  Raises as `write_trained` does."""
        from calibration.face_bundle import write_trained

        s = self.settings
        network = self.network.cpu().eval()
        metrics = {}
        if self.held_out is not None:
            metrics = accuracies(network, self.held_out, s.size, self.held_out_words)
        manifest = recogniser_manifest(s.sizes, s.size, taught_by(self.train, s.seed), metrics)
        write_trained(self.order.out, manifest, network, s.storage)


def motion_parts(order: Order, fold: int) -> tuple[MotionSet, MotionSet | None, str]:
    """Who teaches and who is held out, and how many those are in words: by the set's splits, or by a fold.

    Raises BadInput for data, BadSettings for a share of it.
    """
    if order.fraction != 1:
        raise BadSettings("this recipe divides by people: --set fold=0 holds some out, without --fraction")
    motion = MotionSet.open(order.data)
    if order.people:
        motion = motion.select(people=order.people)
    if fold != NOBODY:
        train, held_out = motion.fold(fold)
        return train, held_out, f"{len(held_out.who)} people held out, fold {fold} of 10"
    train = motion.select(split="train")
    try:
        held_out = motion.select(split="validation")
    except BadInput:
        return train, None, ""
    return train, held_out, f"{len(held_out.who)} people held out"


@torch.no_grad()
def accuracies(network: Recogniser, held_out: MotionSet, size: int, on: str) -> dict[str, Metric]:
    """Share of expressions recognised from rest to apex: frontal, with the head turned, flows brought to rest."""
    try:
        shown = held_out.select(kind=NEUTRAL_APEX, emotions=True)
    except BadInput:
        return {}
    kinds = ("front", "posed", "still") if network.sizes.sees == "flow" else ("front", "posed")
    found = {}
    for given in kinds:
        batches = MotionBatches(shown, size, given, 1, 0, Ranks(torch.device("cpu")))
        right = 0
        for first in range(0, len(shown.rows), _AT_ONCE):
            places = list(range(len(shown.rows)))[first : first + _AT_ONCE]
            batch = batches.read(places)
            seen = encoded(batch.given, network.sizes.motion, network.sizes.clip_px)
            if network.sizes.sees == "face":
                seen = batch.after if given == "front" else batch.posed
            right += int((network(seen).argmax(1) == batch.emotion).sum())
        words = f"{on}, {len(shown.rows)} movements, {given}"
        found[f"accuracy_{given}"] = Metric(round(right / len(shown.rows), 4), "1", words)
    return found


def _coloured(faces: Tensor) -> Tensor:
    """Other light and white balance for every face, so that those are not what is learned."""
    count = len(faces)
    gain = 1 + 0.15 * torch.randn(count, 3, 1, 1, device=faces.device)
    level = 0.1 * torch.randn(count, 1, 1, 1, device=faces.device)
    return (faces * gain + level).clamp(-1, 1)


_FOLDS: dict[str, dict[str, Any]] = {f"fold_{fold}": {"fold": fold} for fold in range(10)}
KIND = Kind(settings=RecogniserSettings(), learn=in_loop(RecogniserTraining), ablations={"folds": _FOLDS})
