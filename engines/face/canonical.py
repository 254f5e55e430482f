"""MediaPipe's canonical face: 468 landmarks in centimetres, their triangles, and the flat map that sites are given in.

Electrode sites are positions in its UV square (FACTS 1.1); what is attached follows the landmarks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput

Doubles = npt.NDArray[np.float64]
FILE = "canonical_face_model.obj"
COUNT, TRIANGLES = 468, 898
_AROUND_CM = 1.1  # spread of the landmarks that say how the skin lies at a place
_ANCHOR_CM = 1.2  # spread of the landmarks that a cable's point follows
_FOLLOWS_CM = 3.0  # further from the face than this it follows the head only


@dataclass(frozen=True)
class CanonicalFace:
    """vertices: (468, 3) cm, x to the person's left, y up, z out of the face.  uvs: (468, 2), v from the bottom."""

    vertices: Doubles
    uvs: Doubles
    triangles: npt.NDArray[np.int64]

    @classmethod
    def load(cls, path: Path) -> CanonicalFace:
        """Read the OBJ file, or the folder that holds it. Raises BadInput when it is missing or cut short."""
        path = path / FILE if path.is_dir() else path
        try:
            lines = path.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{path} cannot be read ({error}): `myomirror assets fetch` brings it") from error
        try:
            vertices = np.array([line.split()[1:] for line in lines if line.startswith("v ")], np.float64)
            flat = np.array([line.split()[1:3] for line in lines if line.startswith("vt ")], np.float64)
            corners = [line.split()[1:] for line in lines if line.startswith("f ")]
            pairs = np.array([[part.split("/")[:2] for part in face] for face in corners], np.int64) - 1
        except ValueError as error:
            raise BadInput(f"{path} is no canonical face model ({error}): fetch it again") from error
        if vertices.shape != (COUNT, 3) or pairs.shape != (TRIANGLES, 3, 2) or pairs[..., 1].max() >= len(flat):
            raise BadInput(
                f"{path} is cut short or another model: wanted {COUNT} vertices and {TRIANGLES} triangles, "
                f"found {len(vertices)} and {len(pairs)}"
            )
        uvs = np.zeros((COUNT, 2))
        uvs[pairs[..., 0]] = flat[pairs[..., 1]]  # the map has no seams
        return cls(vertices, uvs, pairs[..., 0])

    def at_uv(self, u: float, v: float) -> Doubles:
        """(468,) weights of the landmarks that make up a place: three of them, sum 1.

        u, v: 0..1, v from the top.  Raises BadInput when the place lies beside the face.
        """
        corner = self.uvs[self.triangles]  # (898, 3, 2)
        sides = np.stack([corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]], -1)
        two = np.linalg.solve(sides, (np.array([u, 1 - v]) - corner[:, 0])[..., None])[..., 0]
        weights = np.column_stack([1 - two.sum(1), two])
        best = int(np.argmax(weights.min(1)))
        if weights[best].min() < -1e-6:
            raise BadInput(f"({u:.3f}, {v:.3f}) lies beside the face's map: give a place on the face")
        found = np.zeros(COUNT)
        found[self.triangles[best]] = weights[best]
        return found

    def directions(self, place: Doubles) -> Doubles:
        """(2, 468): the px that one cm to the person's left, and one cm up, make on the skin at a place.

        Times the landmarks: `directions @ landmarks_px` is the (2, 2) Jacobian of the local tangent plane. A least
        squares plane through the landmarks around, the nearer the weightier.
        """
        centre = place @ self.vertices
        offset = self.vertices - centre
        weight = np.exp(-0.5 * (offset**2).sum(1) / _AROUND_CM**2)
        weight[weight < 1e-3] = 0
        _, _, axes = np.linalg.svd(offset * np.sqrt(weight)[:, None], full_matrices=False)
        normal = axes[2] * np.sign(axes[2, 2])
        left = np.array([1.0, 0.0, 0.0]) - normal[0] * normal
        left /= np.linalg.norm(left)
        local = offset @ np.stack([left, np.cross(normal, left), np.zeros(3)], 1)
        local[:, 2] = 1.0  # with a constant: the plane need not pass through the place
        inverse = np.linalg.inv(local.T @ (local * weight[:, None])) @ (local * weight[:, None]).T
        return np.asarray(inverse[:2])

    def beside(self, points_cm: npt.ArrayLike) -> Doubles:
        """(n, 468): `beside(points) @ landmarks_px` is where points of the face's frontal plane come to lie, px.

        points_cm: (n, 2), x to the person's left, y up; on the face they follow the skin, beside it the head.
        """
        points = np.asarray(points_cm, np.float64)
        flat = np.column_stack([self.vertices[:, :2], np.ones(COUNT)])
        whole = flat @ np.linalg.inv(flat.T @ flat)  # (468, 3): landmarks_px.T @ whole is the head's affine map
        ones = np.ones((len(points), 1))
        found = np.hstack([points, ones]) @ whole.T
        distance = np.linalg.norm(points[:, None] - self.vertices[None, :, :2], axis=2)
        near = np.exp(-0.5 * (distance / _ANCHOR_CM) ** 2)
        nearest = distance.min(1)
        follow = np.clip(1 - nearest / _FOLLOWS_CM, 0, 1)[:, None]
        share = follow * near / np.maximum(near.sum(1, keepdims=True), 1e-12)
        return np.asarray(found + share - (share @ flat) @ whole.T)
