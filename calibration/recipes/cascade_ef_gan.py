"""Cascade EF-GAN as published: somebody's face with another expression, learned from labelled pictures of anybody.

Wu et al. 2020, "Cascade EF-GAN: Progressive Facial Expression Editing with Local Focuses".  First one EF-GAN module
learns to do a whole edit in one step; then all modules of the cascade begin with its weights and are trained together,
each told an expression a part of the way along.  Every module answers for the five terms of Eq. 2
(calibration/losses/cascade.py), all with equal weights; critics judge faces, and eyes, nose and mouth each by itself.

What the supplement kept for itself is GANimation's (FACTS 2).  Ours: `form`; `lambda_truth`, a paired term for
sittings that are known with two expressions (calibration/expression_stills.py); and `critic_steps=0`, which learns from
that term without critics, for machines without a GPU.

    python -m calibration.expression_stills --out FACES
    myomirror train cascade_ef_gan --data FACES --out BUNDLE
    myomirror train cascade_ef_gan --data FACES --out FOLDER --ablation focuses-cascade       Table 3
    myomirror train cascade_ef_gan --data FACES --out FOLDER --ablation peers                 Table 1 and 2: StarGAN ...
    myomirror train cascade_ef_gan_live --data FACES --out cascade-live                       ours, below
    myomirror train cascade_ef_gan_live --data FACES --out FOLDER --ablation focuses-cascade  Table 3, small
    myomirror train cascade_ef_gan_live --data FACES --out FOLDER --ablation peers            Tables 1 and 2, small

The live size is one narrow module with local focuses, of 64 px, that learns from true pictures alone, without critics:
what a processor without a GPU learns in half an hour, and runs beside the picture.  It is Table 3's second row in what
it is made of, and not the paper's training.  cascade-live, which ships, is one that learned on: 10 000 steps in all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from calibration.average import MovingAverage
from calibration.descent import Descent, frozen
from calibration.distributed import Ranks
from calibration.editing_critics import EditingCritics, summed, total
from calibration.editing_score import Judging, editing_metrics
from calibration.editor_bundle import editor_manifest, read_editor
from calibration.expression_classes import EXPRESSIONS, prototypes
from calibration.expression_faces import ExpressionChoices, ExpressionFaces, LabelledFaces, Wish
from calibration.face_bundle import Ancestor, read_ancestor, training_of, write_trained
from calibration.losses.cascade import (
    change_between,
    content_loss,
    meaning_loss,
    smoothness_loss,
    sparsity_loss,
    truth_loss,
)
from calibration.planes import Picture, pictures_of
from calibration.recipe import Kept, Losses
from calibration.setting_words import as_json
from calibration.train_data import Parts, open_faces, parts_of
from calibration.train_order import Kind, Order, in_loop
from engines.networks.cascade_editor import REGIONS, CascadeEditor, EditorSizes, EfGan, Step, initialise_editor
from rt.errors import BadSettings

_SHOWN = 4  # faces in the log's picture
_SMALLEST = 32  # px


@dataclass(frozen=True)
class CascadeSettings:
    """The paper's numbers; where it is silent, GANimation's (FACTS 2)."""

    size: int = 128  # px
    modules: int = 3  # in cascade
    local: bool = True  # eyes, nose and mouth looked at by branches of their own: 40 x 92, 40 x 48, 40 x 60 at 128 px
    ngf: int = 64  # features and residual blocks of the global branch, the local ones, the refiner
    blocks: int = 6
    local_ngf: int = 64
    local_blocks: int = 6
    refiner_ngf: int = 64
    refiner_blocks: int = 6
    between: int = 64  # features of the interpolator and of its critic
    ndf: int = 64  # features of the other critics
    profile: str = "facs17"  # "arkit52" knows sides and puckers too
    form: str = "paper"  # "ours": see engines/networks/edit_branch.py
    attention: bool = True
    classes: bool = False  # True: seven expressions and nothing between, as StarGAN
    batch: int = 25  # over all processes
    critic_steps: int = 5  # of the critics before each of the editor; 0: ours, no critics, from pairs alone
    epochs: int = 30  # of one module by itself
    cascade_epochs: int = 15  # of the whole cascade; the paper gives neither
    decay: float = 1 / 3  # share of either's epochs, at the end, in which the learning rate falls to 0
    learning_rate: float = 1e-4
    beta1: float = 0.5
    beta2: float = 0.999
    lambda_cond: float = 160.0  # lambda_1 of Eq. 2
    lambda_cont: float = 10.0  # lambda_2
    lambda_attn: float = 0.1  # lambda_3
    lambda_smooth: float = 2.5e-4  # beside it, of a picture's total variation: 1e-5 of a batch's sum, of 25
    lambda_interp: float = 1.0  # lambda_4
    lambda_meaning: float = 10.0  # within L_interp, beside the critic's judgement
    lambda_penalty: float = 10.0  # of the critics' slope
    lambda_truth: float = 0.0  # ours: difference from the true picture, of faces, patches and colours, where known
    paired: float = 0.0  # share of the wishes for which it is
    flip: float = 0.5  # share of the pictures that is mirrored
    variation: float = 0.0  # how far cameras differ, 0..1
    classifier_steps: int = 600  # of the expression classifier that the bundle is measured with; 0 measures without
    precision: str = "fp32"  # "bf16", "fp16"
    average: float = 0.0  # decay of a moving average of the editor, which the bundle then holds; 0: its last weights
    storage: str = "float16"  # of the bundle's weights
    seed: int = 1

    def __post_init__(self) -> None:
        """Raises BadSettings for a number that cannot be, BadInput for an editor that cannot be."""
        if self.size < _SMALLEST:
            raise BadSettings(f"size must be {_SMALLEST} or more, found {self.size}")
        for name, least in (("batch", 1), ("critic_steps", 0), ("ndf", 1)):
            if getattr(self, name) < least:
                raise BadSettings(f"{name} must be {least} or more, found {getattr(self, name)}")
        if not self.critic_steps and not self.lambda_truth:
            raise BadSettings("without critics only pairs teach: give --set lambda_truth=10 and --set paired=1 too")
        if min(self.epochs, self.cascade_epochs) < 0 or self.epochs + self.cascade_epochs < 1:
            raise BadSettings(
                f"epochs and cascade_epochs must be 0 or more, together 1 or more, found {self.epochs} and "
                f"{self.cascade_epochs}"
            )
        for name in ("decay", "paired", "flip", "variation"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadSettings(f"{name} must be 0..1, found {getattr(self, name)}")
        if self.lambda_truth and not self.paired:
            raise BadSettings("lambda_truth weighs what is known of pairs: give --set paired=0.5 too, or leave it out")
        self.sizes()

    def sizes(self, patches: Sequence[Sequence[int]] = ()) -> EditorSizes:
        """The editor's."""
        own = {name: getattr(self, name) for name in EditorSizes.__dataclass_fields__ if hasattr(self, name)}
        return EditorSizes(**own, patches=tuple(patches), known=len(EXPRESSIONS) if self.classes else 0)  # type: ignore[arg-type]


