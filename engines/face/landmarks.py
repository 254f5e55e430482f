"""Where MediaPipe's 478 landmarks lie on the face model: on which triangle, and how surely.

FACTS 3 gives 68 pairs of landmark and vertex, some of them 3 to 13 mm apart on real faces.  The table used here was
learned from photos (calibration/face_landmarks.py): lids and lips slide along the model's own lid and lip lines, the
others lie where they are found on most people, and each knows how far off it usually is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.bundle import read_bundle
from engines.errors import BadInput, BundleError
from engines.face.arrays import Floats, Indices
from engines.face.mesh import FaceModel

BUNDLE = Path(__file__).resolve().parent.parent / "bundles" / "face-landmarks"
COUNT = 478  # 468 on the skin, then 5 for the person's right iris and 5 for the left: centre and four on the border

# MediaPipe's face oval: the tracker puts it on the silhouette, which slides over the skin as the head turns
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150,
    136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
IRISES = tuple(range(468, 478))


@dataclass(frozen=True)
class FaceLandmarks:
    """MediaPipe's landmarks as points of a face model.

    corners: (478, 3) int32, rows of vertices.  weights: (478, 3) float32, sum 1.  sd_cm: (478,) float32, how far the
    landmark is off along each axis, root mean square over the photos that the table was learned from.
    """

    corners: Indices
    weights: Floats
    sd_cm: Floats

    @classmethod
    def load(cls, bundle: Path = BUNDLE) -> FaceLandmarks:
        """Read the table for ICT-FaceKit Light.  Raises BundleError when the bundle is damaged or another system's."""
        arrays = read_bundle(bundle, system="face_landmarks").arrays
        try:
            return cls(arrays["corners"], arrays["weights"], arrays["sd_cm"])
        except KeyError as error:
            raise BundleError(f"{bundle} lacks the array {error}: make it again") from error

    def on(self, model: FaceModel) -> FaceLandmarks:
        """The same table for a part of the model.  Raises BadInput when it lacks a vertex that is needed."""
        rows = model.rows_of(self.corners.ravel().tolist()).reshape(self.corners.shape)
        return FaceLandmarks(rows.astype(np.int32), self.weights, self.sd_cm)

    def positions(self, vertices: npt.NDArray[np.floating]) -> Floats:
        """The landmarks on a moved or projected mesh: vertices (V, 3) or (V, 2), returns (478, 3) or (478, 2) float32.

        Points hidden from the viewer are given too.  Raises BadInput when there are too few vertices.
        """
        if vertices.ndim != 2 or len(vertices) <= self.corners.max():
            raise BadInput(f"the landmarks lie on {self.corners.max() + 1} or more vertices, found {vertices.shape}")
        return np.asarray(np.einsum("lc,lcx->lx", self.weights, vertices[self.corners]), np.float32)
