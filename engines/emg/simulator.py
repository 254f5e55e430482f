"""A synthetic amplifier: from what a synthetic person's muscles do to 22 channels of raw surface EMG.

    >>> person = SyntheticEmg(seed=3, performance=Performance(session_clips(3), healthy(12), seed=3, person=12))
    >>> block_uv = person.block(first_sample=0, count=4096)

Made per sample, from the activation of every muscle: motor noise (motor_noise.py) with an amplitude proportional to the
activation, louder and slower with fatigue; mixed into its neighbours by the distance of the sites; times the gain of
each electrode pair; plus the slow potential of blinks at the forehead, the amplifier's noise, mains with harmonics,
offset and drift; plus what goes wrong (artefacts.py); and cut at the amplifier's range.

Everything made here is synthetic and must be labelled so wherever it is shown or stored (`ORIGIN`). Every number
depends only on the sample's index, so the stream is the same however it is cut into blocks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engines.emg import motor_noise
from engines.emg.artefacts import Artefact, Faults, Gap
from engines.emg.montage import FRIDLUND, Montage
from engines.emg.performance import Performance
from engines.errors import BadInput
from engines.kernels import inlined, kernel

ORIGIN = "synthetic"

# RMS of the EMG at full activation, microvolt, and median frequency, Hz. Both a choice. Loudness: broad muscles of
# cheek and jaw are louder than the thin ones of the brow, and a whole session's envelopes get the published median and
# scale (FACTS 1.2). Frequency: facial EMG fills 20 to 450 Hz (van Boxtel 2001); the loud parts of the EMG-BIDS example
# of facial muscles have medians of 144 (digastric) to 212 Hz (orbicularis oris), measured here between 20 and 450 Hz.
_MUSCLE = {
    "medial_frontalis": (110.0, 120.0),
    "lateral_frontalis": (100.0, 120.0),
    "corrugator_supercilii": (100.0, 130.0),
    "depressor_supercilii": (80.0, 130.0),
    "levator_labii_superioris": (120.0, 160.0),
    "orbicularis_oris": (150.0, 180.0),
    "depressor_anguli_oris": (130.0, 150.0),
    "mentalis": (200.0, 150.0),
    "orbicularis_oculi": (130.0, 150.0),
    "zygomaticus": (180.0, 165.0),
    "masseter": (300.0, 140.0),
}
_PERSON_SD = 0.25  # log loudness of all muscles, between people: skin and fat, a choice
_MUSCLE_SD = 0.20  # log loudness of one muscle, both sides alike, between people: a choice

# Fatigue (0..1, performance.py): up to this much louder, and mixed with noise of a lower median. In sustained
# contractions the median falls while the amplitude rises (De Luca 1997); how much of both is a choice.
_FATIGUE_LOUDER, _FATIGUE_SLOWER = 0.4, 0.6

_FEW_UNITS = 0.03  # activation at which single motor units and interference are equally strong: a choice

# A blink's slow potential at a site this far (face plane) from the eye is 1/e; full size right at the eye. Only the
# forehead's pairs lie across it. Bipolar pairs see a small part of the 100-200 microvolt of a blink at the forehead.
_BLINK_UV, _BLINK_REACH = 30.0, 35.0
_EYE_XY = (33.0, 25.0)
_FOREHEAD = ("medial_frontalis", "lateral_frontalis", "corrugator_supercilii", "depressor_supercilii")

# Prime lengths: the two tables of interference repeat together after 32749 x 16381 samples (36 hours at 4096 Hz).
_LENGTHS = {"strong": 32749, "strong_too": 16381, "tired": 32719, "few": 24571, "noise": 8191}
_DRIFT_STEPS, _DRIFT_HZ = 1021, 2.0


@dataclass(frozen=True)
class Amplifier:
    """Electrodes, cables and amplifier. The default is like the papers' one, which has a high-pass at 10 Hz.

    Everything here is a choice except the range, which is the one `quality.py` expects.
    Raises BadInput for negative or infinite numbers and a mains frequency of 0.
    """

    noise_uv: float = 2.5  # RMS, white
    mains_uv: float = 1.0  # RMS of the hum, its median over the channels
    mains_hz: float = 50.0
    mains_spread: float = 0.4  # SD of its log over the channels
    gain_sd: float = 0.15  # SD of the log gain of an electrode pair: placement, skin; drawn per session
    crosstalk_reach: float = 7.0  # a neighbour's share is exp(-distance / this); the face plane is 200 wide
    offset_uv: float = 20.0  # SD of the constant level
    drift_uv: float = 3.0  # SD of its wandering over minutes
    range_uv: float = 187_500.0  # half the input range: what lies outside is cut
    clock_ppm: float = 0.0  # how much faster than nominal its clock runs; may be negative

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not math.isfinite(value) or (value < 0 and name != "clock_ppm"):
                raise BadInput(f"a synthetic amplifier's {name} must be 0 or more, got {value}")
        if not (self.mains_hz > 0 and self.range_uv > 0 and self.crosstalk_reach > 0 and abs(self.clock_ppm) < 1e4):
            raise BadInput(
                "a synthetic amplifier needs mains_hz, range_uv and crosstalk_reach above 0 and |clock_ppm| below 10000"
            )


DC_COUPLED = Amplifier(offset_uv=8000.0, drift_uv=80.0)
"""Without a high-pass: half-cell potentials of millivolts that wander."""


class SyntheticEmg:
    """A synthetic person wired to a synthetic amplifier.

    montage: FRIDLUND or a subset of it.  rate_hz: nominal, above 900.  seed: of the session: noise, electrode gains,
    artefacts.  performance: what the person does; all tasks in turn when absent.  amplifier: `Amplifier()` when absent.
    artefacts: what goes wrong.  person: seed of how loud this person's muscles are, in every session.
    Raises BadInput when a value does not fit, UnknownChannel for another montage.
    """

    origin = ORIGIN

    def __init__(
        self,
        montage: Montage = FRIDLUND,
        rate_hz: float = 4096.0,
        seed: int = 0,
        performance: Performance | None = None,
        amplifier: Amplifier | None = None,
        artefacts: Sequence[Artefact] = (),
        person: int = 0,
    ) -> None:
        self.amplifier = amplifier or Amplifier()
        if not 900 < rate_hz < 1e6 or not self.amplifier.mains_hz < rate_hz / 2 or seed < 0 or person < 0:
            raise BadInput(
                "synthetic EMG needs more than 900 Hz, a mains frequency below half the rate and seeds >= 0, "
                f"got {rate_hz:g} Hz, {self.amplifier.mains_hz:g} Hz, {seed} and {person}"
            )
        self.montage = montage
        self.rate_hz = float(rate_hz)
        self.true_rate_hz = self.rate_hz * (1.0 + self.amplifier.clock_ppm * 1e-6)
        self.performance = performance or Performance(seed=seed, person=person)
        self._columns = np.array([FRIDLUND.column(label) for label in montage.labels])
        rng = np.random.default_rng([0xE39, seed])
        self._full_uv = _full_uv(person)
        self.electrode_gain = np.exp(self.amplifier.gain_sd * rng.standard_normal(len(FRIDLUND)))[self._columns]
        """(channel,) float64, this session's."""
        self._faults = Faults(artefacts, montage, self.true_rate_hz, self.amplifier.mains_hz, seed)
        self._draw_tables(rng)
        self.block(0, 1)  # compiles, once per machine

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The sample ranges that are lost on their way (artefacts.Loss), in order."""
        return self._faults.gaps

    @property
    def full_uv(self) -> np.ndarray:
        """(channel,) float64: RMS in microvolt of each muscle at full activation under this session's electrodes."""
        full: np.ndarray = self._full_uv[self._columns] * self.electrode_gain
        return full

    def time_s(self, sample: np.ndarray) -> np.ndarray:
        """When samples are really taken, seconds of the performance; with clock_ppm that is not sample / rate_hz."""
        taken: np.ndarray = np.asarray(sample, dtype=np.float64) / self.true_rate_hz
        return taken

    def truth(self, t_s: np.ndarray) -> np.ndarray:
        """True activation, (time, channel) float64 in [0, 1], channels as in the montage; t_s: (time,) seconds."""
        return self.performance.activation(t_s)[:, self._columns]

    def block(self, first_sample: int, count: int, out: np.ndarray | None = None) -> np.ndarray:
        """Samples first_sample .. first_sample + count - 1; sample n is taken at `time_s(n)` of the performance.

        out: (count, channel) float32, C-contiguous, written and returned; allocated when absent.
        Returns (count, channel) float32 microvolt, as the amplifier takes them: also those that get lost afterwards
        (`pieces`).  Raises BadInput for negative numbers or an out that does not fit.
        """
        if first_sample < 0 or count < 0:
            raise BadInput(f"synthetic EMG has no samples {first_sample} + {count}")
        shape = (count, len(self.montage))
        if out is None:
            out = np.empty(shape, np.float32)
        elif out.shape != shape or out.dtype != np.float32 or not (out.flags.c_contiguous and out.flags.writeable):
            raise BadInput(f"out must be writeable, contiguous float32 of shape {shape}, got {out.dtype} {out.shape}")
        first_sample = int(first_sample)  # another kind of integer would have Numba compile anew
        _mix(first_sample, self._steps_per_sample, *self._signal, *self._electrics, out)
        self._faults.apply(first_sample, self.amplifier.range_uv, out)
        np.clip(out, -self.amplifier.range_uv, self.amplifier.range_uv, out=out)
        return out

    def pieces(self, first_sample: int, count: int) -> Iterator[tuple[int, np.ndarray]]:
        """What arrives of a block: (first sample, (samples, channel) float32) for each piece between the gaps."""
        for piece in self._faults.arrived(first_sample, count):
            yield piece.first, self.block(piece.first, piece.samples)

    def _draw_tables(self, rng: np.random.Generator) -> None:
        """Everything that the kernel reads; muscles in FRIDLUND order, channels in the montage's."""
        amp, rate_hz, columns = self.amplifier, self.true_rate_hz, self._columns
        median_hz = np.array([_MUSCLE[channel.muscle][1] for channel in FRIDLUND.channels])
        drive = self.performance.drive
        self._steps_per_sample = drive.rate_hz / rate_hz
        self._signal = (
            drive.activation,
            drive.fatigue,
            drive.lids,
            self._full_uv.astype(np.float32),
            motor_noise.interference(rng, _LENGTHS["strong"], median_hz, rate_hz),
            motor_noise.interference(rng, _LENGTHS["strong_too"], median_hz, rate_hz),
            motor_noise.interference(rng, _LENGTHS["tired"], median_hz * _FATIGUE_SLOWER, rate_hz),
            motor_noise.few_units(rng, _LENGTHS["few"], median_hz, rate_hz),
            self._crosstalk(),
        )
        every = len(FRIDLUND)  # drawn for all, so that a subset is these very columns
        level = amp.offset_uv * rng.standard_normal(every)
        level = level + amp.drift_uv * motor_noise.wandering(rng, _DRIFT_STEPS, every)
        noise = amp.noise_uv * motor_noise.white(rng, _LENGTHS["noise"], every)
        self._electrics = (
            _blink_weights(self.montage),
            np.ascontiguousarray(noise[:, columns], np.float32),
            np.ascontiguousarray(_mains(rng, amp, rate_hz)[..., columns], np.float32),
            amp.mains_hz / rate_hz,
            np.ascontiguousarray(level[:, columns], np.float32),
            _DRIFT_HZ / rate_hz,
        )

    def _crosstalk(self) -> np.ndarray:
        """(22 muscles, channel) float32: how strongly each muscle's noise reaches each channel."""
        sites = np.array([channel.site_xy for channel in FRIDLUND.channels])
        here = np.array([channel.site_xy for channel in self.montage.channels])
        distance = np.hypot(*(sites[:, None] - here[None]).transpose(2, 0, 1))
        share = np.exp(-distance / self.amplifier.crosstalk_reach)
        share[share < 0.01] = 0.0
        return np.ascontiguousarray(share * self.electrode_gain, dtype=np.float32)