class Wishes(NamedTuple):
    """One step's: a batch for each of the critics' steps, the editor's is the last."""

    parts: list[Wish]
    number: int


class CascadeEfGan:
    """The paper's training as calibration/loop.py runs it (see calibration/recipe.py)."""

    name = "cascade_ef_gan"

    def __init__(self, order: Order, settings: CascadeSettings, ranks: Ranks) -> None:
        """Raises BadInput, BundleError and BadSettings for data, a bundle or settings that do not fit."""
        self.order, self.settings, self.ranks = order, settings, ranks
        s = settings
        self.parts: Parts = parts_of(
            open_faces(order.data, order.run.folder, s.size, ranks), order.people, order.fraction
        )
        self.labelled = LabelledFaces.of(self.parts.train)
        choices = ExpressionChoices(s.size, s.profile, s.classes, s.paired, s.flip, s.variation)
        self.faces = ExpressionFaces(self.labelled, choices, s.batch, max(1, s.critic_steps), s.seed, ranks)
        self.seed, self.epochs, self.steps_per_epoch = s.seed, s.epochs + s.cascade_epochs, self.faces.steps_per_epoch

        patches = self.labelled.patches(s.size) if s.local else ()
        if order.start_from is not None and s.local:
            patches = read_editor(order.start_from)[0].sizes.patches  # where its branches learned to look
        self.editor = CascadeEditor(s.sizes(patches))
        initialise_editor(self.editor, s.seed)
        if s.classes:
            self.editor.known.copy_(torch.from_numpy(prototypes(s.profile)))
        self.critics = EditingCritics(self.editor.sizes, s.ndf, s.seed * (len(REGIONS) + 2))
        self.ancestor: Ancestor | None = None
        if order.start_from is not None:
            networks = {"editor": self.editor, **{f"critic {name}": one for name, one in self.critics.networks.items()}}
            self.ancestor = read_ancestor(order.start_from, "editor", networks)
        self.identity = {
            **as_json(s),
            "origin": self.parts.train.origin,
            "people": sorted(set(self.labelled.people)),
            "pictures": len(self.labelled),
            "start_from": None if self.ancestor is None else self.ancestor.name,
        }
        for network in (self.editor, *self.critics.networks.values()):
            network.to(ranks.device)
        self.making = self._descent(self.editor)
        self.judging = self._descent(*self.critics.networks.values())
        self.schedules = [
            torch.optim.lr_scheduler.LambdaLR(descent.optimiser, self._learning_rate_gain)
            for descent in (self.making, self.judging)[: 2 if s.critic_steps else 1]
        ]
        self.average = MovingAverage(self.editor, s.average) if s.average else None
        self._shown: Wishes | None = None

    @property
    def kept(self) -> Mapping[str, Kept]:
        """Everything that the next step depends on."""
        kept: dict[str, Kept] = {"editor": self.editor, "making": self.making}
        if self.settings.critic_steps:
            kept |= {"judging": self.judging}
            kept |= {f"critic {name}": critic for name, critic in self.critics.networks.items()}
        kept |= {f"schedule {place}": schedule for place, schedule in enumerate(self.schedules)}
        return kept if self.average is None else {**kept, "average": self.average}

    def batch(self, number: int) -> Wishes:
        """Step `number`'s faces and what they are to show: this process' share."""
        return Wishes(self.faces.batch(number), number)

    def step(self, batch: Wishes) -> Losses:
        """The critics' steps, then the editor's.  Returns every term as it enters its sum."""
        self._shown = batch
        modules = self._modules_at(batch.number)
        parts = [Wish(*(one.to(self.ranks.device, non_blocking=True) for one in wish)) for wish in batch.parts]
        judged = [
            self._critics_step(wish, modules, (batch.number * len(parts) + place) % modules)
            for place, wish in enumerate(parts[: self.settings.critic_steps])
        ]
        losses = {name: value / len(judged) for name, value in (summed(judged).items() if judged else ())}
        losses |= self._editor_step(parts[-1], modules)
        if self.average is not None:
            self.average.update()
        return losses

    def _modules_at(self, number: int) -> int:
        """How many modules learn in a step: one, and at last all."""
        return 1 if number // self.steps_per_epoch < self.settings.epochs else self.settings.modules

    def _way(self, wish: Wish, modules: int) -> list[Tensor]:
        """What each module is told.  The interpolator does not learn from what modules make of it."""
        if modules == 1:
            return [wish.target]
        with torch.no_grad():
            return self.editor.way(wish.source, wish.target)

    def _critics_step(self, wish: Wish, modules: int, place: int) -> dict[str, Tensor]:
        """One of the critics: of what the module at `place` makes."""
        s, critics = self.settings, self.critics
        with torch.no_grad(), self.making.precision():
            face = wish.face
            for at, told in enumerate(self._way(wish, modules)[: place + 1]):
                step = self.editor.module_at(at)(face, told)
                face = step.face
        share = torch.rand(len(wish.face), device=wish.face.device)
        between = self._between(wish)[0].detach()
        with self.judging.precision():
            losses = critics.losses(step, wish.face, wish.source)
        losses["critic_cond"] = s.lambda_cond * losses["critic_cond"]
        losses["label_critic"], label_penalty = critics.label_losses(wish.source, between, share)
        losses["penalty"] = s.lambda_penalty * (critics.penalty(step, wish.face, share) + label_penalty)
        self.judging.step(total(list(losses.values())))
        return {name: value.detach() for name, value in losses.items()}

    def _editor_step(self, wish: Wish, modules: int) -> dict[str, Tensor]:
        s = self.settings
        terms: list[dict[str, Tensor]] = []
        with frozen(*self.critics.networks.values()):
            with self.making.precision():
                face, shown = wish.face, wish.source
                for at, told in enumerate(self._way(wish, modules)):
                    module = self.editor.module_at(at)
                    step = module(face, told)
                    terms.append(self._terms(module, step, (face, shown), told))
                    face, shown = step.face, told
                between, straight = self._between(wish)
                interp = s.lambda_meaning * meaning_loss(between, straight)
                if s.critic_steps:
                    interp = interp + self.critics.believed(between)
            losses = summed(terms) | {"interp": s.lambda_interp * interp}
            if s.lambda_truth:
                losses["truth"] = s.lambda_truth * self._truth(step, wish)
            self.making.step(total(list(losses.values())))
        return losses

    def _terms(self, module: EfGan, step: Step, before: tuple[Tensor, Tensor], told: Tensor) -> dict[str, Tensor]:
        """Eq. 2 but for the interpolator's term, of one module.  before: the face it was given, and what that shows."""
        s, (face, shown) = self.settings, before
        attention = [
            s.lambda_attn * sparsity_loss(each) + s.lambda_smooth * smoothness_loss(each) for each in step.attentions
        ]
        terms = {"attn": total(attention) * s.attention}  # nothing to be sparse where everything is painted anew
        if s.lambda_cont:
            terms["cont"] = s.lambda_cont * content_loss(module(step.face, shown).face, face)
        if s.critic_steps:
            adversarial, conditional = self.critics.opinion(step, told)
            terms |= {"adv": adversarial, "cond": s.lambda_cond * conditional}
        return terms

    def _truth(self, step: Step, wish: Wish) -> Tensor:
        """How far the last module's pictures are from the true one, and what its branches would paint.

        Colours answer for themselves: a branch whose colours are still wrong would learn to edit nothing, and stay so.
        """
        change, known = change_between(wish.face, wish.truth), wish.known
        away = [truth_loss(made, wish.truth, change, known) for made in (step.face, step.whole)]
        away.append(truth_loss(step.colour, wish.truth, change, known, everywhere=False))
        for place, colour in enumerate(step.patch_colours):
            truth, there = (self.editor.module_at(0).cut(whole, place) for whole in (wish.truth, change))
            away.append(truth_loss(colour, truth, there, known, everywhere=False))
            away.append(truth_loss(step.patches[place], truth, there, known))
        return total(away)

    def _between(self, wish: Wish) -> tuple[Tensor, Tensor]:
        """Expressions somewhere on the way, and the straight line's at the same place."""
        share = torch.rand(len(wish.source), 1, device=wish.source.device)
        straight = wish.source + share * (wish.target - wish.source)
        return self.editor.between(wish.source, wish.target, share), straight

    def epoch_ended(self) -> None:
        """The learning rate's schedule moves on; after the single module's last epoch, the cascade begins as it."""
        for schedule in self.schedules:
            schedule.step()
        if self.schedules[0].last_epoch == self.settings.epochs:
            self.editor.begin_as_one()
            if self.average is not None:
                averaged = self.average.network
                assert isinstance(averaged, CascadeEditor)
                averaged.begin_as_one()

    def pictures(self) -> Mapping[str, Any]:
        """Some faces of the last batch: before, after each module, the truth where it is known, where it looked."""
        if self._shown is None:
            return {}
        wish = Wish(*(one[:_SHOWN].to(self.ranks.device) for one in self._shown.parts[-1]))
        editor = self._best()
        modules = self._modules_at(self._shown.number)
        columns, edit = [wish.face], torch.zeros_like(wish.face[:, :1])
        with torch.no_grad():
            for at, told in enumerate(self._way(wish, modules)):
                step = editor.module_at(at)(columns[-1], told)
                columns.append(step.face)
                edit = torch.maximum(edit, editor.module_at(at).edited(step))
        truth = torch.where(wish.known[:, None, None, None], wish.truth, torch.full_like(wish.truth, -1.0))
        columns += [truth, (2 * edit - 1).expand(-1, 3, -1, -1)]
        sheet: Picture = pictures_of(torch.cat([torch.cat(list(each), 1) for each in columns], 2)[None])[0]
        return {"face, each step, truth where known, where it looked": sheet[:, :, ::-1]}

    def finish(self) -> None:
        """Measure the editor on what was held out, and write it as a bundle.  Raises as `write_trained` does."""
        s, parts, editor = self.settings, self.parts, self._best()
        if self._single:
            editor.begin_as_one()  # ended by the clock before the cascade began: all modules are the trained one
        metrics = {}
        if parts.held_out is not None:
            judging = Judging(steps=s.classifier_steps, seed=s.seed)
            metrics = editing_metrics(
                editor.eval(), self.labelled, LabelledFaces.of(parts.held_out), judging, parts.held_out_words
            )
        training = training_of(parts.train, s.seed, self.ancestor)
        write_trained(self.order.out, editor_manifest(editor.sizes, training, metrics), editor.cpu(), s.storage)

    @property
    def _single(self) -> bool:
        return self.schedules[0].last_epoch < self.settings.epochs

    def _best(self) -> CascadeEditor:
        """What the bundle holds."""
        if self.average is None:
            return self.editor
        averaged = self.average.network
        assert isinstance(averaged, CascadeEditor)
        return averaged

    def _descent(self, *networks: nn.Module) -> Descent:
        s = self.settings
        parameters = [parameter for network in networks for parameter in network.parameters()]
        return Descent(torch.optim.Adam(parameters, s.learning_rate, (s.beta1, s.beta2)), self.ranks, s.precision)

    def _learning_rate_gain(self, epoch: int) -> float:
        """1, then falling linearly; once for the single module and once for the cascade."""
        s = self.settings
        at, count = (epoch, s.epochs) if epoch < s.epochs else (epoch - s.epochs, s.cascade_epochs)
        falling = round(count * s.decay)
        return 1.0 - max(0, at + 1 - (count - falling)) / (falling + 1)


