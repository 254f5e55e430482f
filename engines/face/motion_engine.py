"""eMotion-GAN as the live picture needs it: the turned face and the neutral one in, a frontal face out.

Ikne et al. 2024: a flow from the neutral face to now, the head's part of it taken out by G_F, the rest put onto the
neutral face by G_W.  Two strategies (section IV-B): from the neutral face to now, or from frame to frame, where the
picture before, brought to rest, is what the movement is put onto.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from engines.bundle import Manifest
from engines.contract import require
from engines.errors import BundleError
from engines.face.arrays import Floats, Picture
from engines.face.flow import FlowMeter, Strategy
from engines.face.frontal import Frontal, FrontalFace
from engines.face.head_turn import HeadTurn
from engines.spec import Engine

SYSTEM, NETWORK = "emotion_gan", "motion_gan"
FINER = 2  # flows are measured at this many times the network's side, as in the sets that teach it


@dataclass(frozen=True)
class MotionFit:
    """What of a bundle the live picture relies on.

    size: side of flow and face, px.  given: "still" for a flow measured after the head was brought to rest by the 3D
    face, "posed" for one as the camera sees it.
    """

    size: int
    given: str

    @property
    def full_px(self) -> int:
        """Side of the crops between which flows are measured."""
        return FINER * self.size


def fitting(manifest: Manifest, name: str) -> MotionFit:
    """Check that a bundle makes frontal faces from what this project's crops are.

    name: for the sentences.  Raises BundleError, in one sentence, for another system, network or shape.
    """
    if manifest.system != SYSTEM or manifest.network != NETWORK:
        raise BundleError(
            f"the bundle {name} is for {manifest.system}, not for faces from the front: choose one of emotion_gan"
        )
    try:
        shape = require(manifest.inputs, "flow", dtype="float32", unit="px").shape
        picture = {"layout": "height, width, colour", "dtype": "uint8", "colour": "BGR"}
        faces = [require(specs, "face", **picture).shape for specs in (manifest.inputs, manifest.outputs)]
    except BundleError as error:
        raise BundleError(f"the bundle {name} does not fit the live picture: {error}") from error
    side = shape[0] if shape else 0
    if shape != (side, side, 2) or any(face != (side, side, 3) for face in faces) or side < 32:
        raise BundleError(
            f"the bundle {name} does not take a square flow and a face of its size: choose another bundle"
        )
    given = str(manifest.sizes.get("given", "posed"))
    if given not in ("still", "posed"):
        raise BundleError(f"the bundle {name} takes a flow that is {given}, a camera has none: choose another bundle")
    return MotionFit(side, given)


class MotionEngine:
    """Runs an engine on crops of one person.  Not for two threads at once."""

    def __init__(self, engine: Engine, fit: MotionFit, strategy: Strategy = "neutral-apex") -> None:
        """engine: of the bundle that `fit` is of.  Raises BundleError for a strategy that it was not taught for."""
        if strategy == "frame-to-frame" and fit.given == "posed":
            raise BundleError(
                "from frame to frame a network is needed that takes flows brought to rest: choose another"
            )
        self._engine, self.fit, self._strategy = engine, fit, strategy
        self._meter = FlowMeter(fit.full_px, fit.size)
        self._face: FrontalFace | None = None
        self._before = np.zeros((fit.full_px, fit.full_px, 3), np.uint8)

    def take_neutral(self, face: FrontalFace) -> None:
        """From now on it is this person.  face: of crops of fit.full_px."""
        self._face = face
        self._before[:] = face.neutral

    def show(self, picture: Picture, turn: HeadTurn) -> Frontal:
        """The frontal face.

        picture: (full_px, full_px, 3) uint8 BGR, brought to rest; for a bundle that takes "posed" flows, this moment's
        picture cut as the neutral face's was.  turn: of the head in the tracked crop.
        Returns a picture of fit.size; hidden is what the turn hides of the face, which the network makes up.
        Raises BadInput when the picture does not fit, FaceLost when it is flat, BundleError when no number comes out.
        """
        assert self._face is not None, "show() before take_neutral()"
        trust = self._face.head.trust(turn)
        flow = self._meter.measure(self._before, picture).flow
        if self.fit.given == "still":
            flow *= _small(trust, self.fit.size)[:, :, None]
        arrays: dict[str, npt.NDArray[Any]] = {"flow": flow, "face": _picture(self._before, self.fit.size)}
        found: npt.NDArray[np.uint8] = self._engine.run(arrays)["face"].copy()
        if self._strategy == "frame-to-frame":
            self._before[:] = picture
        return Frontal(found, self._face.hidden_share(trust))

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


def _small(plane: Floats, side: int) -> Floats:
    return np.asarray(cv2.resize(plane, (side, side), interpolation=cv2.INTER_AREA), np.float32)


def _picture(picture: Picture, side: int) -> Picture:
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
