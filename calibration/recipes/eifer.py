"""EIFER, phase 1: expressions under electrodes, from unpaired pictures of the same people (Buechner et al. 2025).

N: without electrodes, S: under them.  E^N is a trained encoder (recipe `encoder`), frozen throughout; E^S begins as its
copy.  G^NS puts electrodes on, G^SN takes them off, both from the rendered geometry and a few random pixels.  In three
stages the pixels become fewer, and from the second on E^S learns.  What comes out: E^S as a bundle, and beside it
BUNDLE-generator with G^SN.

    myomirror train encoder --data FACES --out ENCODER --set arrangement=three --size 224
    myomirror train eifer --data FACES --out BUNDLE --set encoder=ENCODER
"""

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from calibration.cohort_sources import find_face_model
from calibration.critics import SMALLEST, PatchCritic
from calibration.descent import Descent, frozen
from calibration.distributed import Ranks
from calibration.encoder_bundle import SYSTEM, encoder_manifest, read_encoder
from calibration.encoder_generator import PairRunner, Pass
from calibration.encoder_score import encoder_metrics
from calibration.face_bundle import Ancestor, face_spec, training_of, write_trained
from calibration.losses.adversarial import critic_loss, generator_loss
from calibration.losses.eifer import (
    identity_loss,
    landmark_loss,
    minimal_change_loss,
    occlusion_expression_loss,
    occlusion_shape_loss,
    reconstruction_loss,
    rigid_transformation_loss,
)
from calibration.planes import Picture, pictures_of
from calibration.recipe import Kept, Losses, chance
from calibration.same_person_faces import Changes, SamePersonFaces
from calibration.setting_words import as_json
from calibration.train_data import Parts, open_faces, parts_of
from calibration.train_order import Kind, Order, in_loop
from calibration.unpaired_faces import Unpaired
from engines.bundle import Manifest
from engines.face.crop_geometry import CropGeometry
from engines.face.mesh import FaceModel
from engines.networks.blocks import initialise
from engines.networks.resnet_generator import STEP, GeneratorSizes, ResnetGenerator
from rt.errors import BadSettings

NETWORKS = ("e_s", "g_ns", "g_sn", "d_n", "d_s")
IN_CHANNELS = 6  # geometry, masked picture