_BASELINE = {"modules": 1, "local": False}
_STARGAN = {**_BASELINE, "attention": False, "classes": True}

KIND = Kind(
    settings=CascadeSettings(),
    learn=in_loop(CascadeEfGan),
    fine_tuning={"epochs": 0, "cascade_epochs": 5, "learning_rate": 5e-5},
    ablations={
        "focuses-cascade": {
            "baseline": _BASELINE,
            "local-focuses": {"modules": 1, "local": True},
            "cascade": {"modules": 3, "local": False},
            "cascade-ef-gan": {"modules": 3, "local": True},
        },
        "peers": {
            "stargan": _STARGAN,
            "ganimation": _BASELINE | {"attention": True, "classes": False},
            "cascade-ef-gan": {"modules": 3, "local": True, "attention": True, "classes": False},
        },
    },
)
KIND_LIVE = Kind(
    settings=replace(
        KIND.settings,
        **{"size": 64, "modules": 1, "form": "ours", "between": 32, "ngf": 14, "blocks": 2, "local_ngf": 10},
        **{"local_blocks": 2, "refiner_ngf": 8, "refiner_blocks": 1, "critic_steps": 0, "paired": 1.0},
        **{"lambda_truth": 10.0, "lambda_cont": 0.0, "batch": 4, "epochs": 4, "cascade_epochs": 0, "decay": 0.34},
        **{"learning_rate": 1e-3, "average": 0.995},
    ),
    learn=in_loop(CascadeEfGan),
    fine_tuning={"epochs": 2, "learning_rate": 2e-4},
    ablations={  # Table 3: as many epochs in every row, and a cascade begins with a module that was taught in full
        "focuses-cascade": {
            "baseline": {**_BASELINE, "epochs": 6},
            "local-focuses": {"modules": 1, "local": True, "epochs": 6},
            "cascade": {"modules": 3, "local": False, "epochs": 4, "cascade_epochs": 2},
            "cascade-ef-gan": {"modules": 3, "local": True, "epochs": 4, "cascade_epochs": 2},
        },
        "peers": {
            "stargan": {**_STARGAN, "epochs": 6},
            "ganimation": {**_BASELINE, "attention": True, "classes": False, "epochs": 6},
        },
    },
)
