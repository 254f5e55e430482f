from itertools import permutations

import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.raster import NOTHING, Raster

HEIGHT, WIDTH = 23, 31


def slow_draw(projected, triangles, both_sides=False, height=HEIGHT, width=WIDTH):
    """Every triangle against every pixel, in whole 1/256 px; returns triangle, barycentric, depth."""
    grid = np.rint(projected[:, :2].astype(np.float64) * 256).astype(int)
    y, x = np.mgrid[:height, :width] * 256
    seen, weights = np.full((height, width), NOTHING), np.zeros((height, width, 3))
    depth = np.full((height, width), -np.inf)

    def left_of(p, q, x, y):  # twice the area of p, q, (x, y); positive: counter-clockwise as the viewer sees it
        return (q[1] - p[1]) * (x - p[0]) - (q[0] - p[0]) * (y - p[1])

    for t, corners in enumerate(triangles):
        a, b, c = grid[corners]
        area = left_of(a, b, *c)
        inside = np.full((height, width), area != 0 and (area > 0 or both_sides))
        for p, q in ((a, b), (b, c), (c, a)):
            p, q = (p, q) if area > 0 else (q, p)
            down, left = q[1] > p[1], q[1] == p[1] and q[0] < p[0]  # a left edge runs down, a top edge to the left
            away = left_of(p, q, x, y)
            inside &= (away > 0) | ((away == 0) & (down or left))
        if area == 0:
            continue
        w = np.stack([left_of(b, c, x, y), left_of(c, a, x, y), left_of(a, b, x, y)], -1) / area
        z = w @ projected[corners, 2].astype(np.float64)
        nearer = inside & (z > depth)
        seen[nearer], weights[nearer], depth[nearer] = t, w[nearer], z[nearer]
    return seen, weights, depth


def random_mesh(rng, count, size, corners=None):
    """Triangles of about `size` px around the picture; z far enough apart that float32 does not decide."""
    centre = rng.uniform(-4, (WIDTH + 4, HEIGHT + 4), (count, 1, 2))
    xy = (centre + rng.normal(0, size, (count, 3, 2))).reshape(-1, 2)
    z = np.repeat(rng.permutation(count) * 10.0, 3) + rng.uniform(0, 3, 3 * count)
    return np.column_stack([xy, z]).astype(np.float32), np.arange(3 * count, dtype=np.int32).reshape(-1, 3)


@pytest.mark.parametrize("both_sides", [False, True])
@pytest.mark.parametrize("size", [0.4, 2.0, 9.0, 300.0])
def test_draw_equals_its_slow_twin(size, both_sides):
    rng = np.random.default_rng(int(size * 10))
    projected, triangles = random_mesh(rng, 150, size)
    raster = Raster(HEIGHT, WIDTH)
    raster.draw(projected, triangles, both_sides=both_sides)
    seen, weights, depth = slow_draw(projected, triangles, both_sides)
    np.testing.assert_array_equal(raster.triangle, seen)
    np.testing.assert_allclose(raster.barycentric, weights, atol=2e-6)
    np.testing.assert_allclose(raster.depth, depth, rtol=1e-5, atol=1e-3)
    assert (seen != NOTHING).any()


def test_corners_on_pixel_centres_and_halves_equal_the_slow_twin():
    rng = np.random.default_rng(3)
    projected, triangles = random_mesh(rng, 400, 3.0)
    projected[:, :2] = np.rint(projected[:, :2] * 2) / 2
    raster = Raster(HEIGHT, WIDTH)
    raster.draw(projected, triangles)
    seen, weights, _ = slow_draw(projected, triangles)
    np.testing.assert_array_equal(raster.triangle, seen)
    np.testing.assert_allclose(raster.barycentric, weights, atol=2e-6)


