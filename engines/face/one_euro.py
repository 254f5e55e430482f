"""One-Euro filter: calm when still, quick when moving.

Casiez, Roussel and Vogel, "1 Euro filter: a simple speed-based low-pass filter for noisy input in interactive
systems", CHI 2012.  The cut-off rises with the speed, so a resting head does not jitter and a moving one does
not lag.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OneEuroSettings:
    """Casiez 2012, Eq. 4-6.  The lag at rest is about 1 / (2 pi min_cutoff_hz): 106 ms at 1.5 Hz."""

    min_cutoff_hz: float = 1.5  # cut-off at rest: lower is calmer
    beta: float = 20.0  # Hz of cut-off per unit per second of speed: higher lags less in motion
    d_cutoff_hz: float = 1.0  # cut-off of the speed estimate

    def __post_init__(self) -> None:
        if not (self.min_cutoff_hz > 0 and self.d_cutoff_hz > 0 and self.beta >= 0):
            raise BadInput(f"One-Euro needs cut-offs above 0 Hz and beta of at least 0, found {self}")


class OneEuro:
    """Filter of one vector over time; it restarts by itself when the vector or the clock changes."""

    def __init__(self, settings: OneEuroSettings | None = None) -> None:
        self.settings = settings or OneEuroSettings()
        self._t_s = 0.0
        self._value: Vector = np.empty(0)
        self._speed: Vector = np.empty(0)

    def reset(self) -> None:
        """Forget the past: the next vector passes unchanged."""
        self._value = np.empty(0)

    def __call__(self, value: npt.ArrayLike, t_s: float, unit: npt.ArrayLike = 1.0) -> Vector:
        """Smooth one vector.

        value: (n,).  t_s: its time in seconds; steps may be irregular.  unit: scalar or (n,), how much of each
        component counts as 1 in the speed that raises the cut-off (so pixels and radians share one beta).
        Returns (n,) float64, a fresh array.  A repeated stamp returns the last answer; a clock that runs
        backwards or a vector of another size restarts the filter.
        Raises BadInput when value or t_s is not finite.
        """
        new = np.array(value, dtype=np.float64).ravel()
        if not (np.isfinite(new).all() and np.isfinite(t_s)):
            raise BadInput("One-Euro got a value or time that is not finite: leave lost frames out")
        step_s = t_s - self._t_s
        if new.size != self._value.size or step_s < 0:
            self._value, self._speed = new, np.zeros_like(new)
        elif step_s > 0:
            self._advance(new, step_s, np.asarray(unit, dtype=np.float64))
        self._t_s = t_s
        return self._value.copy()

    def _advance(self, new: Vector, step_s: float, unit: Vector) -> None:
        speed = (new - self._value) / step_s
        self._speed = self._speed + _alpha(self.settings.d_cutoff_hz, step_s) * (speed - self._speed)
        cutoff_hz = self.settings.min_cutoff_hz + self.settings.beta * np.abs(self._speed / unit)
        self._value = self._value + _alpha(cutoff_hz, step_s) * (new - self._value)


def _alpha(cutoff_hz: npt.ArrayLike, step_s: float) -> Vector:
    """Weight of the newest value, Eq. 3: 1 / (1 + tau / Te), tau = 1 / (2 pi cutoff)."""
    ratio = 2 * np.pi * np.asarray(cutoff_hz, dtype=np.float64) * step_s
    return np.asarray(ratio / (1 + ratio))
