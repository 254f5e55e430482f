"""Cuts the face out, upright and calm; the middle of the picture where no face can be followed."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from engines.errors import FaceLost
from engines.face.crop import CropSettings as Shape
from engines.face.crop import SmoothCrop, fixed_crop, warp
from engines.face.one_euro import OneEuroSettings
from rt.message import Crop, Frame, Message
from rt.stage import Context, Emit, Node

Affine = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CropStageSettings:
    """Size and calmness; the One-Euro values are `engines.face.one_euro`'s."""

    size: int = 128  # pixels per side
    scale: float = 1.4  # side of the crop / side of the neutral face's box
    min_cutoff_hz: float = OneEuroSettings.min_cutoff_hz
    beta: float = OneEuroSettings.beta
    hold_s: float = 0.5  # a face lost for less keeps its place


class CropStage(Node[CropStageSettings]):
    """Adds `.crop` to each frame. 0.6 ms per frame of 640x480 on one core."""

    Settings = CropStageSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}

    def __init__(self, settings: CropStageSettings, context: Context) -> None:
        super().__init__(settings, context)
        calm = OneEuroSettings(settings.min_cutoff_hz, settings.beta)
        self._smooth = SmoothCrop(Shape(settings.size, settings.scale, calm))
        self._place: tuple[float, Affine] | None = None  # where the face was seen last, and when
        side = settings.size
        self._buffers = [np.empty((side, side, 3), np.uint8) for _ in range(2)]  # the one before may be on its way

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """The frame with its crop."""
        assert isinstance(message, Frame)
        crop_from_frame, tracked = self._placed(message)
        self._buffers.reverse()
        # The rounded matrix cuts, so that whoever cuts again with the one in the message gets the same pixels.
        image = warp(message.image, crop_from_frame.astype(np.float64), self._buffers[0])
        return [("frame", replace(message, crop=Crop(image, crop_from_frame, tracked)))]

    def _placed(self, frame: Frame) -> tuple[Affine, bool]:
        if frame.face is not None:
            try:
                place = self._smooth.update(frame.face.landmarks_px, frame.t_capture).astype(np.float32)
            except FaceLost:
                pass  # as good as none: too small or degenerate
            else:
                self._place = frame.t_capture, place
                return place, True
        if self._place is not None and 0 <= frame.t_capture - self._place[0] < self.settings.hold_s:
            return self._place[1], True
        self._place = None
        self._smooth.reset()
        fixed = fixed_crop(frame.image.shape, self.settings.size, self.settings.scale)
        return fixed.astype(np.float32), False