@pytest.mark.parametrize("side", [63.99, 64.0, 64.01])
def test_triangles_on_both_sides_of_what_counts_as_small_equal_the_slow_twin(side):
    height, width = 70, 83
    for x, y in ((0.2, 0.3), (18.9, 4.6), (-20.0, -30.0), (40.0, 30.0)):
        square = np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]])
        projected = np.column_stack([square, [0, 3, 9, 1]]).astype(np.float32)
        triangles = np.array([[0, 2, 1], [0, 3, 2], [1, 0, 3], [3, 2, 1]], np.int32)
        for triangle in triangles:
            raster = Raster(height, width)
            raster.draw(projected, triangle[None])
            seen, weights, depth = slow_draw(projected, triangle[None], False, height, width)
            np.testing.assert_array_equal(raster.triangle, seen)
            np.testing.assert_allclose(raster.barycentric, weights, atol=1e-6)
            np.testing.assert_allclose(raster.depth, depth, atol=1e-5)


def test_drawing_four_pixels_at_a_time_gives_the_same_bits_as_one_by_one():
    """A triangle seen from behind goes one by one; with two corners swapped it is seen from the front."""
    projected, triangles = random_mesh(np.random.default_rng(12), 300, 5.0)
    swapped = np.ascontiguousarray(triangles[:, [0, 2, 1]])
    one, other = Raster(HEIGHT, WIDTH), Raster(HEIGHT, WIDTH)
    one.draw(projected, triangles, both_sides=True)
    other.draw(projected, swapped, both_sides=True)
    np.testing.assert_array_equal(one.triangle, other.triangle)
    np.testing.assert_array_equal(one.depth, other.depth)
    np.testing.assert_array_equal(one.barycentric, other.barycentric[..., [0, 2, 1]])


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (1, 3), (3, 3), (2, 5), (5, 4)])
def test_pictures_of_a_few_pixels_are_filled_and_nothing_beyond(shape):
    height, width = shape
    projected = np.array([[-1, -1, 2], [-1, height, 2], [width, -1, 2], [width, height, 2]], np.float32)
    raster = Raster(height, width)
    around = np.full(height * width + 32, -7, np.int32)  # what lies behind the picture in memory
    raster.triangle = around[: height * width].reshape(shape)
    raster.triangle[:] = NOTHING
    raster.draw(projected, np.array([[0, 1, 2], [2, 1, 3]], np.int32))
    assert (raster.triangle != NOTHING).all()
    assert (raster.depth == 2).all()
    assert (around[height * width :] == -7).all()


def crumpled_sheet(rng, step, snap):
    """A sheet over the whole picture and beyond, cut into triangles whose corners were shaken in the plane."""
    columns, rows = int((WIDTH + 8) / step) + 2, int((HEIGHT + 8) / step) + 2
    y, x = np.mgrid[:rows, :columns] * step - 4
    xy = np.stack([x, y], -1) + rng.uniform(-0.4, 0.4, (rows, columns, 2)) * step
    corner = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (one.ravel() for one in (corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]))
    triangles = np.concatenate([np.column_stack([a, c, b]), np.column_stack([b, c, d])]).astype(np.int32)
    xy = np.rint(xy * snap) / snap
    return np.column_stack([xy.reshape(-1, 2), np.zeros(rows * columns)]).astype(np.float32), triangles


@pytest.mark.parametrize("snap", [1, 2, 1024], ids=["corners on centres", "on halves", "anywhere"])
@pytest.mark.parametrize("step", [0.9, 3.3])
def test_neighbours_neither_overlap_nor_leave_holes(step, snap):
    projected, triangles = crumpled_sheet(np.random.default_rng(1), step, snap)
    times = np.zeros((HEIGHT, WIDTH), int)
    raster = Raster(HEIGHT, WIDTH)
    for triangle in triangles:
        raster.clear()
        raster.draw(projected, triangle[None], both_sides=True)
        times += raster.triangle != NOTHING
    if snap == 1024 or step > 1:  # small ones turn over when shaken on to a coarse grid, and then do overlap
        assert (times == 1).all()
    else:
        assert times.min() >= 1


def test_the_order_of_triangles_and_of_their_corners_does_not_matter():
    rng = np.random.default_rng(5)
    projected, triangles = random_mesh(rng, 100, 4.0)
    raster, again = Raster(HEIGHT, WIDTH), Raster(HEIGHT, WIDTH)
    raster.draw(projected, triangles)
    order = rng.permutation(len(triangles))
    for turn in ([0, 1, 2], [1, 2, 0], [2, 0, 1]):
        again.clear()
        again.draw(projected, np.ascontiguousarray(triangles[order][:, turn]))
        back = np.append(order, NOTHING)[again.triangle]
        np.testing.assert_array_equal(back, raster.triangle)
        np.testing.assert_allclose(again.barycentric, raster.barycentric[..., turn], atol=1e-6)


