"""What is known about a face in a made picture: the numbers that a face encoder should say."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engines.errors import FaceLost
from engines.face.anatomy import NARROW
from engines.face.blendshapes import BLENDSHAPES
from engines.face.crop_camera import six_from_matrix
from engines.face.fit import ANY_EXPRESSION, NEUTRAL, Fitter
from engines.face.landmarks import COUNT
from engines.face.mesh import FaceModel
from engines.face.person import Person
from engines.face.pose import HeadPose, join

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

POSE = 6  # numbers of a pose and a camera
_SD_CM = 0.24  # how far a face is from its identity weights, along each axis: as engines/face/fit.py has it
_INDEPENDENT = 400  # points of a face that differ independently of their neighbours


class Truth(NamedTuple):
    """NaN stands for what nobody knows.

    expression: (52,) 0..1, of a photo what MediaPipe reads off it.  identity: (modes,) standard deviations, the same
    for every picture of a person.  pose: (6,), engines/face/crop_camera.py.  landmarks_px: (478, 2) in crop pixels.
    All float32.
    """

    expression: Floats
    identity: Floats
    pose: Floats
    landmarks_px: Floats


class Known(NamedTuple):
    """The same before the crop: matrix (2, 4), picture px from the model's cm; landmarks in picture px."""

    expression: Floats
    identity: Floats
    matrix: Doubles
    landmarks_px: Floats

    def cropped(self, crop_from_picture: Doubles, size: int) -> Truth:
        """As it is in a crop.  crop_from_picture: (2, 3).  size: px."""
        linear, shift = crop_from_picture[:, :2], crop_from_picture[:, 2]
        landmarks = (self.landmarks_px @ linear.T + shift).astype(np.float32)
        if not np.isfinite(self.matrix).all():
            return Truth(self.expression, self.identity, np.full(POSE, np.nan, np.float32), landmarks)
        matrix = linear @ self.matrix
        matrix[:, 3] += shift
        return Truth(self.expression, self.identity, six_from_matrix(matrix, size), landmarks)


class Seen(NamedTuple):
    """What has to be known about how the studio drew a picture (engines/face/studio.py, Rendered)."""

    pose: HeadPose
    out_from_photo: Floats
    landmarks_px: Floats


class TruthFinder:
    """Knows one face model; the least squares behind it are set up once."""

    def __init__(self, model: FaceModel) -> None:
        """model: ICT-FaceKit, whole."""
        self._neutral = model.neutral[:NARROW].astype(np.float64)
        self._modes = model.identity[:, :NARROW].reshape(len(model.identity), -1).astype(np.float64)
        self._sure = _INDEPENDENT / NARROW / _SD_CM**2  # 1 / cm^2, of each of so many vertices
        normal = self._sure * self._modes @ self._modes.T + np.eye(len(self._modes))
        self._inverse = np.linalg.inv(normal)
        self._photos = (Fitter(model, NEUTRAL), Fitter(model, ANY_EXPRESSION))

    def identity(self, person: Person) -> Floats:
        """(modes,) weights that describe a person's face at rest best, a priori normal with variance 1."""
        missing = (person.neutral[:NARROW] - self._neutral).reshape(-1)
        return np.asarray(self._inverse @ (self._modes @ missing * self._sure), np.float32)

    def posed(self, person: Person, identity: Floats, expression: Floats, seen: Seen) -> Known:
        """Of a picture that the studio has drawn.  identity: from `identity`.  expression: (52,) as drawn."""
        turn = seen.pose.turn_px(person.pivot_px, person.camera.scale)
        matrix = join(seen.out_from_photo, turn, person.camera.matrix)[:2].astype(np.float64)
        return Known(expression.astype(np.float32), identity, matrix, seen.landmarks_px.copy())

    def photo_identity(self, landmarks_px: Floats, size: tuple[int, int]) -> Floats:
        """(modes,) weights from a neutral photo's landmarks; NaN when they cannot be fitted.  size: height, width."""
        weights = np.zeros(len(self._modes), np.float32)
        try:
            found = self._photos[0].fit(landmarks_px, size).identity
        except FaceLost:
            return np.full_like(weights, np.nan)
        weights[: len(found)] = found
        return weights

    def photographed(
        self, identity: Floats, blendshapes: Floats | None, landmarks_px: Floats, size: tuple[int, int]
    ) -> Known:
        """Of a photo as it is.  blendshapes: (52,) that MediaPipe reads off it, None when it was not asked."""
        values = np.full(len(BLENDSHAPES), np.nan, np.float32) if blendshapes is None else blendshapes
        try:
            matrix = self._photos[1].fit(landmarks_px, size).camera.matrix[:2]
        except FaceLost:
            matrix = np.full((2, 4), np.nan)
        return Known(values, identity, np.asarray(matrix), landmarks_px)


def unknown(modes: int) -> Truth:
    """Nothing is known."""
    sizes = ((len(BLENDSHAPES),), (modes,), (POSE,), (COUNT, 2))
    return Truth(*(np.full(shape, np.nan, np.float32) for shape in sizes))
