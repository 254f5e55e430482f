"""Vertex normals of a triangle mesh, weighted by the triangles' areas: the smooth normals of the papers' renderers."""

import numpy as np

from engines.face.arrays import Floats, Indices, check_array, check_indices, check_out, frozen
from engines.kernels import kernel

_SMALL = 1e-30  # squared length below which a normal has no direction


def vertex_normals(vertices: Floats, triangles: Indices, out: Floats | None = None) -> Floats:
    """Unit normals: the sum of the cross products of all triangles at a vertex, divided by its length.

    vertices: (V, 3) float32, any unit, in a right-handed frame (model space).  triangles: (F, 3) int32, corners
    counter-clockwise seen from outside.  out: (V, 3) float32; a new array without it.
    Returns out; 0 for a vertex without triangles or whose triangles cancel out.  The same input always gives the same
    bits.  Raises BadInput when a shape or type does not fit or an index has no vertex.
    """
    check_array(vertices, "vertices", np.float32, (None, 3))
    check_array(triangles, "triangles", np.int32, (None, 3))
    check_indices(triangles, len(vertices))
    out = np.empty_like(vertices) if out is None else out
    check_out(out, np.float32, vertices.shape)
    _vertex_normals(frozen(vertices), frozen(triangles), out, np.float32(1))
    return out


def picture_normals(projected: Floats, triangles: Indices, out: Floats | None = None) -> Floats:
    """`vertex_normals` of projected vertices (x px to the right, y px down, z_px towards the viewer), y up again.

    Weak perspective keeps angles, so these are the model's normals turned by the camera: the frame that the lights of
    `raster_grey` are in.
    """
    check_array(projected, "projected vertices", np.float32, (None, 3))
    check_array(triangles, "triangles", np.int32, (None, 3))
    check_indices(triangles, len(projected))
    out = np.empty_like(projected) if out is None else out
    check_out(out, np.float32, projected.shape)
    _vertex_normals(frozen(projected), frozen(triangles), out, np.float32(-1))
    return out


def warm_up() -> None:
    """Compile (or load) the kernel: call it before time matters."""
    vertex_normals(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], np.int32))


@kernel
def _vertex_normals(vertices: Floats, triangles: Indices, out: Floats, up: np.float32) -> None:
    """up: 1 where y points up, -1 where it points down and the normals' y is wanted up."""
    out[:] = 0
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        vx, vy, vz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        uy, vy = uy * up, vy * up
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in (a, b, c):
            out[corner, 0] += nx
            out[corner, 1] += ny
            out[corner, 2] += nz
    for i in range(out.shape[0]):
        length = out[i, 0] * out[i, 0] + out[i, 1] * out[i, 1] + out[i, 2] * out[i, 2]
        one = np.float32(1) / np.sqrt(length) if length > _SMALL else np.float32(0)
        out[i, 0] *= one
        out[i, 1] *= one
        out[i, 2] *= one


@kernel
def across(projected: Floats, a: int, b: int, c: int) -> tuple[np.float32, np.float32, np.float32]:
    """Normal of one triangle in the picture, y up, twice its area long.  projected: (V, 3), x px, y px down, z_px."""
    ux, uy, uz = (
        projected[b, 0] - projected[a, 0],
        projected[a, 1] - projected[b, 1],
        projected[b, 2] - projected[a, 2],
    )
    vx, vy, vz = (
        projected[c, 0] - projected[a, 0],
        projected[a, 1] - projected[c, 1],
        projected[c, 2] - projected[a, 2],
    )
    return uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