def test_the_nearer_triangle_is_seen_and_of_equals_the_first():
    projected = np.array([[-9, -9, 5], [-9, 99, 5], [99, -9, 5]] * 3, np.float32)
    projected[3:6, 2] = 7
    projected[6:, 2] = 7
    raster = Raster(HEIGHT, WIDTH)
    raster.draw(projected, np.arange(9, dtype=np.int32).reshape(3, 3))
    assert (raster.triangle == 1).all()
    assert (raster.depth == 7).all()


def test_back_faces_are_left_out_unless_asked_for():
    projected = np.array([[2, 2, 0], [2, 20, 0], [20, 2, 0]], np.float32)
    for corners in permutations(range(3)):
        front = corners in ((0, 1, 2), (1, 2, 0), (2, 0, 1))
        for both_sides in (False, True):
            raster = Raster(HEIGHT, WIDTH)
            raster.draw(projected, np.array([corners], np.int32), both_sides=both_sides)
            assert (raster.triangle == 0).any() == (front or both_sides)


def test_several_meshes_share_one_z_buffer():
    rng = np.random.default_rng(7)
    one, triangles = random_mesh(rng, 60, 5.0)
    two, _ = random_mesh(rng, 60, 5.0)
    two[:, 2] += 5
    together = Raster(HEIGHT, WIDTH)
    together.draw(np.concatenate([one, two]), np.concatenate([triangles, triangles + len(one)]))
    apart = Raster(HEIGHT, WIDTH)
    apart.draw(one, triangles)
    apart.draw(two, triangles, first=60)
    np.testing.assert_array_equal(apart.triangle, together.triangle)
    np.testing.assert_array_equal(apart.barycentric, together.barycentric)
    picture = apart.interpolate(np.ones((180, 1), np.float32), triangles)
    apart.interpolate(np.full((180, 1), 2, np.float32), triangles, picture, first=60)
    np.testing.assert_array_equal(picture[..., 0], np.select([apart.triangle >= 60, apart.triangle >= 0], [2, 1]))


def test_nothing_is_left_of_the_last_picture():
    rng = np.random.default_rng(8)
    raster, fresh = Raster(HEIGHT, WIDTH), Raster(HEIGHT, WIDTH)
    for size in (9.0, 1.0, 30.0, 0.5):
        projected, triangles = random_mesh(rng, 20, size)
        raster.clear()
        raster.draw(projected, triangles)
    fresh.draw(projected, triangles)
    for name in ("triangle", "barycentric", "depth"):
        np.testing.assert_array_equal(getattr(raster, name), getattr(fresh, name))
    raster.clear()
    assert (raster.triangle == NOTHING).all()
    assert (raster.depth == -np.inf).all()
    assert not raster.barycentric.any()


def test_corners_far_outside_the_picture_are_fine():
    projected = np.array([[-2e5, -3e5, 0], [10.5, 9e5, 0], [9e5, -3e5, 0]], np.float32)
    raster = Raster(HEIGHT, WIDTH)
    raster.draw(projected, np.array([[0, 1, 2]], np.int32))
    seen, weights, _ = slow_draw(projected, np.array([[0, 1, 2]]))
    np.testing.assert_array_equal(raster.triangle, seen)
    np.testing.assert_allclose(raster.barycentric, weights, atol=1e-6)
    raster.clear()
    raster.draw(projected * 1e30, np.array([[0, 1, 2]], np.int32))  # nothing breaks


@pytest.mark.parametrize("points", [[(3, 3)] * 3, [(3, 3), (9, 9), (15, 15)], [(3, 5), (9, 5), (12, 5)]])
def test_triangles_without_area_are_not_drawn(points):
    raster = Raster(HEIGHT, WIDTH)
    projected = np.column_stack([points, np.zeros(3)]).astype(np.float32)
    raster.draw(projected, np.array([[0, 1, 2], [0, 0, 1]], np.int32), both_sides=True)
    assert (raster.triangle == NOTHING).all()


