import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.light import STUDIO_LIGHT, Light, calm, flat_shade, lambert, shade_ratio, tint_picture


def test_lambert_falls_from_ambient_plus_lamp_to_ambient():
    normals = np.array([[0, 0, 1], [0, 0, -1], [1, 0, 0]], np.float32)
    out = np.zeros(3, np.float32)
    lambert(normals, Light(direction=(0, 0, 2)).towards, np.float32(0.3), out)
    np.testing.assert_allclose(out, [1.0, 0.3, 0.3 + 0.7 * 0.2], rtol=1e-6)
    assert flat_shade(Light(direction=(0, 0, 1), ambient=0.3)) == pytest.approx(1.0)


def test_the_photos_own_light_changes_nothing():
    shade = np.random.default_rng(0).uniform(0.4, 1, 5).astype(np.float32)
    starts, others = np.array([0, 2, 3, 4, 5, 6], np.int32), np.array([1, 2, 0, 4, 3, 2], np.int32)
    rough, out = np.zeros(5, np.float32), np.zeros(5, np.float32)
    shade_ratio(shade, shade, np.float32(1), starts, others, rough, out)
    np.testing.assert_allclose(out, 1, rtol=1e-6)
    shade_ratio(shade, shade[::-1].copy(), np.float32(1.2), starts, others, rough, out)
    ratio = np.clip(1.2 * shade / shade[::-1], 0.35, 1.9)
    assert out[0] == pytest.approx((2 * ratio[0] + ratio[1] + ratio[2]) / 4, rel=1e-5)


def test_untrusted_normals_stay_those_of_the_face_at_rest_and_turn_along():
    normals, rest = np.eye(3, dtype=np.float32), np.array([[0, 0, 1]] * 3, np.float32)
    turn = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], np.float32)
    calm(normals, rest, turn, np.array([1, 0, 0.25], np.float32))
    np.testing.assert_allclose(normals, [[1, 0, 0], [1, 0, 0], [0.75, 0, 0.25]], atol=1e-6)


def test_a_tint_multiplies_the_colours():
    picture = np.array([[[100, 100, 200]]], np.uint8)
    tint_picture(picture, 128, 256, 512)
    np.testing.assert_array_equal(picture[0, 0], [50, 100, 255])


@pytest.mark.parametrize(
    "wrong", [{"direction": (0, 0, 0)}, {"intensity": 9}, {"ambient": 2}, {"tint": (1, 1)}, {"tint": (1, 1, 9)}]
)
def test_impossible_lights_are_a_sentence(wrong):
    with pytest.raises(BadInput, match="light's"):
        Light(**wrong)
    assert STUDIO_LIGHT.intensity == 1
