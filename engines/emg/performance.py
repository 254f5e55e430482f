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

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import fft

from engines.emg.muscles import ACTION_INDEX, ACTIONS, MUSCLES, action_columns, at_the_sites, shown_by, side_of
from engines.emg.profile import HEALTHY, Profile
from engines.emg.tasks import TASKS, Clip, Contraction, Task, clip_of
from engines.errors import BadInput

CONTROL_HZ = 128.0
"""Rate of the tables. Muscle activation moves below 10 Hz; a blink's edge takes three steps."""

ELECTROMECHANICAL_DELAY_S = 0.06
"""Skin moves this long after the muscle's electricity. Limb: 50 ms (Cavanagh and Komi 1979); face: a choice."""

LID_DELAY_S = 0.015
"""The lids are light and fast: their delay within a blink, a choice."""

MUSCLE_TIME_S = 0.035
"""Time constant, twice in a row, of muscle and skin: a choice near the contraction time of facial twitches (40 ms)."""

LID_TIME_S, JAW_TIME_S = 0.012, 0.06

FATIGUE_TIME_S = 20.0
"""Fatigue is the activation's mean over this long, a choice: builds up over a long hold, goes in the rest after it."""

BLINKS_PER_MIN = (8.0, 24.0)
"""Range of people's spontaneous blinking; Bentivoglio et al. 1997: 17 per minute at rest."""

# Variability, standard deviations, all a choice; `variability` multiplies them. Within a healthy person repeated
# contractions differ visibly (EIFER, Fig. 14), between people some muscles take part and others do not (Fig. 3).
_PERSON_SD = 0.20  # log strength of one action in one task, between people
_CONTRACTION_SD = 0.10  # log strength of the whole movement, between repetitions
_ACTION_SD = 0.06  # log strength of one action, between repetitions
_SIDE_SD = 0.03  # log strength of one side of it, between repetitions
_TREMOR_SD = 0.05  # relative, slow wavering during a hold
_TEMPO_SD = 0.2  # log duration of rise and fall
_START_SD_S = 0.08  # when a movement begins
_ASYNCHRONY_SD_S = 0.03  # of the actions within one movement

_RISE_S, _FALL_S = 0.40, 0.55  # from rest to hold, and back
_TREMOR_HZ = 1.5
_BLINK_S, _BLINK_EDGE_S = 0.07, 0.025
_BLINK_POTENTIAL_S = 0.3  # of the lid and eyeball potential, as in blink artefacts of the EOG
_BLINK_GAP_S = 0.7  # the shortest pause between two blinks

_BASES = tuple(dict.fromkeys(side_of(action)[0] for action in ACTIONS))
_BASE_OF = np.array([_BASES.index(side_of(action)[0]) for action in ACTIONS])


class Performed(NamedTuple):
    """Moments of a performance; float64, T = moments."""

    intent: np.ndarray  # (T, 22) what a healthy nerve would do, at the channels, 0..1
    activation: np.ndarray  # (T, 22) what the muscles do electrically, 0..1, FRIDLUND order
    expression: np.ndarray  # (T, 52) blendshapes that show, 0..1, MediaPipe's order
    clip: np.ndarray  # (T,) int64, number of the clip


