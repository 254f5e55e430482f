"""Gives the cropped face the movement to practise: a Pixel-RR map (Akram and Khan 2020) from a bundle."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

import engines
from engines.errors import BundleError
from engines.face.pixel_map import PixelMap, apply_pixel_map, load_pixel_map
from rt.errors import BadSettings
from rt.message import Frame, Message
from rt.stage import Context, Emit, Node

PRACTISE, CAMERA = "practise", "camera"
_SHIPPED = Path(engines.__file__).parent / "bundles"


@dataclass(frozen=True)
class PixelMapSettings:
    """Which movement, how much of it, and when."""

    bundle: str = "pixel-smile"  # a shipped bundle's name, or the path of one
    view: Literal["camera", "practise"] = "camera"  # what is shown at first; the page switches
    amount: float = 1.0  # 0 (the face as it is) to 1 (the whole movement)
    allow_untracked: bool = False  # also on the fixed crop, where the face may lie beside the map


class PixelMapStage(Node[PixelMapSettings]):
    """Changes `.crop.image` while the view is 'practise', and only where a face is followed.

    Where electrodes are removed it works on the face without them; a picture of the edit mask is left as it is.
    A frame whose crop was changed carries practise=True; paste-back then makes that true of the whole picture.
    Commands: 'view' ('camera' or 'practise') and 'amount' (0..1). 0.04 ms per frame.
    """

    Settings = PixelMapSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}

    def __init__(self, settings: PixelMapSettings, context: Context) -> None:
        super().__init__(settings, context)
        if not 0.0 <= settings.amount <= 1.0:
            raise BadSettings(f"practise.amount is {settings.amount:g}: give a number from 0 to 1")
        self._view: str = settings.view
        self._amount = settings.amount
        self._map: PixelMap | None = None

    def open(self) -> None:
        """Load the map and compile the kernel. Raises BadSettings when there is no such, or a damaged, bundle."""
        try:
            self._map = load_pixel_map(_find_bundle(self.settings.bundle))
        except BundleError as error:
            raise BadSettings(str(error)) from error
        self._fit(self._map.size)
        self.context.tell(role="practise", backend="numba", bundle=Path(self.settings.bundle).name, precision="int16")
        self._tell()

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """The frame, its crop changed or not."""
        assert isinstance(message, Frame)
        crop, pixel_map = message.crop, self._map
        assert pixel_map is not None, "process() before open()"
        if crop is None or self._view != PRACTISE or self._amount == 0.0:
            return [("frame", message)]
        if not (crop.tracked or self.settings.allow_untracked):
            return [("frame", message)]
        if message.removal == "edit":
            return [("frame", message)]
        if crop.image.shape[0] != pixel_map.size:
            pixel_map = self._fit(crop.image.shape[0])
        self._buffers.reverse()
        image = apply_pixel_map(crop.image, pixel_map, self._amount, self._buffers[0])
        return [("frame", replace(message, crop=replace(crop, image=image), practise=True))]

    def _fit(self, size: int) -> PixelMap:
        """The map and its buffers for crops of this size, px, once; and the kernel compiled."""
        assert self._map is not None
        self._map = self._map.at_size(size)
        self._buffers = [np.zeros((size, size, 3), np.uint8) for _ in range(2)]  # the one before may be on its way
        face = np.zeros((size, size, 3), np.uint8)
        for writeable in (True, False):  # a crop from another process is read-only: Numba compiles that anew
            face.flags.writeable = writeable
            apply_pixel_map(face, self._map, 1.0, self._buffers[0])
        return self._map

    def command(self, name: str, value: Any) -> None:
        """'view' and 'amount'; values that make no sense change nothing."""
        if name == "view" and value in (PRACTISE, CAMERA):
            self._view = value
        elif name == "amount" and isinstance(value, (int, float)) and 0 <= value <= 1:
            self._amount = float(value)
        else:
            return
        self._tell()

    def _tell(self) -> None:
        expression = self._map.expression if self._map else ""
        self.context.tell(view=self._view, amount=self._amount, expression=expression)


def _find_bundle(name: str) -> Path:
    """A path that exists, else a shipped bundle. Raises BadSettings with the list of those."""
    given = Path(name).expanduser()
    shipped = sorted(p.name for p in _SHIPPED.iterdir() if (p / "manifest.json").is_file())
    if name in shipped:
        return _SHIPPED / name
    if (given / "manifest.json").is_file():
        return given
    raise BadSettings(f"{name!r} is no bundle: give the path of one, or a shipped one: {', '.join(shipped)}")
