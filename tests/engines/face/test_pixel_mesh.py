from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from engines.bundle import Manifest, Training, write_bundle
from engines.errors import BadInput, BundleError
from engines.face.pixel_mesh import (
    MESH,
    OVAL,
    POINTS,
    MeshPainter,
    PixelMesh,
    load_pixel_mesh,
    mesh_of,
    redraw,
    share_of_left,
    with_rim,
)
from engines.shipped import bundle_folder

SIZE = 96


@pytest.fixture(scope="module")
def happy():
    return load_pixel_mesh(bundle_folder("pixel-happy"))


@pytest.fixture(scope="module")
def painter(happy):
    return MeshPainter(happy, SIZE)


@pytest.fixture
def face():
    """Smooth random shades: a bilinear look between pixels has something to be right about."""
    rng, axis = np.random.default_rng(0), np.arange(SIZE) / SIZE
    waves = rng.uniform(2, 9, (3, 2))
    planes = [np.sin(a * axis)[:, None] + np.cos(b * axis)[None] for a, b in waves]
    return np.clip(np.stack(planes, 2) * 60 + 128, 0, 255).astype(np.uint8)


@pytest.fixture
def landmarks_px(happy):
    return happy.rest.reshape(MESH, 2) * SIZE - 0.5


def barycentric(corners, place):
    a, b, c = corners.astype(float)
    two = np.linalg.lstsq(np.column_stack([b - a, c - a]), place - a, rcond=None)[0]
    return np.array([1 - two.sum(), *two])


def look(picture, place):
    """Bilinear, one pixel at a time."""
    size = len(picture)
    x, y = np.clip(place, 0, size - 1.001)
    i, j = int(y), int(x)
    fy, fx = y - i, x - j
    rows = (1 - fx) * picture[i : i + 2, j].astype(float) + fx * picture[i : i + 2, j + 1]
    return (1 - fy) * rows[0] + fy * rows[1]


def slow_twin(face, mesh, landmarks_px, left, right, pixels):
    """One pixel after the other; those near an edge belong to several triangles and are left out (nan)."""
    size = len(face)
    points, way = mesh.moved((landmarks_px + 0.5) / size)
    part = right + (left - right) * mesh.left_share
    target = (points + part[:, None] * way) * size - 0.5
    strength = right + (left - right) * mesh.left_plane
    corners = target[mesh.triangles]
    low, high = corners.min(1), corners.max(1)
    out = np.full((len(pixels), 3), np.nan)
    for row, pixel in enumerate(pixels):
        near = np.flatnonzero(((low <= pixel) & (high >= pixel)).all(1))
        weights = [barycentric(corners[number], pixel) for number in near]
        inside = [(number, w) for number, w in zip(near, weights, strict=True) if w.min() > -0.02]
        if len(inside) == 1 and inside[0][1].min() > 0.02:
            triangle, weight = mesh.triangles[inside[0][0]], inside[0][1]
            grey = look(face, weight @ (points[triangle] * size - 0.5))
            place = np.clip(weight @ (mesh.frame[triangle] * mesh.side - 0.5), 0, mesh.side - 1.001)
            change = look(mesh.gain, place) * grey + look(mesh.bias, place)
            out[row] = np.clip(grey + strength[int(place[1]), int(place[0])] * change, 0, 255)
    return out


@pytest.mark.parametrize(("left", "right"), [(1.0, 1.0), (0.3, 0.9)])
def test_kernel_is_the_slow_twin(happy, painter, face, landmarks_px, left, right):
    found = painter.paint(face, landmarks_px, left, right, np.empty_like(face))
    pixels = np.random.default_rng(5).integers(18, SIZE - 18, (300, 2))
    wanted = slow_twin(face, happy, landmarks_px, left, right, pixels)
    known = np.isfinite(wanted).all(1)
    assert known.mean() > 0.3
    x, y = pixels[known].T
    assert np.abs(found[y, x] - wanted[known]).max() <= 1.0
    assert np.abs(found[y, x].astype(float) - face[y, x]).max() > 10  # it does something


def test_amount_zero_is_the_face_bit_for_bit(painter, face, landmarks_px):
    np.testing.assert_array_equal(painter.paint(face, landmarks_px, 0.0, 0.0, np.empty_like(face)), face)


def test_the_expression_grows_with_the_amount_without_jumps(painter, face, landmarks_px):
    steps = [
        painter.paint(face, landmarks_px, amount, amount, np.empty_like(face)).astype(float)
        for amount in np.linspace(0, 1, 21)
    ]
    way = [np.abs(step - steps[0]).mean() for step in steps]
    assert np.all(np.diff(way) > 0)
    jumps = [np.abs(b - a).mean() for a, b in pairwise(steps)]
    assert max(jumps) < 0.15 * way[-1]


