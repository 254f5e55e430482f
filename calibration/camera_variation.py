"""One face before many cameras: pairs of pictures changed alike, and the input made as bad as a webcam makes it.

FACTS 3: a network that saw one white balance fills in grey-violet skin on an orange picture.  So exposure, white
balance, saturation, contrast, gamma and softness change electrodes and skin together, in the picture and in its truth;
noise and compression come to the picture only, because the truth is what is behind them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from engines.errors import BadInput
from engines.face.webcam import WebcamSettings, colour_matrix, noise_table, tone_curve

Picture = npt.NDArray[np.uint8]
_NOISE_PX = 512
_NOISE_MIDDLE, _NOISE_STEP = 128, 32  # as noise_table writes it


class Seen(NamedTuple):
    """What a camera saw, (size, size, 3) uint8 BGR, what was behind the electrodes, and the mask (size, size)."""

    covered: Picture
    clean: Picture
    mask: Picture


@dataclass(frozen=True)
class VariationSettings:
    """How far pictures are changed.

    size: px of what comes out; pictures that are larger by an eighth leave room for shifts.  turn_deg, zoom: standard
    deviations.  shift: of the side, largest.  flip: share that is mirrored.  strength: of the camera, drawn between 0
    and this.  bare: share of pictures shown without any electrodes, which must come through untouched.
    """

    size: int = 128
    turn_deg: float = 3.0
    zoom: float = 0.03
    shift: float = 0.05
    flip: float = 0.5
    strength: float = 1.0
    bare: float = 0.06

    def __post_init__(self) -> None:
        """Raises BadInput when a number lies outside its range."""
        for name, most in (
            ("turn_deg", 45.0),
            ("zoom", 1.0),
            ("shift", 0.5),
            ("flip", 1),
            ("strength", 1),
            ("bare", 1),
        ):
            if not 0 <= getattr(self, name) <= most:
                raise BadInput(f"{name} of pictures that vary must be 0..{most:g}, found {getattr(self, name)}")
        if self.size < 1:
            raise BadInput(f"pictures that vary must be 1 px or more, found {self.size}")


class CameraVariation:
    """Varies pairs.  The same random numbers give the same pictures.  Not for use from two threads at once."""

    def __init__(self, settings: VariationSettings | None = None) -> None:
        self.settings = settings or VariationSettings()
        table = noise_table(_NOISE_PX - 64, _NOISE_PX - 64, 0).astype(np.float32)
        self._noise = (table - _NOISE_MIDDLE) / _NOISE_STEP

    def __call__(self, covered: Picture, clean: Picture, mask: Picture, rng: np.random.Generator) -> Seen:
        """Vary one pair: (S, S, 3), (S, S, 3) and (S, S), at least as large as what comes out.

        Raises BadInput when a shape does not fit.
        """
        stored, size = len(mask), self.settings.size
        if covered.shape != (stored, stored, 3) or clean.shape != covered.shape or stored < size:
            raise BadInput(f"pictures to vary must be square, alike and {size} px or more, found {covered.shape}")
        moved = self._movement(stored, rng)
        pictures = [_moved(picture, moved, size) for picture in (covered, clean)]
        mask = _moved(mask, moved, size)
        camera, curve, colour = self._camera(rng)
        seen, behind = (_coloured(picture, curve, colour, camera.softness_px) for picture in pictures)
        if rng.random() < self.settings.bare:
            seen, mask = behind.copy(), np.zeros_like(mask)
        return Seen(self._recorded(seen, camera, rng), behind, mask)

    def picture(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """One picture as another camera would have seen it, where it is: (size, size, 3).

        Raises BadInput when it has another size.
        """
        size = self.settings.size
        if picture.shape != (size, size, 3):
            raise BadInput(f"pictures to vary where they are must be {size} px, found {picture.shape}")
        camera, curve, colour = self._camera(rng)
        return self._recorded(_coloured(picture, curve, colour, camera.softness_px), camera, rng)

    def _camera(self, rng: np.random.Generator) -> tuple[WebcamSettings, Picture, npt.NDArray[np.float32]]:
        """A camera, its tone curve and its colours."""
        camera = WebcamSettings.random(rng, float(rng.uniform(0, self.settings.strength)))
        curve = np.clip(np.rint(tone_curve(camera)), 0, 255).astype(np.uint8).T[None]
        return camera, curve, colour_matrix(camera)

    def _recorded(self, picture: Picture, camera: WebcamSettings, rng: np.random.Generator) -> Picture:
        """With noise and compression."""
        noisy = self._noisy(picture, camera.noise, rng)
        if not camera.jpeg:
            return noisy
        data = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, camera.jpeg])[1]
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)

    def _movement(self, stored: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """(2, 3): stored px to px that come out; unmoved, the middle is cut out at its own size."""
        settings = self.settings
        angle = np.deg2rad(rng.normal(0, settings.turn_deg))
        zoom = float(np.exp(rng.normal(0, settings.zoom)))
        mirror = -1.0 if rng.random() < settings.flip else 1.0
        cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
        turn = np.array([[mirror * cos, -sin], [mirror * sin, cos]])
        shift = rng.uniform(-settings.shift, settings.shift, 2) * settings.size
        middle = np.full(2, (stored - 1) / 2)
        return np.column_stack([turn, (settings.size - 1) / 2 + shift - turn @ middle])

    def _noisy(self, picture: Picture, noise: float, rng: np.random.Generator) -> Picture:
        """Noise as engines/face/webcam.py adds it: less in the light."""
        size = len(picture)
        row, column = rng.integers(0, _NOISE_PX - size, 2) if size < _NOISE_PX else (0, 0)
        grain = self._noise[row : row + size, column : column + size]
        if grain.shape[0] < size:
            grain = np.tile(grain, (size // _NOISE_PX + 1, size // _NOISE_PX + 1, 1))[:size, :size]
        level = noise * (1 - picture[..., 1:2].astype(np.float32) / 510)
        return np.clip(np.rint(picture + grain * level), 0, 255).astype(np.uint8)


def _moved(picture: Picture, matrix: npt.NDArray[np.float64], size: int) -> Picture:
    found = cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(found, np.uint8)


def _coloured(picture: Picture, curve: Picture, colour: npt.NDArray[np.float32], softness_px: float) -> Picture:
    toned = cv2.transform(cv2.LUT(picture, curve), colour)  # saturates at 0 and 255
    return np.asarray(cv2.GaussianBlur(toned, (0, 0), softness_px), np.uint8)
