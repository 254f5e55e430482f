"""A turned face shown as it would be seen from the front: the person's own pixels, the head's turn undone.

The 3D face says where every point of the skin is seen (engines/face/rigid_flow.py).  What the turn hides is filled from
the neutral face, in the light of now, and hatched: nobody sees what a hidden cheek does, and the other one is not
mirrored onto it, because patients' faces are not even.  What is around the face (ears, hair, wall) does not turn as the
face does: the further it is turned, the more of that is the neutral picture's.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from engines.face.arrays import Floats, Picture, check_array, check_out, frozen
from engines.face.head_turn import HeadFitter, HeadMovement, HeadTurn
from engines.face.rigid_flow import RigidHead
from engines.kernels import kernel

_SPARSE = 6  # px between the pixels by which the light of two pictures is compared
_LIGHT = (0.5, 2.0)  # least and most that the neutral face is made darker or brighter
_HATCH_PX = 128.0  # sides over this are the period of the hatching
_HATCH_DARK = np.float32(0.62)
_CHIN, _RIM = 0.12, 0.025  # shares of the side: how far a mouth opens below the face at rest, and where it goes over
_AROUND_DEG = (4.0, 14.0)  # turned so far, what is around a face begins to be the neutral picture's, and all is


class Frontal(NamedTuple):
    """A frontal face.

    picture: (size, size, 3) uint8 BGR.  hidden: share of the face that cannot be seen and is filled, 0..1.
    """

    picture: Picture
    hidden: float


class FrontalFace:
    """One person's neutral face, and what turns of it are undone with.  Not for two threads at once."""

    def __init__(self, fitter: HeadFitter, neutral: Picture, landmarks_px: npt.NDArray[np.floating]) -> None:
        """neutral: (size, size, 3) uint8 BGR crop with the face at rest.  landmarks_px: (478, 2) px in it.

        Raises BadInput and FaceLost as RigidHead does.
        """
        side = neutral.shape[0]
        check_array(neutral, "neutral face", np.uint8, (side, side, 3))
        self.head = RigidHead(fitter, landmarks_px, side)
        self.neutral = np.array(neutral)
        self._trust = np.zeros((side, side), np.float32)
        self._still = np.zeros_like(self.neutral)
        self._seen = frozen(
            self.head.trust(self.head.turn(landmarks_px))
        )  # at rest; the face's rim turns away then too
        self._seen_px = float(self._seen.sum())
        self._around = frozen(_around(self.head.face))

    def movement(self, landmarks_px: npt.NDArray[np.floating]) -> HeadMovement:
        """How the head is turned in another crop of the same size, and the rest.  Errors: `HeadCloud.turn`."""
        return self.head.movement(landmarks_px)

    def unturned(self, picture: Picture, turn: HeadTurn) -> Picture:
        """The picture brought to rest, hidden skin smeared; a buffer that the next call fills anew."""
        return self.head.unturned(picture, turn, self._still)

    def show(self, still: Picture, turn: HeadTurn, out: Picture | None = None) -> Frontal:
        """The frontal face.

        still: (size, size, 3) uint8 BGR, `unturned`.  out: the same, filled and given back.
        Raises BadInput when an array does not fit.
        """
        out = np.empty_like(self.neutral) if out is None else out
        check_out(out, np.uint8, self.neutral.shape)
        check_array(still, "face brought to rest", np.uint8, self.neutral.shape)
        trust = self.head.trust(turn, self._trust)
        light = _light(still, self.neutral, trust)
        period = max(2, round(2 * self.head.size / _HATCH_PX))
        low, high = _AROUND_DEG
        share = np.float32(np.clip((turn.away_deg - low) / (high - low), 0, 1))
        pictures = frozen(still), frozen(self.neutral)
        hidden = _lay(*pictures, self._seen, frozen(trust), self._around, share, frozen(light), period, out)
        return Frontal(out, float(hidden) / self._seen_px)

    def hidden_share(self, trust: Floats) -> float:
        """How much of the skin that is seen at rest is hidden now, 0..1.  trust: of the turn, RigidHead.trust."""
        return float(np.maximum(self._seen - trust, 0).sum()) / self._seen_px


def _light(now: Picture, neutral: Picture, trust: Floats) -> Floats:
    """(3,): how much brighter each colour is now than at rest, over skin that is seen."""
    few = np.s_[::_SPARSE, ::_SPARSE]
    weight = trust[few][..., None]
    sums = [(picture[few] * weight).sum((0, 1)) + 1e-3 for picture in (now, neutral)]
    return np.asarray(np.clip(sums[0] / sums[1], *_LIGHT), np.float32)


def _around(face: Floats) -> Floats:
    """1 where a face, its mouth wide open, is not; soft.  face: (size, size) 0..1 at rest."""
    size = face.shape[0]
    down, rim = round(_CHIN * size), max(3, round(_RIM * size))
    reach = np.zeros((2 * down + 1, 2 * rim + 1), np.uint8)
    reach[down:, rim] = 1  # from a pixel to those above it, so that what is below a face belongs to it
    reach[down - rim : down + rim + 1] |= np.asarray(
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim + 1, 2 * rim + 1)), np.uint8
    )
    wide = cv2.dilate(face, cv2.flip(reach, 0))
    return np.asarray(1 - cv2.GaussianBlur(wide, (0, 0), rim), np.float32)


def warm_up() -> None:
    """Compile (or load) the kernel: call it before time matters."""
    picture, plane = np.zeros((2, 2, 3), np.uint8), frozen(np.zeros((2, 2), np.float32))
    light = frozen(np.ones(3, np.float32))
    _lay(frozen(picture), frozen(picture), plane, plane, plane, np.float32(0), light, 2, picture.copy())


@kernel
def _lay(
    still: Picture,
    neutral: Picture,
    seen: Floats,
    trust: Floats,
    around: Floats,
    most: np.float32,
    light: Floats,
    period: int,
    out: Picture,
) -> float:
    """out = still; around the face by `most` the neutral picture, where skin is hidden that, hatched.

    Returns how many pixels of skin are hidden.
    """
    hidden = 0.0
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            share = max(seen[y, x] - trust[y, x], np.float32(0))
            hidden += share
            beside = around[y, x] * most
            dark = _HATCH_DARK if (x + y) // period % 2 else np.float32(1)
            for c in range(3):
                lit = min(np.float32(neutral[y, x, c]) * light[c], np.float32(255))
                value = np.float32(still[y, x, c]) * (np.float32(1) - beside) + lit * beside
                value = value * (np.float32(1) - share) + lit * dark * share
                out[y, x, c] = np.uint8(value + np.float32(0.5))
    return hidden
