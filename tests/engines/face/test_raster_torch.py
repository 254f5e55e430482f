import importlib
import sys

import numpy as np
import pytest

from engines.errors import BadInput
from engines.face import raster_grey
from engines.face.normals import picture_normals
from engines.face.raster import NOTHING, Raster

torch = pytest.importorskip("torch")
from engines.face import raster_torch  # noqa: E402

HEIGHT, WIDTH = 40, 48


def bumpy_sheet(rng, rows=7, columns=8, step=6.0):
    """A shaken sheet over a part of the picture; (V, 3) on a grid of 1/256 px, (F, 3)."""
    y, x = np.mgrid[:rows, :columns] * step + 1.3
    xy = np.stack([x, y], -1) + rng.uniform(-0.3, 0.3, (rows, columns, 2)) * step
    corner = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (one.ravel() for one in (corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]))
    triangles = np.concatenate([np.column_stack([a, c, b]), np.column_stack([b, c, d])]).astype(np.int32)
    z = rng.uniform(0, 5, rows * columns)
    return np.column_stack([np.rint(xy.reshape(-1, 2) * 256) / 256, z]).astype(np.float32), triangles


def batch(*meshes, dtype=torch.float32):
    return torch.stack([torch.from_numpy(mesh) for mesh in meshes]).to(dtype)


@pytest.fixture(scope="module")
def sheets():
    rng = np.random.default_rng(0)
    one, triangles = bumpy_sheet(rng)
    return one, (one + np.float32([3.625, -5.25, 1])).astype(np.float32), triangles


def test_the_picture_is_the_numba_picture(sheets):
    *meshes, triangles = sheets
    raster = Raster(HEIGHT, WIDTH)
    pictures = raster_torch.render_grey(raster, batch(*meshes), torch.from_numpy(triangles))
    assert pictures.shape == (2, HEIGHT, WIDTH)
    for picture, mesh in zip(pictures.numpy(), meshes, strict=True):
        expected = raster_grey.render_grey(raster, mesh, triangles)
        np.testing.assert_allclose(picture * 255, expected, atol=0.51)  # uint8 is rounded
        np.testing.assert_array_equal(picture == 0, expected == 0)


def test_weights_are_the_numba_barycentrics_also_of_triangles_much_smaller_than_a_pixel():
    rng = np.random.default_rng(1)
    centre = rng.uniform(0, (WIDTH, HEIGHT), (4000, 1, 2))
    xy = (centre + rng.normal(0, 0.3, (4000, 3, 2))).reshape(-1, 2)
    projected = np.column_stack([xy, rng.uniform(0, 9, len(xy))]).astype(np.float32)
    triangles = np.arange(12000, dtype=np.int32).reshape(-1, 3)
    raster = Raster(HEIGHT, WIDTH)
    seen = raster_torch.see(raster, batch(projected), torch.from_numpy(triangles))
    covered = raster.triangle != NOTHING
    np.testing.assert_array_equal(seen.triangle, raster.triangle[covered])
    np.testing.assert_allclose(seen.weight, raster.barycentric[covered], atol=2e-6)
    assert len(seen.pixel) > 100


def test_normals_are_the_numba_normals(sheets):
    *meshes, triangles = sheets
    normals = raster_torch.picture_normals(batch(*meshes), torch.from_numpy(triangles))
    for found, mesh in zip(normals.numpy(), meshes, strict=True):
        np.testing.assert_allclose(found, picture_normals(mesh, triangles), atol=1e-5)


