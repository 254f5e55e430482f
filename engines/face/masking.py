"""EIFER's and SMIRK's masking function M: of a face's skin, only a few random pixels are shown.

FACTS 2: int(ratio x height x width) samples with replacement; a triangle is drawn with the probability of its region's
weight x whether it faces the viewer x its area in the picture, a point within it uniformly.  The picture keeps
everything outside the rendered geometry, is black inside, and the samples are put back.

What comes out is a plane to multiply the picture with, where black is 0: it works on bytes, on tensors with
gradients, and on both directions of a cycle alike.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from engines.errors import BadInput
from engines.face.arrays import Floats, Indices, check_array, check_indices, check_out, frozen
from engines.face.landmarks import FaceLandmarks
from engines.face.mesh import AREAS, FaceModel
from engines.kernels import kernel

Doubles = npt.NDArray[np.float64]

GAIN_DEVIATION = 0.05  # of the samples' brightness in training
SOFT_WEIGHT = 0.5  # of lips and nose, which move or shine

# MediaPipe's outlines: of the lips outside, and of the nose from its root over the wings to its tip's foot
LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
NOSE = (168, 122, 174, 198, 49, 48, 64, 98, 97, 2, 326, 327, 294, 278, 279, 420, 399, 351)


def region_weights(model: FaceModel) -> Floats:
    """How willingly each triangle is sampled.

    model: ICT-FaceKit, whole or a part with the narrow face.  Returns (F,) float32: 0 beside the face (ears, neck,
    eyeballs, the mouth's inside), 0.5 on lips and nose, else 1.  Raises BadInput when the part lacks lips or nose.
    """
    weight = np.ones(len(model.neutral), np.float32)
    seen = model.neutral[:, :2].astype(np.float32)
    table = FaceLandmarks.load()
    for outline in (LIPS, NOSE):
        corners = table.corners[list(outline)]
        rows = model.rows_of(corners.ravel().tolist()).reshape(corners.shape)
        marks = np.einsum("lc,lcx->lx", table.weights[list(outline)], seen[rows])
        polygon = np.ascontiguousarray(marks, np.float32)
        inside = [cv2.pointPolygonTest(polygon, (float(x), float(y)), False) >= 0 for x, y in seen]
        weight[inside] = SOFT_WEIGHT
    first, last = AREAS["narrow_face"]
    weight[(model.source < first) | (model.source >= last)] = 0
    return np.asarray(weight[model.triangles].min(1), np.float32)


def samples(ratio: float, height: int, width: int) -> int:
    """How many pixels are drawn: 1 % of 224 x 224 is 501.  Raises BadInput unless ratio is 0..1."""
    if not 0 <= ratio <= 1:
        raise BadInput(f"the share of pixels to keep must be 0..1, found {ratio}")
    return int(ratio * height * width)


class PixelMask:
    """Draws masks for one mesh and picture size.  Not for use from two threads at once."""

    def __init__(self, triangles: Indices, weight: Floats, height: int, width: int) -> None:
        """triangles: (F, 3) int32.  weight: (F,) float32, 0 or more (`region_weights`).  Raises BadInput."""
        check_array(triangles, "triangles", np.int32, (None, 3))
        check_array(weight, "triangles' weights", np.float32, (len(triangles),))
        if not (np.isfinite(weight).all() and (weight >= 0).all()):
            raise BadInput("a triangle's weight must be a finite number, 0 or more")
        self.height, self.width = height, width
        self._triangles, self._weight = frozen(triangles), frozen(weight)
        self._sums = np.zeros(len(triangles))

    def keep(
        self,
        projected: Floats,
        seen: Indices,
        ratio: float,
        rng: np.random.Generator,
        gain_deviation: float = 0.0,
        out: Floats | None = None,
    ) -> Floats:
        """What of the picture is kept.

        projected: (V, 3) float32 px, as the raster drew it.  seen: (height, width) int32, negative where no geometry
        is (`Raster.triangle`).  ratio: samples over the picture's pixels.  gain_deviation: in training 0.05, else 0:
        samples are that much brighter or darker, one by one.
        Returns (height, width) float32: 1 outside the geometry, 0 in it, about 1 at the samples, never less than 0.
        A face that is seen from behind only keeps nothing of itself.  Raises BadInput when something does not fit.
        """
        check_array(projected, "projected vertices", np.float32, (None, 3))
        check_indices(self._triangles, len(projected))
        check_array(seen, "triangles seen", np.int32, (self.height, self.width))
        out = np.empty((self.height, self.width), np.float32) if out is None else out
        check_out(out, np.float32, (self.height, self.width))
        count = samples(ratio, self.height, self.width)
        numbers = rng.random((count, 3))
        gains = (1 + gain_deviation * rng.standard_normal(count)).astype(np.float32)
        _add_up(frozen(projected), self._triangles, self._weight, self._sums)
        if not np.isfinite(self._sums[-1:]).all():
            raise BadInput("a projected vertex is not a finite number: leave lost faces out")
        _keep(frozen(projected), self._triangles, self._sums, frozen(seen), numbers, gains, out)
        return out


def warm_up() -> None:
    """Compile (or load) the kernels: call it before time matters."""
    corners = np.array([[0, 3, 0], [3, 3, 0], [0, 0, 0]], np.float32)
    mask = PixelMask(np.array([[0, 1, 2]], np.int32), np.ones(1, np.float32), 4, 4)
    mask.keep(corners, np.zeros((4, 4), np.int32), 0.1, np.random.default_rng(0))


@kernel
def _add_up(projected: Floats, triangles: Indices, weight: Floats, sums: Doubles) -> None:
    """sums: (F,), weight x area of each triangle that faces the viewer, and all before it."""
    total = 0.0
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay = np.float64(projected[a, 0]), np.float64(projected[a, 1])
        area = (projected[c, 0] - ax) * (projected[b, 1] - ay) - (projected[b, 0] - ax) * (projected[c, 1] - ay)
        total += weight[t] * max(area, 0.0)  # y points down: positive = counter-clockwise as seen = front
        sums[t] = total


@kernel
def _keep(
    projected: Floats, triangles: Indices, sums: Doubles, seen: Indices, numbers: Doubles, gains: Floats, out: Floats
) -> None:
    height, width = out.shape
    for y in range(height):
        for x in range(width):
            out[y, x] = np.float32(seen[y, x] < 0)
    if sums.shape[0] == 0 or sums[-1] <= 0:
        return
    for i in range(numbers.shape[0]):
        t = np.searchsorted(sums, numbers[i, 0] * sums[-1], side="right")
        u, v = numbers[i, 1], numbers[i, 2]
        if u + v > 1:  # the parallelogram's other half, folded over
            u, v = 1 - u, 1 - v
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        px = projected[a, 0] + u * (projected[b, 0] - projected[a, 0]) + v * (projected[c, 0] - projected[a, 0])
        py = projected[a, 1] + u * (projected[b, 1] - projected[a, 1]) + v * (projected[c, 1] - projected[a, 1])
        x, y = int(np.rint(px)), int(np.rint(py))
        if 0 <= x < width and 0 <= y < height and seen[y, x] >= 0:
            out[y, x] = max(gains[i], np.float32(0))
