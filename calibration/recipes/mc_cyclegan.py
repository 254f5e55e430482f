"""MC-CycleGAN as published: electrodes off a face, learned from unpaired pictures with and without them.

Buechner, Guntinas-Lichius, Denzler 2023, "Improved Obstructed Facial Feature Reconstruction for Emotion Recognition
with Minimal Change CycleGANs".  A: faces under electrodes, B: faces without.  G_A: A -> B is what the bundle holds,
G_B: B -> A puts electrodes on.  D_A judges what G_A makes (against B), D_B what G_B makes (against A): so says the
public CycleGAN that the paper builds on, and so go the order, the pool and the schedule here.

    myomirror train mc_cyclegan --data FACES --out BUNDLE
    myomirror train mc_cyclegan --data FACES --out OWN --start-from BUNDLE --people 99 --fraction 0.25    section 5.2
    myomirror train mc_cyclegan --data FACES --out FOLDER --ablation network                              Table 2
    myomirror train mc_cyclegan --data FACES --out FOLDER --ablation minimal-change                       Table 3
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from calibration import held_out
from calibration.average import MovingAverage
from calibration.critics import SMALLEST, PatchCritic, PicturePool
from calibration.data.face_set import FaceSet
from calibration.descent import Descent, frozen
from calibration.distributed import Ranks
from calibration.face_bundle import Ancestor, face_manifest, read_ancestor, training_of, write_trained
from calibration.losses.adversarial import critic_loss, generator_loss
from calibration.losses.translation import cycle_loss, identity_loss, minimal_change_loss
from calibration.planes import Picture, pictures_of
from calibration.recipe import Kept, Losses
from calibration.setting_words import as_json
from calibration.train_data import EVERYBODY, FOLD_BY_FOLD, Parts, open_faces, parts_of
from calibration.train_order import Kind, Order, in_loop
from calibration.unpaired_faces import Unpaired, UnpairedFaces
from engines.networks.blocks import initialise
from engines.networks.resnet_generator import STEP, GeneratorSizes, ResnetGenerator
from rt.errors import BadSettings

NETWORKS = ("g_a", "g_b", "d_a", "d_b")


@dataclass(frozen=True)
class McCycleGanSettings:
    """The paper's numbers; where it is silent, those of the public CycleGAN (FACTS 2)."""

    ngf: int = 64  # features of the generators
    blocks: int = 3  # residual blocks; the method section says 5, every experiment used 3
    ndf: int = 64  # features of the critics, which have three layers
    size: int = 256  # px
    load_ratio: float = 286 / 256  # pictures are loaded so much larger, and cut somewhere
    batch: int = 1  # over all processes: instance norm asks for 1
    epochs: int = 200
    decay: float = 0.5  # share of the epochs, at the end, in which the learning rate falls to 0
    learning_rate: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    lambda_a: float = 10.0  # Eq. 2
    lambda_b: float = 10.0
    lambda_idt: float = 5.0  # Eq. 3: 0.5 x 10
    lambda_mc_a: float = 0.5  # Eq. 4; 0 and 0 is the plain CycleGAN
    lambda_mc_b: float = 0.5
    pool: int = 50  # older fakes that the critics are shown
    precision: str = "fp32"  # "bf16", "fp16"
    average: float = 0.0  # decay of a moving average of G_A, which the bundle then holds; 0: its last weights
    storage: str = "float16"  # of the bundle's weights
    fold: int = EVERYBODY  # 0..5: whose people are left out; -1: the set's own splits
    seed: int = 1

    def __post_init__(self) -> None:
        """Raises BadSettings for a number that cannot be."""
        if self.size % STEP or self.size < SMALLEST:
            raise BadSettings(f"size must divide by {STEP} and be {SMALLEST} or more, found {self.size}")
        if not (0 <= self.decay <= 1 and self.load_ratio >= 1):
            raise BadSettings(f"decay must be 0..1, load_ratio 1 or more, found {self.decay} and {self.load_ratio}")
        for name in ("batch", "epochs", "ndf"):
            if getattr(self, name) < 1:
                raise BadSettings(f"{name} must be 1 or more, found {getattr(self, name)}")
        GeneratorSizes(self.ngf, self.blocks)

    @property
    def load(self) -> int:
        """Side of the pictures before the cut, px: the paper's 286."""
        return round(self.size * self.load_ratio)


