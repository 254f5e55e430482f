"""A synthetic person's EMG, simple and with known truth: what stands in for an amplifier in demo and tests.

Everything made here is synthetic and must be labelled so wherever it is shown or stored (`ORIGIN`).
Every number depends only on the sample's index, so the stream is the same however it is cut into blocks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np

from engines.emg.montage import FRIDLUND, Montage
from engines.errors import BadInput

ORIGIN = "synthetic"

ELECTROMECHANICAL_DELAY_S = 0.06
"""The skin moves this long after the muscle's electricity; a free choice within the tens of milliseconds of muscle."""

# RMS of the EMG at full activation, microvolt: broad muscles of the cheek are louder than the thin ones of the brow.
_FULL_UV = {
    "medial_frontalis": 90.0,
    "lateral_frontalis": 80.0,
    "corrugator_supercilii": 70.0,
    "depressor_supercilii": 60.0,
    "levator_labii_superioris": 90.0,
    "orbicularis_oris": 110.0,
    "depressor_anguli_oris": 100.0,
    "mentalis": 130.0,
    "orbicularis_oculi": 100.0,
    "zygomaticus": 150.0,
    "masseter": 200.0,
}
# Prime lengths: the two tables together repeat only after 32749 x 8191 samples (18 hours at 4096 Hz).
_MUSCLE_TABLE, _NOISE_TABLE = 32749, 8191


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


class SyntheticEmg:
    """A synthetic amplifier: amplitude-modulated band-limited noise, an amplifier's noise, a little mains.

    montage: FRIDLUND or a subset of it.  rate_hz: above 900.  noise_uv: RMS of the baseline.  mains_uv: RMS of the
    hum.  Raises BadInput when a value does not fit, UnknownChannel for another montage.
    """

    origin = ORIGIN

    def __init__(
        self,
        montage: Montage = FRIDLUND,
        rate_hz: float = 4096.0,
        seed: int = 0,
        script: ActivationScript | None = None,
        noise_uv: float = 2.0,
        mains_uv: float = 1.0,
        mains_hz: float = 50.0,
    ) -> None:
        if not rate_hz > 900 or not noise_uv >= 0 or not mains_uv >= 0 or not 0 < mains_hz < rate_hz / 2:
            raise BadInput("synthetic EMG needs more than 900 Hz, noise >= 0 and a mains frequency below half the rate")
        self.montage = montage
        self.rate_hz = float(rate_hz)
        self.script = script or ActivationScript()
        self._columns = np.array([FRIDLUND.column(label) for label in montage.labels])
        self._full_uv = np.array([_FULL_UV[channel.muscle] for channel in montage.channels])
        rng = np.random.default_rng(seed)
        self._muscle = _band_limited(rng, _MUSCLE_TABLE, len(montage), self.rate_hz)
        self._noise = (noise_uv * rng.standard_normal((_NOISE_TABLE, len(montage)))).astype(np.float32)
        self._hum = (math.sqrt(2.0) * mains_uv, mains_hz / self.rate_hz)

    def truth(self, t_s: np.ndarray) -> np.ndarray:
        """True activation, (time, channel) float64 in [0, 1], channels as in the montage; t_s: (time,) seconds."""
        return self.script.activation(t_s)[:, self._columns]

    def block(self, first_sample: int, count: int, out: np.ndarray | None = None) -> np.ndarray:
        """Samples first_sample .. first_sample + count - 1; sample n is at n / rate_hz seconds of the script.

        out: (count, channel) float32, C-contiguous, written and returned; allocated when absent.
        Returns (count, channel) float32 microvolt.  Raises BadInput for negative numbers or an out that does not fit.
        """
        if first_sample < 0 or count < 0:
            raise BadInput(f"synthetic EMG has no samples {first_sample} + {count}")
        shape = (count, len(self.montage))
        if out is None:
            out = np.empty(shape, np.float32)
        elif out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
            raise BadInput(f"out must be contiguous float32 of shape {shape}, got {out.dtype} {out.shape}")
        t_s = (first_sample + np.arange(count)) / self.rate_hz
        strength = self.truth(t_s) * self._full_uv
        _mix(strength, self._muscle, self._noise, *self._hum, first_sample, out)
        return out


def _band_limited(rng: np.random.Generator, length: int, channels: int, rate_hz: float) -> np.ndarray:
    """Noise of 20-450 Hz that joins its own beginning. Returns (length, channel) float32, RMS 1."""
    spectrum = np.fft.rfft(rng.standard_normal((length, channels)), axis=0)
    frequency = np.fft.rfftfreq(length, 1.0 / rate_hz)[1:]
    gain = 1.0 / np.sqrt((1.0 + (20.0 / frequency) ** 8) * (1.0 + (frequency / 450.0) ** 8))  # 4th-order edges
    spectrum[0] = 0.0
    spectrum[1:] *= gain[:, None]
    noise = np.fft.irfft(spectrum, length, axis=0)
    unit: np.ndarray = (noise / np.sqrt((noise**2).mean(axis=0))).astype(np.float32)
    return unit


@numba.njit(cache=True, nogil=True)
def _mix(
    strength: np.ndarray,
    muscle: np.ndarray,
    noise: np.ndarray,
    hum_uv: float,
    hum_cycles: float,
    first_sample: int,
    out: np.ndarray,
) -> None:
    """strength, out: (time, channel); muscle, noise: tables (length, channel); hum_cycles: per sample."""
    for t in range(out.shape[0]):
        n = first_sample + t
        i, j = n % muscle.shape[0], n % noise.shape[0]
        hum = hum_uv * math.sin(2.0 * math.pi * ((n * hum_cycles) % 1.0))
        for c in range(out.shape[1]):
            out[t, c] = strength[t, c] * muscle[i, c] + noise[j, c] + hum
