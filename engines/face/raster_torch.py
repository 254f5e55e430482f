"""The rasteriser's differentiable twin: which triangle is seen comes from the Numba z-buffer, the rest from PyTorch.

Gradients reach vertices (through the barycentrics and the normals) and attributes.  As with the papers' renderer at
blur 0 and one face per pixel, *which* triangle is seen has no gradient, so a silhouette pulls at nothing.  Vertices
are snapped to 1/256 px on the way forward, as in `engines/face/raster.py`, and the gradient passes through that.
"""

from typing import Any, NamedTuple

import numpy as np

from engines.errors import BadInput
from engines.face.raster import LIMIT_PX, Raster
from engines.face.raster_grey import ALBEDO, INTENSITY, LIGHTS

try:
    import torch
    from torch import Tensor
except ImportError as error:
    raise ImportError("PyTorch is needed for the differentiable renders: pip install 'myomirror[torch]'") from error


class Seen(NamedTuple):
    """The N pixels of a batch of pictures at which a mesh is seen, in the pictures' order.

    pixel: (N,) int64, position in the flattened (B, height, width).  triangle: (N,) int64.  corner: (N, 3) int64, the
    triangle's vertices in the flattened (B, V).  weight: (N, 3), barycentrics with gradient, sum 1.
    shape: B, height, width.
    """

    pixel: Tensor
    triangle: Tensor
    corner: Tensor
    weight: Tensor
    shape: tuple[int, int, int]

    def mix(self, at_corners: Tensor) -> Tensor:
        """at_corners: (N, 3, C), what each pixel's triangle has at its corners -> (N, C) at the pixel."""
        a, b, c = self.weight[..., None].unbind(1)  # (N, 1)
        return a * at_corners[:, 0] + b * at_corners[:, 1] + c * at_corners[:, 2]

    def picture(self, values: Tensor) -> Tensor:
        """values: (N, C) -> (B, height, width, C), 0 where nothing is seen."""
        flat = values.new_zeros((int(np.prod(self.shape)), values.shape[-1]))
        return flat.index_copy(0, self.pixel, values).view(*self.shape, -1)


def see(raster: Raster, projected: Tensor, triangles: Tensor, both_sides: bool = False) -> Seen:
    """Rasterise a mesh in each of B poses.

    raster: gives the picture size and does the work, on the CPU; it holds the last picture afterwards.
    projected: (B, V, 3) floats as (x px, y px, z_px), on any device.  triangles: (F, 3) integers, counter-clockwise
    as the viewer sees the front.  both_sides: as in `Raster.draw`.
    Raises BadInput when a shape does not fit, a vertex is not finite or an index has no vertex.
    """
    if projected.ndim != 3 or projected.shape[2] != 3 or not projected.is_floating_point():
        raise BadInput(f"projected vertices must be floats (B, V, 3), found {projected.dtype} {tuple(projected.shape)}")
    if triangles.ndim != 2 or triangles.shape[1] != 3:
        raise BadInput(f"triangles must be (F, 3), found {tuple(triangles.shape)}")
    vertices = np.ascontiguousarray(projected.detach().cpu().numpy(), np.float32)
    corners = np.ascontiguousarray(triangles.cpu().numpy(), np.int32)
    shape = (len(vertices), raster.height, raster.width)
    index = np.empty(shape, np.int32)
    for one, picture in zip(vertices, index, strict=True):
        raster.clear()
        raster.draw(one, corners, both_sides=both_sides)
        picture[:] = raster.triangle
    pixel = torch.from_numpy(np.flatnonzero(index >= 0)).to(projected.device)
    triangle = torch.from_numpy(index.reshape(-1)).to(projected.device)[pixel].long()
    batch = pixel // (raster.height * raster.width)
    corner = triangles.to(projected.device).long()[triangle] + (batch * projected.shape[1])[:, None]
    return Seen(pixel, triangle, corner, _weights(projected, corner, pixel, raster.height, raster.width), shape)


