"""When a face may be taken as a person's neutral one: nothing is in the way of it, and it is held for a while.

Everything that is said of a movement later is said against this face, so it is not taken from any picture: for a while
no picture may have an obstacle (engines/face/frame_check.py), and the landmarks of that while are averaged.  A face
that is uneven at rest passes, as most patients' faces are, and so does one with an eye that does not open or close.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from engines.errors import BadInput
from engines.face.arrays import Floats
from engines.face.blendshapes import BLENDSHAPES
from engines.face.frame_check import CheckSettings, FrameCheck, Look, Obstacle
from engines.face.landmarks import COUNT


@dataclass(frozen=True)
class NeutralSettings:
    """What is neutral."""

    check: CheckSettings = field(default_factory=lambda: CheckSettings(turned_deg=12.0))  # of a fitted head
    eyes_open: float = 0.6  # of the eye's own opening a moment ago
    still: float = 0.012  # landmarks' way over the while, rms, shares of the crop's side
    hold_s: float = 0.6


class NeutralWatch:
    """Looks at one picture after the other until a while without an obstacle is over."""

    def __init__(self, size: int, settings: NeutralSettings | None = None) -> None:
        """size: side of the crops that are averaged in, px."""
        self.settings = settings or NeutralSettings()
        self._size = size
        self._check = FrameCheck(self.settings.check)
        self._held: list[tuple[float, Floats]] = []

    def reset(self) -> None:
        """Forget what was held, e.g. because the face was lost."""
        self._held.clear()

    def update(self, look: Look, crop_px: Floats) -> Obstacle | None:
        """What is in the way in this picture; None when nothing is.

        look: the picture, its times rising.  crop_px: (478, 2) px, the landmarks in an upright crop of `size`.
        Raises BadInput for other shapes.
        """
        if crop_px.shape != (COUNT, 2) or look.blendshapes.shape != (len(BLENDSHAPES),):
            raise BadInput(f"a face is (478, 2) px and (52,), found {crop_px.shape} and {look.blendshapes.shape}")
        found = self._check.judge(look, True, self.settings.eyes_open)
        if found is not None:
            self.reset()
            return found
        self._held = [(t, seen) for t, seen in self._held if t < look.t_s and self._is_still(seen, crop_px)]
        self._held.append((look.t_s, crop_px.copy()))
        return None

    @property
    def is_over(self) -> bool:
        """Whether the while is over: the face can be taken."""
        return bool(self._held) and self._held[-1][0] - self._held[0][0] >= self.settings.hold_s

    def landmarks_px(self) -> Floats:
        """(478, 2) float32: the mean over the while, px of the crop.  Raises BadInput when nothing is held."""
        if not self._held:
            raise BadInput("no neutral face is being held: update first")
        return np.asarray(np.mean([seen for _, seen in self._held], axis=0), np.float32)

    def _is_still(self, before: Floats, now: Floats) -> bool:
        way = float(np.sqrt(((now - before) ** 2).sum(1).mean()))
        return way < self.settings.still * self._size
