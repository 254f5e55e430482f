"""Puts what was done to the face back into the full picture: electrodes away or marked, the movement to practise."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from engines.face.crop import fixed_crop, warp
from engines.face.edit_paste import EditPaste
from engines.face.edit_view import EditView
from engines.face.oval import oval_weights
from engines.face.paste import Paste
from rt.message import Crop, Face, Frame, Message, Restored
from rt.stage import Context, Emit, Node

Picture = npt.NDArray[np.uint8]

BESIDE = "beside"
VIEWS = ("camera", "practise", BESIDE)
_HELD_S = 2.0  # longer than any crop is held


@dataclass(frozen=True)
class PasteBackSettings:
    """How the face is put back."""

    # 'change': add what the edit changed and keep the camera's own fine detail; 'replace': lay the face over it
    method: Literal["change", "replace"] = "change"
    softness: float = 0.12  # width of the fade at the border, as a share of the crop's side
    view: Literal["camera", "practise", "beside"] = "camera"  # 'beside': own face and movement next to each other


class PasteBackStage(Node[PasteBackSettings]):
    """Shows what was changed in the picture; frames in which nothing was pass untouched and uncopied.

    The whole picture is copied once, straight into the runtime's buffer. Removed electrodes are laid over it only where
    the network edited; then the movement to practise is added under the crop. Where landmarks say where the face is,
    hair and background stay the camera's own.  Command: 'view'; in 'beside' the picture's left half shows the face as
    it is and the right half the face with the movement.
    Per frame of 640x480 on one core: 0.8 ms for removed electrodes, 1.3 ms for a movement.
    """

    Settings = PasteBackSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}

    def __init__(self, settings: PasteBackSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._paste: Paste | None = None
        self._edit_paste: EditPaste | None = None
        self._edit_view = EditView()
        self._before = np.empty((0, 0, 3), np.uint8)
        self._weights = np.empty((0, 0), np.uint8)
        self._t_oval = -np.inf  # when the weights were drawn last
        self._beside = settings.view == BESIDE
        self._halves = np.empty((2, 0, 0, 3), np.uint8)

    def open(self) -> None:
        """Compile the kernels."""
        size = 128
        frame, face = np.zeros((96, 128, 3), np.uint8), np.zeros((size, size, 3), np.uint8)
        edit = np.full((size, size), 255, np.uint8)
        crop = Crop(face, fixed_crop(frame.shape, size).astype(np.float32), tracked=False)
        for writeable in (True, False):  # a crop from another process is read-only: Numba compiles that anew
            face.flags.writeable = edit.flags.writeable = writeable
            self._add_change(frame, crop, None, edit)
            for removal in ("restored", "edit"):
                self._lay_removal(frame, removal, Restored(face, face, edit), crop)

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """The frame with the full picture that shows what was done to its crop."""
        assert isinstance(message, Frame)
        crop, restored = message.crop, message.restored
        if crop is None or not (message.practise or restored):
            return [("frame", message)]
        image = self.context.frame_buffer("frame", message.image.shape)
        np.copyto(image, message.image)
        face = message.face
        if restored is not None:
            self._lay_removal(image, message.removal, restored, crop)
        if message.practise:
            half = self._around(image, crop) if self._beside else None
            if half is not None:
                np.copyto(self._halves[0], image[:, half])
            self._add_change(image, crop, restored, self._face_only(message, crop))
            if half is not None:
                np.copyto(self._halves[1], image[:, half])
                self._lay_beside(image)
            face = _moved(face, half)
        return [("frame", replace(message.with_image(image, practise=message.practise), face=face))]

    def command(self, name: str, value: Any) -> None:
        """'view': whether own face and movement are shown next to each other."""
        if name == "view" and value in VIEWS:
            self._beside = value == BESIDE

    def _around(self, image: Picture, crop: Crop) -> slice:
        """Half of the picture's columns, the face in their middle as far as the picture allows."""
        height, width = image.shape[:2]
        half = width // 2
        if self._halves.shape[1:3] != (height, half):
            self._halves = np.empty((2, height, half, 3), np.uint8)
        matrix = crop.crop_from_frame.astype(np.float64)
        middle = np.full(2, (crop.image.shape[0] - 1) / 2) - matrix[:, 2]
        x = np.linalg.solve(matrix[:, :2], middle)[0]
        first = int(np.clip(round(x - half / 2), 0, width - half))
        return slice(first, first + half)

    def _lay_beside(self, image: Picture) -> None:
        half = self._halves.shape[2]
        image[:, :half], image[:, half : 2 * half] = self._halves

    def _lay_removal(self, frame: Picture, removal: str, restored: Restored, crop: Crop) -> None:
        """Electrodes away, or marked, in place."""
        crop_from_frame = crop.crop_from_frame.astype(np.float64)
        if removal == "edit":
            self._edit_view.draw(frame, restored.edit, crop_from_frame)
            return
        size = restored.edit.shape[0]
        if self._edit_paste is None or self._edit_paste.size != size:
            self._edit_paste = EditPaste(size)
        self._edit_paste.lay(frame, restored.colour, restored.edit, crop_from_frame)

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

    def _add_change(self, frame: Picture, crop: Crop, restored: Restored | None, weights: Picture | None) -> None:
        """The movement, in place. A crop that nobody kept is cut out again, instead of carrying it along."""
        size = crop.image.shape[0]
        if self._paste is None or self._paste.size != size:
            self._paste = Paste(size, self.settings.softness)
            self._before = np.empty((size, size, 3), np.uint8)
        crop_from_frame = crop.crop_from_frame.astype(np.float64)
        if self.settings.method == "replace":
            self._paste.replace(frame, crop.image, crop_from_frame, weights)
            return
        before = restored.face if restored is not None else warp(frame, crop_from_frame, self._before)
        self._paste.add_change(frame, before, crop.image, crop_from_frame, weights)


def _moved(face: Face | None, half: slice | None) -> Face | None:
    """Where the own face is in a picture that shows the movement: in its left half, or, without halves, nowhere."""
    if face is None or half is None:
        return None
    return replace(face, landmarks_px=face.landmarks_px - np.array([half.start, 0], np.float32))