def _weights(projected: Tensor, corner: Tensor, pixel: Tensor, height: int, width: int) -> Tensor:
    """Barycentrics of pixel centres: areas of the three triangles that a pixel makes with the corners."""
    centre = torch.stack([pixel % width, pixel // width % height], -1).to(projected.dtype)
    # seen from the pixel, corners are small numbers of 1/256 px and their products exact even in float32
    at = _snap(projected.reshape(-1, 3)[:, :2])[corner] - centre[:, None]  # (N, 3, 2)
    x, y = at.unbind(-1)  # (N, 3)
    areas = [y[:, b] * x[:, c] - x[:, b] * y[:, c] for b, c in ((1, 2), (2, 0), (0, 1))]
    return torch.stack(areas, -1) / (areas[0] + areas[1] + areas[2])[:, None]


class _Snap(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, px: Tensor) -> Tensor:
        return (px.float().clamp(-LIMIT_PX, LIMIT_PX) * 256).round().to(px.dtype) / 256  # bit by bit as in Numba

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def _snap(px: Tensor) -> Tensor:
    snapped: Tensor = _Snap.apply(px)  # type: ignore[no-untyped-call]
    return snapped


def interpolate(attributes: Tensor, seen: Seen) -> Tensor:
    """Attributes of the mesh at every pixel.

    attributes: (B, V, C) per vertex.  Returns (B, height, width, C), 0 where nothing is seen.
    Raises BadInput when B differs from seen's.
    """
    if attributes.ndim != 3 or len(attributes) != seen.shape[0]:
        raise BadInput(f"attributes must be ({seen.shape[0]}, V, C), found {tuple(attributes.shape)}")
    return seen.picture(seen.mix(attributes.reshape(-1, attributes.shape[2])[seen.corner]))


def texture(uvs: Tensor, triangle_uvs: Tensor, picture: Tensor, seen: Seen) -> Tensor:
    """The mesh with a picture on it, bilinear, unlit: `Raster.texture` with gradients to picture, uvs and vertices.

    uvs: (T, 2), u to the right, v up, the picture's edges at 0 and 1; outside that its border goes on.
    triangle_uvs: (F, 3), a row of uvs for each corner of the triangles seen.  picture: (h, w, C) floats.
    Returns (B, height, width, C), 0 where nothing is seen.
    """
    at = seen.mix(uvs[triangle_uvs.long()[seen.triangle]])  # (N, 2)
    grid = torch.stack([2 * at[:, 0] - 1, 1 - 2 * at[:, 1]], -1)[None, None]  # (1, 1, N, 2)
    values = torch.nn.functional.grid_sample(
        picture.permute(2, 0, 1)[None], grid, mode="bilinear", padding_mode="border", align_corners=False
    )  # (1, C, 1, N)
    return seen.picture(values[0, :, 0].T)


def picture_normals(projected: Tensor, triangles: Tensor) -> Tensor:
    """Unit vertex normals, x to the picture's right, y up, z to the viewer, weighted by the triangles' areas.

    projected: (B, V, 3) as in `see`.  triangles: (F, 3) integers.  Returns (B, V, 3); 0 where no triangle has an area.
    """
    up = projected * projected.new_tensor([1, -1, 1])
    a, b, c = (up[:, triangles[:, i].long()] for i in range(3))  # (B, F, 3)
    cross = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(projected).index_add(1, triangles.T.reshape(-1).long(), cross.repeat(1, 3, 1))
    return torch.nn.functional.normalize(total, dim=-1, eps=1e-15)


def render_grey(raster: Raster, projected: Tensor, triangles: Tensor) -> Tensor:
    """The papers' geometry render, `engines.face.raster_grey.render_grey` with gradients to the vertices.

    raster, projected, triangles: as in `see`.
    Returns (B, height, width), grey 0..1, exactly 0 where nothing is seen; 255 times it is the Numba render before
    rounding.  Raises BadInput as `see` does.
    """
    seen = see(raster, projected, triangles)
    normals = seen.mix(picture_normals(projected, triangles).reshape(-1, 3)[seen.corner])  # (N, 3)
    lights = torch.nn.functional.normalize(normals.new_tensor(LIGHTS), dim=-1)  # (5, 3)
    grey = (normals @ lights.T).clamp(min=0) @ normals.new_full((len(LIGHTS), 1), ALBEDO * INTENSITY / len(LIGHTS))
    return seen.picture(grey)[..., 0]
