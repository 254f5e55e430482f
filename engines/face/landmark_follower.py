"""Follows a face from picture to picture with MediaPipe's landmark network, run by OpenVINO: 0.6 x its time.

What is computed is what MediaPipe's face landmarker computes in its video mode (mediapipe/tasks/cc/vision/
face_landmarker, Apache-2.0): a square around the last landmarks, upright by the outer eye corners and half as large
again; the network; the One-Euro filter; the blendshapes from 146 of the landmarks.  The first landmarks of a face come
from elsewhere: MediaPipe finds faces, this follows them.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from engines.backends.openvino_tflite import TfliteNetwork
from engines.errors import BadInput
from engines.face.landmarks import COUNT
from engines.face.one_euro import OneEuro, OneEuroSettings

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]

_SIDE = 256  # px, of the network's input
_SCALE = 1.5  # side of the square over the longer side of the landmarks' box
_SMALLEST_PX, _LARGEST = 8.0, 4.0  # the square's side: at least, and at most in longer sides of the picture
_RIGHT_EYE, _LEFT_EYE = 33, 263  # outer corners
_FILTER = OneEuroSettings(min_cutoff_hz=0.05, beta=80.0, d_cutoff_hz=1.0)  # speeds in squares per second
_NETWORKS = ("face_landmarks_detector.tflite", "face_blendshapes.tflite")
# What the blendshape network looks at (face_blendshapes_graph.cc)
_LOOKED_AT = np.array([
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80, 81,
    82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153, 154,
    155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263,
    267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321,
    323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386, 387,
    388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
])  # fmt: skip


@dataclass(frozen=True)
class Followed:
    """A face in one picture.

    landmarks_px: (478, 2) float32, (x, y).  blendshapes: (52,) float32, 0..1, in the order of engines.face.blendshapes.
    """

    landmarks_px: Floats
    blendshapes: Floats


class LandmarkFollower:
    """Knows where the face was.  `begin` where one was found, `follow` in every picture, until it is lost."""

    def __init__(self, model: Path, min_presence: float = 0.5, threads: int | None = 2) -> None:
        """model: MediaPipe's face_landmarker.task.  min_presence: 0..1, less sure than that and the face is lost.

        threads: cores for the network; None takes all.
        Raises BackendMissing without OpenVINO, BadInput when the file is no face landmarker model.
        """
        landmarks, blendshapes = _networks_of(model)
        self._network = TfliteNetwork(landmarks, (1, _SIDE, _SIDE, 3), threads)
        self._shapes = TfliteNetwork(blendshapes, (1, len(_LOOKED_AT), 2), 1)
        if [part.size for part in self._network.found[:2]] != [3 * COUNT, 1] or self._shapes.found[0].size != 52:
            raise BadInput(f"{model} is another landmarker: wanted {COUNT} landmarks and 52 blendshapes")
        self._least = float(np.log(max(min_presence, 1e-6) / max(1 - min_presence, 1e-6)))  # the network's is a logit
        self._cut = np.zeros((_SIDE, _SIDE, 3), np.uint8)
        self._filter = OneEuro(_FILTER)
        self._last: Doubles | None = None

    @property
    def following(self) -> bool:
        """Whether it knows where to look."""
        return self._last is not None

    def begin(self, landmarks_px: npt.NDArray[np.floating]) -> None:
        """A face was found.  landmarks_px: (478, 2), in the picture that `follow` gets next.

        Raises BadInput for another shape or what is not finite.
        """
        if landmarks_px.shape != (COUNT, 2) or not np.isfinite(landmarks_px).all():
            raise BadInput(f"landmarks must be ({COUNT}, 2) finite pixels, found {landmarks_px.shape}")
        self._last = landmarks_px.astype(np.float64)
        self._filter.reset()

    def lose(self) -> None:
        """Forget the face."""
        self._last = None

    def follow(self, picture: Picture, t_s: float) -> Followed | None:
        """The face in the next picture, None when it is lost (or none was there).

        picture: (height, width, 3) uint8 BGR.  t_s: its time, seconds; one that runs backwards restarts the filter.
        """
        square = None if self._last is None else _square(self._last, max(picture.shape[:2]))
        if square is None:
            self.lose()
            return None
        cut_from_picture, side_px = square
        cv2.warpAffine(picture, cut_from_picture, (_SIDE, _SIDE), dst=self._cut, flags=cv2.INTER_LINEAR)
        cv2.cvtColor(self._cut, cv2.COLOR_BGR2RGB, dst=self._cut)
        np.multiply(self._cut, np.float32(1 / 255), out=self._network.given[0])
        points, presence = self._network.run()[:2]
        if not presence.item() >= self._least:
            self.lose()
            return None
        back = cv2.invertAffineTransform(cut_from_picture)
        self._last = points.reshape(COUNT, 3)[:, :2] @ back[:, :2].T + back[:, 2]
        return self._told(self._filter(self._last.ravel(), t_s, side_px).reshape(COUNT, 2))

    def close(self) -> None:
        """Give memory and threads back."""
        self._network.close()
        self._shapes.close()

    def _told(self, calm: Doubles) -> Followed:
        landmarks = calm.astype(np.float32)
        self._shapes.given[0] = landmarks[_LOOKED_AT]
        (blendshapes,) = self._shapes.run()
        return Followed(landmarks, np.clip(blendshapes.ravel(), 0.0, 1.0))


def _square(landmarks_px: Doubles, longer_px: int) -> tuple[Doubles, float] | None:
    """(2, 3) from the picture into the network's input, and the square's side in px; None where no face can be."""
    low, high = landmarks_px.min(0), landmarks_px.max(0)
    side_px = _SCALE * float((high - low).max())
    if not _SMALLEST_PX <= side_px <= _LARGEST * longer_px:
        return None
    across = landmarks_px[_LEFT_EYE] - landmarks_px[_RIGHT_EYE]
    angle, zoom = np.arctan2(across[1], across[0]), _SIDE / side_px
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]])
    return np.column_stack([turn, _SIDE / 2 - turn @ ((low + high) / 2)]), side_px


def _networks_of(model: Path) -> tuple[bytes, bytes]:
    try:
        with zipfile.ZipFile(model) as parts:
            landmarks, blendshapes = (parts.read(name) for name in _NETWORKS)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise BadInput(f"{model} is no face landmarker model ({error}): fetch it again") from error
    return landmarks, blendshapes
