"""When a face may be taken as a person's neutral one: turned to the camera, eyes open, mouth and brows at rest, still.

Everything that is said of a movement later is said against this face, so it is not taken from any picture: for a while
nothing may be in the way, and the landmarks of that while are averaged.  A face that is uneven at rest passes, as most
patients' faces are.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput
from engines.face.arrays import Floats
from engines.face.blendshapes import BLENDSHAPE_INDEX, BLENDSHAPES
from engines.face.landmarks import COUNT

_EYES = [BLENDSHAPE_INDEX[name] for name in ("eyeBlinkLeft", "eyeBlinkRight")]
# What a face at rest does not do, and from which score of MediaPipe's on.  It sees a little of each on everybody, of
# lips and brows most: none of 90 neutral photos of the London faces is above one of these
_AT_REST = {
    "jawOpen": 0.12,
    "mouthSmileLeft": 0.62,
    "mouthSmileRight": 0.62,
    "mouthPucker": 0.9,
    "mouthFunnel": 0.3,
    "mouthLeft": 0.3,
    "mouthRight": 0.3,
    "cheekPuff": 0.3,
    "browInnerUp": 0.9,
}
_MOVED = [BLENDSHAPE_INDEX[name] for name in _AT_REST]
_MOST = np.array(list(_AT_REST.values()), np.float32)


class Obstacle(IntEnum):
    """What is in the way of a neutral face."""

    NONE = 0  # it can be taken
    TURNED = 1
    EYES_SHUT = 2
    MOVING_FACE = 3  # mouth or brows are not at rest
    NOT_STILL = 4  # nothing else is in the way: the person holds still, and the while is not over


@dataclass(frozen=True)
class NeutralSettings:
    """What is neutral.

    most_blink: of the eye that is further open; none of the 90 people above has more than 0.21.
    """

    away_deg: float = 12.0  # a camera below or above the screen is no turn
    most_blink: float = 0.45
    still: float = 0.012  # landmarks' way over the while, rms, shares of the crop's side
    hold_s: float = 0.6


class NeutralWatch:
    """Looks at one picture after the other until a while without an obstacle is over."""

    def __init__(self, size: int, settings: NeutralSettings | None = None) -> None:
        """size: side of the crops that the landmarks are in, px."""
        self.settings = settings or NeutralSettings()
        self._size = size
        self._held: list[tuple[float, Floats]] = []

    def reset(self) -> None:
        """Forget what was held, e.g. because the face was lost."""
        self._held.clear()

    def update(self, t_s: float, landmarks_px: Floats, blendshapes: Floats, away_deg: float) -> Obstacle:
        """What is in the way in this picture.

        t_s: seconds, rising.  landmarks_px: (478, 2) px of an upright crop.  blendshapes: (52,) 0..1.  away_deg: angle
        between the face's direction and the camera's.  Raises BadInput for other shapes.
        """
        if landmarks_px.shape != (COUNT, 2) or blendshapes.shape != (len(BLENDSHAPES),):
            raise BadInput(f"a face is (478, 2) px and (52,), found {landmarks_px.shape} and {blendshapes.shape}")
        found = self._obstacle(blendshapes, away_deg)
        if found:
            self.reset()
            return found
        self._held = [(t, seen) for t, seen in self._held if t < t_s and self._is_still(seen, landmarks_px)]
        self._held.append((t_s, landmarks_px.copy()))
        return Obstacle.NOT_STILL if t_s - self._held[0][0] < self.settings.hold_s else Obstacle.NONE

    def landmarks_px(self) -> Floats:
        """(478, 2) float32: the mean over the while, px of the crop.  Raises BadInput when nothing is held."""
        if not self._held:
            raise BadInput("no neutral face is being held: update first")
        return np.asarray(np.mean([seen for _, seen in self._held], axis=0), np.float32)

    def _obstacle(self, blendshapes: npt.NDArray[np.floating], away_deg: float) -> Obstacle:
        s = self.settings
        if not away_deg <= s.away_deg:
            return Obstacle.TURNED
        if blendshapes[_EYES].min() > s.most_blink:  # one eye that does not close or open is a patient's
            return Obstacle.EYES_SHUT
        return Obstacle.MOVING_FACE if (blendshapes[_MOVED] > _MOST).any() else Obstacle.NONE

    def _is_still(self, before: Floats, now: Floats) -> bool:
        way = float(np.sqrt(((now - before) ** 2).sum(1).mean()))
        return way < self.settings.still * self._size
