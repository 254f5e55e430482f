"""The same faces before other cameras: what electrode removal has to stand besides unseen people.

FACTS 3: a network that had seen one white balance filled in grey-violet skin on an orange picture.  Each picture gets
an alteration of its own, drawn from (seed, number) evenly over the ranges below: exposure, white balance and saturation
for the picture with electrodes and for the truth alike, compression for the picture with electrodes only, because what
was filled in is compared with the skin behind them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

EXPOSURE_STOPS = (-0.8, 0.5)  # more light clips more skin, in the truth too
WARMTH = (-0.25, 0.25)  # log of red's factor; blue's is its inverse
GREEN = (-0.06, 0.06)  # log of green's
SATURATION = (0.4, 1.8)
QUALITY = (35, 90)  # JPEG, inclusive
_GREY = np.array([0.114, 0.587, 0.299])  # blue, green, red: ITU-R BT.601


@dataclass(frozen=True)
class ColourShift:
    """factors: of light in blue, green, red.  saturation: 1 keeps colours, 0 is grey.  quality: JPEG, 1..100."""

    factors: tuple[float, float, float]
    saturation: float
    quality: int

    @classmethod
    def draw(cls, seed: int, number: int) -> ColourShift:
        """The alteration of picture `number`; the same numbers give the same one."""
        rng = np.random.default_rng([seed, number])
        light, warmth, green = 2 ** rng.uniform(*EXPOSURE_STOPS), rng.uniform(*WARMTH), rng.uniform(*GREEN)
        blue_green_red = light * np.exp([-warmth, green, warmth])
        saturation = float(rng.uniform(*SATURATION))
        return cls(tuple(blue_green_red.tolist()), saturation, int(rng.integers(QUALITY[0], QUALITY[1] + 1)))

    def colours(self, picture: Picture) -> Picture:
        """Exposure, white balance and saturation.  picture: (height, width, 3) uint8 BGR; returns a new one."""
        # out = s * lit + (1 - s) * grey(lit), as one matrix; rounded and clipped once
        mixed = self.saturation * np.eye(3) + (1 - self.saturation) * _GREY
        return np.asarray(cv2.transform(picture, mixed * np.array(self.factors)), np.uint8)

    def compressed(self, picture: Picture) -> Picture:
        """A JPEG of the picture, read again."""
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1]
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def shifted(covered: Picture, clean: Picture, shift: ColourShift) -> tuple[Picture, Picture]:
    """(with electrodes, truth) as the other camera sees them."""
    return shift.compressed(shift.colours(covered)), shift.colours(clean)
