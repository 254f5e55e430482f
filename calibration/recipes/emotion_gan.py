"""eMotion-GAN (Ikne, Allaert, Bilasco, Wannous 2024): the head taken out of a face's movement, and the face from it.

G_F makes a frontal flow of that of a turning head, D_P and D_E judge it; G_W puts it onto the neutral face, e_FER
judges that.  Until the joining epoch G_W learns with true flows; from then on with G_F's, which it also teaches
(Eq. 5).

Ours (`emotion_gan_live`): flows that the 3D face has brought to rest go in (given=still), as x and y instead of length
and angle; G_F begins with changing nothing, and G_W moves pixels instead of painting them.  Each is a setting.

What ships, `motion-live`, is a short run of ours on one core: 1602 steps on 1066 movements of 60 people, without
e_FER's say (DIR: `myomirror simulate motion --count 1600 --emotions 0.75 --frames 0.15`).  Its flows are nearer to
the frontal truth than what they were given; its faces are not there yet: teeth are soft, and e_FER reads the
expression off them less often than off the person's own pixels (benchmarks/evaluations/motion-live.json).  So no
station uses it unasked.

    myomirror train emotion_gan_live --data DIR --out motion-live --set alpha_fer=0 --set alpha_perc=0
        --set batch=4 --epochs 6 --set joined=2 --set warm_up=100 --set average=0.995

    myomirror train recogniser --data MOTION --out e-fer --set sees=face
    myomirror train emotion_gan --data MOTION --out gan --set recogniser=e-fer                the paper's, 160.7 M
    myomirror train emotion_gan_live --data MOTION --out motion-cpu --set recogniser=e-fer    ours
    myomirror train emotion_gan --data MOTION --out ROWS --set recogniser=e-fer --ablation losses     Table IV
    myomirror train emotion_gan --data MOTION --out ROWS --set recogniser=e-fer --ablation folds      ten folds
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from calibration.average import MovingAverage
from calibration.descent import Descent, frozen
from calibration.distributed import Ranks
from calibration.face_bundle import Ancestor, read_ancestor, write_trained
from calibration.losses.motion import charbonnier, emotion_loss, end_point_error, judged_real, told_apart
from calibration.motion_batches import MotionBatch, MotionBatches
from calibration.motion_bundles import motion_manifest, read_recogniser, taught_by
from calibration.motion_critic import SMALLEST, MotionCritic
from calibration.motion_score import flow_picture, motion_metrics
from calibration.perceptual import FeatureDistance, of_recogniser, of_vgg16
from calibration.planes import pictures_of
from calibration.recipe import Kept, Losses, Picture
from calibration.recipes.recogniser import NOBODY, motion_parts
from calibration.setting_words import as_json
from calibration.train_order import Kind, Order, in_loop
from engines.networks.motion_gan import LIVE, PAPER, MotionGan, MotionSizes, decoded, encoded, initialise_motion
from engines.networks.recogniser import Recogniser, RecogniserSizes, initialise_recogniser
from rt.errors import BadSettings

_LARGEST_GRADIENT = 10.0  # of a generator's step, as a norm
_SIZES = tuple(field.name for field in fields(MotionSizes))


@dataclass(frozen=True)
class EmotionGanSettings:
    """The paper's numbers (section IV-C); `LIVE_CHANGES` below are ours."""

    ngf: int = PAPER.ngf
    downs: int = PAPER.downs
    encoder_blocks: int = PAPER.encoder_blocks
    decoder_blocks: int = PAPER.decoder_blocks
    up_kernel: int = PAPER.up_kernel
    warp_ngf: int = PAPER.warp_ngf
    warp_downs: int = PAPER.warp_downs
    warp_blocks: int = PAPER.warp_blocks
    motion: str = PAPER.motion
    clip_px: float = PAPER.clip_px
    still_start: bool = PAPER.still_start
    given: str = PAPER.given  # "still": ours
    ndf: int = 64  # features of D_P
    size: int = 128  # px
    frontal: float = 0.15  # share of the batch that is frontal already: the paper adds such data sets
    batch: int = 4  # over all processes
    epochs: int = 15
    joined: int = 5  # the epoch e_c, from 0, from which G_W has a say in G_F
    rate: float = 1e-5  # of both generators, Adam
    warm_up: int = 0  # steps over which all rates rise: Adam's first step is large, and ours begins at a good place
    patch_rate: float = 1e-4  # of D_P, Adam
    emotion_rate: float = 1e-4  # of D_E, SGD
    lambda_gan: float = 1.0  # Eq. 5
    lambda_epe: float = 7.0
    lambda_char: float = 3.0
    lambda_warp: float = 1.0
    emotion_half: float = 1.0  # of D_E's half of L_GAN; 0 leaves it out (Table IV)
    alpha_l1: float = 2.0  # Eq. 2
    alpha_perc: float = 7.0
    alpha_fer: float = 1.0
    recogniser: str = ""  # e_FER's bundle
    vgg16: str = ""  # a file of torchvision's weights: features for the perceptual loss instead of e_FER's
    average: float = 0.0  # decay of a moving average of both generators; 0: the last weights
    fold: int = NOBODY  # which tenth of the people is held out, 0..9; -1: the set's splits
    precision: str = "fp32"
    storage: str = "float16"  # of the bundle's weights
    seed: int = 1

    def __post_init__(self) -> None:
        """Raises BadSettings for a number that cannot be, BadInput for a network that cannot be."""
        step = self.sizes.step
        if self.size < SMALLEST or self.size % max(step, SMALLEST):
            raise BadSettings(f"size must divide by {max(step, SMALLEST)} for these networks, found {self.size}")
        for name in ("batch", "epochs", "ndf"):
            if getattr(self, name) < 1:
                raise BadSettings(f"{name} must be 1 or more, found {getattr(self, name)}")
        if self.joined < 0 or self.warm_up < 0 or not 0 <= self.frontal <= 1 or not 0 <= self.average < 1:
            raise BadSettings(
                f"joined and warm_up must be 0 or more, frontal 0..1, average 0..1, found {self.joined}, "
                f"{self.warm_up}, {self.frontal}, {self.average}"
            )

    @property
    def sizes(self) -> MotionSizes:
        """The networks'."""
        return MotionSizes(**{name: getattr(self, name) for name in _SIZES})


