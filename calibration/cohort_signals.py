"""One recording of a synthetic cohort as signals: the performance, its raw EMG, and the envelope as MMM has it.

A recording is one performance of all its tasks under one set of electrodes; a clip is cut out of it.  The envelope of
a clip is made from a second more on either side, where there is one, so that the chain's window is full at the edges.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from calibration.cohort_plan import SIGNALS, CohortSettings, RecordingPlan, random
from calibration.data.mmm_layout import FPS
from engines.emg.artefacts import Artefact, LeadOff, Loss, Mishaps, Motion, draw_artefacts
from engines.emg.jena import jena_offline
from engines.emg.montage import FRIDLUND
from engines.emg.performance import Performance, Performed
from engines.emg.simulator import Amplifier, SyntheticEmg

RATE_HZ = 4096.0
_MARGIN_S = 1.0  # of raw EMG around a clip
_WINDOW_S = 0.5  # of the chain's RMS: an artefact shows this much wider
_SEEN_UV = 20.0  # a settling electrode's slide below this is not worth a mark


class ClipEmg(NamedTuple):
    """A clip's EMG.  Times are seconds since the clip's first frame; FRIDLUND order.

    raw_s: (time,) float64; raw_uv: (time, 22) float32: what arrived, from a second before to a second after.
    envelope_uv: (frame, 22) float32, jena_offline.  intact: (frame, 22) bool: no artefact within the chain's window.
    """

    raw_s: npt.NDArray[np.float64]
    raw_uv: npt.NDArray[np.float32]
    envelope_uv: npt.NDArray[np.float32]
    intact: npt.NDArray[np.bool_]


class Signals:
    """What the person of one recording does, and what an amplifier sees of it."""

    def __init__(self, settings: CohortSettings, plan: RecordingPlan) -> None:
        """Everything follows from the settings' seed and the plan's key."""
        person = plan.participant
        rng = random(settings.seed, SIGNALS, *plan.key)
        self.plan = plan
        self._seed = int(rng.integers(2**31))
        profile = person.profile(plan.session, settings.sessions)
        self.performance = Performance(plan.clips, profile, self._seed, person.seed)
        self._amplifier = Amplifier(
            noise_uv=round(2.0 * math.exp(0.2 * rng.standard_normal()), 3),
            mains_uv=round(1.0 * math.exp(0.5 * rng.standard_normal()), 3),
            clock_ppm=round(20.0 * rng.standard_normal(), 2),
        )
        self.artefacts = _artefacts(settings.mishaps, self.performance.duration_s, self._seed)
        self._emg: SyntheticEmg | None = None

    @property
    def emg(self) -> SyntheticEmg:
        """The amplifier; made when first asked for (0.2 s), for recordings without electrodes never."""
        if self._emg is None:
            self._emg = SyntheticEmg(
                FRIDLUND,
                RATE_HZ,
                self._seed,
                self.performance,
                self._amplifier,
                self.artefacts,
                self.plan.participant.seed,
            )
        return self._emg

    def performed(self, place: int, frames: int) -> Performed:
        """What is meant, fires and shows in every frame of a clip.  place: the clip's place in the recording."""
        return self.performance.at(self.performance.first_s[place] + np.arange(frames) / FPS)

    def spoilt(self, t_s: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Whether an artefact lies within half a window of moments t_s.  (frame,) -> (frame, 22), FRIDLUND order."""
        return _spoilt(self.artefacts, t_s)

    def clip_emg(self, place: int, frames: int) -> ClipEmg:
        """The EMG of a clip."""
        start_s = float(self.performance.first_s[place])
        before = min(round(_MARGIN_S * FPS), round(start_s * FPS))  # in frames, so that rows stay on frames
        rows = before + frames + round(_MARGIN_S * FPS)
        first = round((start_s - before / FPS) * self.emg.true_rate_hz)
        count = round(rows / FPS * RATE_HZ)
        whole = np.full((count, len(FRIDLUND)), np.nan, np.float32)
        arrived = np.zeros(count, bool)
        for begin, piece in self.emg.pieces(first, count):
            whole[begin - first : begin - first + len(piece)] = piece
            arrived[begin - first : begin - first + len(piece)] = True
        raw_s = self.emg.time_s(first + np.flatnonzero(arrived)) - start_s
        envelope_uv = jena_offline(whole, RATE_HZ)[before : before + frames]
        frame_s = start_s + np.arange(frames) / FPS
        return ClipEmg(raw_s, whole[arrived], envelope_uv, ~_spoilt(self.artefacts, frame_s))


def _artefacts(mishaps: float, duration_s: float, seed: int) -> tuple[Artefact, ...]:
    usual = Mishaps()
    often = Mishaps(
        usual.motions_per_min * mishaps,
        usual.lead_offs_per_min * mishaps,
        usual.losses_per_min * mishaps,
        usual.settling_share * mishaps,
    )
    return draw_artefacts(duration_s, FRIDLUND, seed, often)


def _spoilt(artefacts: tuple[Artefact, ...], t_s: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """(frame, 22): whether an artefact lies within half a window of a frame."""
    spoilt = np.zeros((len(t_s), len(FRIDLUND)), bool)
    for artefact in artefacts:
        reach = (t_s >= artefact.at_s - _WINDOW_S / 2) & (t_s <= artefact.at_s + _lasts_s(artefact) + _WINDOW_S / 2)
        for column in _columns(artefact):
            spoilt[reach, column] = True
    return spoilt


def _lasts_s(artefact: Artefact) -> float:
    if isinstance(artefact, Motion):
        return 2.0 * artefact.duration_s  # its swing dies out
    if isinstance(artefact, LeadOff | Loss):
        return artefact.duration_s
    return artefact.time_s * math.log(max(artefact.amplitude_uv / _SEEN_UV, 1.0))


def _columns(artefact: Artefact) -> list[int]:
    if isinstance(artefact, Loss):
        return list(range(len(FRIDLUND)))
    labels = (artefact.channel,) if isinstance(artefact, LeadOff) else artefact.channels or FRIDLUND.labels
    return [FRIDLUND.column(label) for label in labels]
