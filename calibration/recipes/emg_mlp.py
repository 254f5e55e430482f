"""EMG2Exp and Exp2EMG of EIFER (Buechner et al. 2025, section 4.3, supplement A.6 and C.1), and ours.

The paper's: six layers, Adam 1e-3 without a schedule, batches of 512, 200 epochs, muscles divided by the participant's
maximum, squared error, five folds by person.  It finds when muscles work (Spearman), not how much: peaks are too low,
onsets too flat.  Each of ours is a setting, so that each is a row of the table:

    taps_ms              a short causal history goes in: speed shows in it, and so does what comes before movement
    scaling              "root": the square root of a share of a robust reference is learned, so that rest does not
                         outvote effort; "robust": only the reference
    amplitude_weight     what is strong counts more in the error
    normalisation        "calibration": a gain per person and muscle from the first repetitions of each exercise
    uncertainty          a second head, learned with the Gaussian likelihood
    peak_gain            whoever doubts says less than there is: at the end every output is stretched by what its peaks
                         lack, on average over people of the training
    rest                 below a level, the one that gives the best rank correlation on people of the training, an
                         output is told as rest: its ups and downs there are the network's own, as the face shows none

    myomirror train emg_mlp --data DIR --out BUNDLE --set direction=emg2exp --set fold=0
    myomirror train emg_mlp --data DIR --out ROWS --ablation ours_folds ; myomirror evaluate ROWS/*/fold_? --data DIR
    myomirror train emg_mlp --data DIR --out ROWS --ablation table2     ; the same: the paper's Table 2 and the truth,
                                    once `myomirror parameters` has written what the encoders see (or how they read)
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from calibration.data.emg_pairs import AUTO, FOLDS, Pairs, open_pairs
from calibration.data.emg_signals import Floats
from calibration.data.mmm_layout import OURS as SEEN
from calibration.descent import Descent
from calibration.distributed import Ranks
from calibration.emg_bundles import manifest_of, read_start, write_emg_bundle
from calibration.emg_rows import EmgRows, references
from calibration.emg_scale import scales_of
from calibration.losses.regression import amplitude_weights, gaussian_loss, weighted_error
from calibration.metrics.emg import spearman
from calibration.recipe import Kept, Losses, Picture, chance
from calibration.restoration_samples import spread
from calibration.setting_words import as_json
from calibration.train_order import Kind, Order, in_loop
from engines.emg.emg_bundle import EmgBundle
from engines.errors import BundleError
from engines.networks.emg_mlp import WIDTHS, EmgMlp, MlpSizes, initialise_mlp
from rt.errors import BadSettings

NOBODY = -1  # as a fold: everybody teaches
_MOST_STRETCH = 2.0
_PEOPLE_LOOKED_AT = 8  # for peaks and rest at the end: judging everybody takes minutes
_RESTS = np.linspace(0.0, 0.9, 19)  # shares of the frames below the level, among which it is chosen
PAPER_END = "paper"  # tanh for EMG2Exp, ReLU for Exp2EMG


@dataclass(frozen=True)
class EmgMlpSettings:
    """The paper's; `OURS` below."""

    direction: str = "exp2emg"  # or "emg2exp"
    method: str = AUTO  # whose expressions: one of METHODS in calibration/data/mmm_layout.py
    chain: str = AUTO  # whose envelopes: fast, standard, calm, jena_offline
    fold: int = NOBODY  # which fifth of the people is held out, 0..4
    widths: tuple[int, ...] = WIDTHS
    learning_rate: float = 1e-3
    last_rate: float = 1.0  # share of the learning rate at the end, reached along a cosine; 1 keeps it
    batch: int = 512  # over all processes
    epochs: int = 200
    normalisation: str = "maximum"
    calibration_repetitions: int = 1  # of each exercise, where normalisation=calibration
    taps_ms: tuple[int, ...] = (0,)
    scaling: str = "plain"
    end: str = PAPER_END  # or "open", "tanh", "relu"
    amplitude_weight: float = 0.0
    uncertainty: bool = False
    peak_gain: bool = False
    rest: bool = False
    precision: str = "fp32"
    storage: str = "float32"  # of the bundle's weights
    seed: int = 1

    def __post_init__(self) -> None:
        """Raises BadSettings for a number or word that cannot be."""
        for name in ("batch", "epochs"):
            if getattr(self, name) < 1:
                raise BadSettings(f"{name} must be 1 or more, found {getattr(self, name)}")
        if not NOBODY <= self.fold < FOLDS:
            raise BadSettings(f"fold must be 0..{FOLDS - 1}, or {NOBODY} when everybody teaches; found {self.fold}")
        if not (self.learning_rate > 0 and 0 <= self.last_rate <= 1 and self.amplitude_weight >= 0):
            raise BadSettings("learning_rate must be above 0, last_rate 0..1 and amplitude_weight 0 or more")
        MlpSizes(1, 1, self.widths, end=self._end, scaling=self.scaling)
        try:
            EmgBundle.of({**as_json(self), "profile": "arkit52"})
        except BundleError as error:
            raise BadSettings(str(error)) from None

    @property
    def _end(self) -> str:
        if self.end != PAPER_END:
            return self.end
        return "tanh" if self.direction == "emg2exp" else "relu"

    def sizes(self, profile: str) -> dict[str, Any]:
        """What the manifest's `sizes` say (engines/emg/emg_bundle.py)."""
        kept = ("direction", "normalisation", "scaling", "uncertainty", "rest")
        lists = {"taps_ms": list(self.taps_ms), "widths": list(self.widths)}
        return {**{name: getattr(self, name) for name in kept}, **lists, "end": self._end, "profile": profile}


