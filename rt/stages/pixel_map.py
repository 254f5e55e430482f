"""Gives the cropped face the movement to practise, from a bundle.

A Pixel-RR map (Akram and Khan 2020), our mesh, or an expression editor (Cascade EF-GAN, Wu et al. 2020).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from engines.bundle import MANIFEST
from engines.emg.tasks import TASKS
from engines.errors import EngineError
from engines.face.practise import Movement, Painter, load_movement, painter_of
from engines.face.practise_edit import EditMovement
from engines.shipped import bundle_folder, shipped_bundles
from rt.errors import BadSettings
from rt.message import Crop, Frame, Message
from rt.stage import Context, Emit, Node

PRACTISE, BESIDE, CAMERA = "practise", "beside", "camera"
SIDES = ("both", "left", "right")
_PREFIX, _EDITORS = "pixel-", "cascade-"  # of the shipped bundles' names
_OF_EDITORS = tuple(task.name for task in TASKS if task.mode == "emotion")  # what the page offers of an editor's
_ONE_OF_EACH = ("pixel-smile", "pixel-smile-open")  # by gain and bias, and by mesh
_USUAL_PX = 128  # a crop's side


@dataclass(frozen=True)
class PixelMapSettings:
    """Which movement, how much of it, on which of the person's own sides, and when."""

    bundle: str = "pixel-smile"  # a shipped bundle's name, or the path of one; of an editor's NAME:EXPRESSION
    view: Literal["camera", "practise", "beside"] = "camera"  # what is shown at first; the page switches
    amount: float = 1.0  # 0 (the face as it is) to 1 (the whole movement)
    side: Literal["both", "left", "right"] = "both"
    allow_untracked: bool = False  # also on the fixed crop, where the face may lie beside the map
    own: str | None = None  # folder of maps fitted to this person: one stands in for the bundle of the same name


