"""The camera of a face encoder: six numbers that say how the face model lies in a crop of any size.

pose (3,): rotation vector, rad, from the model's axes to the camera's (x right, y up, z to the viewer).
camera (3,): s, tx, ty.  FACTS 2, weak perspective: xy' = s (xy + t), xy the turned model's metres, xy' half sides of
the crop from its middle, y up.
"""

import cv2
import numpy as np
import numpy.typing as npt

from engines.errors import BadInput
from engines.face.camera import rotation_from_vector

Doubles = npt.NDArray[np.float64]
CM = 100.0  # per metre, the model's unit


def six_from_matrix(crop_from_model: npt.ArrayLike, size: int) -> npt.NDArray[np.float32]:
    """Six numbers from where the model comes to lie.

    crop_from_model: (2, 4), (x px, y px) from (x, y, z, 1) cm; pixel centres at integers, y down.  What is not a turned
    and scaled camera in it (shear) is left out.  size: side of the crop, px.
    Returns (6,) float32: pose, camera.  Raises BadInput when the matrix has no scale or another shape.
    """
    matrix = np.asarray(crop_from_model, np.float64)
    if matrix.shape != (2, 4) or not np.isfinite(matrix).all():
        raise BadInput(f"a crop's camera must be a finite (2, 4) matrix, found shape {matrix.shape}")
    left, stretch, right = np.linalg.svd(matrix[:, :3] * [[1.0], [-1.0]], full_matrices=False)
    px_per_cm = stretch.mean()
    if stretch[1] < 1e-6:
        raise BadInput("a crop's camera flattens the face to a line: leave lost faces out")
    first, second = left @ right
    rotation = np.stack([first, second, np.cross(first, second)])
    edge = (size - 1) / 2
    middle = np.array([matrix[0, 3] - edge, edge - matrix[1, 3]])  # px from the crop's middle, y up
    scale = px_per_cm * CM * 2 / size
    vector = cv2.Rodrigues(rotation)[0][:, 0]
    return np.array([*vector, scale, *(middle * 2 / size / scale)], np.float32)


def matrix_from_six(six: npt.ArrayLike, size: int) -> Doubles:
    """(3, 4): (x px, y px, z_px) in a crop of that size from (x, y, z, 1) cm.  six: (6,), as six_from_matrix gives."""
    values = np.asarray(six, np.float64)
    scale = values[3]
    half = size / 2
    turned = scale * half / CM * rotation_from_vector(values[:3]) * np.array([1.0, -1.0, 1.0])[:, None]
    shift = [(scale * values[4] + 1) * half - 0.5, (1 - scale * values[5]) * half - 0.5, 0.0]
    return np.column_stack([turned, shift])