def _full_uv(person: int) -> np.ndarray:
    """(22,) float64: RMS at full activation of this person's muscles, microvolt."""
    rng = np.random.default_rng([0xF011, person])
    common = _PERSON_SD * rng.standard_normal()
    own = {muscle: _MUSCLE_SD * rng.standard_normal() for muscle in _MUSCLE}
    return np.array([_MUSCLE[c.muscle][0] * math.exp(common + own[c.muscle]) for c in FRIDLUND.channels])


def _blink_weights(montage: Montage) -> np.ndarray:
    """(channel,) float32: microvolt of a blink's slow potential."""
    weights = np.zeros(len(montage), np.float32)
    for column, channel in enumerate(montage.channels):
        if channel.muscle in _FOREHEAD:
            x, y = channel.site_xy
            weights[column] = _BLINK_UV * math.exp(-math.hypot(abs(x) - _EYE_XY[0], y - _EYE_XY[1]) / _BLINK_REACH)
    return weights


def _mains(rng: np.random.Generator, amplifier: Amplifier, rate_hz: float) -> np.ndarray:
    """(harmonic, 2, 22) float64: factors of cosine and sine, microvolt."""
    share = np.array([1.0, 0.15, 0.3])  # 3rd harmonic above the 2nd, as from saturated iron
    share[np.arange(1, 4) * amplifier.mains_hz >= rate_hz / 2] = 0.0
    share *= math.sqrt(2.0) / np.sqrt((share**2).sum())  # the RMS of all together is 1
    phase = rng.uniform(0, 2 * np.pi, (3, len(FRIDLUND)))
    loud_uv = amplifier.mains_uv * np.exp(amplifier.mains_spread * rng.standard_normal(len(FRIDLUND)))
    amplitude = share[:, None] * loud_uv
    return np.stack([amplitude * np.cos(phase), amplitude * np.sin(phase)], axis=1)


