"""Photon to photon: how long light takes from the camera's lens through everything back to the screen.

A window flashes black and white at random moments. A webcam that sees both this window and the live page's mirror (a
screen in front of the camera is enough) sees every flash twice: directly, and again when the page shows it. The lag
between the two, found by correlating the brightness of each part of the picture with the flashes, is the delay from
photon to photon. It needs no second camera, no clock but the camera's, and no trust in our own time stamps.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import cv2
import numpy as np

from rt import clock
from rt.errors import MissingDevice
from rt.message import Frame, Message
from rt.stage import Emit, Node

_GRID = (24, 32)  # rows, columns of the picture that are looked at separately
_MOST_LAG_S = 0.6
_STEP_S = 0.002
_WINDOW = "MyoMirror flash"
_SURE = 0.6  # correlation below which a part of the picture does not see the flashes


class FlashDelay(NamedTuple):
    """direct_s: from the flash's command to the camera.  echo_s: the same by way of the page.  cells: parts that saw
    the echo.  photon_to_photon_s: their difference."""

    direct_s: float
    echo_s: float
    cells: int

    @property
    def photon_to_photon_s(self) -> float:
        return self.echo_s - self.direct_s


def analyse(t_frames: np.ndarray, brightness: np.ndarray, t_flips: np.ndarray) -> FlashDelay:
    """Find both lags.

    t_frames: (frame,) seconds.  brightness: (frame, cell), any unit.  t_flips: (flip,) seconds on the same clock, when
    the window was told to change; it begins black.  Raises ValueError when no part of the picture sees flash and echo.
    """
    lags = np.arange(0.0, _MOST_LAG_S, _STEP_S)
    flashes = np.stack([np.searchsorted(t_flips, t_frames - lag) % 2 for lag in lags]).astype(np.float64)
    flashes = _standardised(flashes, axis=1)
    seen = _standardised(np.asarray(brightness, np.float64), axis=0)
    correlation = flashes @ seen / len(t_frames)  # (lag, cell)
    best = lags[correlation.argmax(axis=0)]
    sure = correlation.max(axis=0) > _SURE
    if not sure.any():
        raise ValueError("the camera does not see the flashing window: put it and the page into its view")
    direct = float(np.median(best[sure & (best < best[sure].min() + 0.02)]))
    echoes = best[sure & (best > direct + 0.02)]
    if not len(echoes):
        raise ValueError("the camera sees the flashes but not the page that shows them: turn it towards both")
    first = echoes[echoes < 1.5 * echoes.min() - 0.5 * direct]  # the echo of the echo comes as late again
    return FlashDelay(direct, float(np.median(first)), len(first))


def _standardised(values: np.ndarray, axis: int) -> np.ndarray:
    spread = values.std(axis=axis, keepdims=True)
    return np.where(spread > 1e-9, (values - values.mean(axis=axis, keepdims=True)) / np.maximum(spread, 1e-9), 0.0)


def cells(image: np.ndarray) -> np.ndarray:
    """Mean brightness of each part of a picture, (cell,) float32."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return cv2.resize(grey, _GRID[::-1], interpolation=cv2.INTER_AREA).astype(np.float32).ravel()


@dataclass(frozen=True)
class FlashSettings:
    """size_px: side of the flashing window."""

    size_px: int = 360


class FlashMeter(Node[FlashSettings]):
    """A node beside the live graph: flashes a window and watches the camera's own pictures. Needs a screen."""

    Settings = FlashSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}

    def open(self) -> None:
        """Open the window. Raises MissingDevice without a screen."""
        self._t: list[float] = []
        self._brightness: list[np.ndarray] = []
        self._flips: list[float] = []
        self._t_next = clock.now() + 2.0
        try:
            cv2.namedWindow(_WINDOW, cv2.WINDOW_AUTOSIZE)
        except cv2.error as error:
            raise MissingDevice("the flash test opens a window: run it on a machine with a screen") from error
        self._draw()

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """Remember how bright each part of the picture is."""
        assert isinstance(message, Frame)
        brightness = cells(message.image)
        if self.context.intact(message):
            self._t.append(message.t_capture)
            self._brightness.append(brightness)
        return ()

    def tick(self) -> Iterable[Emit]:
        """Flip when it is time: at random moments, at most 1.25 flashes per second."""
        if clock.now() >= self._t_next:
            self._flips.append(clock.now())
            self._t_next = self._flips[-1] + 0.4 + secrets.randbelow(400) / 1e3
            self._draw()
        cv2.waitKey(1)
        return ()

    def finish(self) -> Iterable[Emit]:
        """Tell the delay, or why there is none."""
        try:
            found = analyse(np.array(self._t), np.array(self._brightness), np.array(self._flips))
            self.context.tell(photon_to_photon_ms=found.photon_to_photon_s * 1e3, flips=len(self._flips))
        except ValueError as error:
            self.context.tell(flash_problem=str(error))
        cv2.destroyWindow(_WINDOW)
        return ()

    def _draw(self) -> None:
        side = self.settings.size_px
        cv2.imshow(_WINDOW, np.full((side, side, 3), 255 * (len(self._flips) % 2), np.uint8))
