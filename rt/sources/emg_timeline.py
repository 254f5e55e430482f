"""When each EMG sample was taken: the sender's stamps made smooth, and every break in them named.

LSL stamps whole pushes, so they jitter; the amplifier's crystal drifts; packets get lost; clocks are set. The
timeline fits stamp against sample index, slowly and robustly (DESIGN 5), and hands out times that never step inside a
run: they follow the fit by at most 5 ms per second. Whatever does not fit the line by more than 50 ms ends the run.
A new run is anchored at the stamps when they can be true, and at the moment of arrival when they cannot: a stamp from
the future or from before the last sample, one that does not move, one that is not a number.

Pure arithmetic: no LSL, no clock. Times are seconds of the LSL clock.
"""

import math
from typing import Literal, NamedTuple

import numpy as np

Kind = Literal["", "start", "lost", "clock", "outage"]
"""How a piece begins: '' goes on, 'start' is the very first, 'lost' means samples are missing, 'clock' that the
sender's clock stepped, stopped or is no number, 'outage' that the connection was lost."""

GAP_S = 0.05
_GAP_SAMPLES = 4
_ARRIVAL_GAP_S = 0.2  # arrivals are late in bursts: only a longer silence means that something is missing
SLEW = 0.005  # seconds per second that the times handed out may move towards the fit
_FRESH_S = 1.0  # how old the newest sample may be when a run begins
_TRUST_S = 5.0  # stamps that agree with the timeline for this long are believed again


class Piece(NamedTuple):
    """Rows `start` to `stop` of a pulled block, which follow each other.

    t0: LSL seconds of the first row.  kind: see `Kind`.  gap_s: seconds missing before it, > 0 exactly for 'lost',
    'clock' and 'outage'.  step_s: what the sender's clock jumped by (NaN when its stamps are no numbers, else 0).
    """

    start: int
    stop: int
    t0: float
    kind: Kind = ""
    gap_s: float = 0.0
    step_s: float = 0.0