@kernel
def _mix(
    first: int,
    steps_per_sample: float,
    activation: np.ndarray,
    fatigue: np.ndarray,
    lids: np.ndarray,
    full_uv: np.ndarray,
    strong: np.ndarray,
    strong_too: np.ndarray,
    tired: np.ndarray,
    few: np.ndarray,
    crosstalk: np.ndarray,
    blink: np.ndarray,
    noise: np.ndarray,
    mains: np.ndarray,
    mains_cycles: float,
    drift: np.ndarray,
    drift_steps: float,
    out: np.ndarray,
) -> None:
    """activation, fatigue: (step, muscle); noise tables: (length, muscle or channel); out: (time, channel)."""
    muscles, channels = activation.shape[1], out.shape[1]
    one, half = np.float32(1.0), np.float32(math.sqrt(0.5))
    loud = np.empty(muscles, np.float32)
    for t in range(out.shape[0]):
        n = first + t
        a, b, share = _between(n * steps_per_sample, activation.shape[0])
        i, j, k, m = n % strong.shape[0], n % strong_too.shape[0], n % tired.shape[0], n % few.shape[0]
        for c in range(muscles):
            level = (one - share) * activation[a, c] + share * activation[b, c]
            weary = (one - share) * fatigue[a, c] + share * fatigue[b, c]
            many = level / (level + np.float32(_FEW_UNITS))
            fresh = half * (strong[i, c] + strong_too[j, c])
            crowd = math.sqrt(one - weary) * fresh + math.sqrt(weary) * tired[k, c]
            wave = math.sqrt(many) * crowd + math.sqrt(one - many) * few[m, c]
            loud[c] = full_uv[c] * level * (one + np.float32(_FATIGUE_LOUDER) * weary) * wave
        da, db, dshare = _between(n * drift_steps, drift.shape[0])
        lid = (one - share) * lids[a] + share * lids[b]
        turn = 2.0 * math.pi * ((n * mains_cycles) % 1.0)
        row = n % noise.shape[0]
        for c in range(channels):
            out[t, c] = noise[row, c] + lid * blink[c] + (one - dshare) * drift[da, c] + dshare * drift[db, c]
        for h in range(mains.shape[0]):
            cosine, sine = np.float32(math.cos((h + 1) * turn)), np.float32(math.sin((h + 1) * turn))
            for c in range(channels):
                out[t, c] += cosine * mains[h, 0, c] + sine * mains[h, 1, c]
        for source in range(muscles):
            for c in range(channels):
                out[t, c] += loud[source] * crosstalk[source, c]


@inlined
def _between(place: float, steps: int) -> tuple[int, int, np.float32]:
    """Rows before and after a place in a circular table, and the share of the second."""
    whole = math.floor(place)
    before = int(whole) % steps
    after = before + 1 if before + 1 < steps else 0
    return before, after, np.float32(place - whole)
