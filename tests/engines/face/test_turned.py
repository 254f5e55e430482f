import numpy as np

from engines.face.pose import HeadPose
from engines.face.raster import Raster
from engines.face.turned import flat, paint_shell, place_nodes


def test_nodes_go_with_the_head_as_far_as_they_follow():
    place = np.array([[10, 20, 5], [10, 20, 5]], np.float32)
    displaced = np.array([[3, -2, 0], [0, 0, 0]], np.float32)
    turn = HeadPose(yaw_deg=30).turn_px(np.zeros(3), 1.0)
    framing = np.array([[2, 0, 7], [0, 2, -1]], np.float32)
    out = np.zeros((2, 3), np.float32)
    place_nodes(place, np.array([1, 0], np.float32), displaced, turn, framing, out)
    np.testing.assert_allclose(out[:, :2], [[33, 35], [27, 39]], atol=1e-5)
    np.testing.assert_allclose(out[:, 2], [2 * (turn @ [10, 20, 5, 1])[2], 10], rtol=1e-5)


def test_a_wall_that_stays_is_the_framing_alone():
    lattice = np.ones((3, 4, 3), np.float32)
    flat(np.array([[0.5, 0, 3], [0, 0.5, 1]], np.float32), lattice)
    np.testing.assert_allclose(lattice[2, 3], [0.5 * 24 + 3, 0.5 * 16 + 1, 0])


def test_the_shell_is_mixed_by_its_cover():
    rng = np.random.default_rng(0)
    cutout, cover = rng.integers(0, 256, (12, 16, 3)).astype(np.uint8), rng.integers(0, 256, (12, 16)).astype(np.uint8)
    place = np.array([[1, 1, 0], [1, 10, 0], [14, 10, 0], [14, 1, 0]], np.float32)  # pixels on pixels
    triangles, displaced = np.array([[0, 1, 2], [0, 2, 3]], np.int32), np.zeros((4, 3), np.float32)
    displaced[:, 2] = 0.25
    raster = Raster(12, 16)
    raster.draw(place, triangles)
    out = np.full((12, 16, 3), 100, np.uint8)
    half = np.float32(0.5)
    paint_shell(raster.triangle, raster.barycentric, triangles, place, displaced, cutout, cover, half, out)
    share = cover[..., None] / 255 * (raster.triangle >= 0)[..., None]
    wanted = 100 + share * (np.minimum(0.75 * cutout, 255) - 100)
    np.testing.assert_allclose(out[2:10, 2:14], wanted[2:10, 2:14], atol=1.1)
    assert (out[0] == 100).all()
