"""What a nerve makes of an intention: side gains, synkinesis, co-contraction that does not show, tone, fatigue.

A motor command passes a profile in this order (performance.py):

1. synkinesis: what is intended for one muscle also reaches another (aberrant regrowth of the facial nerve),
   drive_b = intent_b + sum_a gain[a, b] x intent_a, at most 1;
2. side gain: drive x gain is what the muscle does, and what shows;
3. co-contraction and tone fire too, but nothing of them shows.

Because synkinesis acts before the gain, and %MVC divides the gain out again, a synkinesis gain of 0.4 *is* a synkinesis
index of 40 % of the own references (FACTS 1.5), whatever is left of the nerve.

The profiles are made for tests and training data with known truth. They describe no patient, and no grade here is a
House-Brackmann or Sunnybrook grade.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, get_args

import numpy as np

from engines.emg.montage import FRIDLUND
from engines.emg.muscles import ACTIONS, MUSCLES, OTHER_NERVES, action_columns, side_of
from engines.errors import BadInput

PalsySide = Literal["right", "left"]

REST_TONE = 0.042
"""Activation of a relaxed muscle, a choice: a few microvolt, as in recordings of a resting face."""

PALSY_RESIDUAL = {"mild": 0.7, "moderate": 0.45, "severe": 0.2, "complete": 0.02}
"""What a weakened side still does; a choice, and no clinical grade."""

# SD of a healthy person's own signed asymmetry, (R - L) / (R + L). Kim et al. 2018 measured mean absolute asymmetries
# of 11 % (frontalis), 17 % (zygomaticus) and 12 % (orbicularis oris) in 154 healthy people; about half of that variance
# is left to the placement of the electrodes (simulator.py). The muscles they did not measure: a choice in between.
_OWN_ASYMMETRY_SD = {
    "medial_frontalis": 0.10,
    "lateral_frontalis": 0.10,
    "zygomaticus": 0.15,
    "orbicularis_oris": 0.11,
    "masseter": 0.10,
}
_OTHER_ASYMMETRY_SD = 0.11
_LARGEST_ASYMMETRY = 0.25
_SYMMETRIC = ("lid_close", "lid_raise")  # a healthy eye closes whole


class Synkinesis(NamedTuple):
    """Intending `source` moves `target` too, by `gain` times the intention. Both are muscles with a side."""

    source: str
    target: str
    gain: float


@dataclass(frozen=True)
class Profile:
    """One person's innervation on one day.

    gains: (action, factor), both sides (`zygomaticus`) or one (`zygomaticus_left`); a later entry replaces an earlier
    one, what is not named has 1.  co_contraction: (muscle, share of the whole face's effort that it fires with).
    tone: (muscle, activation at rest), REST_TONE where not named.  fatigue: how much a sustained contraction shows in
    the signal, 0 = not at all, 1 = as usual.  label: what this profile is an example of, for tables and files.
    Raises BadInput for unknown names (naming the nearest), negative or infinite numbers, or gains above 2.
    """

    name: str
    gains: tuple[tuple[str, float], ...] = ()
    synkinesis: tuple[Synkinesis, ...] = ()
    co_contraction: tuple[tuple[str, float], ...] = ()
    tone: tuple[tuple[str, float], ...] = ()
    fatigue: float = 1.0
    label: str = ""

    def __post_init__(self) -> None:
        for action, gain in self.gains:
            action_columns(action)
            _check(self.name, f"the gain of {action}", gain, 2.0)
        for source, target, gain in self.synkinesis:
            _muscle(source), _muscle(target)
            _check(self.name, f"the synkinesis {source} -> {target}", gain, 2.0)
            if source == target:
                raise BadInput(f"profile {self.name}: a synkinesis needs two muscles, got {source} twice")
        for what, values in (("co-contraction", self.co_contraction), ("tone", self.tone)):
            for muscle, level in values:
                _muscles(muscle)
                _check(self.name, f"the {what} of {muscle}", level, 1.0)
        _check(self.name, "fatigue", self.fatigue, 5.0)

    @cached_property
    def gain(self) -> np.ndarray:
        """(38,) float64: factor of every action."""
        factors = np.ones(len(ACTIONS))
        for action, value in self.gains:
            factors[list(action_columns(action))] = value
        return factors

    @cached_property
    def synkinesis_matrix(self) -> np.ndarray:
        """(22, 22) float64: row = the muscle that is intended, column = the one that moves along."""
        matrix = np.zeros((len(MUSCLES), len(MUSCLES)))
        for source, target, gain in self.synkinesis:
            matrix[_muscle(source), _muscle(target)] += gain
        return matrix

    @cached_property
    def hidden(self) -> np.ndarray:
        """(22,) float64: co-contraction per muscle."""
        return _levels(self.co_contraction, 0.0)

    @cached_property
    def rest(self) -> np.ndarray:
        """(22,) float64: tone per muscle."""
        return _levels(self.tone, REST_TONE)

    def asymmetry_percent(self) -> dict[str, float]:
        """True signed asymmetry per muscle, 100 (R - L) / (R + L) of the gains; electrodes add theirs."""
        found = {}
        for muscle, right, left in FRIDLUND.pairs():
            both = self.gain[right] + self.gain[left]
            found[muscle] = float(100.0 * (self.gain[right] - self.gain[left]) / both) if both > 0 else math.nan
        return found


def healthy(seed: int) -> Profile:
    """A healthy person: small asymmetries of their own, drawn per muscle; the stronger side has gain 1.

    With the electrodes' spread the measured ones reach the 11-17 % of healthy people (FACTS 1.5).
    """
    if seed < 0:
        raise BadInput(f"a healthy person's seed must not be negative, got {seed}")
    rng = np.random.default_rng([0x4EA1, seed])
    gains: list[tuple[str, float]] = []
    for name in dict.fromkeys(side_of(action)[0] for action in ACTIONS):
        draw = rng.standard_normal()
        if len(action_columns(name)) == 1 or name in _SYMMETRIC:
            continue
        sd = _OWN_ASYMMETRY_SD.get(name, _OTHER_ASYMMETRY_SD)
        asymmetry = float(np.clip(draw * sd, -_LARGEST_ASYMMETRY, _LARGEST_ASYMMETRY))
        weaker = (1.0 - abs(asymmetry)) / (1.0 + abs(asymmetry))
        gains.append((f"{name}_{'left' if asymmetry > 0 else 'right'}", round(weaker, 4)))
    return Profile(f"healthy-{seed}", tuple(gains), label="healthy, natural asymmetry")


def palsy(side: PalsySide, grade: str = "moderate") -> Profile:
    """A peripheral palsy: everything that one facial nerve moves is weaker; jaw and lid raiser are not.

    grade: mild, moderate, severe or complete (PALSY_RESIDUAL).  Raises BadInput for another.
    """
    if grade not in PALSY_RESIDUAL:
        raise BadInput(f"there is no palsy {grade!r}; choose from {', '.join(PALSY_RESIDUAL)}")
    return Profile(
        f"palsy-{side}-{grade}", _weakened(side, PALSY_RESIDUAL[grade]), label=f"{grade} palsy, no synkinesis"
    )


def synkinetic(side: PalsySide, strength: float = 0.4, residual: float = 0.75, name: str = "") -> Profile:
    """A healed palsy with synkinesis on one side.

    strength: gain of smile -> orbicularis oculi; the other pairs of FACTS 1.6 are weaker, a choice: eye closure ->
    zygomaticus 0.75 and orbicularis oris 0.5 of it, pucker -> orbicularis oculi 0.75.  The stiff antagonists (depressor
    anguli oris, mentalis) co-contract without showing, and the side's tone is raised, in proportion to strength.
    """
    pairs = (
        ("zygomaticus", "orbicularis_oculi", 1.0),
        ("orbicularis_oculi", "zygomaticus", 0.75),
        ("orbicularis_oculi", "orbicularis_oris", 0.5),
        ("orbicularis_oris", "orbicularis_oculi", 0.75),
    )
    stiff = ("zygomaticus", "orbicularis_oculi", "depressor_anguli_oris", "mentalis")
    return Profile(
        name or f"synkinesis-{side}-{strength:g}",
        _weakened(side, residual),
        tuple(Synkinesis(f"{a}_{side}", f"{b}_{side}", round(share * strength, 4)) for a, b, share in pairs),
        tuple((f"{muscle}_{side}", round(0.25 * strength, 4)) for muscle in ("depressor_anguli_oris", "mentalis")),
        tuple((f"{muscle}_{side}", round(REST_TONE * (1.0 + 2.5 * strength), 5)) for muscle in stiff),
        label=f"synkinesis {strength:g} with {residual:g} of the strength",
    )


def recovery(side: PalsySide = "left", sessions: int = 8) -> tuple[Profile, ...]:
    """One person over many sessions: strength comes back, and synkinesis comes with it.

    The asymmetry falls from session to session while the synkinesis rises, so that a display of symmetry alone would
    call it improvement (FACTS 1.5). Strength 0.15 to 0.85 of the other side, synkinesis 0 for a fifth of the way, then
    up to 0.5; both a choice.  sessions: at least 2.  Raises BadInput for fewer.
    """
    if sessions < 2:
        raise BadInput(f"a recovery needs at least 2 sessions, got {sessions}")
    profiles = []
    for session in range(sessions):
        along = session / (sessions - 1)
        residual = 0.15 + 0.7 * along
        strength = 0.5 * max(along - 0.2, 0.0) / 0.8
        made = synkinetic(side, round(strength, 4), round(residual, 4), f"recovery-{side}-{session + 1}-of-{sessions}")
        profiles.append(_relabelled(made, "asymmetry falls, synkinesis rises: not improvement"))
    return tuple(profiles)


def _relabelled(profile: Profile, label: str) -> Profile:
    return Profile(
        profile.name,
        profile.gains,
        profile.synkinesis,
        profile.co_contraction,
        profile.tone,
        profile.fatigue,
        f"{label} ({profile.label})",
    )


def _weakened(side: PalsySide, residual: float) -> tuple[tuple[str, float], ...]:
    """Gains of everything that the facial nerve of one side moves. Raises BadInput for another side."""
    if side not in get_args(PalsySide):
        raise BadInput(f"a facial nerve is on the right or on the left, not {side!r}")
    return tuple(
        (action, residual)
        for action in ACTIONS
        if side_of(action)[1] == side and side_of(action)[0] not in OTHER_NERVES
    )


def _check(profile: str, what: str, value: float, most: float) -> None:
    if not 0 <= value <= most:
        raise BadInput(f"profile {profile}: {what} is {value}; it must lie in 0 to {most:g}")


def _muscles(name: str) -> tuple[int, ...]:
    columns = action_columns(name)
    if columns[0] >= len(MUSCLES):
        raise BadInput(f"{name} has no channel; co-contraction, tone and synkinesis need a muscle of the montage")
    return columns


def _muscle(name: str) -> int:
    columns = _muscles(name)
    if len(columns) != 1:
        raise BadInput(f"a synkinesis has a side: write {name}_left or {name}_right")
    return columns[0]


def _levels(values: tuple[tuple[str, float], ...], otherwise: float) -> np.ndarray:
    levels = np.full(len(MUSCLES), otherwise)
    for muscle, level in values:
        levels[list(_muscles(muscle))] = level
    return levels


HEALTHY = Profile("healthy", label="healthy, both sides alike")
"""Both sides alike, nothing moves along: the reference. `healthy(seed)` draws a natural asymmetry."""