class EmgTimeline:
    """The times of one stream. `place` is called once per pulled block."""

    def __init__(self, rate_hz: float) -> None:
        """rate_hz: nominal; the true one may differ by up to 2 %."""
        self._period_s = 1.0 / rate_hz
        self._gap_s = max(GAP_S, _GAP_SAMPLES * self._period_s)
        self._line = _Line(self._period_s)
        self._kind: Kind = "start"  # how the next run begins; '' inside a run
        self._by_arrival = False
        self._agreed_s = 0.0  # how long the stamps have agreed although they are not believed
        self._t_next = -math.inf  # time handed out to the sample after the last
        self._t_last = -math.inf  # and to the last one
        self._t_zero = -math.inf  # t0 of the piece before
        self._t_floor = -math.inf  # nothing later may be dated before this: half a period after the last sample
        self._last_stamp = -math.inf
        self._age_s = 0.0  # of the newest stamp when it arrived
        self._t_arrival = -math.inf
        self._run_s = 0.0

    @property
    def by_arrival(self) -> bool:
        """True while the sender's stamps are not believed."""
        return self._by_arrival

    @property
    def measured_rate_hz(self) -> float:
        """The stream's true rate on our clock; NaN in the first ten seconds of a run."""
        return (1.0 / self._line.period_s) if self._run_s > 10.0 else math.nan

    def interrupt(self) -> None:
        """The connection was lost: whatever comes next begins a new run."""
        if self._kind != "start":
            self._kind = "outage"

    def place(self, stamps: np.ndarray, t_arrival: float) -> list[Piece]:
        """Cut one pulled block into pieces that follow each other, and date them.

        stamps: (time,) float64, the sender's LSL stamps; may be empty, or hold anything.  t_arrival: LSL seconds when
        the block was pulled.  Times never go backwards and no t0 lies after its arrival.
        """
        pieces: list[Piece] = []
        start = 0
        while start < len(stamps):
            step_s = 0.0
            kind = self._kind
            if kind:
                self._begin(stamps[start:], t_arrival)
            count = self._following(stamps[start:], t_arrival)
            if not kind and count == 0:
                step_s = self._step(stamps[start], t_arrival)
                kind = self._break(stamps[start:], t_arrival)
                count = self._following(stamps[start:], t_arrival)
            count = max(count, 1)
            pieces.append(self._date(stamps, start, start + count, t_arrival, kind, step_s))
            start += count
        self._t_arrival = t_arrival
        return pieces

    # ------------------------------------------------------------------ runs

    def _step(self, stamp: float, t_arrival: float) -> float:
        return (t_arrival if self._by_arrival else float(stamp)) - self._line.t

    def _following(self, stamps: np.ndarray, t_arrival: float) -> int:
        """How many of the first rows lie on the line."""
        if self._by_arrival:
            late_s = t_arrival - (self._line.t + (len(stamps) - 1) * self._line.period_s)
            return 0 if abs(late_s) > _ARRIVAL_GAP_S else len(stamps)
        fits = np.abs(self._residuals(stamps)) <= self._gap_s  # False for NaN
        return len(stamps) if fits.all() else int(np.argmin(fits))

    def _residuals(self, stamps: np.ndarray) -> np.ndarray:
        residuals: np.ndarray = stamps - (self._line.t + self._line.period_s * np.arange(len(stamps)))
        return residuals

    def _break(self, stamps: np.ndarray, t_arrival: float) -> Kind:
        """The first row does not follow: begin a new run with it, and say why."""
        was_by_arrival = self._by_arrival
        self._begin(stamps, t_arrival)
        return "clock" if self._by_arrival and not was_by_arrival else "lost"

    def _begin(self, stamps: np.ndarray, t_arrival: float) -> None:
        self._by_arrival = not self._can_be_true(stamps, t_arrival)
        self._agreed_s = self._run_s = 0.0
        self._kind = ""
        latest = t_arrival - (len(stamps) - 1) * self._period_s
        self._line.anchor(latest if self._by_arrival else float(stamps[0]))
        self._t_next = -math.inf

    def _can_be_true(self, stamps: np.ndarray, t_arrival: float) -> bool:
        first, last = float(stamps[0]), float(stamps[-1])
        if not (math.isfinite(first) and math.isfinite(last)):
            return False
        oldest_s = max(_FRESH_S, self._age_s + t_arrival - self._t_arrival if self._age_s else 0.0)
        return (
            first > max(self._last_stamp, self._t_last - self._gap_s)
            and (last > first or len(stamps) == 1)
            and -self._gap_s <= t_arrival - last <= oldest_s + len(stamps) * self._period_s
        )

    # ------------------------------------------------------------------ dates

    def _date(self, stamps: np.ndarray, start: int, stop: int, t_arrival: float, kind: Kind, step_s: float) -> Piece:
        count = stop - start
        duration_s = count * self._period_s
        self._measure(stamps[start:stop], len(stamps) - stop, t_arrival)
        t0 = self._line.t
        if self._t_next > -math.inf:
            t0 = self._t_next + min(max(t0 - self._t_next, -SLEW * duration_s), SLEW * duration_s)
        t0 = min(t0, t_arrival - duration_s + self._period_s)  # nothing arrives before it was taken
        t0 = max(t0, self._t_floor if self._t_floor < t_arrival else self._t_zero)
        missing_s = 0.0
        if kind not in ("", "start"):
            missing_s = max(t0 - self._t_last - self._period_s, self._period_s)
        self._line.advance(count)
        self._t_zero, self._t_last = t0, t0 + duration_s - self._period_s
        self._t_floor = t0 + (count - 0.5) * min(self._period_s, self._line.period_s)
        self._t_next = t0 + count * self._line.period_s
        self._run_s += duration_s
        return Piece(start, stop, t0, kind, missing_s, step_s if kind == "clock" else 0.0)

    def _measure(self, stamps: np.ndarray, after: int, t_arrival: float) -> None:
        """Let these rows speak: their stamps, or the moment at which the last row of the block arrived."""
        residuals = self._residuals(stamps)
        late_s = float(np.median(residuals))
        last = float(stamps[-1])
        if math.isfinite(last):
            self._last_stamp, self._age_s = last, max(t_arrival - last, 0.0)
        if self._by_arrival:
            agrees = abs(late_s) <= self._gap_s  # False for NaN
            self._agreed_s = self._agreed_s + len(stamps) * self._period_s if agrees else 0.0
            if self._agreed_s > _TRUST_S:
                self._by_arrival = False
            late_s = t_arrival - (self._line.t + (len(stamps) + after - 1) * self._line.period_s)
        self._line.correct(late_s, len(stamps))