class Held(NamedTuple):
    """One contraction as it was made: truth for labels. Seconds from the performance's start."""

    clip: int
    task: str
    start_s: float  # full strength reached
    end_s: float  # and left
    effort: float  # of the task's strength, about 1


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
        self.first_s = np.concatenate([[0.0], np.cumsum([clip.duration_s for clip in self.clips])])
        steps = fft.next_fast_len(int(np.ceil(self.first_s[-1] * CONTROL_HZ)))
        self._maker = _Maker(steps, variability, np.random.default_rng([0x5E55, seed]), person)
        self.held: tuple[Held, ...] = tuple(
            self._maker.contract(number, clip.task, hold, float(first_s))
            for number, (clip, first_s) in enumerate(zip(self.clips, self.first_s[:-1], strict=True))
            for hold in clip.holds
        )
        """Every contraction, in order."""
        self._maker.waver()
        self.blinks_s = self._maker.blink()
        intended = self._maker.intent
        moved = _through_the_nerve(intended, profile)
        effort = at_the_sites(intended).max(axis=1)
        wavering = self._maker.slow_noise(len(MUSCLES))
        unseen = effort[:, None] * profile.hidden + profile.rest * np.clip(1.0 + 0.25 * variability * wavering, 0, None)
        activation = np.clip(at_the_sites(moved) + unseen, 0.0, 1.0)
        self._intent = at_the_sites(intended).astype(np.float32)
        self._activation = activation.astype(np.float32)
        self._moved = np.clip(_sluggish(moved), 0.0, 1.0).astype(np.float32)
        del self._maker

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
        load = _circular(self._activation, 1.0 / (1.0 + 2j * np.pi * _bins(len(self._activation)) * FATIGUE_TIME_S))
        fatigue = np.clip(self.profile.fatigue * load, 0.0, 1.0).astype(np.float32)
        return Drive(CONTROL_HZ, self._activation, fatigue, self._blink_potential())

    def _blink_potential(self) -> np.ndarray:
        """(step,) float32: a bump of _BLINK_POTENTIAL_S with each blink."""
        steps = len(self._activation)
        potential = np.zeros(steps, np.float32)
        bump = np.hanning(round(_BLINK_POTENTIAL_S * CONTROL_HZ) + 2)[1:-1]
        for begin_s in self.blinks_s:
            reach = (round(begin_s * CONTROL_HZ) + np.arange(len(bump))) % steps
            potential[reach] = np.maximum(potential[reach], bump)
        return potential


