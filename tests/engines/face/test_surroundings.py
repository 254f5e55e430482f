import numpy as np
import pytest

from engines.face import surroundings as around


@pytest.fixture(scope="module")
def nodes(person_of):
    return person_of("004").surroundings


def test_every_node_is_under_the_mesh_or_outside(nodes):
    both = np.concatenate([nodes.inside, nodes.outside])
    assert len(both) == len(nodes.place) == nodes.shape[0] * nodes.shape[1]
    assert len(np.unique(both)) == len(both)
    np.testing.assert_allclose(nodes.weight.sum(1), 1, atol=1e-5)


def test_what_the_border_does_goes_on_and_dies_out(nodes):
    """The screened Laplace equation: every outer node is a little less than its neighbours' mean."""
    displaced = np.zeros(len(nodes.place))
    displaced[nodes.inside] = 1
    displaced[nodes.outside] = nodes.spread @ np.ones(len(nodes.rim))
    grid = displaced.reshape(nodes.shape)
    assert (grid >= 0).all()
    assert grid.max() <= 1 + 1e-6
    outside = np.isin(np.arange(grid.size), nodes.outside).reshape(nodes.shape)[1:-1, 1:-1]
    mean = (grid[:-2, 1:-1] + grid[2:, 1:-1] + grid[1:-1, :-2] + grid[1:-1, 2:]) / 4
    ratio = (grid[1:-1, 1:-1] / np.maximum(mean, 1e-12))[outside & (mean > 1e-3)]
    assert ratio.max() < 1
    assert np.ptp(ratio) < 1e-3
    assert grid[0].max() < 0.05


def test_hair_follows_the_head_and_shoulders_stay(nodes, person_of):
    person = person_of("004")
    follow = nodes.follow.reshape(nodes.shape)
    column = int((person.middle_px[0] - nodes.origin_px) / around.SPACING_PX)
    rows = ((np.array([person.middle_px[1] - 120, 620]) - nodes.origin_px) / around.SPACING_PX).astype(int)
    assert follow[rows[0], column] == 1
    assert follow[rows[1], column] == 0


def test_the_inverted_field_leads_back_to_each_pixel():
    rows, columns, origin = 20, 24, -16.0
    y, x = np.mgrid[:rows, :columns] * around.SPACING_PX + origin
    displacement = np.stack([6 * np.sin(x / 40), 9 * np.cos(y / 50), 1 + x / 500], -1).reshape(-1, 3).astype(np.float32)
    photo_from_out = np.array([[0.9, 0, 3], [0, 0.9, 5]], np.float32)
    lattice = np.zeros((12, 14, 3), np.float32)
    around.invert(displacement, columns, rows, np.float32(origin), photo_from_out, lattice)
    for j in range(12):
        for i in range(14):
            u, v, shade = lattice[j, i].astype(float)
            back = np.array([u + 6 * np.sin(u / 40), v + 9 * np.cos(v / 50)])
            there = photo_from_out[:, :2] @ [i * around.LATTICE_PX, j * around.LATTICE_PX] + photo_from_out[:, 2]
            np.testing.assert_allclose(back, there, atol=0.25)
            assert shade == pytest.approx(1 + u / 500, abs=0.01)


def test_painting_is_bilinear_between_the_lattice_points():
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (40, 50, 3)).astype(np.uint8)
    cover = rng.integers(0, 256, (40, 50)).astype(np.uint8)
    lattice = np.zeros((3, 4, 3), np.float32)
    j, i = np.mgrid[:3, :4]
    lattice[..., 0], lattice[..., 1], lattice[..., 2] = 5 + 9 * i + j, 4 + 8 * j - 0.5 * i, 0.1 * i
    out = np.zeros((16, 24, 3), np.uint8)
    around.paint(photo, cover, lattice, np.float32(0.8), out)
    for y in range(16):
        for x in range(24):
            a, b = x / around.LATTICE_PX, y / around.LATTICE_PX
            u, v, shade = 5 + 9 * a + b, 4 + 8 * b - 0.5 * a, 0.1 * a
            p, q, fu, fv = int(u), int(v), u % 1, v % 1
            four = photo[q : q + 2, p : p + 2].astype(float)
            colour = (1 - fv) * ((1 - fu) * four[0, 0] + fu * four[0, 1]) + fv * (
                (1 - fu) * four[1, 0] + fu * four[1, 1]
            )
            gain = 0.8 + shade * max(2 * int(cover[q, p]) - 255, 0) / 255  # soft edges hold wall
            np.testing.assert_allclose(out[y, x], np.minimum(colour * gain, 255), atol=4)  # shares are 1/128