class EmotionGan:
    """The training as calibration/loop.py runs it (see calibration/recipe.py)."""

    name = "emotion_gan"

    def __init__(self, order: Order, settings: EmotionGanSettings, ranks: Ranks) -> None:
        """Raises BadInput, BundleError and BadSettings for data, a bundle or settings that do not fit."""
        self.order, self.settings, self.ranks = order, settings, ranks
        s = settings
        self.train, self.held_out, self.held_out_words = motion_parts(order, s.fold)
        self.batches = MotionBatches(self.train, s.size, s.given, s.batch, s.seed, ranks, s.frontal)
        self.seed, self.epochs, self.steps_per_epoch = s.seed, s.epochs, self.batches.steps_per_epoch
        self.e_fer, self.perceptual = self._judges()

        self.gan = MotionGan(s.sizes)
        initialise_motion(self.gan, s.seed)
        self.d_p = MotionCritic(s.ndf)
        initialise_motion(self.d_p, s.seed + 1)
        self.d_e = Recogniser(RecogniserSizes(motion=s.motion, clip_px=s.clip_px))
        initialise_recogniser(self.d_e, s.seed + 2)
        self.ancestor: Ancestor | None = None
        if order.start_from is not None:
            self.ancestor = read_ancestor(order.start_from, "gan", {"gan": self.gan, "d_p": self.d_p, "d_e": self.d_e})
        for network in (self.gan, self.d_p, self.d_e):
            network.to(ranks.device)
        self.identity: Mapping[str, Any] = {
            **as_json(s),
            "origin": self.train.origin,
            "people": list(self.train.who),
            "pairs": len(self.train.rows),
            "start_from": None if self.ancestor is None else self.ancestor.name,
        }
        adam = torch.optim.Adam
        self.generators = Descent(adam(self.gan.parameters(), s.rate), ranks, s.precision)
        self.patches = Descent(adam(self.d_p.parameters(), s.patch_rate), ranks, s.precision)
        self.emotions = Descent(torch.optim.SGD(self.d_e.parameters(), s.emotion_rate, 0.9), ranks, s.precision)
        self._rates = ((self.generators, s.rate), (self.patches, s.patch_rate), (self.emotions, s.emotion_rate))
        self.average = MovingAverage(self.gan, s.average) if s.average else None
        self._shown: MotionBatch | None = None

    def _judges(self) -> tuple[Recogniser | None, FeatureDistance | None]:
        """e_FER and the perceptual loss, as far as they have a say.  Raises BadSettings when one is missing."""
        s = self.settings
        wanted = s.warp_ngf and (s.alpha_fer > 0 or (s.alpha_perc > 0 and not s.vgg16))
        if wanted and not s.recogniser:
            raise BadSettings(
                "e_FER is missing: myomirror train recogniser --set sees=face makes one, name its bundle with "
                "--set recogniser=BUNDLE; or leave it out with --set alpha_fer=0 --set alpha_perc=0"
            )
        e_fer = read_recogniser(Path(s.recogniser), "face")[0] if s.recogniser else None
        if e_fer is not None and s.size % e_fer.smallest:
            raise BadSettings(f"{s.recogniser} sees sides that divide by {e_fer.smallest}, size is {s.size}")
        perceptual = None
        if s.alpha_perc > 0 and s.warp_ngf:
            if s.vgg16:
                perceptual = of_vgg16(Path(s.vgg16))
            elif e_fer is not None:
                perceptual = of_recogniser(e_fer)
        for network in (e_fer, perceptual):
            if network is not None:
                network.requires_grad_(False).to(self.ranks.device)
        return e_fer, perceptual

    @property
    def kept(self) -> Mapping[str, Kept]:
        """Everything that the next step depends on."""
        kept: dict[str, Kept] = {"gan": self.gan, "d_p": self.d_p, "d_e": self.d_e}
        kept |= {"generators": self.generators, "patches": self.patches, "emotions": self.emotions}
        return kept if self.average is None else {**kept, "average": self.average}

    def batch(self, number: int) -> MotionBatch:
        """Step `number`'s movements: this process' share."""
        return self.batches.batch(number)

    def step(self, batch: MotionBatch) -> Losses:
        """Both generators, then both discriminators.  Returns every term as it enters the sums of Eq. 2 and 5."""
        self._shown = batch
        s, device = self.settings, self.ranks.device
        for descent, rate in self._rates:
            for group in descent.optimiser.param_groups:
                group["lr"] = rate * self._gain(batch.number)
        given, front = (encoded(flow.to(device), s.motion, s.clip_px) for flow in (batch.given, batch.front))
        emotion = batch.emotion.to(device)
        losses, fake = self._generators_step(batch, given, front, emotion)
        losses |= self._discriminators_step(given, front, fake.detach(), emotion)
        if self.average is not None:
            self.average.update()
        return {name: loss.detach() for name, loss in losses.items()}

    def _generators_step(
        self, batch: MotionBatch, given: Tensor, front: Tensor, emotion: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        s, device = self.settings, self.ranks.device
        self.d_e.eval()
        with frozen(self.d_p, self.d_e):
            with self.generators.precision():
                fake = self.gan.g_f(given)  # (N, 2, H, W)
                judged, told = self.d_p(fake, given), self.d_e(fake)
            found, wanted = (decoded(flow.float(), s.motion, 1.0) for flow in (fake, front))
            halves = judged_real(judged) + s.emotion_half * emotion_loss(told, emotion)
            losses = {
                "gan": s.lambda_gan * halves / 2,
                "epe": s.lambda_epe * end_point_error(found, wanted),  # Eq. 3
                "char": s.lambda_char * charbonnier(fake, front),  # Eq. 4
            }
            if self.gan.g_w is not None:
                flow = self._taught(fake) if self._is_joined(batch.number) else front
                losses |= self._warp_losses(flow, batch.before.to(device), batch.after.to(device), emotion)
            self.generators.step(torch.stack(list(losses.values())).sum(), _LARGEST_GRADIENT)  # Eq. 2 and 5
        return losses, fake

    def _warp_losses(self, flow: Tensor, before: Tensor, after: Tensor, emotion: Tensor) -> dict[str, Tensor]:
        s = self.settings
        assert self.gan.g_w is not None
        with self.generators.precision():
            face = self.gan.g_w(flow, before)
        losses = {"l1": s.alpha_l1 * (face.float() - after).abs().mean()}  # Eq. 2
        if self.perceptual is not None:
            losses["perc"] = s.alpha_perc * self.perceptual(face.float(), after)
        if self.e_fer is not None and s.alpha_fer > 0:
            losses["fer"] = s.alpha_fer * emotion_loss(self.e_fer(face.float()), emotion)
        return losses

    def _taught(self, fake: Tensor) -> Tensor:
        """G_F's flow, through which G_W's loss goes back lambda_4 times as strong."""
        weight = self.settings.lambda_warp
        return fake if weight == 1 else fake.detach() + weight * (fake - fake.detach())

    def _is_joined(self, number: int) -> bool:
        """1_c of Eq. 5."""
        return self.settings.lambda_warp > 0 and number // self.steps_per_epoch >= self.settings.joined

    def _discriminators_step(self, given: Tensor, front: Tensor, fake: Tensor, emotion: Tensor) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        if self.settings.lambda_gan == 0:
            return losses
        with self.patches.precision():
            real, made = self.d_p(front, given), self.d_p(fake, given)
        losses["d_p"] = told_apart(real, made)
        self.patches.step(losses["d_p"])
        self.d_e.train()
        if len(front) > 1 and bool((emotion >= 0).any()):
            with self.emotions.precision():
                losses["d_e"] = emotion_loss(self.d_e(front), emotion)
            self.emotions.step(losses["d_e"])
        else:
            losses["d_e"] = losses["d_p"].detach() * 0
        return losses

    def epoch_ended(self) -> None:
        """Nothing: the learning rates move with every step."""

    def _gain(self, step: int) -> float:
        """The learning rates are "gradually decreased": here epoch by epoch, linearly, from the joining one on."""
        s = self.settings
        rising = min(1.0, (step + 1) / s.warm_up) if s.warm_up else 1.0
        late = max(0, step // self.steps_per_epoch - s.joined)
        return rising * (1.0 - min(1.0, late / max(1, s.epochs - s.joined + 1)))

    @torch.no_grad()
    def pictures(self) -> Mapping[str, Picture]:
        """Of the last batch: the flow given, made, true; the face at rest, made, true."""
        if self._shown is None:
            return {}
        s, batch, device = self.settings, self._shown, self.ranks.device
        given = encoded(batch.given[:1].to(device), s.motion, s.clip_px)
        found = self.gan(given, batch.before[:1].to(device))
        flows = [batch.given[:1], decoded(found.flow.float(), s.motion, s.clip_px).cpu(), batch.front[:1]]
        row = [flow_picture(flow[0].permute(1, 2, 0).numpy()) for flow in flows]
        faces = [batch.before[:1], batch.after[:1]] if found.face is None else [batch.before[:1], found.face.cpu()]
        row += [pictures_of(face)[0] for face in (*faces, batch.after[:1])]
        strip = torch.cat([torch.from_numpy(picture) for picture in row], 1).numpy()
        return {"flow given, made, true; face at rest, made, true": strip[:, :, ::-1]}

    def finish(self) -> None:
        """Measure on the people that were held out, and write the bundle.  Raises as `write_trained` does."""
        s = self.settings
        network: Any = (self.average.network if self.average is not None else self.gan).cpu().eval()
        metrics = {}
        if self.held_out is not None:
            metrics = motion_metrics(network, self.held_out, s.size, s.given, self.held_out_words)
        manifest = motion_manifest(s.sizes, s.size, taught_by(self.train, s.seed), metrics)
        write_trained(self.order.out, manifest, network, s.storage)


LIVE_CHANGES: dict[str, Any] = {
    **asdict(LIVE),
    **{"ndf": 32, "batch": 8, "epochs": 40, "joined": 10, "average": 0.999},
    **{"rate": 3e-4, "warm_up": 300, "patch_rate": 1e-4, "emotion_rate": 1e-3, "lambda_gan": 0.1},
}
_LOSSES: dict[str, dict[str, Any]] = {
    "all": {},
    "without_reconstruction": {"lambda_epe": 0.0, "lambda_char": 0.0},
    "without_emotion": {"emotion_half": 0.0},
    "without_warp": {"lambda_warp": 0.0},
}
_PARTS: dict[str, dict[str, Any]] = {
    "posed": {"given": "posed"},
    "posed_cartesian": {"given": "posed", "motion": "cartesian"},
    "still": {"given": "still"},
    "still_cartesian": {"given": "still", "motion": "cartesian"},
}
_FOLDS: dict[str, dict[str, Any]] = {f"fold_{fold}": {"fold": fold} for fold in range(10)}
_ABLATIONS: dict[str, Mapping[str, Mapping[str, Any]]] = {"losses": _LOSSES, "folds": _FOLDS}

KIND = Kind(
    settings=EmotionGanSettings(),
    learn=in_loop(EmotionGan),
    fine_tuning={"epochs": 3},
    ablations={**_ABLATIONS, "parts": _PARTS},
)
KIND_LIVE = Kind(
    settings=EmotionGanSettings(**LIVE_CHANGES),
    learn=in_loop(EmotionGan),
    fine_tuning={"epochs": 5, "rate": 1e-4},
    ablations={**_ABLATIONS, "parts": {"posed": {"given": "posed"}, "still": {"given": "still"}}},
)
