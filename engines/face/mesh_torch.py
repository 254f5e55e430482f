"""The face model's differentiable twin: weights and camera to vertices and pixels, with gradients, in batches.

The same numbers as engines/face/mesh.py and camera.py, up to float32's rounding.
"""

from engines.errors import BadInput
from engines.face.gaze import FULL_TURN_RAD, Eye
from engines.face.landmarks import FaceLandmarks
from engines.face.mesh import FaceModel

try:
    import torch
    from torch import Tensor, nn
except ImportError as error:
    raise ImportError("PyTorch is needed for the differentiable face model: pip install 'myomirror[torch]'") from error


class TorchFaceModel(nn.Module):
    """A face model as buffers, which `.to(device)` moves; nothing in it is trained."""

    neutral: Tensor  # (V, 3)
    identity: Tensor  # (I, V * 3)
    expression: Tensor  # (E, V * 3)
    triangles: Tensor  # (F, 3) int64

    def __init__(self, model: FaceModel) -> None:
        """model: whole or a part; a part with few vertices saves time and memory."""
        super().__init__()
        self.register_buffer("neutral", torch.tensor(model.neutral))
        self.register_buffer("identity", torch.tensor(model.identity).flatten(1))
        self.register_buffer("expression", torch.tensor(model.expression).flatten(1))
        self.register_buffer("triangles", torch.tensor(model.triangles).long())
        self._eyes = model.eyes

    def vertices(self, identity: Tensor, expression: Tensor) -> Tensor:
        """identity: (B, up to I) weights.  expression: (B, E) weights.  Returns (B, V, 3), cm.

        Raises BadInput when a shape does not fit.
        """
        modes = identity.shape[-1]
        if identity.ndim != 2 or modes > len(self.identity):
            raise BadInput(f"identity must be (B, 0..{len(self.identity)}) weights, found {tuple(identity.shape)}")
        if expression.shape != (len(identity), len(self.expression)):
            wanted = (len(identity), len(self.expression))
            raise BadInput(f"expression must be {wanted} weights, found {tuple(expression.shape)}")
        displacements = identity @ self.identity[:modes] + expression @ self.expression
        moved: Tensor = self.neutral + displacements.view(-1, *self.neutral.shape)
        if not self._eyes:
            return moved
        turned = moved.clone()
        for eye in self._eyes:
            ball = moved[:, eye.first : eye.last]
            turned[:, eye.first : eye.last] = _turn(eye, ball, expression)
        return turned


def project(vertices: Tensor, scale: Tensor, rotation: Tensor, translation_px: Tensor) -> Tensor:
    """Camera.project for a batch.

    vertices: (B, V, 3), cm.  scale: (B,), px per cm.  rotation: (B, 3, 3).  translation_px: (B, 2).
    Returns (B, V, 3) as (x px, y px, z_px).
    """
    down = vertices.new_tensor([1.0, -1.0, 1.0])
    seen: Tensor = scale[:, None, None] * down * (vertices @ rotation.transpose(1, 2))
    return seen + nn.functional.pad(translation_px, (0, 1))[:, None]


def rotation_from_vector(vector: Tensor) -> Tensor:
    """(B, 3, 3) rotations about `vector` (B, 3) by its length in radians; differentiable at 0 too."""
    x, y, z = vector.unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).view(-1, 3, 3)
    rotation: Tensor = torch.linalg.matrix_exp(cross)
    return rotation


def landmarks(table: FaceLandmarks, vertices: Tensor) -> Tensor:
    """MediaPipe's landmarks on moved or projected meshes: vertices (B, V, D), returns (B, 478, D)."""
    corners = torch.tensor(table.corners, device=vertices.device).long()
    weights = torch.tensor(table.weights, device=vertices.device, dtype=vertices.dtype)
    return torch.einsum("lc,blcd->bld", weights, vertices[:, corners])


def _turn(eye: Eye, ball: Tensor, expression: Tensor) -> Tensor:
    """The eyeball's vertices (B, n, 3), turned as engines/face/gaze.py does."""
    inner, outer, up_by, down_by = (expression[:, row] for row in eye.look)
    aside, up = eye.outward * FULL_TURN_RAD * (outer - inner), FULL_TURN_RAD * (up_by - down_by)
    zero = torch.zeros_like(aside)
    sideways, upwards = torch.stack([zero, aside, zero], 1), torch.stack([-up, zero, zero], 1)
    matrix = rotation_from_vector(sideways) @ rotation_from_vector(upwards)
    centre = ball.mean(1, keepdim=True) + ball.new_tensor(eye.offset_cm)
    turned: Tensor = (ball - centre) @ matrix.transpose(1, 2) + centre
    return turned