class Batch(NamedTuple):
    """What one step learns from, in natural units."""

    given: Tensor  # (N, tap, inputs)
    wanted: Tensor  # (N, outputs)
    weight: Tensor  # (N, outputs)


class EmgTraining:
    """The training as calibration/loop.py runs it (see calibration/recipe.py)."""

    name = "emg_mlp"

    def __init__(self, order: Order, settings: EmgMlpSettings, ranks: Ranks) -> None:
        """Raises BadInput, BundleError and BadSettings for data, a bundle or settings that do not fit."""
        if order.fraction != 1:
            raise BadSettings("this recipe divides by people: hold some out with --set fold=0, without --fraction")
        self.order, self.settings, self.ranks = order, settings, ranks
        s = settings
        everything = open_pairs(order.data, s.method, s.chain)
        chosen = everything.select(order.people) if order.people else everything
        self.held_out: Pairs | None = None if s.fold == NOBODY else chosen.select(chosen.fold(s.fold))
        gone = self.held_out.people if self.held_out else ()
        self.pairs = chosen.select([pid for pid in chosen.people if pid not in gone])
        self.sizes = s.sizes(chosen.profile)
        self.bundle = EmgBundle.of(self.sizes)
        if s.rest and self.bundle.specs(s.uncertainty)[1][0].range[0] < 0:
            raise BadSettings(
                f"rest is the lower end of what an output can be, and {chosen.profile} goes both ways from it: give "
                "--set rest=false"
            )
        scales = scales_of(self.pairs, s.normalisation, s.calibration_repetitions)
        self.rows = EmgRows.of(self.pairs, scales, self.bundle)
        if not len(self.rows.usable):
            raise BadSettings(f"{order.data} has no frame that no artefact spoilt: nothing can be learned from it")
        ranks.share(s.batch)
        self.seed, self.epochs = s.seed, s.epochs
        self.steps_per_epoch = max(1, len(self.rows.usable) // s.batch)
        self.network = self._network()
        self.ancestor = None if order.start_from is None else read_start(order.start_from, self.sizes, self.network)
        self.identity: Mapping[str, Any] = {
            **as_json(s),
            "origin": self.pairs.origin,
            "emg_chain": self.pairs.chain_id,
            "people": list(self.pairs.people),
            "rows": len(self.rows.usable),
            "start_from": None if self.ancestor is None else self.ancestor.name,
        }
        self.network.to(ranks.device)
        adam = torch.optim.Adam(self.network.parameters(), s.learning_rate)
        self.descent = Descent(adam, ranks, s.precision)
        total = self.epochs * self.steps_per_epoch
        self.schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: self._rate(step / total))
        self._shuffled: tuple[int, np.ndarray] | None = None

    @property
    def kept(self) -> Mapping[str, Kept]:
        """Everything that the next step depends on."""
        return {"network": self.network, "descent": self.descent, "schedule": self.schedule}

    def batch(self, number: int) -> Batch:
        """Step `number`'s rows: this process' share.  Every epoch has an order of its own; its last rest is left."""
        epoch, step = divmod(number, self.steps_per_epoch)
        if self._shuffled is None or self._shuffled[0] != epoch:
            self._shuffled = epoch, chance(self.seed, "rows", epoch).permutation(self.rows.usable)
        size = self.settings.batch
        rows = self._shuffled[1][step * size : (step + 1) * size][self.ranks.share(size)]
        parts = (self.rows.inputs(rows), self.rows.wanted[rows], self.rows.weight[rows])
        return Batch(*(torch.from_numpy(part) for part in parts))

    def step(self, batch: Batch) -> Losses:
        """One step down."""
        given, wanted, weight = (part.to(self.ranks.device, non_blocking=True) for part in batch)
        target = self.network.scaled_targets(wanted)
        if self.settings.amplitude_weight:
            weight = weight * amplitude_weights(target, self.settings.amplitude_weight)
        with self.descent.precision():
            found = self.network(given)
        mean = found.mean.float()
        losses: dict[str, float | Tensor] = {"error": weighted_error(mean, target, weight)}
        loss = losses["error"]
        if found.log_variance is not None:
            loss = losses["likelihood"] = gaussian_loss(mean, found.log_variance.float(), target, weight)
        assert isinstance(loss, Tensor)
        self.descent.step(loss)
        self.schedule.step()
        return losses

    def epoch_ended(self) -> None:
        """Nothing: the learning rate moves with every step, if at all."""

    def pictures(self) -> Mapping[str, Picture]:
        """There is nothing to look at."""
        return {}

    def finish(self) -> None:
        """Measure on the people that were held out, and write the bundle.  Raises as `write_emg_bundle` does."""
        from calibration.emg_evaluation import measured

        network = self.network.cpu().eval()
        s = self.settings
        if s.rest:
            network.forget_rest()  # an earlier network's, which this one may have begun with
        if s.peak_gain:
            self._stretch(network)
        if s.rest:
            self._find_rest(network)
        metrics = {}
        if self.held_out is not None:
            on = f"{len(self.held_out.people)} people held out, fold {s.fold} of {FOLDS}"
            metrics = measured(network, self.bundle, self.held_out, s.calibration_repetitions, on)
        manifest = manifest_of(self.pairs, self.bundle, self.sizes, s.seed, metrics, self.ancestor)
        record = {
            "taught": list(self.pairs.people),
            "held_out": list(self.held_out.people) if self.held_out else [],
            "method": self.pairs.method,
            "chain": self.pairs.chain,
            "calibration_repetitions": s.calibration_repetitions,
        }
        write_emg_bundle(self.order.out, manifest, network, s.storage, record)

    def _some(self) -> Pairs:
        """Who is looked at when all has been learned."""
        people = self.pairs.people
        return self.pairs.select([people[place] for place in spread(len(people), _PEOPLE_LOOKED_AT)])

    def _stretch(self, network: EmgMlp) -> None:
        from calibration.emg_evaluation import score

        repetitions = self.settings.calibration_repetitions
        slopes = score(network, self.bundle, self._some(), repetitions).values["slope"]  # (person, output)
        known = np.isfinite(slopes)
        reached = np.where(known, slopes, 0).sum(0) / np.maximum(known.sum(0), 1)
        stretch = np.where(reached > 0, np.clip(1 / np.maximum(reached, 1e-3), 1.0, _MOST_STRETCH), 1.0)
        network.output_gain.mul_(torch.from_numpy(stretch.astype(np.float32)))

    def _find_rest(self, network: EmgMlp) -> None:
        from calibration.emg_evaluation import predicted

        some = self._some()
        scales = scales_of(some, self.settings.normalisation, self.settings.calibration_repetitions)
        each = [EmgRows.of(some.select([pid]), scales, self.bundle) for pid in some.people]
        found = [predicted(network, self.bundle, rows) for rows in each]
        network.set_rest(*zip(*(rest_of(each, found, column) for column in range(self.bundle.outputs)), strict=True))

    def _network(self) -> EmgMlp:
        s = self.settings
        sizes = MlpSizes(
            self.bundle.inputs,
            self.bundle.outputs,
            s.widths,
            len(s.taps_ms),
            self.sizes["end"],
            s.scaling,
            s.uncertainty,
            s.rest,
        )
        network = EmgMlp(sizes)
        initialise_mlp(network, s.seed)
        if s.scaling != "plain":
            rows = self.rows
            network.set_gains(references(rows.given, rows.usable), references(rows.wanted, rows.usable))
        return network

    def _rate(self, share: float) -> float:
        """Of the learning rate, at a share of all steps."""
        last = self.settings.last_rate
        return last + (1 - last) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def rest_of(people: Sequence[EmgRows], found: Sequence[Floats], column: int) -> tuple[float, float]:
    """Up to where one output is rest, and what is told there, in the output's own unit.

    people: each one's rows.  found: (R, outputs) what the network says of them.  The end is the one of _RESTS that
    gives the best mean Spearman over people when all below it is tied; what is told is the truth's median there, but
    nothing above the end.  (0, 0) where nobody's output moves.
    """
    each = []
    for rows, guess in zip(people, found, strict=True):
        good = rows.weight[:, column] > 0
        each.append((guess[good, column], rows.wanted[good, column]))
    if all(len(truth) == 0 or np.ptp(truth) == 0 for _, truth in each):
        return 0.0, 0.0
    ends = np.unique(np.quantile(np.concatenate([guess for guess, _ in each]), _RESTS))
    ranks = [[spearman(np.maximum(guess, end), truth) for guess, truth in each if len(truth)] for end in ends]
    end = float(ends[int(np.argmax(np.nan_to_num(ranks).mean(1)))])
    below = np.concatenate([truth[guess <= end] for guess, truth in each])
    return end, min(float(np.median(below)), end)


