"""A cheap camera's view of a clean picture: exposure, white balance, colour, gamma, softness, noise, compression.

A step of its own: the clean picture is the truth that electrode removal is measured against, and what a camera does to
it is varied in training (FACTS 3: networks that never saw another white balance fill in the wrong colour).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from engines.errors import BadInput
from engines.face.arrays import Floats, Picture, check_out
from engines.kernels import kernel

_SPARE_PX = 64  # by which the noise's table is larger than the frame, both ways
_NOISE_MIDDLE = 128
_GREY = (0.114, 0.587, 0.299)  # blue, green, red: ITU-R BT.601
_LEVELS = 256


@dataclass(frozen=True)
class WebcamSettings:
    """How a camera sees.

    exposure: factor on light, 0.3..2.5.  white: (blue, green, red) factors, 0.5..1.6.  saturation: 0..2.  gamma:
    0.5..2, more is darker in the middle.  contrast: 0.5..1.6, about middle grey.  softness_px: sigma of the blur, 0..3.
    noise: grey levels RMS in the dark half, 0..15 (half of it in full light).  vignette: 0..0.6, loss of light in the
    corners.  jpeg: quality 10..100, 0 = not compressed.
    """

    exposure: float = 1.0
    white: tuple[float, float, float] = (1.0, 1.0, 1.0)
    saturation: float = 1.0
    gamma: float = 1.0
    contrast: float = 1.0
    softness_px: float = 0.45
    noise: float = 2.2
    vignette: float = 0.0
    jpeg: int = 0

    def __post_init__(self) -> None:
        """Raises BadInput when a number lies outside its range."""
        ranges = {
            "exposure": (0.3, 2.5), "saturation": (0, 2), "gamma": (0.5, 2), "contrast": (0.5, 1.6),
            "softness_px": (0, 3), "noise": (0, 15), "vignette": (0, 0.6),
        }  # fmt: skip
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise BadInput(f"a webcam's {name} must be {low}..{high}, found {getattr(self, name)}")
        if len(self.white) != 3 or not all(0.5 <= factor <= 1.6 for factor in self.white):
            raise BadInput(f"a webcam's white balance must be three factors 0.5..1.6, found {self.white}")
        if self.jpeg and not 10 <= self.jpeg <= 100:
            raise BadInput(f"a webcam's JPEG quality must be 10..100, or 0 for none, found {self.jpeg}")

    @classmethod
    def random(cls, rng: np.random.Generator, strength: float = 1.0) -> WebcamSettings:
        """Some camera.  strength: 0..1, how far from a good one in good light."""
        if not 0 <= strength <= 1:
            raise BadInput(f"the strength of a random webcam must be 0..1, found {strength}")
        s = strength
        warmth = float(rng.normal(0, 0.10 * s))
        white = np.exp([-warmth, float(rng.normal(0, 0.03 * s)), warmth])
        return cls(
            exposure=float(np.clip(np.exp(rng.normal(-0.03, 0.20 * s)), 0.5, 1.7)),
            white=tuple(np.clip(white, 0.6, 1.5).tolist()),
            saturation=float(np.clip(1 + rng.normal(0, 0.28 * s), 0.35, 1.8)),
            gamma=float(np.clip(np.exp(rng.normal(0, 0.14 * s)), 0.65, 1.5)),
            contrast=float(np.clip(1 + rng.normal(0, 0.10 * s), 0.7, 1.35)),
            softness_px=float(rng.uniform(0.3, 0.5 + 0.6 * s)),
            noise=float(rng.uniform(0.8, 1.5 + 4.5 * s)),
            vignette=float(rng.uniform(0, 0.25 * s)),
            jpeg=int(rng.integers(55, 96)) if rng.random() < 0.6 * s else 0,
        )


class Webcam:
    """One camera at one picture size.  Not for use from two threads at once."""

    def __init__(self, height: int, width: int, settings: WebcamSettings = WebcamSettings(), seed: int = 0) -> None:
        """seed: of the noise.  Raises BadInput for an empty picture."""
        if height < 1 or width < 1:
            raise BadInput(f"a webcam's picture must have at least one pixel, found {height} x {width}")
        self.settings = settings
        self._soft = np.zeros((height, width, 3), np.uint8)
        self._table = noise_table(height, width, seed)
        self._curve = tone_curve(settings)
        self._colour = colour_matrix(settings)
        self._across, self._down = _fall_off(settings.vignette, height, width)

    def take(self, picture: Picture, number: int, out: Picture | None = None) -> Picture:
        """What the camera makes of a picture.

        picture: (height, width, 3) uint8 BGR.  number: of the frame, 0 or more; the same one has the same noise.
        out: filled and returned, may be the picture itself; without it a new one is made.
        Raises BadInput when a shape does not fit.
        """
        shape = self._soft.shape
        if picture.shape != shape or picture.dtype != np.uint8:
            raise BadInput(f"this webcam takes uint8 {shape}, found {picture.dtype} {picture.shape}")
        out = np.empty(shape, np.uint8) if out is None else out
        check_out(out, np.uint8, shape)
        sigma = self.settings.softness_px
        if sigma > 0:
            cv2.GaussianBlur(picture, (0, 0), sigma, dst=self._soft, borderType=cv2.BORDER_REPLICATE)
        else:
            self._soft[:] = picture
        place = (number * 2654435761) >> 7  # an odd multiplier spreads neighbours over the table
        row, column = place % _SPARE_PX, (place >> 6) % _SPARE_PX
        noise = np.float32(self.settings.noise)
        _take(self._soft, self._table, row, column, self._curve, self._colour, noise, self._across, self._down, out)
        if self.settings.jpeg:
            data = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, self.settings.jpeg])[1]
            out[:] = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
        return out


def noise_table(height: int, width: int, seed: int) -> Picture:
    """Standard noise times 32 around 128; a little shared by neighbours and by the colours."""
    rng = np.random.default_rng(seed)
    shape = (height + _SPARE_PX, width + _SPARE_PX)
    fine = 0.8 * rng.standard_normal((*shape, 1), np.float32) + 0.6 * rng.standard_normal((*shape, 3), np.float32)
    mixed = 0.9 * cv2.GaussianBlur(fine, (0, 0), 0.7) / 0.45 + 0.45 * fine
    return np.asarray(np.clip(np.rint(_NOISE_MIDDLE + 32 * mixed / mixed.std()), 0, 255), np.uint8)


def tone_curve(settings: WebcamSettings) -> Floats:
    """(3, 256), 0..255: light per level and colour after exposure, white balance, contrast, gamma; soft at the top."""
    level = np.arange(_LEVELS) / 255
    light = level[None] * settings.exposure * np.array(settings.white)[:, None]
    light = np.where(light > 0.85, 0.85 + 0.15 * np.tanh((light - 0.85) / 0.15), light)  # highlights roll off
    light = np.clip(0.5 + (light - 0.5) * settings.contrast, 0, 1) ** settings.gamma
    return np.asarray(255 * light, np.float32)


def colour_matrix(settings: WebcamSettings) -> Floats:
    """(3, 3): colours pulled to or from their grey."""
    grey = np.tile(_GREY, (3, 1))
    return np.asarray(settings.saturation * np.eye(3) + (1 - settings.saturation) * grey, np.float32)


def _fall_off(vignette: float, height: int, width: int) -> tuple[Floats, Floats]:
    """Loss of light per column and per row; their sum is the pixel's."""
    across, down = (np.linspace(-1, 1, n) ** 2 * vignette / 2 for n in (width, height))
    return across.astype(np.float32), down.astype(np.float32)


@kernel
def _take(
    picture: Picture,
    table: Picture,
    row: int,
    column: int,
    curve: Floats,
    colour: Floats,
    noise: np.float32,
    across: Floats,
    down: Floats,
    out: Picture,
) -> None:
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            light = 1 - across[x] - down[y]
            blue = curve[0, picture[y, x, 0]] * light
            green = curve[1, picture[y, x, 1]] * light
            red = curve[2, picture[y, x, 2]] * light
            grain = noise * (np.float32(1 / 32) - green * np.float32(1 / (64 * 255)))
            for k in range(3):
                value = colour[k, 0] * blue + colour[k, 1] * green + colour[k, 2] * red
                value += grain * (np.float32(table[row + y, column + x, k]) - np.float32(128))
                out[y, x, k] = np.uint8(min(max(value + np.float32(0.5), np.float32(0)), np.float32(255)))
