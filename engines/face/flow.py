"""How a face moves between two pictures: Farneback's flow, and the forms in which networks see it.

Ikne et al. 2024 (eMotion-GAN), section III-A: the flow is computed at full resolution, so that small movements are not
lost, then resized; its magnitude is clipped at 10 and divided by it, its angle divided by 2 pi.  The paper does not say
whether vectors shrink with the picture.  Here they do: a flow of 128 px is in those pixels, and so is what it is
clipped at.

A flow is (height, width, 2) float32, (x to the right, y down) px: what lies at p in the first picture lies at p + flow
in the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np

from engines.errors import BadInput, FaceLost
from engines.face.arrays import Floats, Picture, check_array, check_out, frozen
from engines.kernels import kernel

CLIP_PX = 10.0  # FACTS 2
STILL_PX = 0.02  # mean length below which nothing has moved; equal pictures give a tenth of it
FLATTEST = 2.0  # grey levels, standard deviation: below it there is nothing to follow
SMALLEST_PX = 32  # side of a picture
_TURN = np.float32(2 * np.pi)

Strategy = Literal["neutral-apex", "frame-to-frame"]


@dataclass(frozen=True)
class FarnebackSettings:
    """OpenCV's names and the paper's numbers (FACTS 2)."""

    scale: float = 0.5  # between the levels of the pyramid
    levels: int = 3
    window_px: int = 15
    iterations: int = 3
    poly_n: int = 5  # px, neighbourhood of the polynomials
    poly_sigma: float = 1.2


class Motion(NamedTuple):
    """A flow, and whether there is any.

    flow: (size, size, 2) float32, px of that size.  mean_px: mean length over the picture, px of the pictures it was
    measured between.  still: nothing moved, as between two equal pictures.
    """

    flow: Floats
    mean_px: float
    still: bool


class FlowMeter:
    """Measures flows between grey pictures of one size; its buffers are its own.  Not for two threads at once."""

    def __init__(self, full_px: int, size: int, settings: FarnebackSettings | None = None) -> None:
        """full_px: side of the square pictures.  size: side of the flow that comes out, px, at most full_px.

        Raises BadInput when a side cannot be.
        """
        if not SMALLEST_PX <= size <= full_px <= 4096:
            raise BadInput(f"a flow's sides must be {SMALLEST_PX} <= size <= full <= 4096 px, found {size}, {full_px}")
        self.full_px, self.size = full_px, size
        self._settings = settings or FarnebackSettings()
        self._full = np.zeros((full_px, full_px, 2), np.float32)

    def measure(self, before: Picture, after: Picture) -> Motion:
        """The flow from one picture to the other; its array is new.

        before, after: (full_px, full_px) uint8 grey, or (full_px, full_px, 3) uint8 BGR.
        Raises BadInput for another shape or type, FaceLost when one of them is flat: there is no face in it.
        """
        first, second = (self._grey(picture, which) for picture, which in ((before, "first"), (after, "second")))
        s = self._settings
        numbers = (s.scale, s.levels, s.window_px, s.iterations, s.poly_n, s.poly_sigma, 0)
        full = np.asarray(cv2.calcOpticalFlowFarneback(first, second, self._full, *numbers), np.float32)
        mean_px = float(np.hypot(full[:, :, 0], full[:, :, 1]).mean())
        if not np.isfinite(mean_px):
            raise FaceLost("no flow could be computed between these pictures")
        return Motion(resized_flow(full, self.size), mean_px, mean_px < STILL_PX)

    def _grey(self, picture: Picture, which: str) -> Picture:
        side = (self.full_px, self.full_px)
        if picture.dtype != np.uint8 or picture.shape not in (side, (*side, 3)):
            raise BadInput(f"the {which} picture must be uint8 {side}, found {picture.dtype} {picture.shape}")
        grey = picture if picture.ndim == 2 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
        if float(grey.std()) < FLATTEST:
            raise FaceLost(f"the {which} picture is flat: there is no face in it")
        return grey


def pairs(count: int, strategy: Strategy) -> tuple[tuple[int, int], ...]:
    """Between which pictures of a sequence the paper computes flows (section IV-B).

    count: of pictures, from the neutral one to the apex.  "neutral-apex": first to last.  "frame-to-frame": each to the
    next.  Raises BadInput for another word or fewer than two pictures.
    """
    if count < 2:
        raise BadInput(f"a flow is between two pictures, the sequence has {count}")
    if strategy == "neutral-apex":
        return ((0, count - 1),)
    if strategy == "frame-to-frame":
        return tuple((i, i + 1) for i in range(count - 1))
    raise BadInput(f"a strategy is neutral-apex or frame-to-frame, found {strategy!r}")


def resized_flow(flow: Floats, size: int) -> Floats:
    """A square flow at a smaller side, averaged over areas, its vectors in the new pixels.  Returns a new array."""
    if flow.ndim != 3 or flow.shape[0] != flow.shape[1] or flow.shape[2] != 2:
        raise BadInput(f"a flow to be resized must be (side, side, 2), found {flow.shape}")
    if flow.shape[0] == size:
        return np.array(flow, np.float32)
    found = np.asarray(cv2.resize(flow, (size, size), interpolation=cv2.INTER_AREA), np.float32)
    found *= np.float32(size / flow.shape[0])
    return found


def polar_of(flow: Floats, clip_px: float = CLIP_PX, out: Floats | None = None) -> Floats:
    """A flow as the paper's networks see it.

    flow: (H, W, 2) float32 px.  clip_px: longer vectors count as this long.  out: (H, W, 2) float32, filled and
    returned; without it a new array is made.
    Returns (length / clip_px, angle / 2 pi), each 0..1, the angle below 1; no movement has the angle 0.
    Raises BadInput when an array or clip_px does not fit.
    """
    out = _checked(flow, clip_px, out)
    _to_polar(frozen(flow), np.float32(clip_px), out)
    return out


def flow_of_polar(polar: Floats, clip_px: float = CLIP_PX, out: Floats | None = None) -> Floats:
    """The way back: exact up to float32 for everything that was not clipped.  Arguments and errors: `polar_of`."""
    out = _checked(polar, clip_px, out)
    _from_polar(frozen(polar), np.float32(clip_px), out)
    return out


def clipped(flow: Floats, clip_px: float = CLIP_PX, out: Floats | None = None) -> Floats:
    """A flow without long vectors, over clip_px: (x, y) in the unit disc, direction kept.

    Ours: the angle jumps from 1 to 0 at the right, where neighbouring directions then lie far apart for a convolution;
    these two numbers do not jump.  Arguments and errors: `polar_of`.
    """
    out = _checked(flow, clip_px, out)
    _clip(frozen(flow), np.float32(clip_px), out)
    return out


def _checked(flow: Floats, clip_px: float, out: Floats | None) -> Floats:
    check_array(flow, "flow", np.float32, (None, None, 2))
    if not (np.isfinite(clip_px) and clip_px > 0):
        raise BadInput(f"a flow is clipped at more than 0 px, found {clip_px}")
    if out is None:
        return np.empty_like(flow)
    check_out(out, np.float32, flow.shape)
    return out


def warm_up() -> None:
    """Compile (or load) the kernels: call it before time matters."""
    flow = np.zeros((2, 2, 2), np.float32)
    for way in (polar_of, flow_of_polar, clipped):
        way(flow)


@kernel
def _to_polar(flow: Floats, clip_px: np.float32, out: Floats) -> None:
    for y in range(flow.shape[0]):
        for x in range(flow.shape[1]):
            u, v = flow[y, x, 0], flow[y, x, 1]
            turn = np.arctan2(v, u) / _TURN  # -0.5..0.5
            if turn < 0:
                turn += np.float32(1)
            if turn >= 1:  # a tiny negative angle, rounded up
                turn = np.float32(0)
            out[y, x, 0] = min(np.sqrt(u * u + v * v) / clip_px, np.float32(1))
            out[y, x, 1] = turn


@kernel
def _from_polar(polar: Floats, clip_px: np.float32, out: Floats) -> None:
    for y in range(polar.shape[0]):
        for x in range(polar.shape[1]):
            length, angle = polar[y, x, 0] * clip_px, polar[y, x, 1] * _TURN
            out[y, x, 0] = length * np.cos(angle)
            out[y, x, 1] = length * np.sin(angle)


@kernel
def _clip(flow: Floats, clip_px: np.float32, out: Floats) -> None:
    for y in range(flow.shape[0]):
        for x in range(flow.shape[1]):
            u, v = flow[y, x, 0], flow[y, x, 1]
            length = max(np.sqrt(u * u + v * v), clip_px)
            out[y, x, 0] = u / length
            out[y, x, 1] = v / length