class McCycleGan:
    """The paper's training as calibration/loop.py runs it (see calibration/recipe.py)."""

    name = "mc_cyclegan"

    def __init__(self, order: Order, settings: McCycleGanSettings, ranks: Ranks) -> None:
        """Raises BadInput, BundleError and BadSettings for data, a bundle or settings that do not fit."""
        self.order, self.settings, self.ranks = order, settings, ranks
        faces_there = open_faces(order.data, order.run.folder, settings.load, ranks)
        self.parts: Parts = parts_of(faces_there, order.people, order.fraction, settings.fold)
        faces = self.parts.train
        self.faces = UnpairedFaces(faces, settings.size, settings.load, settings.batch, settings.seed, ranks)
        self.seed, self.epochs, self.steps_per_epoch = settings.seed, settings.epochs, self.faces.steps_per_epoch

        sizes = GeneratorSizes(settings.ngf, settings.blocks)
        self.networks: dict[str, nn.Module] = {"g_a": ResnetGenerator(sizes), "g_b": ResnetGenerator(sizes)}
        self.networks |= {"d_a": PatchCritic(settings.ndf), "d_b": PatchCritic(settings.ndf)}
        for place, network in enumerate(self.networks.values()):
            initialise(network, settings.seed * len(NETWORKS) + place)
        self.ancestor: Ancestor | None = None
        if order.start_from is not None:
            self.ancestor = read_ancestor(order.start_from, "g_a", self.networks)
        begun = {"start_from": None if self.ancestor is None else self.ancestor.name}
        self.identity = {**as_json(settings), **_identity(faces), **begun}
        for network in self.networks.values():
            network.to(ranks.device)
        self.g_a, self.g_b, self.d_a, self.d_b = (self.networks[name] for name in NETWORKS)

        self.generators, self.critics = self._descent(self.g_a, self.g_b), self._descent(self.d_a, self.d_b)
        self.schedules = [
            torch.optim.lr_scheduler.LambdaLR(descent.optimiser, self._learning_rate_gain)
            for descent in (self.generators, self.critics)
        ]
        self.pools = [PicturePool(settings.pool, settings.seed, name) for name in ("pool of B", "pool of A")]
        self.average = MovingAverage(self.g_a, settings.average) if settings.average else None
        self._shown: Unpaired | None = None

    @property
    def kept(self) -> Mapping[str, Kept]:
        """Everything that the next step depends on."""
        kept: dict[str, Kept] = {**self.networks, "generators": self.generators, "critics": self.critics}
        kept |= {f"schedule {place}": schedule for place, schedule in enumerate(self.schedules)}
        kept |= {f"pool {place}": pool for place, pool in enumerate(self.pools)}
        return kept if self.average is None else {**kept, "average": self.average}

    def batch(self, number: int) -> Unpaired:
        """Step `number`'s pictures: this process' share of both domains."""
        return self.faces.batch(number)

    def step(self, batch: Unpaired) -> Losses:
        """Generators first, then critics, as in CycleGAN.  Returns every term as it enters the sum of Eq. 5."""
        self._shown = batch
        a, b = (pictures.to(self.ranks.device, non_blocking=True) for pictures in (batch.covered, batch.clean))
        losses, fake_b, fake_a = self._generators_step(a, b)
        losses |= self._critics_step(a, b, fake_a, fake_b, batch.number)
        if self.average is not None:
            self.average.update()
        return losses

    def _generators_step(self, a: Tensor, b: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        s = self.settings
        with frozen(self.d_a, self.d_b):
            with self.generators.precision():
                fake_b, fake_a = self.g_a(a), self.g_b(b)  # (N, 3, H, W)
                back_a, back_b = self.g_b(fake_b), self.g_a(fake_a)
                same_a, same_b = self.g_b(a), self.g_a(b)
                judged_b, judged_a = self.d_a(fake_b), self.d_b(fake_a)  # (N, 1, H/8 - 2, W/8 - 2)
            losses = {
                "gan": generator_loss(judged_b) + generator_loss(judged_a),  # Eq. 1
                "cycle": cycle_loss((back_a, back_b), (a, b), s.lambda_a, s.lambda_b),  # Eq. 2
                "identity": identity_loss((same_a, same_b), (a, b), s.lambda_idt),  # Eq. 3
                "minimal_change": minimal_change_loss((fake_a, fake_b), (a, b), s.lambda_mc_a, s.lambda_mc_b),  # Eq. 4
            }
            self.generators.step(torch.stack(list(losses.values())).sum())  # Eq. 5
        return losses, fake_b.detach(), fake_a.detach()

    def _critics_step(self, a: Tensor, b: Tensor, fake_a: Tensor, fake_b: Tensor, number: int) -> dict[str, Tensor]:
        old_b, old_a = (self._from_pool(place, fake, number) for place, fake in enumerate((fake_b, fake_a)))
        with self.critics.precision():
            judged = self.d_a(b), self.d_a(old_b), self.d_b(a), self.d_b(old_a)
        losses = {"critic_a": critic_loss(*judged[:2]), "critic_b": critic_loss(*judged[2:])}
        self.critics.step(losses["critic_a"] + losses["critic_b"])
        return losses

    def _from_pool(self, place: int, fake: Tensor, number: int) -> Tensor:
        """This process' share of what the pool gives for the whole batch: the pool is the same in all of them."""
        shown = self.pools[place].exchange(self.ranks.gather(fake), number)
        return shown[self.ranks.share(len(shown))]

    def epoch_ended(self) -> None:
        """The learning rate's schedule moves on."""
        for schedule in self.schedules:
            schedule.step()

    def pictures(self) -> Mapping[str, Any]:
        """The last batch: A, G_A(A), G_B(G_A(A)) in one row, B, G_B(B), G_A(G_B(B)) in the next."""
        if self._shown is None:
            return {}
        a, b = self._shown.covered[:1].to(self.ranks.device), self._shown.clean[:1].to(self.ranks.device)
        with torch.no_grad():
            fake_b, fake_a = self.g_a(a), self.g_b(b)
            rows = [torch.cat((a, fake_b, self.g_b(fake_b)), 3), torch.cat((b, fake_a, self.g_a(fake_a)), 3)]
        picture: Picture = pictures_of(torch.cat(rows, 2))[0]
        return {"removed and attached": picture[:, :, ::-1]}

    def finish(self) -> None:
        """Measure G_A on what was held out, and write it as a bundle.  Raises as `write_network_bundle` does."""
        s, parts = self.settings, self.parts
        network = (self.average.network if self.average is not None else self.g_a).cpu().eval()
        metrics = {}
        if parts.held_out is not None:
            metrics = held_out.measured(network, parts.held_out, s.size, s.load, parts.held_out_words)
        sizes = asdict(GeneratorSizes(s.ngf, s.blocks))
        training = training_of(parts.train, s.seed, self.ancestor)
        manifest = face_manifest(self.name, "resnet_generator", sizes, s.size, training, metrics)
        write_trained(self.order.out, manifest, network, s.storage)

    def _descent(self, *networks: nn.Module) -> Descent:
        s = self.settings
        parameters = [parameter for network in networks for parameter in network.parameters()]
        adam = torch.optim.Adam(parameters, s.learning_rate, (s.beta1, s.beta2))
        return Descent(adam, self.ranks, s.precision)

    def _learning_rate_gain(self, epoch: int) -> float:
        """1, then falling linearly; CycleGAN's rule, which reaches 0 one epoch after the last."""
        falling = round(self.settings.epochs * self.settings.decay)
        return 1.0 - max(0, epoch + 1 - (self.settings.epochs - falling)) / (falling + 1)


def _identity(faces: FaceSet) -> dict[str, Any]:
    """What tells this data from other data, and survives moving it to another folder."""
    return {
        "origin": faces.origin,
        "people": list(faces.people),
        "pictures": [len(faces.covered_rows), len(faces.clean_rows)],
    }


KIND = Kind(
    settings=McCycleGanSettings(),
    learn=in_loop(McCycleGan),
    fine_tuning={"epochs": 5},
    ablations={
        "network": {
            f"ngf{ngf}-blocks{blocks}": {"ngf": ngf, "blocks": blocks} for ngf in (32, 64) for blocks in (3, 5, 7)
        },
        "minimal-change": {
            f"lambda{tenths / 10}": {"lambda_mc_a": tenths / 10, "lambda_mc_b": tenths / 10} for tenths in range(6)
        },
        "folds": FOLD_BY_FOLD,
    },
)