def test_one_side_alone_leaves_the_other_as_it_is(happy, painter, face, landmarks_px):
    whole = painter.paint(face, landmarks_px, 1.0, 1.0, np.empty_like(face))
    left = painter.paint(face, landmarks_px, 1.0, 0.0, np.empty_like(face))
    middle = round(float(landmarks_px[1, 0]))
    width = int(0.28 * np.ptp(landmarks_px[list(OVAL), 0])) // 2 + 2
    np.testing.assert_array_equal(left[:, : middle - width], face[:, : middle - width])
    np.testing.assert_allclose(left[:, middle + width :].astype(int), whole[:, middle + width :].astype(int), atol=1)
    share = share_of_left(happy.frame, np.column_stack([np.linspace(0, 1, 200), np.full(200, 0.5)]))
    assert share[0] == 0
    assert share[-1] == 1
    assert np.diff(share).min() >= 0
    assert np.diff(share).max() < 0.05


def test_outside_the_rim_nothing_changes(happy, painter, landmarks_px):
    noise = np.random.default_rng(4).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    out = painter.paint(noise, landmarks_px * 0.5 + 24, 1.0, 1.0, np.empty_like(noise))
    np.testing.assert_array_equal(out[:8], noise[:8])
    np.testing.assert_array_equal(out[:, -8:], noise[:, -8:])
    assert (out != noise).mean() > 0.02


@pytest.mark.parametrize("name", ["pixel-eye-gentle", "pixel-eye-tight"])
def test_eyes_that_shut_shut_on_wide_eyed_people_too(name):
    mesh = load_pixel_mesh(bundle_folder(name))
    wide = mesh.rest.reshape(MESH, 2).copy()
    wide[[159, 386], 1] -= 0.02  # upper lids
    points, way = mesh.moved(wide)
    moved = points + way
    opened, kept = (shape[145, 1] - shape[159, 1] for shape in (points, moved))
    assert opened > 0.04
    assert abs(kept) < 0.15 * opened


def test_landmarks_far_outside_the_crop_do_no_harm(painter, face, landmarks_px):
    for shift in (-90.0, 90.0, 1e4):
        painter.paint(face, landmarks_px + shift, 1.0, 1.0, np.empty_like(face))
    collapsed = np.full((MESH, 2), 40.0)
    np.testing.assert_array_equal(painter.paint(face, collapsed, 0.0, 0.0, np.empty_like(face)), face)
    painter.paint(face, collapsed, 1.0, 1.0, np.empty_like(face))


def test_redraw_moves_what_lies_between_the_points(face, landmarks_px):
    source = with_rim(landmarks_px)
    triangles = mesh_of(landmarks_px)
    assert triangles.max() == POINTS - 1
    np.testing.assert_array_equal(redraw(face, source, source, triangles), face)
    shifted = redraw(face, source, source + np.float32([3, 2]), triangles)
    x, y = (source[1] + (3, 2)).astype(int)
    np.testing.assert_allclose(
        shifted[y - 5 : y + 5, x - 5 : x + 5].astype(int), face[y - 7 : y + 3, x - 8 : x + 2], atol=1
    )


def test_what_does_not_fit_is_refused(happy, painter, face, landmarks_px):
    out = np.empty_like(face)
    for bad, word in [
        ((face[:50], landmarks_px, 1.0, 1.0, out), "face"),
        ((face, landmarks_px[:400], 1.0, 1.0, out), "landmarks"),
        ((face, landmarks_px * np.nan, 1.0, 1.0, out), "finite"),
        ((face, landmarks_px, 1.5, 1.0, out), "amounts"),
        ((face, landmarks_px, 1.0, float("nan"), out), "amounts"),
        ((face, landmarks_px, 1.0, 1.0, face), "must not be the face"),
    ]:
        with pytest.raises(BadInput, match=word):
            painter.paint(*bad)
    with pytest.raises(BadInput, match="must be 16"):
        MeshPainter(happy, 8)
    with pytest.raises(BadInput, match="half a crop"):
        replace(happy, way=happy.way + 1)
    with pytest.raises(BadInput, match="not finite"):
        replace(happy, bias=happy.bias * np.float32("nan"))
    with pytest.raises(BadInput, match="gain"):
        replace(happy, gain=happy.gain[:50])
    with pytest.raises(BadInput, match="corner"):
        replace(happy, triangles=happy.triangles + POINTS)


def test_bundles_that_are_no_pixel_mesh_are_refused(tmp_path, happy):
    training = Training("random numbers", 1, True, "CC0", 0)
    write_bundle(tmp_path, Manifest("pixel_mesh", "n", {"expression": "x"}, (), (), training), {"gain": happy.gain})
    with pytest.raises(BundleError, match="triangles"):
        load_pixel_mesh(tmp_path)
    with pytest.raises(BundleError, match="pixel_rr"):
        load_pixel_mesh(bundle_folder("pixel-smile"))


def test_the_mesh_may_be_built_without_modes(happy, face, landmarks_px):
    plain = PixelMesh(
        happy.frame,
        happy.triangles,
        happy.way,
        happy.rest,
        happy.basis[:0],
        happy.ways[:0],
        happy.gain,
        happy.bias,
        "x",
    )
    out = MeshPainter(plain, SIZE).paint(face, landmarks_px, 1.0, 1.0, np.empty_like(face))
    whole = MeshPainter(happy, SIZE).paint(face, landmarks_px, 1.0, 1.0, np.empty_like(face))
    np.testing.assert_array_equal(out, whole)  # on the mean shape the modes say nothing
