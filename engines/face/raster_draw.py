"""The z-buffer's kernels: vertices to a grid of 1/256 px, triangles to pixels.

Everything that decides whether a pixel is inside is an exact integer.  Triangles up to 64 px across, which is nearly
all of a face's, are drawn four pixels of a row at a time in 32-bit lanes, without a branch that depends on the
triangle's outline: such branches are guessed wrong about every second time and then cost more than the arithmetic.
Larger ones, and those seen from behind, go pixel by pixel in 64 bits; both ways give the same bits.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from engines.face.arrays import Floats, Indices
from engines.kernels import inlined, kernel

Box = npt.NDArray[np.int64]  # rows from, to, columns from, to

NOTHING = -1  # in `Raster.triangle`: no triangle is seen here
LIMIT_PX = 2.0**20  # vertices further out are moved to here; edge functions then fit 60 bits
_SMALL = 64 << 8  # sides below this have edge functions of 30 bits


@kernel
def clear_box(triangle: Indices, barycentric: Floats, depth: Floats, box: Box) -> None:
    """Nothing is seen in the box."""
    for y in range(box[0], box[1]):
        triangle[y, box[2] : box[3]] = NOTHING
        depth[y, box[2] : box[3]] = -np.inf
        barycentric[y, box[2] : box[3]] = 0


@kernel
def snap_vertices(projected: Floats, snapped: Indices, box: Box, height: int, width: int) -> bool:
    """Vertices to 1/256 px, and the box grown to hold them all; False when one is not finite."""
    far, zero = np.float32(LIMIT_PX), np.float32(0)
    left, right, top, bottom = far, -far, far, -far
    odd = zero
    for i in range(projected.shape[0]):
        odd += projected[i, 0] * zero + projected[i, 1] * zero + projected[i, 2] * zero  # 0, or NaN for ever
        x, y = min(max(projected[i, 0], -far), far), min(max(projected[i, 1], -far), far)
        left, right, top, bottom = min(left, x), max(right, x), min(top, y), max(bottom, y)
        snapped[i, 0] = np.int32(np.rint(x * np.float32(256)))
        snapped[i, 1] = np.int32(np.rint(y * np.float32(256)))
    if odd != 0:
        return False
    box[0], box[1] = min(int(box[0]), max(0, int(top))), max(int(box[1]), min(height, int(bottom) + 2))
    box[2], box[3] = min(int(box[2]), max(0, int(left))), max(int(box[3]), min(width, int(right) + 2))
    return True


@kernel
def draw_triangles(
    projected: Floats,
    snapped: Indices,
    triangles: Indices,
    first: int,
    both_sides: bool,
    triangle: Indices,
    barycentric: Floats,
    depth: Floats,
) -> None:
    """projected, snapped: (V, 3), (V, 2).  triangles: (F, 3).  The last three: the z-buffer, as `Raster` has it."""
    height, width = triangle.shape
    for t in range(triangles.shape[0]):
        # unsigned: Numba then leaves out the test for negative positions, which count from the end
        a, b, c = np.uint32(triangles[t, 0]), np.uint32(triangles[t, 1]), np.uint32(triangles[t, 2])
        ax, ay = np.int64(snapped[a, 0]), np.int64(snapped[a, 1])
        bx, by = np.int64(snapped[b, 0]), np.int64(snapped[b, 1])
        cx, cy = np.int64(snapped[c, 0]), np.int64(snapped[c, 1])
        area = (cx - ax) * (by - ay) - (bx - ax) * (cy - ay)  # twice, 1/65536 px^2; y down: positive = front
        turned = area < 0
        if area == 0 or (turned and not both_sides):
            continue
        x_from, x_to, across = _centres(ax, bx, cx, width)
        y_from, y_to, along = _centres(ay, by, cy, height)
        if x_from > x_to or y_from > y_to:
            continue
        if turned:
            b, c, bx, by, cx, cy, area = c, b, cx, cy, bx, by, -area
        one = np.float32(1) / np.float32(area)
        z, to_b, to_c = projected[a, 2], projected[b, 2] - projected[a, 2], projected[c, 2] - projected[a, 2]
        # edge functions, >= 0 inside; a bias of 1 gives the line itself to one of its two triangles
        a_dx, a_dy, a_bias = _edge(bx, by, cx, cy)
        b_dx, b_dy, b_bias = _edge(cx, cy, ax, ay)
        c_dx, c_dy, c_bias = _edge(ax, ay, bx, by)
        x, y = (x_from << 8), (y_from << 8)
        wa = (x - bx) * a_dx + (y - by) * a_dy - a_bias
        wb = (x - cx) * b_dx + (y - cy) * b_dy - b_bias
        wc = (x - ax) * c_dx + (y - ay) * c_dy - c_bias
        bias, plane = (a_bias, b_bias, c_bias), (one, z, to_b, to_c)
        stays_inside = y_to < height - 1 or x_to + 3 < width  # four pixels at once do not run out of the picture
        small = across < _SMALL and along < _SMALL and stays_inside and not turned
        for py in range(y_from, y_to + 1):
            va, vb, vc = wa, wb, wc
            if small:
                for px in range(x_from, x_to + 1, 4):
                    _four_pixels(
                        *(triangle, barycentric, depth, py * width + px, x_to + 1 - px),
                        *((va, vb, vc), (a_dx << 8, b_dx << 8, c_dx << 8), bias, plane, first + t),
                    )
                    va, vb, vc = va + (a_dx << 10), vb + (b_dx << 10), vc + (c_dx << 10)
            else:
                for px in range(x_from, x_to + 1):
                    if (va | vb | vc) >= 0:
                        _pixel(triangle, barycentric, depth, py, px, (va, vb, vc), bias, plane, first + t, turned)
                    va, vb, vc = va + (a_dx << 8), vb + (b_dx << 8), vc + (c_dx << 8)
            wa, wb, wc = wa + (a_dy << 8), wb + (b_dy << 8), wc + (c_dy << 8)


@inlined
def _centres(a: int, b: int, c: int, count: int) -> tuple[int, int, int]:
    """First and last pixel whose centre (a multiple of 256) lies between the corners, within 0..count - 1; the side."""
    low, high = min(a, b, c), max(a, b, c)
    return max((low + 255) >> 8, 0), min(high >> 8, count - 1), high - low


@inlined
def _edge(x0: int, y0: int, x1: int, y1: int) -> tuple[int, int, int]:
    """Change of an edge's function per unit of x and of y, and 0 for left and top edges, 1 for others."""
    dx, dy = y1 - y0, x0 - x1  # inside is on the left as the viewer sees it
    return dx, dy, 0 if dx > 0 or (dx == 0 and dy > 0) else 1


