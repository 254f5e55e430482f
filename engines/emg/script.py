"""A short endless script: rest and one of six tasks, in turn. The demo's first person; its successor: performance.py.

Everything made from it is synthetic. Its numbers depend on the time alone, so it is the same however it is cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engines.emg.intention import CONTROL_HZ
from engines.emg.montage import FRIDLUND
from engines.emg.performance import ELECTROMECHANICAL_DELAY_S, Drive
from engines.errors import BadInput


@dataclass(frozen=True)
class Task:
    """One contraction. muscles: (muscle, right, left) activation 0..1.  expression: (ARKit blendshape, 0..1)."""

    name: str
    muscles: tuple[tuple[str, float, float], ...]
    expression: tuple[tuple[str, float], ...]


# A left side that is weaker, and two synkineses of the left eye: with the smile and with the pucker (FACTS 1.6).
BROW_RAISE = Task(
    "Forehead-Raise",
    (("medial_frontalis", 0.85, 0.5), ("lateral_frontalis", 0.8, 0.4)),
    (("browInnerUp", 0.7), ("browOuterUpRight", 0.8), ("browOuterUpLeft", 0.4)),
)
SMILE = Task(
    "Smile-Closed",
    (("zygomaticus", 0.9, 0.4), ("levator_labii_superioris", 0.3, 0.15), ("orbicularis_oculi", 0.15, 0.35)),
    (("mouthSmileRight", 0.9), ("mouthSmileLeft", 0.4), ("cheekSquintRight", 0.2), ("eyeSquintLeft", 0.35)),
)
EYES_TIGHT = Task(
    "Eye-Tight",
    (("orbicularis_oculi", 0.9, 0.6), ("corrugator_supercilii", 0.3, 0.25), ("depressor_supercilii", 0.3, 0.2)),
    (("eyeBlinkRight", 1.0), ("eyeBlinkLeft", 0.8), ("browDownRight", 0.3), ("browDownLeft", 0.2)),
)
PUCKER = Task(
    "Lip-Pucker",
    (("orbicularis_oris", 0.9, 0.7), ("mentalis", 0.4, 0.3), ("orbicularis_oculi", 0.05, 0.25)),
    (("mouthPucker", 0.8), ("mouthFunnel", 0.2), ("eyeSquintLeft", 0.25)),
)
NOSE_WRINKLE = Task(
    "Nose-Wrinkler",
    (("levator_labii_superioris", 0.8, 0.5), ("depressor_supercilii", 0.4, 0.3)),
    (("noseSneerRight", 0.8), ("noseSneerLeft", 0.5)),
)
DEPRESS_LIP = Task(
    "Depress-Lip",
    (("depressor_anguli_oris", 0.85, 0.55), ("mentalis", 0.5, 0.4)),
    (("mouthFrownRight", 0.85), ("mouthFrownLeft", 0.55), ("mouthLowerDownRight", 0.3)),
)


@dataclass(frozen=True)
class ActivationScript:
    """What the synthetic person does: rest, then one task, in turn, for ever.

    Raises BadInput when there is no task, a time does not fit, or a task names an unknown muscle.
    """

    tasks: tuple[Task, ...] = (BROW_RAISE, SMILE, EYES_TIGHT, PUCKER, NOSE_WRINKLE, DEPRESS_LIP)
    rest_s: float = 2.0
    contract_s: float = 3.0  # from the first rise to the last fall
    ramp_s: float = 0.3
    delay_s: float = ELECTROMECHANICAL_DELAY_S

    def __post_init__(self) -> None:
        known = {channel.muscle for channel in FRIDLUND.channels}
        unknown = {m for task in self.tasks for m, _, _ in task.muscles} - known
        if not self.tasks or unknown:
            raise BadInput(f"a script needs tasks of known muscles; unknown: {', '.join(sorted(unknown)) or 'none'}")
        if not (self.rest_s >= 0 and 0 < 2 * self.ramp_s <= self.contract_s and self.delay_s >= 0):
            raise BadInput("a script needs rest_s >= 0, delay_s >= 0 and 0 < 2 ramp_s <= contract_s")

    @property
    def period_s(self) -> float:
        """After this long the script begins again."""
        return len(self.tasks) * (self.rest_s + self.contract_s)

    def activation(self, t_s: np.ndarray) -> np.ndarray:
        """True muscle activation.

        t_s: (time,) seconds since the script began; before 0 it was running already.
        Returns (time, 22) float64 in [0, 1], channels as in FRIDLUND.
        """
        level, task = self._level(np.asarray(t_s, dtype=np.float64))
        strength: np.ndarray = level[:, None] * self._weights()[task]
        return strength

    def expression(self, t_s: float) -> dict[str, float]:
        """Blendshapes 0..1 that the face shows at one moment: what the muscles did `delay_s` earlier.

        Always the same names, 0 when a task does not use them.
        """
        level, task = self._level(np.asarray([t_s - self.delay_s]))
        shown = dict.fromkeys((name for each in self.tasks for name, _ in each.expression), 0.0)
        return shown | {name: float(level[0] * value) for name, value in self.tasks[task[0]].expression}

    def task_at(self, t_s: float) -> str:
        """Name of the task at one moment, `Face-At-Rest` during the rest before it."""
        level, task = self._level(np.asarray([t_s]))
        return self.tasks[task[0]].name if level[0] > 0 else "Face-At-Rest"

    def _level(self, t_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(time,) common strength 0..1 and (time,) number of the task."""
        slot_s = self.rest_s + self.contract_s
        phase = np.mod(t_s, self.period_s)
        task = np.minimum((phase / slot_s).astype(np.int64), len(self.tasks) - 1)
        since = phase - task * slot_s - self.rest_s
        edge = np.clip(np.minimum(since, self.contract_s - since) / self.ramp_s, 0.0, 1.0)
        return edge * edge * (3.0 - 2.0 * edge), task  # smoothstep: additions only, equal for any block

    def _weights(self) -> np.ndarray:
        """(task, 22) activation of each channel at the task's full strength."""
        weights = np.zeros((len(self.tasks), len(FRIDLUND)))
        for row, task in zip(weights, self.tasks, strict=True):
            for muscle, right, left in task.muscles:
                row[FRIDLUND.column(f"{muscle}_right")] = right
                row[FRIDLUND.column(f"{muscle}_left")] = left
        return weights

    @cached_property
    def drive(self) -> Drive:
        """For the simulated amplifier: one period, without fatigue and blinks."""
        steps = round(self.period_s * CONTROL_HZ)
        rate_hz = steps / self.period_s
        activation = self.activation(np.arange(steps) / rate_hz).astype(np.float32)
        return Drive(rate_hz, activation, np.zeros_like(activation), np.zeros(steps, np.float32))
