"""Ours: electrodes taken off with an edit mask, learned from pairs whose truth is known.

MC-CycleGAN (Buechner et al. 2023) repaints the whole face and hopes that what was not covered comes through.  Here the
same generator also says where it edits (engines/networks/resnet_generator.py, AttentiveGenerator), so uncovered skin
stays the camera's; and the made sets know what is behind every electrode, so a paired term stands beside the unpaired,
adversarial one.  Every pair is seen by another camera (calibration/camera_variation.py), or the skin that is filled in
has the wrong colour on real pictures (FACTS 3).

    myomirror train restore --data FACES --out BUNDLE                                                      restore-cpu
    myomirror train restore --data FACES --out BUNDLE --start-from restore-cpu --size 256 --ngf 64 \\
        --set coarse_ngf=32                                                                                restore-gpu

With coarse_ngf, a generator of that many features works at half the side, and what --start-from names is put there
(engines/networks/coarse_to_fine.py).
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from calibration import held_out
from calibration.average import MovingAverage
from calibration.camera_variation import VariationSettings
from calibration.critics import SMALLEST, PatchCritic
from calibration.descent import Descent, frozen
from calibration.distributed import Ranks
from calibration.face_bundle import Ancestor, face_spec, mask_spec, read_ancestor, training_of, write_trained
from calibration.losses.adversarial import critic_loss, generator_loss
from calibration.losses.removal import colour_loss, covered_loss, edit_loss, face_loss, structure_loss
from calibration.paired_faces import Paired, PairedFaces
from calibration.planes import Picture, pictures_of
from calibration.recipe import Kept, Losses
from calibration.setting_words import as_json
from calibration.train_data import EVERYBODY, FOLD_BY_FOLD, Parts, open_faces, parts_of
from calibration.train_order import Kind, Order, in_loop
from engines.bundle import Manifest, read_bundle
from engines.networks.blocks import initialise
from engines.networks.coarse_to_fine import STEP as FINE_STEP
from engines.networks.coarse_to_fine import CoarseToFineGenerator, CoarseToFineSizes
from engines.networks.resnet_generator import STEP, AttentiveGenerator, GeneratorSizes
from engines.shipped import bundle_folder
from rt.errors import BadSettings

COARSE = "attentive_generator"  # as manifests call it
_SHY = -1.0  # bias of the edit mask at the start: it begins with editing a quarter
_LARGEST_GRADIENT = 1.0  # of a step, as a norm
_LAST_RATE = 0.02  # of the learning rate, at the end


@dataclass(frozen=True)
class RestoreSettings:
    """Of the second half of `restore-cpu`; the first 3000 steps had an earlier edit_loss and no structure term."""

    ngf: int = 32
    blocks: int = 3
    coarse_ngf: int = 0  # features of a generator at half the side, inside; 0: none
    coarse_blocks: int = 3
    size: int = 128  # px
    load_ratio: float = 1.0  # pictures are loaded so much larger; 1: the face is as large as in the live crop
    batch: int = 8  # over all processes
    epochs: int = 20
    learning_rate: float = 8e-4
    warm_up: float = 0.02  # share of the steps over which it rises; then it falls along a cosine
    weight_decay: float = 1e-4
    lambda_covered: float = 1.0
    lambda_face: float = 2.0
    lambda_colour: float = 0.5
    lambda_edit: float = 0.3
    lambda_structure: float = 0.3
    lambda_gan: float = 0.0  # of a PatchGAN on the restored face; 0 trains without one
    ndf: int = 64  # its features
    variation: float = 1.0  # how far cameras differ, 0..1
    bare: float = 0.06  # share of faces shown without electrodes
    precision: str = "fp32"  # "bf16" is twice as fast where the processor has it
    average: float = 0.999  # decay of the moving average that the bundle holds; 0: the last weights
    storage: str = "float16"  # of the bundle's weights
    fold: int = EVERYBODY  # 0..5: whose people are left out; -1: the set's own splits
    seed: int = 1

    def __post_init__(self) -> None:
        """Raises BadSettings for a number that cannot be."""
        step = FINE_STEP if self.coarse_ngf else STEP
        if self.size % step or self.size < SMALLEST:
            raise BadSettings(f"size must divide by {step} and be {SMALLEST} or more, found {self.size}")
        for name in ("warm_up", "variation", "bare"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadSettings(f"{name} must be 0..1, found {getattr(self, name)}")
        for name in ("batch", "epochs", "ndf"):
            if getattr(self, name) < 1:
                raise BadSettings(f"{name} must be 1 or more, found {getattr(self, name)}")
        if self.load_ratio < 1:
            raise BadSettings(f"load_ratio must be 1 or more, found {self.load_ratio}")
        _ = self.sizes

    @property
    def sizes(self) -> GeneratorSizes | CoarseToFineSizes:
        """Of the network.  Raises BadInput when they cannot be."""
        if not self.coarse_ngf:
            return GeneratorSizes(self.ngf, self.blocks)
        return CoarseToFineSizes(self.ngf, self.blocks, self.coarse_ngf, self.coarse_blocks)

    @property
    def load(self) -> int:
        """Side of the pictures before they are moved and cut, px."""
        return round(self.size * self.load_ratio)


class Restore:
    """The training as calibration/loop.py runs it (see calibration/recipe.py)."""

    name = "restore"

    def __init__(self, order: Order, settings: RestoreSettings, ranks: Ranks) -> None:
        """Raises BadInput, BundleError and BadSettings for data, a bundle or settings that do not fit."""
        self.order, self.settings, self.ranks = order, settings, ranks
        faces_there = open_faces(order.data, order.run.folder, settings.load, ranks)
        self.parts: Parts = parts_of(faces_there, order.people, order.fraction, settings.fold)
        faces = self.parts.train
        variation = VariationSettings(settings.size, strength=settings.variation, bare=settings.bare)
        self.faces = PairedFaces(faces, variation, settings.load, settings.batch, settings.seed, ranks)
        self.seed, self.epochs, self.steps_per_epoch = settings.seed, settings.epochs, self.faces.steps_per_epoch

        self.generator = _begun(settings)
        self.ancestor: Ancestor | None = None
        if order.start_from is not None:
            self.ancestor = _inherit(self.generator, order.start_from)
        self.identity = {
            **as_json(settings),
            "origin": faces.origin,
            "people": list(faces.people),
            "pictures": len(faces.covered_rows),
            "start_from": None if self.ancestor is None else self.ancestor.name,
        }
        self.generator.to(ranks.device)
        self.descent = self._descent(self.generator)
        total = self.epochs * self.steps_per_epoch
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.descent.optimiser, lambda step: self._rate(step, total))
        self.average = MovingAverage(self.generator, settings.average) if settings.average else None
        self.critic: PatchCritic | None = None
        if settings.lambda_gan:
            self.critic = PatchCritic(settings.ndf)
            initialise(self.critic, settings.seed + 1)
            self.critic.to(ranks.device)
            self.judging = self._descent(self.critic)
        self._shown: Paired | None = None

    @property
    def kept(self) -> Mapping[str, Kept]:
        """Everything that the next step depends on."""
        kept: dict[str, Kept] = {"generator": self.generator, "descent": self.descent, "schedule": self.schedule}
        if self.critic is not None:
            kept |= {"critic": self.critic, "judging": self.judging}
        return kept if self.average is None else {**kept, "average": self.average}

    def batch(self, number: int) -> Paired:
        """Step `number`'s pictures: this process' share."""
        return self.faces.batch(number)

    def step(self, batch: Paired) -> Losses:
        """One step of the generator, and of its critic when there is one.  Returns every term as it enters the sum."""
        self._shown = batch
        s = self.settings
        covered, clean, mask = (x.to(self.ranks.device, non_blocking=True) for x in batch[:3])
        with self.descent.precision():
            edited = self.generator(covered)
        face, edit, colour = (x.float() for x in edited)
        losses = {
            "covered": s.lambda_covered * covered_loss(face, clean, mask),
            "face": s.lambda_face * face_loss(face, clean),
            "colour": s.lambda_colour * colour_loss(colour, clean, mask),
            "edit": s.lambda_edit * edit_loss(edit, covered, clean, mask),
            "structure": s.lambda_structure * structure_loss(face, clean),
        }
        if self.critic is not None:
            with frozen(self.critic), self.descent.precision():
                losses["gan"] = s.lambda_gan * generator_loss(self.critic(face))
        self.descent.step(torch.stack(list(losses.values())).sum(), largest_gradient=_LARGEST_GRADIENT)
        self.schedule.step()
        if self.critic is not None:
            losses["critic"] = self._judge(self.critic, clean, face.detach())
        if self.average is not None:
            self.average.update()
        return losses

    def _judge(self, critic: PatchCritic, clean: Tensor, face: Tensor) -> Tensor:
        with self.judging.precision():
            loss = critic_loss(critic(clean), critic(face))
        self.judging.step(loss)
        return loss

    def epoch_ended(self) -> None:
        """Nothing: the learning rate moves with every step."""

    def pictures(self) -> Mapping[str, Any]:
        """The last batch's first face: with electrodes, restored, the truth, and where it was edited."""
        if self._shown is None:
            return {}
        covered = self._shown.covered[:1].to(self.ranks.device)
        with torch.no_grad():
            face, edit, _ = self.generator(covered)
        row = torch.cat((covered.cpu(), face.cpu(), self._shown.clean[:1], edit.cpu().expand(-1, 3, -1, -1) * 2 - 1), 3)
        picture: Picture = pictures_of(row)[0]
        return {"with electrodes, restored, truth, edit mask": picture[:, :, ::-1]}

    def finish(self) -> None:
        """Measure on what was held out, and write the bundle.  Raises as `write_network_bundle` does."""
        s, parts = self.settings, self.parts
        network: nn.Module = (self.average.network if self.average is not None else self.generator).cpu().eval()
        metrics = {}
        if parts.held_out is not None:
            metrics = held_out.measured(network, parts.held_out, s.size, s.load, parts.held_out_words)
        manifest = Manifest(
            system="mc_cyclegan",
            network="coarse_to_fine_generator" if s.coarse_ngf else COARSE,
            sizes=asdict(s.sizes),
            inputs=(face_spec("face", s.size),),
            outputs=(face_spec("face", s.size), mask_spec("edit", s.size), face_spec("colour", s.size)),
            training=training_of(parts.train, s.seed, self.ancestor),
            metrics=metrics,
        )
        write_trained(self.order.out, manifest, network, s.storage)

    def _descent(self, network: nn.Module) -> Descent:
        s = self.settings
        adam = torch.optim.AdamW(network.parameters(), s.learning_rate, (0.9, 0.99), weight_decay=s.weight_decay)
        return Descent(adam, self.ranks, s.precision)

    def _rate(self, step: int, total: int) -> float:
        """1 after the warm-up, falling along half a cosine."""
        share = step / max(total, 1)
        rising = min(1.0, share / self.settings.warm_up) if self.settings.warm_up else 1.0
        return rising * (_LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * min(share, 1.0))) / 2)