HISTORY_MS = (0, 33, 67, 100, 167, 233, 333)
"""Seven moments of the last third of a second: the newest four frames, then every second or third."""

_HISTORY: dict[str, Any] = {"taps_ms": HISTORY_MS}
_SCALING: dict[str, Any] = {"scaling": "root", "end": "open"}
_AMPLITUDE: dict[str, Any] = {"amplitude_weight": 3.0}
_CALIBRATION: dict[str, Any] = {"normalisation": "calibration"}
_UNCERTAINTY: dict[str, Any] = {"uncertainty": True}
_PEAK_GAIN: dict[str, Any] = {"peak_gain": True}
_REST: dict[str, Any] = {"rest": True}
OURS: dict[str, Any] = {
    **_HISTORY, **_SCALING, **_AMPLITUDE, **_CALIBRATION, **_UNCERTAINTY, **_PEAK_GAIN, **_REST,
    "last_rate": 0.02,
}  # fmt: skip

_VARIANTS: dict[str, dict[str, Any]] = {
    "paper": {},
    "history": _HISTORY,
    "scaling": _SCALING,
    "amplitude": _AMPLITUDE,
    "calibration": _CALIBRATION,
    "uncertainty": _UNCERTAINTY,
    "peak_gain": _PEAK_GAIN,
    "rest": _REST,
    "ours": OURS,
}
_FOLDS: dict[str, dict[str, Any]] = {f"fold_{fold}": {"fold": fold} for fold in range(FOLDS)}
_METHODS = ("Truth", "EIFER", "SMIRK", "MediaPipe", *SEEN)
_TABLE_2 = ("E_N-occluded", "E_N-restored", "E_S-occluded", "Truth")


def _in_folds(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Every row in every fold: ROW/fold_0 and so on."""
    return {f"{row}/{fold}": {**own, **held} for row, own in rows.items() for fold, held in _FOLDS.items()}


def _ablations(variants: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Mapping[str, Any]]]:
    methods = {method.lower(): {"method": method} for method in _METHODS}
    found: dict[str, Mapping[str, Mapping[str, Any]]] = {
        "folds": _FOLDS,
        **{f"folds_{name}": _in_folds({name: own}) for name, own in methods.items()},
        "table2": _in_folds({method: {"method": method} for method in _TABLE_2}),
    }
    if variants:
        found |= {"ours": variants, "ours_folds": _in_folds(variants)}
    return found


KIND = Kind(settings=EmgMlpSettings(), learn=in_loop(EmgTraining), ablations=_ablations(_VARIANTS))
KIND_OURS = Kind(settings=EmgMlpSettings(**OURS), learn=in_loop(EmgTraining), ablations=_ablations({}))