@inlined
def _pixel(
    triangle: Indices,
    barycentric: Floats,
    depth: Floats,
    y: int,
    x: int,
    edges: tuple[int, int, int],
    bias: tuple[int, int, int],
    plane: tuple[np.float32, np.float32, np.float32, np.float32],
    name: int,
    turned: bool,
) -> None:
    """One pixel inside a triangle; plane: 1 / area, z at the first corner, and from there to the others."""
    one, z, to_b, to_c = plane
    fb, fc = np.float32(edges[1] + bias[1]) * one, np.float32(edges[2] + bias[2]) * one
    near = z + fb * to_b + fc * to_c  # a level triangle stays level to the bit
    if near > depth[y, x]:
        depth[y, x] = near
        triangle[y, x] = name
        barycentric[y, x, 0] = np.float32(edges[0] + bias[0]) * one
        barycentric[y, x, 1] = fc if turned else fb
        barycentric[y, x, 2] = fb if turned else fc


_I32, _F32 = ir.IntType(32), ir.FloatType()
_INTS, _FLOATS = ir.VectorType(_I32, 4), ir.VectorType(_F32, 4)


def _all_four(b: ir.IRBuilder, number: ir.Value, lanes: ir.VectorType) -> ir.Value:
    first = b.insert_element(ir.Constant(lanes, ir.Undefined), number, _I32(0))
    return b.shuffle_vector(first, first, ir.Constant(_INTS, [0] * 4))