class _Line:
    """Time of a sample against its index: a two-state Kalman filter (offset, relative error of the period).

    Residuals are clipped at three times their usual size, so that one late packet moves nothing; when they stay on
    one side for half a second (a packet too short to be a gap was lost), the offset is learned anew.
    """

    _JITTER_S = 0.003  # of one push, assumed
    _BLOCK_S = 0.016  # shorter blocks count less
    _OFFSET_SD_S = 0.005  # what is known at the beginning
    _DRIFT_SD = 5e-4
    _OFFSET_WALK = 1.6e-10  # s^2 per s: an old measurement counts for about 30 s
    _DRIFT_WALK = 1e-13  # per s: crystals change with temperature, slowly
    _MOST_DRIFT = 0.02
    _LEAST_STEP_S = 0.002
    _CLIP_S = 0.001

    def __init__(self, period_s: float) -> None:
        self.t = 0.0  # of the next sample
        self._nominal_s = period_s
        self._drift = 0.0
        self._drift_var = self._DRIFT_SD**2
        self.anchor(0.0)

    @property
    def period_s(self) -> float:
        """The period as fitted."""
        return self._nominal_s * (1.0 + self._drift)

    def anchor(self, t: float) -> None:
        """Begin anew at t; the drift of the crystal is remembered."""
        self.t = t
        self._offset_var, self._covariance = self._OFFSET_SD_S**2, 0.0
        self._usual_s = self._OFFSET_SD_S
        self._bias_s = 0.0

    def correct(self, residual_s: float, count: int) -> None:
        """Take in how late `count` samples were against the line."""
        duration_s = count * self._nominal_s
        self._usual_s += min(duration_s / 5.0, 1.0) * (1.25 * abs(residual_s) - self._usual_s)
        self._bias_s += min(duration_s / 0.5, 1.0) * (residual_s - self._bias_s)
        if abs(self._bias_s) > max(self._usual_s, self._LEAST_STEP_S):
            self._offset_var, self._covariance, self._bias_s = self._OFFSET_SD_S**2, 0.0, 0.0
            self._drift_var = self._DRIFT_SD**2
        most_s = 3.0 * max(self._usual_s, self._CLIP_S)
        error_s = min(max(residual_s, -most_s), most_s)
        noise = self._JITTER_S**2 * max(self._BLOCK_S / duration_s, 1.0)  # a long push jitters as a whole
        gain_offset = self._offset_var / (self._offset_var + noise)
        gain_drift = self._covariance / (self._offset_var + noise)
        self.t += gain_offset * error_s
        self._drift = min(max(self._drift + gain_drift * error_s, -self._MOST_DRIFT), self._MOST_DRIFT)
        self._drift_var -= gain_drift * self._covariance
        self._covariance -= gain_offset * self._covariance
        self._offset_var -= gain_offset * self._offset_var

    def advance(self, count: int) -> None:
        """Go on by `count` samples."""
        self.t += count * self.period_s
        s = count * self._nominal_s
        self._offset_var += 2 * s * self._covariance + s * s * self._drift_var + self._OFFSET_WALK * s
        self._covariance += s * self._drift_var
        self._drift_var += self._DRIFT_WALK * s
