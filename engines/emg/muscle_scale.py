"""What 1 is worth in a network's muscles, for the person who sits there: its numbers to per cent, and back.

A network was taught muscles in shares: of each channel's own calibrated span ("calibration", %MVC / 100), or of the
largest value of the whole person ("maximum", EIFER's).  Live, the person's calibration says what that is.
"""

import numpy as np
import numpy.typing as npt

from engines.emg.emg_bundle import NORMALISATIONS
from engines.errors import BadInput

Floats = npt.NDArray[np.float32]


class MuscleScale:
    """Of one person and one network; starts without a calibration."""

    def __init__(self, normalisation: str, channels: int) -> None:
        """normalisation: as the bundle says.  Raises BadInput for another word."""
        if normalisation not in NORMALISATIONS:
            raise BadInput(f"muscles are normalised by {' or '.join(NORMALISATIONS)}, found {normalisation!r}")
        self._own = normalisation == "calibration"
        self._rest_uv, self._span_uv = np.zeros(channels), np.full(channels, np.nan)
        self._largest_uv = np.nan  # the loudest reference: as near to the person's maximum as a calibration knows

    @property
    def of_strongest(self) -> bool:
        """Whether per cent are of the person's strongest muscle, as nobody has said what each one's maximum is."""
        return not self._own and not np.isfinite(self._largest_uv)

    def calibrate(self, rest_uv: npt.NDArray[np.floating], reference_uv: npt.NDArray[np.floating]) -> None:
        """Take a calibration.  Both (channel,) microvolt, NaN where nothing is known.

        Raises BadInput when they do not fit.
        """
        if rest_uv.shape != self._rest_uv.shape or reference_uv.shape != self._rest_uv.shape:
            raise BadInput(
                f"a calibration has {len(self._rest_uv)} channels, found {rest_uv.shape} and {reference_uv.shape}"
            )
        span = reference_uv - rest_uv
        self._rest_uv[:], self._span_uv[:] = rest_uv, np.where(span > 0, span, np.nan)
        known = reference_uv[np.isfinite(reference_uv)]
        self._largest_uv = float(known.max(initial=0.0)) or np.nan

    def percent(self, shares: Floats) -> Floats:
        """What the network says of the muscles, as %MVC or, while `of_strongest`, per cent of the strongest one.

        shares: (channel,) its output.  Returns (channel,) float32 >= 0, NaN where a channel has no reference.
        """
        percent = np.maximum(100.0 * shares, 0.0)
        if not (self._own or self.of_strongest):
            percent = 100.0 * np.maximum(shares * self._largest_uv - self._rest_uv, 0.0) / self._span_uv
        return np.asarray(percent, np.float32)

    def spread(self, deviations: Floats) -> Floats:
        """The same for standard deviations: (channel,) float32 >= 0."""
        exact = self._own or self.of_strongest
        percent = 100.0 * deviations if exact else 100.0 * deviations * self._largest_uv / self._span_uv
        return np.asarray(percent, np.float32)

    def shares(self, percent_mvc: Floats, envelope_uv: Floats, most: float, out: Floats) -> bool:
        """The muscles as the network was taught them.

        percent_mvc, envelope_uv: (channel,), NaN %MVC where an electrode is off or nothing is calibrated.  most: what
        the network's input may hold.  out: (channel,) float32, filled; a channel of which nothing is known counts as
        at rest.  Returns False, out untouched, when nothing is known of any channel.
        """
        known = np.isfinite(percent_mvc)
        if not known.any():
            return False
        shares = percent_mvc / 100.0 if self._own else envelope_uv / self._largest_uv
        np.clip(np.where(known, shares, 0.0), 0.0, most, out=out, casting="same_kind")
        return True