class _Maker:
    """Works out the intention: (step, 38) float64 in [0, 1]. Used once, by Performance."""

    def __init__(self, steps: int, variability: float, rng: np.random.Generator, person: int) -> None:
        self.intent = np.zeros((steps, len(ACTIONS)))
        self._t_s = np.arange(steps) / CONTROL_HZ
        self._variability = variability
        self._rng = rng
        self._person = person
        habits = np.random.default_rng([0x9E25, person])
        self._tempo = float(np.exp(self._spread(_TEMPO_SD) * habits.standard_normal()))
        self._blinks_per_s = float(habits.uniform(*BLINKS_PER_MIN)) / 60.0

    def _spread(self, sd: float) -> float:
        return sd * self._variability

    def contract(self, number: int, task: Task, hold: Contraction, first_s: float) -> Held:
        """One contraction: every action rises to its level, holds and falls, each at its own moment."""
        rng = self._rng
        effort, level = self._strength(task)
        rise_s, fall_s = (
            s * self._tempo * float(np.exp(self._spread(_TEMPO_SD) * rng.standard_normal())) for s in (_RISE_S, _FALL_S)
        )
        late_s = float(np.clip(self._spread(_START_SD_S) * rng.standard_normal(), -0.2, 0.2))
        apart_s = np.clip(self._spread(_ASYNCHRONY_SD_S) * rng.standard_normal(len(_BASES))[_BASE_OF], -0.1, 0.1)
        start_s, end_s = first_s + hold.start_s + late_s, first_s + hold.end_s + late_s
        reach = slice(*np.searchsorted(self._t_s, (start_s - rise_s - 0.2, end_s + fall_s + 0.2)))
        t_s = self._t_s[reach, None] - apart_s
        shape = _edge((t_s - start_s + rise_s) / rise_s) * (1.0 - _edge((t_s - end_s) / fall_s))
        self.intent[reach] = np.maximum(self.intent[reach], shape * level)
        return Held(number, task.name, start_s, end_s, effort)

    def _strength(self, task: Task) -> tuple[float, np.ndarray]:
        """Effort of one repetition and (38,) levels of the actions; a calibration's maximum does not vary."""
        draws = [self._rng.standard_normal(n) for n in (1, len(_BASES), len(ACTIONS))]
        if task.mode == "calibration":
            return 1.0, task.intent
        effort = float(np.exp(self._spread(_CONTRACTION_SD) * draws[0][0]))
        level = task.intent * self._habit(task.name) * effort
        level = level * np.exp(self._spread(_ACTION_SD) * draws[1][_BASE_OF])
        return effort, np.clip(level * np.exp(self._spread(_SIDE_SD) * draws[2]), 0.0, 1.0)

    def _habit(self, task: str) -> np.ndarray:
        """(38,) how strongly this person uses each action in this task; both sides alike."""
        rng = np.random.default_rng([0x4AB1, self._person, zlib.crc32(task.encode())])
        habit: np.ndarray = np.exp(self._spread(_PERSON_SD) * rng.standard_normal(len(_BASES)))[_BASE_OF]
        return habit

    def waver(self) -> None:
        """Nobody holds still: slow relative noise on whatever is active, half of it common to the whole face."""
        noise = self.slow_noise(len(ACTIONS) + 1)
        mixed = np.sqrt(0.5) * (noise[:, 1:] + noise[:, :1])
        self.intent = np.clip(self.intent * (1.0 + self._spread(_TREMOR_SD) * mixed), 0.0, 1.0)

    def slow_noise(self, columns: int) -> np.ndarray:
        """(step, columns) Gaussian noise of SD 1 below about _TREMOR_HZ, circular."""
        steps = len(self.intent)
        bins = _bins(steps)
        few = int(np.searchsorted(bins, 6.0 * _TREMOR_HZ))
        spectrum = np.zeros((len(bins), columns), complex)
        draws = self._rng.standard_normal((2, few, columns))
        spectrum[1:few] = (draws[0] + 1j * draws[1])[1:] / (1.0 + (bins[1:few, None] / _TREMOR_HZ) ** 2)
        noise = fft.irfft(spectrum, steps, axis=0)
        unit: np.ndarray = noise / np.maximum(noise.std(axis=0), 1e-12)
        return unit

    def blink(self) -> np.ndarray:
        """Blinks now and then, not while the lids are closed on purpose. Returns their beginnings, seconds."""
        if self._variability == 0:
            return np.empty(0)
        lids = list(action_columns("lid_close"))
        begun: list[float] = []
        t_s, end_s = 0.3, self._t_s[-1] - 0.5
        while (t_s := t_s + _BLINK_GAP_S + self._rng.exponential(1.0 / self._blinks_per_s - _BLINK_GAP_S)) < end_s:
            reach = slice(*np.searchsorted(self._t_s, (t_s - 0.1, t_s + 0.3)))
            if self.intent[reach][:, lids].max() > 0.3:
                continue
            t = self._t_s[reach] - t_s
            closing = _edge(t / _BLINK_EDGE_S) * (1.0 - _edge((t - _BLINK_S - _BLINK_EDGE_S) / _BLINK_EDGE_S))
            self.intent[reach, lids[0] : lids[-1] + 1] = np.maximum(
                self.intent[reach, lids[0] : lids[-1] + 1], closing[:, None]
            )
            begun.append(t_s)
        return np.array(begun)


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
    omega = 2j * np.pi * _bins(len(moved))[:, None]
    return _circular(moved, np.exp(-omega * delay) / (1.0 + omega * time) ** 2)


def _circular(values: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Filter every column in the frequency domain. response: (bin,) or (bin, column)."""
    spectrum = fft.rfft(values.astype(np.float64), axis=0)
    filtered: np.ndarray = fft.irfft(
        spectrum * (response if response.ndim == 2 else response[:, None]), len(values), axis=0
    )
    return filtered


def _bins(steps: int) -> np.ndarray:
    bins: np.ndarray = fft.rfftfreq(steps, 1.0 / CONTROL_HZ)
    return bins


def _edge(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, and between them the minimum-jerk curve of a voluntary movement (Flash and Hogan 1985)."""
    x = np.clip(x, 0.0, 1.0)
    edge: np.ndarray = x * x * x * (10.0 + x * (6.0 * x - 15.0))
    return edge


def _read(table: np.ndarray, t_s: np.ndarray) -> np.ndarray:
    """Linear interpolation in a circular table. table: (step, columns) at CONTROL_HZ; t_s: (T,)."""
    steps = len(table)
    place = np.mod(np.asarray(t_s, dtype=np.float64) * CONTROL_HZ, steps)
    before = np.minimum(place.astype(np.int64), steps - 1)
    share = (place - before)[:, None]
    values: np.ndarray = (1.0 - share) * table[before] + share * table[(before + 1) % steps]
    return values