@dataclass(frozen=True)
class EiferSettings:
    """The paper's numbers (section 3.2, supplement A and C; FACTS 2)."""

    encoder: str = ""  # the bundle of E^N: a folder, or a shipped one's name
    ngf: int = 64  # of both generators
    blocks: int = 9
    ndf: int = 64  # of both critics
    size: int = 224  # px
    load_ratio: float = 1.125  # pictures are loaded so much larger, and cut somewhere
    sharpen: float = 0.5  # share of the pictures
    flip: float = 0.5
    upside_down: float = 0.0  # the paper flips vertically too, which needs an E^N that knows faces upside down
    batch: int = 1  # over all processes: instance norm asks for 1
    stages: tuple[int, ...] = (10, 5, 5)  # epochs
    pixels: tuple[float, ...] = (0.5, 0.1, 0.01)  # share that M shows, in each stage
    frozen_stages: int = 1  # in which E^S does not learn yet
    learning_rate: float = 2e-4  # of AdamW, falling along a cosine over all steps
    weight_decay: float = 1e-3
    lambda_reco: float = 10.0  # Eq. 1
    lambda_idt: float = 1.5  # Eq. 2
    lambda_mc: float = 0.5  # Eq. 3
    lambda_occ_exp: float = 1.0  # Eq. 4
    lambda_occ_shp: float = 0.1  # Eq. 5
    lambda_lmk: float = 2.5  # Eq. 6
    lambda_rig_tra: float = 0.1  # Eq. 7
    precision: str = "fp32"  # "bf16", "fp16"
    storage: str = "float16"  # of the bundles' weights
    seed: int = 1

    def __post_init__(self) -> None:
        """Raises BadSettings for a number that cannot be."""
        if self.size % STEP or self.size < max(SMALLEST, 32):
            raise BadSettings(f"size must divide by {STEP} and be 32 or more, found {self.size}")
        if self.load_ratio < 1:
            raise BadSettings(f"load_ratio must be 1 or more, found {self.load_ratio}")
        for name in ("batch", "ndf"):
            if getattr(self, name) < 1:
                raise BadSettings(f"{name} must be 1 or more, found {getattr(self, name)}")
        if not self.stages or len(self.stages) != len(self.pixels) or min(self.stages) < 1:
            raise BadSettings(
                f"stages and pixels are as many, an epoch or more each, found {self.stages} and {self.pixels}"
            )
        for name in ("sharpen", "flip", "upside_down"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadSettings(f"{name} must be 0..1, found {getattr(self, name)}")
        if not all(0 <= share <= 1 for share in self.pixels):
            raise BadSettings(f"pixels are shares in 0..1, found {self.pixels}")
        GeneratorSizes(self.ngf, self.blocks, IN_CHANNELS)

    @property
    def load(self) -> int:
        """Side of the pictures before the cut, px."""
        return round(self.size * self.load_ratio)

    def stage_of(self, epoch: int) -> int:
        """Which stage an epoch belongs to, from 0."""
        ends = [sum(self.stages[: n + 1]) for n in range(len(self.stages))]
        return next((n for n, end in enumerate(ends) if epoch < end), len(ends) - 1)


class Eifer:
    """The paper's training as calibration/loop.py runs it (see calibration/recipe.py)."""

    name = "eifer"

    def __init__(self, order: Order, settings: EiferSettings, ranks: Ranks) -> None:
        """Raises BadInput, BundleError and BadSettings for data, a bundle or settings that do not fit."""
        if not settings.encoder:
            raise BadSettings(
                "EIFER begins with an encoder that knows faces without electrodes: train one with myomirror train "
                "encoder, and name it with --set encoder=BUNDLE"
            )
        self.order, self.settings, self.ranks = order, settings, ranks
        self.e_n, about = read_encoder(settings.encoder)
        _check_encoder(about, settings)
        self.ancestor = Ancestor(settings.encoder, about.training)
        faces_there = open_faces(order.data, order.run.folder, settings.load, ranks)
        self.parts: Parts = parts_of(faces_there, order.people, order.fraction)
        s, faces = settings, self.parts.train
        changes = Changes(s.size, s.load, s.sharpen, s.flip, s.upside_down)
        self.faces = SamePersonFaces(faces, changes, s.batch, s.seed, ranks)
        self.seed, self.epochs, self.steps_per_epoch = s.seed, sum(s.stages), self.faces.steps_per_epoch
        self.identity = {
            **as_json(s),
            "encoder_weights": about.sha256["weights.safetensors"],
            "origin": faces.origin,
            "people": list(faces.people),
            "pictures": [len(faces.covered_rows), len(faces.clean_rows)],
        }
        self.e_s = copy.deepcopy(self.e_n)
        self.sizes = GeneratorSizes(s.ngf, s.blocks, IN_CHANNELS)
        self.networks: dict[str, nn.Module] = {"e_s": self.e_s}
        self.networks |= {"g_ns": ResnetGenerator(self.sizes), "g_sn": ResnetGenerator(self.sizes)}
        self.networks |= {"d_n": PatchCritic(s.ndf), "d_s": PatchCritic(s.ndf)}
        for place, name in enumerate(NETWORKS[1:]):
            initialise(self.networks[name], s.seed * len(NETWORKS) + place)
        for network in (self.e_n, *self.networks.values()):
            network.to(ranks.device)
        # Batch norm over one picture is none: both encoders keep the statistics that E^N was trained with
        self.e_n.eval().requires_grad_(False)
        self.e_s.eval()
        self.g_ns, self.g_sn, self.d_n, self.d_s = (self.networks[name] for name in NETWORKS[1:])

        self.makers = self._descent(self.e_s, self.g_ns, self.g_sn)
        self.critics = self._descent(self.d_n, self.d_s)
        steps = self.epochs * self.steps_per_epoch
        self.schedules = [
            torch.optim.lr_scheduler.CosineAnnealingLR(descent.optimiser, steps)
            for descent in (self.makers, self.critics)
        ]
        self.run = PairRunner(CropGeometry(FaceModel.load(find_face_model(None)), s.size).to(ranks.device))
        self._shown: Unpaired | None = None

    @property
    def kept(self) -> Mapping[str, Kept]:
        """Everything that the next step depends on; E^N is the bundle's and never changes."""
        kept: dict[str, Kept] = {**self.networks, "makers": self.makers, "critics": self.critics}
        return kept | {f"schedule {place}": schedule for place, schedule in enumerate(self.schedules)}

    def batch(self, number: int) -> Unpaired:
        """Step `number`'s pictures: this process' share of both domains, the same people."""
        return self.faces.batch(number)

    def step(self, batch: Unpaired) -> Losses:
        """Encoder and generators first, then the critics.  Returns every term as it enters the sum of the objective."""
        self._shown = batch
        stage = self.settings.stage_of(batch.number // self.steps_per_epoch)
        i_n, i_s = (pictures.to(self.ranks.device) for pictures in (batch.clean, batch.covered))
        still = (self.e_s,) if stage < self.settings.frozen_stages else ()
        with frozen(self.d_n, self.d_s, *still):
            terms, fake_n, fake_s = self._terms(i_n, i_s, self.settings.pixels[stage], batch.number)
            self.makers.step(torch.stack(list(terms.values())).sum())
        losses = terms | self._critics_step(i_n, i_s, fake_n.detach(), fake_s.detach())
        for schedule in self.schedules:
            schedule.step()
        return losses

    def _terms(self, i_n: Tensor, i_s: Tensor, pixels: float, number: int) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """All terms for encoder and generators, weighed, and the fakes."""
        s, rng = self.settings, chance(self.settings.seed, "mask", number, self.ranks.rank)

        def put_on(picture: Tensor) -> Pass:  # C^NS
            return self.run(self.e_n, self.g_ns, picture, pixels, rng)

        def take_off(picture: Tensor) -> Pass:  # C^SN
            return self.run(self.e_s, self.g_sn, picture, pixels, rng)

        with self.makers.precision():
            n, s_ = put_on(i_n), take_off(i_s)  # fakes: I_F^S, I_F^N
            n_back, s_back = take_off(n.fake), put_on(s_.fake)  # C^NSN(I^N), C^SNS(I^S)
            same = take_off(i_n).fake, put_on(i_s).fake
            judged_n, judged_s = self.d_n(s_.fake), self.d_s(n.fake)
        real = (i_n, i_s)
        (phi_n, beta_n), (phi_s, beta_s) = n.encoded[:2], s_.encoded[:2]
        (phi_fs, beta_fs), (phi_fn, beta_fn) = n_back.encoded[:2], s_back.encoded[:2]
        landmarks = (n.landmarks, s_.landmarks), (n_back.landmarks, s_back.landmarks)
        terms = {
            "gan_n": generator_loss(judged_n),  # Eq. 8
            "gan_s": generator_loss(judged_s),
            "reco": s.lambda_reco * reconstruction_loss((n_back.fake, s_back.fake), real),  # Eq. 1
            "idt": s.lambda_idt * identity_loss(same, real),  # Eq. 2
            "mc": s.lambda_mc * minimal_change_loss((n.fake, s_.fake), real),  # Eq. 3
            "occ_exp": s.lambda_occ_exp * occlusion_expression_loss((phi_n, phi_s), (phi_fs, phi_fn)),  # Eq. 4
            "occ_shp": s.lambda_occ_shp * occlusion_shape_loss((beta_n, beta_s), (beta_fn, beta_fs)),  # Eq. 5
            "lmk": s.lambda_lmk * landmark_loss(*landmarks),  # Eq. 6
            "rig_tra": s.lambda_rig_tra  # Eq. 7
            * rigid_transformation_loss((n.rigid, s_.rigid), (n_back.rigid, s_back.rigid)),
        }
        return terms, s_.fake, n.fake

    def _critics_step(self, i_n: Tensor, i_s: Tensor, fake_n: Tensor, fake_s: Tensor) -> dict[str, Tensor]:
        with self.critics.precision():
            judged = self.d_n(i_n), self.d_n(fake_n), self.d_s(i_s), self.d_s(fake_s)
        losses = {"critic_n": critic_loss(*judged[:2]), "critic_s": critic_loss(*judged[2:])}
        self.critics.step(losses["critic_n"] + losses["critic_s"])
        return losses

    def epoch_ended(self) -> None:
        """Nothing: the learning rate moves on with every step."""

    def pictures(self) -> Mapping[str, Any]:
        """The last pair: I^S, its geometry, what M shows, C^SN, C^SNS in one row, the same from I^N in the next."""
        if self._shown is None:
            return {}
        batch, device = self._shown, self.ranks.device
        pixels = self.settings.pixels[self.settings.stage_of(batch.number // self.steps_per_epoch)]
        rng, rows = chance(self.settings.seed, "shown", batch.number), []
        pairs = ((self.e_s, self.g_sn), (self.e_n, self.g_ns))
        with torch.no_grad():
            for place, picture in enumerate((batch.covered[:1].to(device), batch.clean[:1].to(device))):
                there = self.run(*pairs[place], picture, pixels, rng)
                back = self.run(*pairs[1 - place], there.fake, pixels, rng)
                grey = (2 * there.geometry - 1).expand(-1, 3, -1, -1)
                rows.append(torch.cat((picture, grey, there.masked, there.fake, back.fake), 3))
        sheet: Picture = pictures_of(torch.cat(rows, 2))[0]
        return {"taken off and put on": sheet[:, :, ::-1]}

    def finish(self) -> None:
        """Measure E^S on what was held out, beside E^N, and write it and G^SN.  Raises as `write_trained` does."""
        s, parts = self.settings, self.parts
        metrics = {}
        if parts.held_out is not None:
            both = {"": self.e_s, "_before": self.e_n}
            metrics = encoder_metrics(both, parts.held_out, s.size, self.ranks.device, parts.held_out_words)
        training = training_of(parts.train, s.seed, self.ancestor)
        manifest = encoder_manifest(self.e_s.sizes, s.size, training, metrics)
        write_trained(self.order.out, manifest, self.e_s.cpu(), s.storage)
        inputs = (face_spec("geometry", s.size), face_spec("masked", s.size))
        generator = Manifest(
            SYSTEM, "resnet_generator", asdict(self.sizes), inputs, (face_spec("face", s.size),), training
        )
        beside = self.order.out.with_name(self.order.out.name + "-generator")
        write_trained(beside, generator, self.g_sn.cpu(), s.storage)

    def _descent(self, *networks: nn.Module) -> Descent:
        s = self.settings
        parameters = [parameter for network in networks for parameter in network.parameters()]
        adam = torch.optim.AdamW(parameters, s.learning_rate, weight_decay=s.weight_decay)
        return Descent(adam, self.ranks, s.precision)


def _check_encoder(about: Manifest, settings: EiferSettings) -> None:
    if about.sizes["profile"] != "arkit52":
        raise BadSettings(
            f"EIFER renders the profile arkit52 here, {settings.encoder} speaks {about.sizes['profile']}: "
            f"train an encoder with --set profile=arkit52"
        )
    shape = about.inputs[0].shape or (0,)
    if shape[0] != settings.size:
        raise BadSettings(
            f"{settings.encoder} sees faces of {shape[0]} px, the training has {settings.size}: give --size {shape[0]}"
        )


KIND = Kind(settings=EiferSettings(), learn=in_loop(Eifer))
