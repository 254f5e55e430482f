"""A synthetic person at work: what is intended, what the muscles do, what shows, at any moment of a session.

    >>> performance = Performance(session_clips(seed=3), healthy(12), seed=3, person=12)
    >>> now = performance.at(np.arange(0, 10, 1 / 30))     # intent, activation, expression, clip

How a moment comes about: the clips' plan -> contractions of this person (strength, timing, tremor, all from the seeds)
-> blinks -> the profile (synkinesis, gain, co-contraction, tone) -> *activation* of the 22 channels; and -> the delay
between electricity and movement and the sluggishness of muscle and skin -> *expression*.

Everything is worked out once, at CONTROL_HZ, and read by linear interpolation, so a moment's numbers depend on the
moment alone. The performance begins anew after `duration_s`, seamlessly: all its filters are circular.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import fft

from engines.emg.intention import CONTROL_HZ, Held, Intention, table_bins
from engines.emg.muscles import ACTION_INDEX, ACTIONS, MUSCLES, action_columns, at_the_sites, shown_by
from engines.emg.profile import HEALTHY, Profile
from engines.emg.tasks import TASKS, Clip, Task, clip_of
from engines.errors import BadInput

ELECTROMECHANICAL_DELAY_S = 0.06
"""Skin moves this long after the muscle's electricity. Limb: 50 ms (Cavanagh and Komi 1979); face: a choice."""

LID_DELAY_S = 0.015
"""The lids are light and fast: their delay within a blink, a choice."""

MUSCLE_TIME_S = 0.035
"""Time constant, twice in a row, of muscle and skin: a choice, tens of milliseconds as a muscle's twitch."""

LID_TIME_S, JAW_TIME_S = 0.012, 0.06

FATIGUE_TIME_S = 20.0
"""Fatigue is the activation's mean over this long, a choice: builds up over a long hold, goes in the rest after it."""

BLINK_POTENTIAL_S = 0.3
"""Length of the slow potential of lids and eyeballs with a blink, as blink artefacts in the EOG have it."""

_TONE_WAVER = 0.25  # relative SD of the tone: a choice


class Performed(NamedTuple):
    """Moments of a performance; float64, T = moments."""

    intent: np.ndarray  # (T, 22) what a healthy nerve would do, at the channels, 0..1
    activation: np.ndarray  # (T, 22) what the muscles do electrically, 0..1, FRIDLUND order
    expression: np.ndarray  # (T, 52) blendshapes that show, 0..1, MediaPipe's order
    clip: np.ndarray  # (T,) int64, number of the clip


@dataclass(frozen=True)
class Drive:
    """What a simulated amplifier needs to know of a performance. n = steps of the tables; they are circular."""

    rate_hz: float
    activation: np.ndarray  # (n, 22) float32, 0..1
    fatigue: np.ndarray  # (n, 22) float32, 0..1
    lids: np.ndarray  # (n,) float32, 0..1, the lids' and eyeballs' slow potential during blinks

    @property
    def period_s(self) -> float:
        """After this long the tables begin again."""
        return len(self.activation) / self.rate_hz