def test_an_empty_mesh_draws_nothing():
    raster = Raster(HEIGHT, WIDTH)
    raster.draw(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))
    assert (raster.triangle == NOTHING).all()


@pytest.mark.parametrize("per_corner", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 7])
def test_interpolate_equals_its_slow_twin(channels, per_corner):
    rng = np.random.default_rng(channels)
    projected, triangles = random_mesh(rng, 60, 5.0)
    raster = Raster(HEIGHT, WIDTH)
    raster.draw(projected, triangles, first=1000)
    attributes = rng.normal(size=(180, channels)).astype(np.float32)
    at_corner = attributes[triangles] if per_corner else attributes
    out = np.full((HEIGHT, WIDTH, channels), 9, np.float32)
    assert raster.interpolate(at_corner, triangles, out, first=1000) is out
    seen, weights, _ = slow_draw(projected, triangles)
    expected = np.einsum("yxk,yxkc->yxc", weights, attributes[triangles[seen]])
    np.testing.assert_allclose(out, np.where(seen[..., None] == NOTHING, 9, expected), atol=1e-5)


def test_depth_is_what_interpolating_z_gives():
    projected, triangles = random_mesh(np.random.default_rng(4), 60, 5.0)
    raster = Raster(HEIGHT, WIDTH)
    raster.draw(projected, triangles)
    z = raster.interpolate(projected[:, 2:].copy(), triangles)[..., 0]
    seen = raster.triangle != NOTHING
    np.testing.assert_allclose(raster.depth[seen], z[seen], rtol=1e-6)


def slow_lookup(picture, u, v):
    """Bilinear at u to the right, v up, 0..1 from edge to edge, border repeated."""
    height, width = picture.shape[:2]
    x, y = np.clip(u * width - 0.5, 0, width - 1), np.clip((1 - v) * height - 0.5, 0, height - 1)
    x0, y0 = int(x), int(y)
    x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
    above = picture[y0, x0] * (1 - x + x0) + picture[y0, x1] * (x - x0)
    below = picture[y1, x0] * (1 - x + x0) + picture[y1, x1] * (x - x0)
    return above * (1 - y + y0) + below * (y - y0)


def test_texture_equals_its_slow_twin():
    rng = np.random.default_rng(2)
    projected, triangles = random_mesh(rng, 60, 6.0)
    uvs = rng.uniform(-0.2, 1.2, (90, 2)).astype(np.float32)  # beyond the border, too
    triangle_uvs = rng.integers(0, 90, (60, 3)).astype(np.int32)
    picture = rng.integers(0, 256, (17, 12, 3)).astype(np.uint8)
    raster = Raster(HEIGHT, WIDTH)
    raster.draw(projected, triangles, first=5)
    out = np.full((HEIGHT, WIDTH, 3), 77, np.uint8)
    assert raster.texture(uvs, triangle_uvs, picture, out, first=5) is out
    seen, weights, _ = slow_draw(projected, triangles)
    for y, x in np.ndindex(HEIGHT, WIDTH):
        expected = np.full(3, 77.0)
        if seen[y, x] != NOTHING:
            expected = slow_lookup(picture.astype(float), *(weights[y, x] @ uvs[triangle_uvs[seen[y, x]]]))
        assert np.abs(out[y, x] - expected).max() <= 2  # positions in 1/256 of a texture pixel


def test_a_picture_laid_flat_comes_out_as_it_is():
    picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    left, right, top, bottom = -0.5, WIDTH - 0.5, -0.5, HEIGHT - 0.5  # pixel edges: centres are whole numbers
    corners = [[left, top, 0], [left, bottom, 0], [right, top, 0], [right, bottom, 0]]
    uvs = np.array([[0, 1], [0, 0], [1, 1], [1, 0]], np.float32)
    triangles = np.array([[0, 1, 2], [2, 1, 3]], np.int32)
    raster = Raster(HEIGHT, WIDTH)
    raster.draw(np.array(corners, np.float32), triangles)
    np.testing.assert_array_equal(raster.texture(uvs, triangles, picture), picture)


