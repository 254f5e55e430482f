"""Puts the changed face back into the full picture."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from engines.face.crop import fixed_crop, warp
from engines.face.oval import oval_weights
from engines.face.paste import Paste
from rt.message import Crop, Frame, Message
from rt.stage import Context, Emit, Node

Picture = npt.NDArray[np.uint8]

_HELD_S = 2.0  # longer than any crop is held


@dataclass(frozen=True)
class PasteBackSettings:
    """How the face is put back."""

    # 'change': add what the edit changed and keep the camera's own fine detail; 'replace': lay the face over it
    method: Literal["change", "replace"] = "change"
    softness: float = 0.12  # width of the fade at the border, as a share of the crop's side


class PasteBackStage(Node[PasteBackSettings]):
    """Shows the changed crop in the picture; frames whose crop was not changed pass untouched and uncopied.

    The whole picture is copied once, straight into the runtime's buffer; then only the rows under the crop are
    visited. Where landmarks say where the face is, hair and background stay the camera's own.
    1.3 ms per frame of 640x480 on one core.
    """

    Settings = PasteBackSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}

    def __init__(self, settings: PasteBackSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._paste: Paste | None = None
        self._before = np.empty((0, 0, 3), np.uint8)
        self._weights = np.empty((0, 0), np.uint8)
        self._t_oval = -np.inf  # when the weights were drawn last

    def open(self) -> None:
        """Compile the kernels."""
        frame, face = np.zeros((96, 128, 3), np.uint8), np.zeros((128, 128, 3), np.uint8)
        crop = Crop(face, fixed_crop(frame.shape).astype(np.float32), tracked=False)
        self._lay(frame, crop, None)
        face.flags.writeable = False  # as a crop from another process is: Numba compiles that anew
        self._lay(frame, crop, np.full((128, 128), 255, np.uint8))

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """The frame with the full picture that shows its changed crop."""
        assert isinstance(message, Frame)
        if message.crop is None or not message.practise:
            return [("frame", message)]
        height, width, _ = message.image.shape
        image = self.context.frame_buffer("frame", (height, width, 3))
        np.copyto(image, message.image)
        self._lay(image, message.crop, self._face_only(message, message.crop))
        return [("frame", message.with_image(image, practise=True))]

    def _face_only(self, frame: Frame, crop: Crop) -> Picture | None:
        """Weights of the face's oval; while a lost face keeps its crop the last ones, without any face none."""
        side = crop.image.shape[0]
        if frame.face is not None:
            if self._weights.shape[0] != side:
                self._weights = np.empty((side, side), np.uint8)
            self._t_oval = frame.t_capture
            return oval_weights(frame.face.landmarks_px, crop.crop_from_frame, self._weights)
        held = crop.tracked and self._weights.shape[0] == side and 0 <= frame.t_capture - self._t_oval < _HELD_S
        return self._weights if held else None

    def _lay(self, frame: Picture, crop: Crop, weights: Picture | None) -> None:
        """In place. The crop before the change is cut out again, instead of carrying it along."""
        size = crop.image.shape[0]
        if self._paste is None or self._paste.size != size:
            self._paste = Paste(size, self.settings.softness)
            self._before = np.empty((size, size, 3), np.uint8)
        crop_from_frame = crop.crop_from_frame.astype(np.float64)
        if self.settings.method == "replace":
            self._paste.replace(frame, crop.image, crop_from_frame, weights)
        else:
            warp(frame, crop_from_frame, self._before)
            self._paste.add_change(frame, self._before, crop.image, crop_from_frame, weights)
