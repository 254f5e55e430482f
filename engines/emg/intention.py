"""What a person intends, moment by moment: contractions with the variability of people, wavering, and blinks.

One table over a whole session, worked out from seeds before anything runs; what the nerve makes of it is
performance.py's.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import fft

from engines.emg.muscles import ACTIONS, action_columns, side_of
from engines.emg.tasks import Clip, Contraction, Task

CONTROL_HZ = 128.0
"""Rate of the tables. Muscle activation moves below 10 Hz; a blink's edge takes three steps."""

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
_BLINK_GAP_S = 0.7  # the shortest pause between two blinks

_BASES = tuple(dict.fromkeys(side_of(action)[0] for action in ACTIONS))
_BASE_OF = np.array([_BASES.index(side_of(action)[0]) for action in ACTIONS])


class Held(NamedTuple):
    """One contraction as it was made: truth for labels. Seconds from the performance's start."""

    clip: int
    task: str
    start_s: float  # full strength reached
    end_s: float  # and left
    effort: float  # of the task's strength, about 1


class Intention:
    """The intention of one session.

    clips: at which the person works, one after the other.  seed: of the session.  person: seed of habits.
    variability: as in Performance; all numbers trusted.  table: (step, 38) float64 in [0, 1] at CONTROL_HZ, circular.
    held: every contraction, in order.  blinks_s: when the lids begin to close.
    """

    def __init__(self, clips: Sequence[Clip], seed: int, person: int, variability: float) -> None:
        self.first_s = np.concatenate([[0.0], np.cumsum([clip.duration_s for clip in clips])])
        steps = fft.next_fast_len(int(np.ceil(self.first_s[-1] * CONTROL_HZ)))
        self.table = np.zeros((steps, len(ACTIONS)))
        self._t_s = np.arange(steps) / CONTROL_HZ
        self._variability = variability
        self._rng = np.random.default_rng([0x5E55, seed])
        self._person = person
        habits = np.random.default_rng([0x9E25, person])
        self._tempo = float(np.exp(self._spread(_TEMPO_SD) * habits.standard_normal()))
        self._blinks_per_s = float(habits.uniform(*BLINKS_PER_MIN)) / 60.0
        self.held = tuple(
            self._contract(number, clip.task, hold, float(first_s))
            for number, (clip, first_s) in enumerate(zip(clips, self.first_s[:-1], strict=True))
            for hold in clip.holds
        )
        self._waver()
        self.blinks_s = self._blink()

    def _spread(self, sd: float) -> float:
        return sd * self._variability

    def _contract(self, number: int, task: Task, hold: Contraction, first_s: float) -> Held:
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
        self.table[reach] = np.maximum(self.table[reach], shape * level)
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

    def _waver(self) -> None:
        """Nobody holds still: slow relative noise on whatever is active, half of it common to the whole face."""
        noise = self.slow_noise(len(ACTIONS) + 1)
        mixed = np.sqrt(0.5) * (noise[:, 1:] + noise[:, :1])
        self.table = np.clip(self.table * (1.0 + self._spread(_TREMOR_SD) * mixed), 0.0, 1.0)

    def slow_noise(self, columns: int) -> np.ndarray:
        """(step, columns) Gaussian noise of SD 1 below about _TREMOR_HZ, circular."""
        steps = len(self.table)
        bins = table_bins(steps)
        few = int(np.searchsorted(bins, 6.0 * _TREMOR_HZ))
        spectrum = np.zeros((len(bins), columns), complex)
        draws = self._rng.standard_normal((2, few, columns))
        spectrum[1:few] = (draws[0] + 1j * draws[1])[1:] / (1.0 + (bins[1:few, None] / _TREMOR_HZ) ** 2)
        noise = fft.irfft(spectrum, steps, axis=0)
        unit: np.ndarray = noise / np.maximum(noise.std(axis=0), 1e-12)
        return unit

    def _blink(self) -> np.ndarray:
        """Blinks now and then, not while the lids are closed on purpose. Returns their beginnings, seconds."""
        if self._variability == 0:
            return np.empty(0)
        lids = list(action_columns("lid_close"))
        begun: list[float] = []
        t_s, end_s = 0.3, self._t_s[-1] - 0.5
        while (t_s := t_s + _BLINK_GAP_S + self._rng.exponential(1.0 / self._blinks_per_s - _BLINK_GAP_S)) < end_s:
            reach = slice(*np.searchsorted(self._t_s, (t_s - 0.1, t_s + 0.3)))
            if self.table[reach][:, lids].max() > 0.3:
                continue
            t = self._t_s[reach] - t_s
            closing = _edge(t / _BLINK_EDGE_S) * (1.0 - _edge((t - _BLINK_S - _BLINK_EDGE_S) / _BLINK_EDGE_S))
            self.table[reach, lids[0] : lids[-1] + 1] = np.maximum(
                self.table[reach, lids[0] : lids[-1] + 1], closing[:, None]
            )
            begun.append(t_s)
        return np.array(begun)


def table_bins(steps: int) -> np.ndarray:
    """Frequencies of a table's spectrum, Hz."""
    bins: np.ndarray = fft.rfftfreq(steps, 1.0 / CONTROL_HZ)
    return bins


def _edge(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, and between them the minimum-jerk curve of a voluntary movement (Flash and Hogan 1985)."""
    x = np.clip(x, 0.0, 1.0)
    edge: np.ndarray = x * x * x * (10.0 + x * (6.0 * x - 15.0))
    return edge