def test_attributes_and_texture_are_the_numba_ones(sheets):
    one, two, triangles = sheets
    rng = np.random.default_rng(2)
    uvs = rng.uniform(-0.1, 1.1, (30, 2)).astype(np.float32)
    triangle_uvs = rng.integers(0, 30, triangles.shape).astype(np.int32)
    colours = rng.integers(0, 256, (9, 11, 3)).astype(np.uint8)
    raster = Raster(HEIGHT, WIDTH)
    seen = raster_torch.see(raster, batch(one, two), torch.from_numpy(triangles))
    at = raster_torch.interpolate(batch(two, one), seen).numpy()
    tensors = [torch.from_numpy(array) for array in (uvs, triangle_uvs, colours.astype(np.float32))]
    pictures = raster_torch.texture(*tensors, seen).numpy()
    for k, (drawn, other) in enumerate(((one, two), (two, one))):
        raster.clear()
        raster.draw(drawn, triangles)
        np.testing.assert_allclose(at[k], raster.interpolate(other, triangles), atol=1e-4)
        np.testing.assert_allclose(pictures[k], raster.texture(uvs, triangle_uvs, colours), atol=2)


def finite_difference(work, tensor, where, step=1 / 256):
    """Central differences of a sum at single numbers of a tensor; the step keeps vertices on the snapping grid."""
    slopes = []
    for at in where:
        values = []
        for sign in (1, -1):
            moved = tensor.detach().clone()
            moved[at] += sign * step
            values.append(float(work(moved)))
        slopes.append((values[0] - values[1]) / (2 * step))
    return np.array(slopes)


def numbers_to_try(rng, tensor, count=60):
    return [tuple(int(rng.integers(n)) for n in tensor.shape) for _ in range(count)]


def same_triangles(raster, seen, projected, triangles):
    """Where no pixel changes its triangle, whichever way a vertex goes: elsewhere there is no derivative."""
    return torch.equal(raster_torch.see(raster, projected, triangles).triangle, seen.triangle)


@pytest.mark.parametrize("of", ["grey", "attributes"])
def test_gradients_to_the_vertices_equal_finite_differences(sheets, of):
    one, _, triangles = sheets
    rng = np.random.default_rng(3)
    raster, triangles = Raster(HEIGHT, WIDTH), torch.from_numpy(triangles)
    projected = batch(one, dtype=torch.float64).requires_grad_()
    attributes = torch.from_numpy(rng.normal(size=(1, projected.shape[1], 2)))
    weights = torch.from_numpy(rng.normal(size=(1, HEIGHT, WIDTH, 2)))

    def work(vertices):
        if of == "grey":
            return (raster_torch.render_grey(raster, vertices, triangles) * weights[..., 0]).sum()
        return (raster_torch.interpolate(attributes, raster_torch.see(raster, vertices, triangles)) * weights).sum()

    work(projected).backward()
    seen = raster_torch.see(raster, projected, triangles)
    smooth = []
    for at in numbers_to_try(rng, projected):
        moves = torch.zeros_like(projected)
        moves[at] = 1 / 256
        if all(same_triangles(raster, seen, projected + sign * moves, triangles) for sign in (1, -1)):
            smooth.append(at)
    assert len(smooth) > 30
    found = np.array([float(projected.grad[at]) for at in smooth])
    expected = finite_difference(work, projected, smooth)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert np.abs(found).max() > 0.01


@pytest.mark.parametrize("of", ["attributes", "uvs", "picture"])
def test_gradients_to_attributes_and_texture_equal_finite_differences(sheets, of):
    one, _, triangles = sheets
    rng = np.random.default_rng(4)
    raster, triangles = Raster(HEIGHT, WIDTH), torch.from_numpy(triangles)
    seen = raster_torch.see(raster, batch(one, dtype=torch.float64), triangles)
    weights = torch.from_numpy(rng.normal(size=(1, HEIGHT, WIDTH, 2)))
    # gentle uvs inside one texture pixel per picture, so that no step crosses a kink of the bilinear look-up
    given = {
        "attributes": torch.from_numpy(rng.normal(size=(1, len(one), 2))),
        "uvs": torch.from_numpy(rng.uniform(0.3, 0.7, (len(one), 2))),
        "picture": torch.from_numpy(rng.normal(size=(2, 2, 2))),
    }
    given[of].requires_grad_()

    def work(tensor):
        values = {**given, of: tensor}
        if of == "attributes":
            return (raster_torch.interpolate(values["attributes"], seen) * weights).sum()
        return (raster_torch.texture(values["uvs"], triangles, values["picture"], seen) * weights).sum()

    work(given[of]).backward()
    where = numbers_to_try(rng, given[of], 30)
    found = np.array([float(given[of].grad[at]) for at in where])
    np.testing.assert_allclose(found, finite_difference(work, given[of], where, 1e-5), rtol=1e-4, atol=1e-6)
    assert np.abs(found).max() > 0.01


