"""A weak-perspective camera: turn, drop the depth, scale, shift.  Right for a face that is flat for its distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Camera:
    """Model space (cm: x to the person's left, y up, z out of the face) to picture space (px: x right, y down).

    The picture is unmirrored, so x grows with the model's x.
    scale: px per cm, > 0.  rotation: (3, 3), proper; turns model vertices into the camera's axes (x right, y up, z to
    the camera).  translation_px: (2,), where the model's origin comes to lie, (x, y).
    """

    scale: float
    rotation: npt.NDArray[np.float64]
    translation_px: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        """Check and freeze."""
        rotation = np.array(self.rotation, np.float64)
        translation = np.array(self.translation_px, np.float64)
        if rotation.shape != (3, 3) or not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-4):
            raise BadInput("a camera's rotation must be a (3, 3) rotation matrix")
        if np.linalg.det(rotation) < 0:
            raise BadInput("a camera's rotation mirrors the face: its determinant must be +1")
        if translation.shape != (2,) or not np.isfinite(translation).all():
            raise BadInput(f"a camera's translation must be 2 finite px, found {translation}")
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise BadInput(f"a camera's scale must be more than 0 px per cm, found {self.scale}")
        for name, array in (("rotation", rotation), ("translation_px", translation)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def project(self, vertices: npt.NDArray[np.floating], out: Floats | None = None) -> Floats:
        """Where vertices are seen.

        vertices: (V, 3), cm.  out: (V, 3) float32, filled and returned; without it a new array is made.
        Returns (x px, y px, z_px): pixel centres at integers, z_px in px too, larger = nearer to the camera.
        """
        if vertices.ndim != 2 or vertices.shape[1] != 3:
            raise BadInput(f"vertices must be (V, 3), found {vertices.shape}")
        found = np.matmul(
            vertices, self.matrix[:, :3].T.astype(np.float32), out=out, dtype=np.float32, casting="same_kind"
        )
        found += self.matrix[:, 3].astype(np.float32)
        return np.asarray(found)

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """(3, 4): (x px, y px, z_px) from (x, y, z, 1) cm."""
        turned = self.scale * self.rotation * np.array([1.0, -1.0, 1.0])[:, None]
        return np.column_stack([turned, [*self.translation_px, 0.0]])


def rotation_from_vector(vector: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """(3, 3) rotation about `vector` (3,) by its length in radians (Rodrigues)."""
    x, y, z = np.asarray(vector, np.float64)
    angle = float(np.sqrt(x * x + y * y + z * z))
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    if angle < 1e-8:
        return np.asarray(np.eye(3) + cross)
    return np.asarray(np.eye(3) + np.sin(angle) / angle * cross + (1 - np.cos(angle)) / angle**2 * (cross @ cross))