class Performance:
    """One person doing one session. Immutable after construction.

    clips: what to do, one after the other; a bare Task stands for its usual clip.  profile: the innervation.
    seed: of this session (timing, repetitions, blinks).  person: seed of what stays the same between the person's
    sessions (habits).  variability: 1 = as people are, 0 = exactly the plan, without blinks.
    Raises BadInput without clips or for a negative variability.
    """

    def __init__(
        self,
        clips: Sequence[Clip | Task] = TASKS,
        profile: Profile = HEALTHY,
        seed: int = 0,
        person: int = 0,
        variability: float = 1.0,
    ) -> None:
        if not clips or not 0 <= variability <= 3 or seed < 0 or person < 0:
            raise BadInput(
                "a performance needs clips, a variability of 0 to 3 and seeds >= 0, "
                f"got {len(clips)} clips, {variability}, {seed} and {person}"
            )
        self.clips = tuple(clip_of(clip) if isinstance(clip, Task) else clip for clip in clips)
        self.profile = profile
        intention = Intention(self.clips, seed, person, variability)
        self.first_s: np.ndarray = intention.first_s
        """(clip + 1,) float64: when each clip begins, and when the last one ends, seconds."""
        self.held: tuple[Held, ...] = intention.held
        """Every contraction, in order."""
        self.blinks_s: np.ndarray = intention.blinks_s
        """(blink,) float64: when the lids begin to close, seconds."""
        moved = _through_the_nerve(intention.table, profile)
        effort = at_the_sites(intention.table).max(axis=1)
        tone = profile.rest * np.clip(1.0 + _TONE_WAVER * variability * intention.slow_noise(len(MUSCLES)), 0, None)
        activation = np.clip(at_the_sites(moved) + effort[:, None] * profile.hidden + tone, 0.0, 1.0)
        self._intent = at_the_sites(intention.table).astype(np.float32)
        self._activation = activation.astype(np.float32)
        self._moved = np.clip(_sluggish(moved), 0.0, 1.0).astype(np.float32)

    @property
    def duration_s(self) -> float:
        """After this long the performance begins again; at most 2 % longer than the clips."""
        return len(self._activation) / CONTROL_HZ

    def at(self, t_s: np.ndarray) -> Performed:
        """The performance at moments t_s: (T,) seconds since its start; before 0 it was going on already."""
        return Performed(self.intent(t_s), self.activation(t_s), self.expression(t_s), self.clip_at(t_s))

    def intent(self, t_s: np.ndarray) -> np.ndarray:
        """What is meant, as channels of a healthy face would see it. t_s: (T,) seconds. Returns (T, 22) in [0, 1]."""
        return _read(self._intent, t_s)

    def activation(self, t_s: np.ndarray) -> np.ndarray:
        """What the muscles do electrically, tone included. t_s: (T,) seconds. Returns (T, 22) float64 in [0, 1]."""
        return _read(self._activation, t_s)

    def actions(self, t_s: np.ndarray) -> np.ndarray:
        """What has moved: all 38 actions after delay and dynamics. t_s: (T,) seconds. Returns (T, 38) in [0, 1]."""
        return _read(self._moved, t_s)

    def expression(self, t_s: np.ndarray) -> np.ndarray:
        """What shows. t_s: (T,) seconds. Returns (T, 52) float64 blendshapes in [0, 1], MediaPipe's order."""
        return shown_by(self.actions(t_s))

    def clip_at(self, t_s: np.ndarray) -> np.ndarray:
        """Number of the clip at each moment. t_s: (T,) seconds. Returns (T,) int64."""
        within = np.mod(np.asarray(t_s, dtype=np.float64), self.duration_s)
        found: np.ndarray = np.clip(np.searchsorted(self.first_s, within, "right") - 1, 0, len(self.clips) - 1)
        return found

    def task_at(self, t_s: float) -> str:
        """Name of the task whose clip runs at one moment (its rests included)."""
        return self.clips[int(self.clip_at(np.array([t_s]))[0])].task.name

    @cached_property
    def drive(self) -> Drive:
        """For the simulated amplifier: activation, fatigue and blinks."""
        load = _circular(
            self._activation, 1.0 / (1.0 + 2j * np.pi * table_bins(len(self._activation)) * FATIGUE_TIME_S)
        )
        fatigue = np.clip(self.profile.fatigue * load, 0.0, 1.0).astype(np.float32)
        return Drive(CONTROL_HZ, self._activation, fatigue, self._blink_potential())

    def _blink_potential(self) -> np.ndarray:
        """(step,) float32: a bump of BLINK_POTENTIAL_S with each blink."""
        steps = len(self._activation)
        potential = np.zeros(steps, np.float32)
        bump = np.hanning(round(BLINK_POTENTIAL_S * CONTROL_HZ) + 2)[1:-1]
        for begin_s in self.blinks_s:
            reach = (round(begin_s * CONTROL_HZ) + np.arange(len(bump))) % steps
            potential[reach] = np.maximum(potential[reach], bump)
        return potential


def _through_the_nerve(intended: np.ndarray, profile: Profile) -> np.ndarray:
    """Synkinesis, then gain: what each action does. intended: (step, 38). Returns (step, 38) in [0, 1]."""
    driven = intended.copy()
    driven[:, : len(MUSCLES)] += _carried_over(at_the_sites(intended), profile)
    moved: np.ndarray = np.clip(np.clip(driven, 0.0, 1.0) * profile.gain, 0.0, 1.0)
    return moved


def _carried_over(intended: np.ndarray, profile: Profile) -> np.ndarray:
    """What reaches other muscles. intended: (step, 22) at the channels. Returns (step, 22)."""
    extra = np.zeros_like(intended)
    for source, target in zip(*np.nonzero(profile.synkinesis_matrix), strict=True):
        extra[:, target] += profile.synkinesis_matrix[source, target] * intended[:, source]
    return extra


def _sluggish(moved: np.ndarray) -> np.ndarray:
    """Delay, then two time constants in a row, per action. moved, result: (step, 38)."""
    delay = np.full(len(ACTIONS), ELECTROMECHANICAL_DELAY_S)
    time = np.full(len(ACTIONS), MUSCLE_TIME_S)
    lids = [i for name in ("lid_close", "lid_raise") for i in action_columns(name)]
    delay[lids], time[lids], time[ACTION_INDEX["jaw_open"]] = LID_DELAY_S, LID_TIME_S, JAW_TIME_S
    omega = 2j * np.pi * table_bins(len(moved))[:, None]
    return _circular(moved, np.exp(-omega * delay) / (1.0 + omega * time) ** 2)


def _circular(values: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Filter every column in the frequency domain. response: (bin,) or (bin, column)."""
    spectrum = fft.rfft(values.astype(np.float64), axis=0)
    filtered: np.ndarray = fft.irfft(
        spectrum * (response if response.ndim == 2 else response[:, None]), len(values), axis=0
    )
    return filtered


def _read(table: np.ndarray, t_s: np.ndarray) -> np.ndarray:
    """Linear interpolation in a circular table. table: (step, columns) at CONTROL_HZ; t_s: (T,)."""
    steps = len(table)
    place = np.mod(np.asarray(t_s, dtype=np.float64) * CONTROL_HZ, steps)
    before = np.minimum(place.astype(np.int64), steps - 1)
    share = (place - before)[:, None]
    values: np.ndarray = (1.0 - share) * table[before] + share * table[(before + 1) % steps]
    return values