def test_a_vertex_that_is_not_seen_gets_no_gradient(sheets):
    one, _, triangles = sheets
    behind = one + np.float32([0, 0, -50])
    both = torch.from_numpy(np.concatenate([one, behind]))[None].requires_grad_()
    faces = torch.from_numpy(np.concatenate([triangles, triangles + len(one)]))
    raster_torch.interpolate(both.detach(), raster_torch.see(Raster(HEIGHT, WIDTH), both, faces)).sum().backward()
    assert not both.grad[0, len(one) :].any()
    assert torch.isfinite(both.grad).all()


def test_pictures_without_a_mesh_are_black_and_do_not_break():
    projected = torch.full((2, 3, 3), -100.0, requires_grad=True)
    picture = raster_torch.render_grey(Raster(HEIGHT, WIDTH), projected, torch.tensor([[0, 1, 2]]))
    assert not picture.any()
    picture.sum().backward()
    assert torch.isfinite(projected.grad).all()


def test_the_descent_finds_a_moved_mesh_again(sheets):
    """What the gradients are for: pull a shifted, scaled sheet back to the picture of the first one."""
    one, _, triangles = sheets
    raster, triangles, target = Raster(HEIGHT, WIDTH), torch.from_numpy(triangles), batch(one)
    colours = torch.from_numpy(np.sin(one / 5)[None]).float()
    wanted = raster_torch.interpolate(colours, raster_torch.see(raster, target, triangles))
    shift = torch.tensor([1.5, -1.0], requires_grad=True)
    descent = torch.optim.Adam([shift], lr=0.1)
    for _ in range(60):
        moved = target + torch.cat([shift, shift.new_zeros(1)])
        found = raster_torch.interpolate(colours, raster_torch.see(raster, moved, triangles))
        descent.zero_grad()
        (found - wanted).square().mean().backward()
        descent.step()
    assert shift.abs().max() < 0.2


@pytest.mark.parametrize(
    ("projected", "triangles", "sentence"),
    [
        (torch.zeros(3, 3), torch.tensor([[0, 1, 2]]), r"\(B, V, 3\)"),
        (torch.zeros(1, 3, 3, dtype=torch.int32), torch.tensor([[0, 1, 2]]), "floats"),
        (torch.zeros(1, 3, 3), torch.tensor([0, 1, 2]), r"\(F, 3\)"),
        (torch.zeros(1, 3, 3), torch.tensor([[0, 1, 3]]), "corner that does not exist"),
        (torch.full((1, 3, 3), torch.nan), torch.tensor([[0, 1, 2]]), "not a finite number"),
    ],
)
def test_the_door_refuses_what_does_not_fit(projected, triangles, sentence):
    with pytest.raises(BadInput, match=sentence):
        raster_torch.see(Raster(HEIGHT, WIDTH), projected, triangles)


def test_without_torch_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "engines.face.raster_torch")
    with pytest.raises(ImportError, match=r"pip install 'myomirror\[torch\]'"):
        importlib.import_module("engines.face.raster_torch")


def test_attributes_of_another_batch_are_refused(sheets):
    one, _, triangles = sheets
    seen = raster_torch.see(Raster(HEIGHT, WIDTH), batch(one), torch.from_numpy(triangles))
    with pytest.raises(BadInput, match=r"\(1, V, C\)"):
        raster_torch.interpolate(torch.zeros(2, len(one), 1), seen)