def test_texture_coordinates_that_are_no_numbers_stay_inside_the_picture():
    raster = Raster(HEIGHT, WIDTH)
    projected, triangles = random_mesh(np.random.default_rng(1), 20, 9.0)
    raster.draw(projected, triangles)
    for odd in (np.nan, np.inf, -np.inf, 3e38):
        uvs = np.full((60, 2), odd, np.float32)
        out = raster.texture(uvs, triangles, np.full((4, 4, 3), 9, np.uint8))
        assert set(np.unique(out)) <= {0, 9}


def test_read_only_arrays_are_accepted():
    projected, triangles = random_mesh(np.random.default_rng(0), 5, 6.0)
    for array in (projected, triangles):
        array.flags.writeable = False
    raster = Raster(HEIGHT, WIDTH)
    raster.draw(projected, triangles)
    raster.interpolate(projected, triangles)


GOOD = np.array([[2, 2, 0], [2, 20, 0], [20, 2, 0]], np.float32)
ONE = np.array([[0, 1, 2]], np.int32)


@pytest.mark.parametrize(
    ("projected", "triangles", "sentence"),
    [
        (GOOD.astype(np.float64), ONE, "float32"),
        (GOOD[:, :2].copy(), ONE, r"\(any, 3\)"),
        (np.asfortranarray(GOOD), ONE, "contiguous"),
        (GOOD * np.array([np.nan, 1, 1], np.float32), ONE, "not a finite number"),
        (np.where(GOOD == 20, np.float32(np.inf), GOOD), ONE, "not a finite number"),
        (np.where(GOOD == 20, np.float32(-np.inf), GOOD), ONE, "not a finite number"),
        (GOOD, ONE.astype(np.int64), "int32"),
        (GOOD, ONE + 1, "0..2"),
        (GOOD, ONE - 1, "0..2"),
        (np.zeros((0, 3), np.float32), ONE, "does not exist"),
    ],
)
def test_the_door_refuses_what_does_not_fit(projected, triangles, sentence):
    raster = Raster(HEIGHT, WIDTH)
    with pytest.raises(BadInput, match=sentence):
        raster.draw(projected, triangles)
    assert (raster.triangle == NOTHING).all()


@pytest.mark.parametrize("first", [-1, 2**31 - 1])
def test_an_offset_that_does_not_fit_is_refused(first):
    with pytest.raises(BadInput, match="32 bits"):
        Raster(HEIGHT, WIDTH).draw(GOOD, ONE, first=first)


@pytest.mark.parametrize("size", [(0, 5), (5, -1), (16385, 5)])
def test_a_picture_size_that_does_not_fit_is_refused(size):
    with pytest.raises(BadInput, match="px high and wide"):
        Raster(*size)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"attributes": np.zeros((2, 3), np.float32)}, "corner that does not exist"),
        ({"attributes": np.zeros((2, 3, 1), np.float32)}, "attributes per corner"),
        ({"attributes": np.zeros(3, np.float32)}, "attributes per vertex"),
        ({"out": np.zeros((HEIGHT, WIDTH, 2), np.float32)}, "output"),
        ({"out": np.zeros((HEIGHT, WIDTH, 3), np.float64)}, "output"),
    ],
)
def test_interpolate_refuses_what_does_not_fit(change, sentence):
    with pytest.raises(BadInput, match=sentence):
        Raster(HEIGHT, WIDTH).interpolate(**{"attributes": GOOD, "triangles": ONE, **change})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"uvs": np.zeros((2, 2), np.float32)}, "corner that does not exist"),
        ({"picture": np.zeros((4, 4), np.uint8)}, "texture"),
        ({"picture": np.zeros((0, 4, 3), np.uint8)}, "no pixels"),
        ({"out": np.zeros((HEIGHT, WIDTH), np.uint8)}, "output"),
        ({"out": np.broadcast_to(np.zeros(1, np.uint8), (HEIGHT, WIDTH, 3))}, "output"),
    ],
)
def test_texture_refuses_what_does_not_fit(change, sentence):
    good = {"uvs": GOOD[:, :2].copy(), "triangle_uvs": ONE, "picture": np.zeros((4, 4, 3), np.uint8)}
    with pytest.raises(BadInput, match=sentence):
        Raster(HEIGHT, WIDTH).texture(**{**good, **change})
