"""From one moment of the envelope to what people read.

Two stages do it: the measures at the newest moment, the join at a picture's moment. Both come here, so that a bar
beside the picture and a bar without one can never be measured with two rulers.
"""

import numpy as np

from engines.emg.measures import Calibration, percent_mvc, signed_asymmetry
from engines.emg.montage import Montage
from engines.emg.quality import Contact
from rt.message import Muscles


def measure(
    t: float,
    envelope_uv: np.ndarray,
    contact: np.ndarray,
    calibration: Calibration | None,
    montage: Montage,
) -> Muscles:
    """The muscles at one moment.

    t: LSL seconds.  envelope_uv: (channel,) float32 microvolt, montage order.  contact: (channel,) uint8.
    Where the electrode is off, and where nothing has been calibrated, %MVC and asymmetry are NaN: nothing can be
    said.  Returns arrays of its own.
    """
    channels = len(montage)
    nothing = np.full(channels, np.nan, np.float32)
    if calibration is None:
        asymmetry = np.full(len(montage.pairs()), np.nan, np.float32)
        return Muscles(t, envelope_uv.copy(), nothing, asymmetry, contact.copy(), nothing, nothing, nothing)
    on = np.where(contact == Contact.OFF, np.float32(np.nan), envelope_uv)
    reference = np.array(calibration.reference_uv, np.float32)
    return Muscles(
        t=t,
        envelope_uv=envelope_uv.copy(),
        percent_mvc=percent_mvc(on, calibration).astype(np.float32),
        asymmetry=signed_asymmetry(on, calibration, montage).astype(np.float32),
        contact=contact.copy(),
        rest_uv=np.array(calibration.rest_mean_uv, np.float32),
        rest_sd_uv=np.array(calibration.rest_sd_uv, np.float32),
        reference_uv=np.where(reference > 0, reference, np.float32(np.nan)),
        reference=calibration.reference_kind,
    )


class Ruler:
    """The calibration that a Muscles message carries, rebuilt only when it changes."""

    def __init__(self, montage: Montage) -> None:
        self._montage = montage
        self._key = b""
        self.calibration: Calibration | None = None

    def take(self, muscles: Muscles) -> None:
        """Adopt the calibration in force; NaN rest means that there is none."""
        key = b"".join(a.tobytes() for a in (muscles.rest_uv, muscles.rest_sd_uv, muscles.reference_uv))
        if key == self._key:
            return
        self._key = key
        fits = len(muscles.rest_uv) == len(self._montage) and np.isfinite(muscles.rest_uv).all()
        self.calibration = self._rebuilt(muscles) if fits else None

    def _rebuilt(self, muscles: Muscles) -> Calibration:
        return Calibration(
            chain_id="",
            labels=self._montage.labels,
            rest_mean_uv=_plain(muscles.rest_uv),
            rest_sd_uv=_plain(muscles.rest_sd_uv),
            reference_uv=_plain(np.nan_to_num(muscles.reference_uv, nan=0.0)),
            reference_kind=muscles.reference,
        )


def _plain(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
