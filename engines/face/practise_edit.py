"""A movement that an expression editor makes (Cascade EF-GAN): its change of the face, laid over every picture.

A map takes a fraction of a millisecond, the network 5 to 40 on one core.  So the network is given the newest face
whenever it is free, on a thread of its own, and no picture waits for it but the very first.  What it changed, the
difference between its face and the one it was given, goes over all pictures until the next change is there, each of
which comes in over as many pictures as it took to make.  The change is as coarse as the network's picture; the skin
below it stays the camera's own, but for its fine lines where much is changed: closed lips are not drawn across an open
mouth.  A face that moves faster than the network carries the change of a moment ago.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from engines.bundle import read_bundle
from engines.emg.muscles import shown_by
from engines.emg.tasks import TASKS
from engines.errors import BadInput, BundleError
from engines.face.action_units import labels_from_arkit52
from engines.loading import load
from engines.model import Model
from engines.spec import Arrays, Engine

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SYSTEM = "cascade_ef_gan"
EXPRESSIONS = tuple(task.name.lower() for task in TASKS if task.moves)
"""What an editor can be asked for: the emotions and functional movements of engines/emg/tasks.py at their height."""

_TOUCHED, _PAINTED_OVER = 12.0, 36.0  # grey levels of change: fine detail begins to go, is gone
_SEAM = 0.16  # as PixelMap.on_sides: width of the step between the sides, as a share of the crop's


class _Edit(NamedTuple):
    """What is done to a crop.  Both (size, size, 3) float32."""

    change: Floats  # grey levels, added
    gone: Floats  # 0..1, the share of the picture's fine lines that is painted over; the same in all colours

    def become(self, other: _Edit) -> None:
        """Hold what the other one holds."""
        for mine, others in zip(self, other, strict=True):
            mine[:] = others


@dataclass(frozen=True, eq=False)
class EditMovement:
    """One expression of an editor.  target: (52,) float32, blendshapes at its height."""

    model: Model
    expression: str
    target: Floats


def load_edit(bundle_dir: Path, expression: str) -> EditMovement:
    """Read an editor's bundle.

    expression: one of EXPRESSIONS.  Raises BundleError for a damaged bundle or one of another system, BadInput for
    another expression.
    """
    if expression not in EXPRESSIONS:
        near = difflib.get_close_matches(expression, EXPRESSIONS, 1, 0.0)[0]
        raise BadInput(f"{expression!r} is no expression of an editor's; the nearest is {near!r}")
    model = Model(read_bundle(bundle_dir, system=SYSTEM), bundle_dir.name)
    if "target" not in {spec.name for spec in model.bundle.manifest.inputs}:
        raise BundleError(f"{bundle_dir} is told no expression: train it again with this version of myomirror")
    task = next(task for task in TASKS if task.name.lower() == expression)
    return EditMovement(model, expression, shown_by(task.intent).astype(np.float32))


class EditPainter:
    """Lays an editor's changes over crops, of any size; see `engines.face.practise.Painter`."""

    needs_landmarks = False

    def __init__(self, movement: EditMovement, size: int, open_engine: Callable[[Model], Engine] | None = None) -> None:
        """size: of the first crop, px.  open_engine: None takes what is fastest here, on one core.

        Raises BackendMissing, saying what to install, when nothing here can run the network.
        """
        if size < 1:
            raise BadInput(f"a face crop has 1 px or more, found {size}")
        self._thread = ThreadPoolExecutor(1, "edits")  # a GPU's engine is used by the thread that opened it
        try:
            self._engine: Engine = self._thread.submit(open_engine or _fastest, movement.model).result()
        except BaseException:
            self._thread.shutdown()
            raise
        self.backend, self.precision = self._engine.backend, self._engine.precision
        specs = {spec.name: spec for spec in self._engine.inputs}
        self._profile = str(movement.model.bundle.manifest.sizes["profile"])
        self._strongest = np.float32(specs["target"].range[1])
        self._given: dict[str, npt.NDArray[Any]] = {
            name: np.zeros(spec.shape or (), spec.dtype) for name, spec in specs.items()
        }  # the face and what it shows: at rest, as whoever practises begins
        self._small = np.zeros_like(self._given["face"])
        self._job: Future[_Edit] | None = None
        self.pictures_per_edit = 0  # how many pictures the last change was waited for; 0 before the first
        self._waited = self._since = 0
        self._target = self._told(movement)
        self._make_room(size)

    def paint(
        self, face: Picture, landmarks_px: npt.NDArray[np.floating] | None, left: float, right: float, out: Picture
    ) -> Picture:
        """As MeshPainter.paint, without landmarks.  Both sides get a share of the larger amount's expression."""
        if len(face) != self._size:
            self.forget()
            self._make_room(len(face))
        amount = max(left, right)
        if self._job is None:
            self._give(face, amount)
            self._next.become(self._taken())
            self._before.become(self._next)
        elif self._job.done():
            self._before.become(self._shown)
            self._next.become(self._taken())
            self.pictures_per_edit, self._since = max(1, self._waited), 0
        if self._job is None:
            self._give(face, amount)
        self._waited += 1
        self._since += 1
        share = min(1.0, self._since / max(1, self.pictures_per_edit))
        for before, coming, shown in zip(self._before, self._next, self._shown, strict=True):
            cv2.addWeighted(before, 1.0 - share, coming, share, 0.0, dst=shown)
        painted = self._fine_lines(face)
        cv2.multiply(painted, self._shown.gone, dst=painted)
        cv2.subtract(self._shown.change, painted, dst=painted)
        if left != right:
            cv2.multiply(painted, self._weights_for(left / amount, right / amount), dst=painted)
        cv2.add(face, painted, dst=out, dtype=cv2.CV_8U)
        return out

    def aim(self, movement: object) -> None:
        """Paint another expression of the same bundle, from the next picture on."""
        assert isinstance(movement, EditMovement)
        self.forget()
        self._target = self._told(movement)

    def forget(self) -> None:
        """Begin anew with the next picture: somebody else may be in it, or the same person much later."""
        if self._job is not None:
            self._taken()
        self.pictures_per_edit = 0

    def close(self) -> None:
        """Give the network's memory and threads back."""
        self._thread.submit(self._engine.close).result()
        self._thread.shutdown()

    def _make_room(self, size: int) -> None:
        self._size, shape = size, (size, size, 3)
        self._before, self._next, self._shown = (
            _Edit(np.zeros(shape, np.float32), np.zeros(shape, np.float32)) for _ in range(3)
        )
        self._coarse, self._smooth = np.zeros_like(self._small), np.zeros(shape, np.uint8)
        self._fine, self._weights = np.zeros(shape, np.float32), np.ones(shape, np.float32)
        self._sides = 1.0, 1.0  # that the weights are for

    def _told(self, movement: EditMovement) -> Floats:
        return labels_from_arkit52(movement.target, self._profile) * self._strongest

    def _give(self, face: Picture, amount: float) -> None:
        self._shrink(face, self._small)  # copies: the crop is only lent
        self._waited = 0
        self._job = self._thread.submit(self._change, amount)

    def _shrink(self, face: Picture, out: npt.NDArray[Any]) -> None:
        side = len(out)
        how = cv2.INTER_AREA if side < self._size else cv2.INTER_LINEAR
        cv2.resize(face, (side, side), dst=out, interpolation=how)

    def _fine_lines(self, face: Picture) -> Floats:
        """What of a picture the network's is too coarse for: (size, size, 3) float32, overwritten by the next."""
        self._shrink(face, self._coarse)
        cv2.resize(self._coarse, (self._size, self._size), dst=self._smooth, interpolation=cv2.INTER_LINEAR)
        cv2.subtract(face, self._smooth, dst=self._fine, dtype=cv2.CV_32F)
        return self._fine

    def _taken(self) -> _Edit:
        assert self._job is not None
        found = self._job.result()
        self._job = None
        return found

    def _change(self, amount: float) -> _Edit:
        """What the network makes of the small face, in the crop's size; on the network's thread."""
        self._given["face"][:] = self._small
        self._given["target"][:] = amount * self._target
        asked: Arrays = self._given
        edited = self._engine.run(asked)["face"]
        change = edited.astype(np.float32) - self._small
        much = np.abs(change).max(2)
        gone = np.clip((much - _TOUCHED) / (_PAINTED_OVER - _TOUCHED), 0.0, 1.0)
        return _Edit(self._enlarged(change), cv2.merge([self._enlarged(gone)] * 3))

    def _enlarged(self, small: Floats) -> Floats:
        return np.asarray(cv2.resize(small, (self._size, self._size), interpolation=cv2.INTER_LINEAR), np.float32)

    def _weights_for(self, left: float, right: float) -> Floats:
        """How much of the change each column gets; the person's left is the picture's right."""
        if self._sides != (left, right):
            t = np.clip((np.arange(self._size) - (self._size - 1) / 2) / (_SEAM * self._size) + 0.5, 0, 1)
            self._weights[:] = (right + (left - right) * t * t * (3 - 2 * t))[None, :, None]
            self._sides = left, right
        return self._weights


def _fastest(model: Model) -> Engine:
    return load(model, threads=1)