class PixelMapStage(Node[PixelMapSettings]):
    """Changes `.crop.image` while the view is 'practise' or 'beside', and only where a face is followed.

    Where electrodes are removed it works on the face without them; a picture of the edit mask is left as it is.
    A frame whose crop was changed carries practise=True; paste-back then makes that true of the whole picture.
    Commands: 'view' ('camera', 'practise' or 'beside'), 'amount' (0..1), 'side' ('both', 'left', 'right') and 'target'
    (a movement's name; it is read again, as it may have been fitted to the person meanwhile). Per frame of 128 px
    0.5 ms where the movement also changes the face's shape, else 0.04 ms. An editor's network runs beside the frames,
    as often as one core can, and what it changed glides from one answer to the next (engines/face/practise_edit.py).
    """

    Settings = PixelMapSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}

    def __init__(self, settings: PixelMapSettings, context: Context) -> None:
        super().__init__(settings, context)
        if not 0.0 <= settings.amount <= 1.0:
            raise BadSettings(f"practise.amount is {settings.amount:g}: give a number from 0 to 1")
        if settings.side not in SIDES:
            raise BadSettings(f"practise.side is {settings.side!r}: give {', '.join(SIDES)}")
        self._view: str = settings.view
        self._amount = settings.amount
        self._side: str = settings.side
        self._target = settings.bundle
        self._movement: Movement | None = None
        self._is_own = False  # whether it is fitted to this person
        self._painters: dict[tuple[str, int], Painter] = {}  # by bundle and crop size: a change back costs nothing
        self._key = ""  # of the bundle
        self._buffers: list[np.ndarray] = []
        self._landmarks_px = np.zeros((0, 2), np.float32)

    def open(self) -> None:
        """Load the movement and compile its kernel. Raises BadSettings when there is no such, or a damaged, bundle."""
        try:
            self._choose(*_find_bundle(self._target, self.settings.own))
            painter = self._fit(_USUAL_PX)
            for name in _ONE_OF_EACH:  # 0.4 s when a kernel is not cached: not while somebody is choosing
                painter_of(load_movement(bundle_folder(name)), _USUAL_PX)
        except EngineError as error:
            raise BadSettings(str(error)) from error
        self.context.tell(role="practise", backend=painter.backend, precision=painter.precision)
        self._tell()

    def close(self) -> None:
        """Give networks and their threads back."""
        painters, self._painters = self._painters, {}
        for painter in painters.values():
            painter.close()

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """The frame, its crop changed or not."""
        assert isinstance(message, Frame)
        crop = message.crop
        assert self._movement is not None, "process() before open()"
        if crop is None or self._view == CAMERA or self._amount == 0.0:
            return [("frame", message)]
        if not (crop.tracked or self.settings.allow_untracked) or message.removal == "edit":
            return [("frame", message)]
        painter = self._fit(crop.image.shape[0])
        if painter.needs_landmarks and message.face is None:
            return [("frame", message)]
        self._buffers.reverse()
        left, right = (self._amount if self._side in ("both", side) else 0.0 for side in ("left", "right"))
        image = painter.paint(crop.image, self._in_crop(message, crop), left, right, self._buffers[0])
        return [("frame", replace(message, crop=replace(crop, image=image), practise=True))]

    def _in_crop(self, frame: Frame, crop: Crop) -> npt.NDArray[np.float32] | None:
        """The landmarks in the crop's pixels: (478, 2)."""
        if frame.face is None:
            return None
        points = frame.face.landmarks_px[:, :2]
        if self._landmarks_px.shape != points.shape:
            self._landmarks_px = np.empty(points.shape, np.float32)
        np.matmul(points, crop.crop_from_frame[:, :2].T, out=self._landmarks_px)
        self._landmarks_px += crop.crop_from_frame[:, 2]
        return self._landmarks_px

    def _fit(self, size: int) -> Painter:
        """What paints the target on crops of this size, px; made once, with a network once for all sizes."""
        key = self._key, 0 if isinstance(self._movement, EditMovement) else size
        if key not in self._painters:
            assert self._movement is not None
            self._painters[key] = painter_of(self._movement, size)
        if not self._buffers or self._buffers[0].shape[0] != size:
            self._buffers = [np.zeros((size, size, 3), np.uint8) for _ in range(2)]  # one before may be on its way
        return self._painters[key]

    def command(self, name: str, value: Any) -> None:
        """'view', 'amount', 'side' and 'target'; values that make no sense change nothing."""
        if name == "view" and value in (PRACTISE, BESIDE, CAMERA):
            self._view = value
            self._forget()
        elif name == "amount" and isinstance(value, (int, float)) and 0 <= value <= 1:
            self._amount = float(value)
        elif name == "side" and value in SIDES:
            self._side = value
        elif name == "target" and self._knows(value):
            self._change(value)
        else:
            return
        self._tell()

    def _knows(self, name: Any) -> bool:
        """Whether somebody may choose this while the session runs: a shipped movement, or the station's own."""
        return isinstance(name, str) and (name in movements() or name == Path(self.settings.bundle).name)

    def _change(self, name: str) -> None:
        """Another movement; one that cannot be read, or that nothing here can run, leaves the picture as it was."""
        given = self.settings.bundle if name == Path(self.settings.bundle).name else name
        before = self._movement, self._key, self._is_own
        try:
            self._choose(*_find_bundle(given, self.settings.own))
            painter = self._fit(self._buffers[0].shape[0] if self._buffers else _USUAL_PX)
        except (EngineError, BadSettings) as error:
            self._movement, self._key, self._is_own = before
            self.context.event("ALARM", f"{name} cannot be shown: {error}")
            return
        self._target = given
        assert self._movement is not None
        painter.aim(self._movement)
        self.context.tell(backend=painter.backend, precision=painter.precision)

    def _choose(self, folder: Path, expression: str) -> None:
        self._movement = load_movement(folder, expression)
        self._key = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()  # it names its weights' hash
        self._is_own = self.settings.own is not None and folder.parent == Path(self.settings.own)

    def _forget(self) -> None:
        for painter in self._painters.values():
            painter.forget()

    def _tell(self) -> None:
        self.context.tell(
            view=self._view,
            amount=self._amount,
            side=self._side,
            target=Path(self._target).name,
            bundle=Path(self._target).name,
            fitted_to_person=self._is_own,
            expression=self._movement.expression if self._movement else "",
        )


def movements() -> list[str]:
    """Names of the movements that can be chosen while a session runs: those that are shipped."""
    shipped = [path.name for path in shipped_bundles()]
    many = [f"{name}:{expression}" for name in shipped if name.startswith(_EDITORS) for expression in _OF_EDITORS]
    return [name for name in shipped if name.startswith(_PREFIX)] + many


def own_movements(folder: Path) -> list[str]:
    """Names of the movements that are fitted to a person.  folder: of this person; it may not exist."""
    return sorted(path.parent.name for path in folder.glob(f"*/{MANIFEST}"))


def _find_bundle(name: str, own: str | None = None) -> tuple[Path, str]:
    """The person's own bundle of that name, else a shipped one, else a path that exists; and which of its movements.

    name: an editor's may end in :EXPRESSION.  Raises BadSettings with the list of those that are shipped.
    """
    parent, _, last = name.rpartition("/")
    stem, _, expression = last.partition(":")
    plain = f"{parent}/{stem}" if parent else stem
    for given, wanted in ((name, ""), (plain, expression)):  # a folder's own name may have a colon
        folders = [bundle_folder(Path(given).expanduser())]
        if own is not None:
            folders.insert(0, Path(own) / Path(given).name)
        for folder in folders:
            if (folder / MANIFEST).is_file():
                return folder, wanted
    raise BadSettings(
        f"{name!r} is no movement to practise: give the path of a bundle, or a shipped one: {', '.join(movements())}"
    )
