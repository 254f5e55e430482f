"""From a face encoder's numbers to the rendered geometry and the landmarks, with gradients: EIFER's I_3D.

For the profile `arkit52` on ICT-FaceKit: the narrow face alone, so that eyes and mouth are holes.
"""

from typing import NamedTuple

import numpy as np

from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPES
from engines.face.crop_camera import CM
from engines.face.landmarks import COUNT, IRISES, FaceLandmarks
from engines.face.masking import region_weights
from engines.face.mesh import FaceModel, expression_from_arkit52
from engines.face.mesh_torch import TorchFaceModel, project, rotation_from_vector
from engines.face.raster import Raster
from engines.face.raster_torch import render_grey

try:
    import torch
    from torch import Tensor, nn
except ImportError as error:
    raise ImportError("PyTorch is needed for the differentiable face model: pip install 'myomirror[torch]'") from error

SKIN = tuple(number for number in range(COUNT) if number not in IRISES)  # landmarks that lie on the narrow face


class Geometry(NamedTuple):
    """A batch of faces as they lie in a crop."""

    projected: Tensor  # (B, V, 3): x px, y px, z_px
    landmarks: Tensor  # (B, 468, 2), MediaPipe's without the irises, in half sides of the crop from its middle, y down


class CropGeometry(nn.Module):
    """The face model in crops of one size.  Nothing in it is trained."""

    from_arkit: Tensor  # (52, E): the model's expressions from MediaPipe's
    _neutral_marks: Tensor  # (1, 468 * 3), cm
    _identity_marks: Tensor  # (I, 468 * 3)
    _expression_marks: Tensor  # (E, 468 * 3)
    corners: Tensor  # (468, 3)
    weights: Tensor  # (468, 3)

    def __init__(self, model: FaceModel, size: int) -> None:
        """model: ICT-FaceKit, whole.  size: side of the crops, px."""
        super().__init__()
        face = model.part("narrow_face")
        whole = FaceLandmarks.load()
        rows = list(SKIN)
        skin = FaceLandmarks(whole.corners[rows], whole.weights[rows], whole.sd_cm[rows]).on(face)
        self.size = size
        self.face = TorchFaceModel(face)
        self.triangles = np.ascontiguousarray(face.triangles)
        self.sampling = region_weights(face)
        self.register_buffer("from_arkit", torch.from_numpy(expression_from_arkit52(np.eye(len(BLENDSHAPES)))))
        self.register_buffer("corners", torch.from_numpy(skin.corners.astype(np.int64)))
        self.register_buffer("weights", torch.from_numpy(skin.weights))
        # Projection is linear, so the landmarks of a moved face are the same sums of its neutral face and its modes
        for name in ("neutral", "identity", "expression"):
            flat = getattr(self.face, name).view(-1, *self.face.neutral.shape)  # (modes, V, 3)
            marks = torch.einsum("lc,mlcd->mld", self.weights, flat[:, self.corners]).flatten(1)
            self.register_buffer(f"_{name}_marks", marks, persistent=False)
        self._raster = Raster(size, size)

    def place(self, expression: Tensor, shape: Tensor, pose: Tensor, camera: Tensor) -> Geometry:
        """Where everything lies.

        expression: (B, 52).  shape: (B, up to 100).  pose, camera: (B, 3), see engines/face/crop_camera.py.
        Raises BadInput when a shape does not fit.
        """
        vertices = self.face.vertices(shape, self._known(expression) @ self.from_arkit)  # (B, V, 3), cm
        projected = self._projected(vertices, pose, camera)
        marks_px = torch.einsum("lc,blcd->bld", self.weights, projected[:, self.corners, :2])
        return Geometry(projected, self._half_sides(marks_px))

    def landmarks(self, expression: Tensor, shape: Tensor, pose: Tensor, camera: Tensor) -> Tensor:
        """`place(...).landmarks` up to rounding, without the other vertices.  Arguments and errors: `place`."""
        moved = self._known(expression) @ self.from_arkit @ self._expression_marks
        if not 0 <= shape.shape[-1] <= len(self._identity_marks):
            raise BadInput(f"identity must be (B, 0..{len(self._identity_marks)}) weights, found {tuple(shape.shape)}")
        moved = self._neutral_marks + moved + shape @ self._identity_marks[: shape.shape[-1]]
        marks = moved.view(len(moved), -1, 3)  # (B, 468, 3), cm
        return self._half_sides(self._projected(marks, pose, camera)[..., :2])

    def _projected(self, points_cm: Tensor, pose: Tensor, camera: Tensor) -> Tensor:
        """(B, N, 3) cm -> (B, N, 3): x px, y px, z_px."""
        half = self.size / 2
        scale = camera[:, :1]
        middle = torch.cat((scale * camera[:, 1:2] + 1, 1 - scale * camera[:, 2:]), 1) * half - 0.5  # (B, 2) px
        return project(points_cm, camera[:, 0] * half / CM, rotation_from_vector(pose), middle)

    def _half_sides(self, marks_px: Tensor) -> Tensor:
        return (marks_px + 0.5) / (self.size / 2) - 1

    def _known(self, expression: Tensor) -> Tensor:
        if expression.shape[-1] != len(BLENDSHAPES):
            raise BadInput(
                f"this geometry takes the profile arkit52, found {expression.shape[-1]} expression values: "
                f"choose an encoder of that profile"
            )
        return expression

    def render(self, geometry: Geometry) -> Tensor:
        """(B, 1, size, size) grey 0..1, exactly 0 where no face is; gradients to the geometry."""
        return render_grey(self._raster, geometry.projected, self.face.triangles)[:, None]

    @property
    def seen(self) -> np.ndarray:
        """(size, size) int32 of the last face rendered: negative where none is.  Valid until the next render."""
        return self._raster.triangle
