"""Electrode removal as the live picture needs it: a face crop in, what to lay over the electrodes out.

MC-CycleGAN (Buechner et al. 2023) gives a whole face back; the attentive variant says where it edits, so that all other
skin can stay the camera's own (engines/face/edit_paste.py). Both run here; without an edit mask the whole crop counts
as edited.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from engines.assembly import is_network
from engines.bundle import Manifest
from engines.contract import check_emg, require
from engines.errors import BundleError
from engines.face.edit_paste import blend
from engines.face.steady import Steady
from engines.spec import ArraySpec, Engine

Picture = npt.NDArray[np.uint8]

SYSTEM = "mc_cyclegan"  # the paper's network and ours, which adds the edit mask
_COLOURS = "height, width, colour"
_FLOOR = 8  # of 255: an edit below is a network's unrest, not an electrode
# From here on all is replaced: a mask at the crop's size, stretched over the frame's pixels, leaves the rims of
# electrodes to be seen.  On clips, from 255 to 170: covered skin +0.3 dB (six people held out), untouched skin -2 dB.
_SURE = 176


@dataclass(frozen=True)
class Fit:
    """What of a bundle the live picture relies on."""

    size: int  # side of the face crop, px
    has_edit: bool  # whether it says where it edits


def fitting(manifest: Manifest, name: str, chain: str, montage: str) -> Fit:
    """Check that a bundle removes electrodes from what this project's crops are.

    name: for the sentences.  chain, montage: the station's own, see `engines.contract.check_emg`.
    Raises BundleError, in one sentence, for another system, network, size or order of colours; BadInput (ChainMismatch)
    for a network that learned from other EMG.
    """
    if manifest.system != SYSTEM or not is_network(manifest):
        raise BundleError(
            f"the bundle {name} is for {manifest.system}, not for removing electrodes: choose one for {SYSTEM}"
        )
    check_emg(manifest, chain, montage)
    try:
        return _fit(manifest)
    except BundleError as error:
        raise BundleError(f"the bundle {name} does not fit the live picture: {error}") from error


def _fit(manifest: Manifest) -> Fit:
    if len(manifest.inputs) != 1:
        names = ", ".join(spec.name for spec in manifest.inputs)
        raise BundleError(f"its network wants {names}, and a live picture has a face only: choose another bundle")
    shape = require(manifest.inputs, "face", layout=_COLOURS, dtype="uint8", colour="BGR", range=(0.0, 255.0)).shape
    if shape is None or shape != (shape[0], shape[0], 3):
        raise BundleError(f"its face is {_text(shape)}, a square of a stated size is needed: choose another bundle")
    has_edit = any(spec.name == "edit" for spec in manifest.outputs)
    picture = "colour" if has_edit else "face"
    require(manifest.outputs, picture, layout=_COLOURS, dtype="uint8", colour="BGR", range=(0.0, 255.0), shape=shape)
    if has_edit:
        require(manifest.outputs, "edit", dtype="uint8", range=(0.0, 255.0), shape=shape[:2])
    return Fit(shape[0], has_edit)


class Restorer:
    """Runs an engine on face crops; its arrays are made once and written over by the next call but one."""

    def __init__(self, engine: Engine) -> None:
        """engine: of a bundle for which `fitting` found no fault."""
        self._engine = engine
        shape = _face(engine.inputs).shape
        assert shape is not None  # fitting() has seen to it
        self.size = shape[0]
        self._has_edit = any(spec.name == "edit" for spec in engine.outputs)
        # Two of each: what was handed out may still be on its way when the next picture comes
        self._faces, self._colours = ([np.zeros(shape, np.uint8) for _ in range(2)] for _ in range(2))
        self._edits = [np.full(shape[:2], 255, np.uint8) for _ in range(2)]
        self._steady = Steady(self.size)
        share = (np.arange(256) - _FLOOR) / (_SURE - _FLOOR)
        self._lift = np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)

    def run(self, face: Picture, follows: bool = False) -> tuple[Picture, Picture, Picture]:
        """Take the electrodes off one face.

        face: (size, size, 3) uint8 BGR, C-contiguous.  follows: whether it is the next moment of the same face as the
        one before; then what is painted is steadied.
        Returns (restored, colour, edit): the face without electrodes, (size, size, 3); what is laid over the covered
        skin, (size, size, 3); and where, (size, size), 255 = all of it, exactly 0 where nothing is to change.
        Raises BadInput when the face does not fit.
        """
        for arrays in (self._faces, self._colours, self._edits):
            arrays.reverse()
        found = self._engine.run({"face": face})
        colour, edit = self._colours[0], self._edits[0]
        np.copyto(colour, found["colour" if self._has_edit else "face"])
        if self._has_edit:
            cv2.LUT(found["edit"], self._lift, dst=edit)
        (self._steady.follow if follows else self._steady.begin)(colour, edit)
        return blend(face, colour, edit, self._faces[0]), colour, edit

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


def _face(specs: tuple[ArraySpec, ...]) -> ArraySpec:
    return require(specs, "face")


def _text(shape: tuple[int, ...] | None) -> str:
    return "of no stated size" if shape is None else " x ".join(map(str, shape))