def _begun(settings: RestoreSettings) -> AttentiveGenerator | CoarseToFineGenerator:
    """The network before it has learned anything."""
    sizes = settings.sizes
    if isinstance(sizes, GeneratorSizes):
        network = AttentiveGenerator(sizes)
        initialise(network, settings.seed)
        assert network.head.conv.bias is not None
        network.head.conv.bias.data[-1] = _SHY
        return network
    around = CoarseToFineGenerator(sizes)
    initialise(around, settings.seed)
    nn.init.zeros_(around.head.conv.weight)  # it begins with what the coarse one finds
    assert around.coarse.head.conv.bias is not None
    around.coarse.head.conv.bias.data[-1] = _SHY
    return around


def _inherit(network: AttentiveGenerator | CoarseToFineGenerator, bundle: Path) -> Ancestor:
    """Load a bundle's weights: as the whole network, or as the coarse one inside when they are such a one's."""
    of_coarse = read_bundle(bundle_folder(bundle)).manifest.network == COARSE
    heir = network.coarse if of_coarse and isinstance(network, CoarseToFineGenerator) else network
    return read_ancestor(bundle, "generator", {"generator": heir})


KIND = Kind(
    settings=RestoreSettings(),
    learn=in_loop(Restore),
    fine_tuning={"epochs": 5, "learning_rate": 2e-4},
    ablations={"folds": FOLD_BY_FOLD},
)
