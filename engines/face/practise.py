"""The movement to practise, whichever way its bundle describes it, painted on a face crop, side by side if asked.

Three kinds of bundle: a gain and bias per pixel (engines/face/pixel_map.py, as published), one that also moves the
face's shape and needs its landmarks (engines/face/pixel_mesh.py, ours), and an expression editor, which can be asked
for many (engines/face/practise_edit.py).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from engines.bundle import read_bundle
from engines.errors import BadInput, BundleError
from engines.face import pixel_mesh
from engines.face.pixel_map import PixelMap, apply_pixel_map, load_pixel_map
from engines.face.pixel_mesh import MeshPainter, PixelMesh, load_pixel_mesh
from engines.face.practise_edit import SYSTEM as EDITOR
from engines.face.practise_edit import EditMovement, EditPainter, load_edit

Picture = npt.NDArray[np.uint8]
Movement = PixelMap | PixelMesh | EditMovement

USUAL = "happy"  # of an editor that is asked for nothing in particular
_LOADERS: dict[str, Callable[[Path], Movement]] = {"pixel_rr": load_pixel_map, pixel_mesh.SYSTEM: load_pixel_mesh}


class Painter(Protocol):
    """Paints one movement on crops of one size."""

    needs_landmarks: bool
    backend: str  # what it runs in, and how its numbers are kept
    precision: str

    def paint(
        self, face: Picture, landmarks_px: npt.NDArray[np.floating] | None, left: float, right: float, out: Picture
    ) -> Picture:
        """As MeshPainter.paint; without landmarks where none are needed."""
        ...

    def aim(self, movement: Movement) -> None:
        """Paint this movement of the same bundle from now on."""
        ...

    def forget(self) -> None:
        """What comes next does not follow on what was there before."""
        ...

    def close(self) -> None:
        """Give back what is held."""
        ...


def load_movement(bundle_dir: Path, expression: str = "") -> Movement:
    """Read any kind.

    expression: which one is wanted, of a bundle that knows many.  Raises BundleError for a bundle that is damaged or of
    another system, BadInput for an expression that it does not know, or one asked of a bundle that knows but its own.
    """
    system = read_bundle(bundle_dir).manifest.system
    if system == EDITOR:
        return load_edit(bundle_dir, expression or USUAL)
    if expression:
        raise BadInput(f"{bundle_dir} knows one movement only: leave :{expression} out")
    load = _LOADERS.get(system)
    if load is None:
        raise BundleError(f"{bundle_dir} is for {system}, not a movement to practise: choose one whose name has pixel-")
    return load(bundle_dir)


def painter_of(movement: Movement, size: int) -> Painter:
    """For crops of this size, px; its kernel is compiled, its network open.

    Raises BadInput for a size that cannot be, BackendMissing when nothing here can run the network.
    """
    if isinstance(movement, EditMovement):
        return EditPainter(movement, size)
    return _OfMesh(movement, size) if isinstance(movement, PixelMesh) else _OfMap(movement, size)


class _OfItself:
    """Paints every picture for itself."""

    backend, precision = "numba", "int16"

    def aim(self, movement: Movement) -> None:
        pass

    def forget(self) -> None:
        pass

    def close(self) -> None:
        pass


class _OfMap(_OfItself):
    needs_landmarks = False

    def __init__(self, pixel_map: PixelMap, size: int) -> None:
        self._whole = pixel_map.at_size(size)
        self._sides = (1.0, 1.0, self._whole)  # left, right, the map for them
        for writeable in (True, False):  # a crop from another process is read-only: Numba compiles that anew
            face = np.zeros((size, size, 3), np.uint8)
            face.flags.writeable = writeable
            apply_pixel_map(face, self._whole, 1.0, np.empty_like(face))

    def paint(
        self, face: Picture, landmarks_px: npt.NDArray[np.floating] | None, left: float, right: float, out: Picture
    ) -> Picture:
        if left == right:
            return apply_pixel_map(face, self._whole, left, out)
        if self._sides[:2] != (left, right):  # the amounts move with somebody's hand, the face with every frame
            self._sides = left, right, self._whole.on_sides(left, right)
        return apply_pixel_map(face, self._sides[2], 1.0, out)


class _OfMesh(_OfItself):
    needs_landmarks = True

    def __init__(self, movement: PixelMesh, size: int) -> None:
        self._painter = MeshPainter(movement, size)

    def paint(
        self, face: Picture, landmarks_px: npt.NDArray[np.floating] | None, left: float, right: float, out: Picture
    ) -> Picture:
        if landmarks_px is None:
            raise BadInput("this movement is painted by landmarks: leave frames without a face out")
        return self._painter.paint(face, landmarks_px, left, right, out)