def _pick(b: ir.IRBuilder, low: ir.Value, high: ir.Value, lanes: list[int]) -> ir.Value:
    return b.shuffle_vector(low, high, ir.Constant(ir.VectorType(_I32, len(lanes)), lanes))


def _replace(b: ir.IRBuilder, where: ir.Value, new: ir.Value, pointer: ir.Value) -> None:
    """Four numbers in memory, of which those that are meant change."""
    place = b.bitcast(pointer, ir.PointerType(new.type))
    old = b.load(place, typ=new.type)
    old.align = 4
    b.store(b.select(where, new, old), place).align = 4


@intrinsic
def _four_pixels(
    _typing: Any,
    triangle: Any,
    barycentric: Any,
    depth: Any,
    at: Any,
    left: Any,
    edges: Any,
    step: Any,
    bias: Any,
    plane: Any,
    name: Any,
) -> tuple[Any, Any]:
    """`_pixel` for those of four pixels in a row that lie inside the triangle.

    at: the first one's position in the flattened picture.  left: how many belong to the triangle's box, 1 or more.
    edges, step, bias: of the three edge functions, at the first pixel and per pixel; they fit 32 bits.
    All four are read and written, so `at + 3` must lie in the picture.
    """
    whole, three = types.int64, types.UniTuple(types.int64, 3)
    four = types.UniTuple(types.float32, 4)
    signature = types.void(triangle, barycentric, depth, whole, whole, three, three, three, four, whole)

    def build(context: Any, b: ir.IRBuilder, signature: Any, values: list[ir.Value]) -> ir.Value:
        places = [context.make_array(signature.args[i])(context, b, values[i]).data for i in range(3)]
        at, left, edges, step, bias, plane, name = values[3:]
        lane = ir.Constant(_INTS, [0, 1, 2, 3])

        def spread(numbers: ir.Value, k: int) -> ir.Value:
            return _all_four(b, b.trunc(b.extract_value(numbers, k), _I32), _INTS)

        one, z, to_b, to_c = (_all_four(b, b.extract_value(plane, k), _FLOATS) for k in range(4))
        w = [b.add(spread(edges, k), b.mul(lane, spread(step, k))) for k in range(3)]
        f = [b.fmul(b.sitofp(b.add(w[k], spread(bias, k)), _FLOATS), one) for k in range(3)]
        near = b.fadd(b.fadd(z, b.fmul(f[1], to_b)), b.fmul(f[2], to_c))
        inside = b.icmp_signed(">=", b.or_(b.or_(w[0], w[1]), w[2]), ir.Constant(_INTS, [0] * 4))
        inside = b.and_(inside, b.icmp_signed("<", lane, _all_four(b, b.trunc(left, _I32), _INTS)))
        depths = b.gep(places[2], [at])
        known = b.load(b.bitcast(depths, ir.PointerType(_FLOATS)), typ=_FLOATS)
        known.align = 4
        seen = b.and_(inside, b.fcmp_ordered(">", near, known))
        with b.if_then(b.icmp_unsigned("!=", b.bitcast(seen, ir.IntType(4)), ir.IntType(4)(0))):
            _replace(b, seen, near, depths)
            _replace(b, seen, _all_four(b, b.trunc(name, _I32), _INTS), b.gep(places[0], [at]))
            # twelve weights, pixel by pixel: lanes 0..3 are a's, 4..7 b's, 8..11 c's
            low, high = _pick(b, f[0], f[1], list(range(8))), _pick(b, f[2], f[2], list(range(8)))
            order, wide = [4 * (i % 3) + i // 3 for i in range(12)], b.sext(seen, _INTS)
            for k in range(0, 12, 4):
                where = b.icmp_signed("!=", _pick(b, wide, wide, [(k + i) // 3 for i in range(4)]), _INTS([0] * 4))
                weights = b.gep(places[1], [b.add(b.mul(at, at.type(3)), at.type(k))])
                _replace(b, where, _pick(b, low, high, order[k : k + 4]), weights)
        return context.get_dummy_value()

    return signature, build
