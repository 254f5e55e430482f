import numpy as np
import pytest

from engines.bundle import Manifest, Training, write_bundle
from engines.errors import BadInput, BundleError
from engines.face.pixel_map import PixelMap, apply_pixel_map, load_pixel_map


def by_the_formula(face, pixel_map, amount):
    """Eq. 3 in floats, blended with the face."""
    white = {"[0,1]": 255.0, "[0,255]": 1.0}[pixel_map.intensity_scale]
    target = pixel_map.gain.astype(float) * face + white * pixel_map.bias
    return np.clip(face + amount * (target - face), 0, 255)


def random_map(size=16, scale="[0,255]", spread=1.0, seed=0):
    rng = np.random.default_rng(seed)
    white = {"[0,1]": 1.0, "[0,255]": 255.0}[scale]
    gain = np.clip(rng.normal(0.9, spread, (size, size, 3)), -2.9, 4.9).astype(np.float32)
    bias = np.clip(rng.normal(0.05, spread, (size, size, 3)), -3.9, 3.9).astype(np.float32) * np.float32(white)
    return PixelMap(gain, bias, "smile", 0.4, scale)


@pytest.mark.parametrize("amount", [0.0, 0.001, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("spread", [0.1, 1.0])
@pytest.mark.parametrize("scale", ["[0,1]", "[0,255]"])
def test_kernel_is_within_one_grey_level_of_the_formula(amount, spread, scale):
    pixel_map = random_map(64, scale, spread)
    face = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    out = apply_pixel_map(face, pixel_map, amount, np.empty_like(face))
    wrong = out - by_the_formula(face, pixel_map, amount)
    assert np.abs(wrong).max() <= 1.0
    assert abs(wrong.mean()) < 0.05  # no drift to dark or bright


def test_extreme_coefficients_do_not_overflow():
    face = np.array([0, 1, 127, 128, 254, 255] * 2, np.uint8).reshape(2, 2, 3)
    for gain in (-2.98, 4.98):
        for bias in (-3.99, 3.99):
            planes = np.full((2, 2, 3), gain, np.float32), np.full((2, 2, 3), bias, np.float32)
            pixel_map = PixelMap(*planes, "smile", 0.4, "[0,1]")
            for amount in (0.0, 0.3, 1.0):
                out = apply_pixel_map(face, pixel_map, amount, np.empty_like(face))
                assert np.abs(out - by_the_formula(face, pixel_map, amount)).max() <= 1.0


def test_amount_zero_is_the_face_bit_for_bit():
    face = np.arange(16 * 16 * 3, dtype=np.uint32).astype(np.uint8).reshape(16, 16, 3)
    np.testing.assert_array_equal(apply_pixel_map(face, random_map(), 0.0, np.empty_like(face)), face)


def test_works_in_place():
    face = np.random.default_rng(2).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    expected = apply_pixel_map(face, random_map(), 0.7, np.empty_like(face))
    assert apply_pixel_map(face, random_map(), 0.7, face) is face
    np.testing.assert_array_equal(face, expected)


def test_a_map_that_the_kernel_cannot_hold_is_refused():
    gain, bias = np.ones((4, 4, 3), np.float32), np.zeros((4, 4, 3), np.float32)
    for planes in [(gain * 6, bias), (gain, bias + 5), (gain * np.float32("nan"), bias), (gain[:2], bias)]:
        with pytest.raises(BadInput):
            PixelMap(*planes, "smile", 0.4, "[0,1]")
    with pytest.raises(BadInput, match="intensity scale"):
        PixelMap(gain, bias, "smile", 0.4, "[0,100]")


@pytest.mark.parametrize("amount", [-0.1, 1.1, float("nan")])
def test_amount_out_of_range_is_refused(amount):
    face = np.zeros((16, 16, 3), np.uint8)
    with pytest.raises(BadInput, match="amount"):
        apply_pixel_map(face, random_map(), amount, face)


def test_faces_that_do_not_fit_are_refused():
    pixel_map, out = random_map(), np.zeros((16, 16, 3), np.uint8)
    for face in (np.zeros((8, 8, 3), np.uint8), np.zeros((16, 16, 3)), np.zeros((16, 32, 3), np.uint8)[:, ::2]):
        with pytest.raises(BadInput):
            apply_pixel_map(face, pixel_map, 1.0, out)


def manifest(system="pixel_rr", **sizes):
    full = {"size": 16, "expression": "smile", "lambda": 0.4, "intensity_scale": "[0,255]", **sizes}
    return Manifest(system, "gain and bias", full, (), (), Training("random numbers", 1, True, "CC0", 0))


def test_a_map_survives_the_bundle(tmp_path):
    made = random_map(spread=0.1)
    write_bundle(tmp_path, manifest(), {"gain": made.gain.astype(np.float16), "bias": made.bias})
    found = load_pixel_map(tmp_path)
    np.testing.assert_allclose(found.gain, made.gain, atol=1e-3)
    np.testing.assert_array_equal(found.bias, made.bias)
    assert (found.expression, found.lambda_, found.intensity_scale, found.size) == ("smile", 0.4, "[0,255]", 16)


def test_a_bundle_without_the_planes_is_refused(tmp_path):
    write_bundle(tmp_path, manifest(), {"gain": random_map().gain})
    with pytest.raises(BundleError, match="bias"):
        load_pixel_map(tmp_path)


def test_a_bundle_of_another_system_is_refused(tmp_path):
    write_bundle(tmp_path, manifest("eifer"), {"gain": random_map().gain})
    with pytest.raises(BundleError, match="eifer"):
        load_pixel_map(tmp_path)


def test_each_side_has_its_own_amount_and_the_seam_is_smooth():
    pixel_map = random_map(64, spread=0.2)
    face = np.random.default_rng(3).integers(60, 190, (64, 64, 3)).astype(np.uint8)
    whole = apply_pixel_map(face, pixel_map, 1.0, np.empty_like(face))
    left = apply_pixel_map(face, pixel_map.on_sides(1.0, 0.0), 1.0, np.empty_like(face))
    np.testing.assert_array_equal(left[:, :20], face[:, :20])  # the person's right is the picture's left
    np.testing.assert_allclose(left[:, 44:].astype(int), whole[:, 44:].astype(int), atol=1)
    share = pixel_map.on_sides(1.0, 0.0).bias[0, :, 0] / pixel_map.bias[0, :, 0]
    assert np.all(np.diff(share) >= -1e-6)
    assert np.diff(share).max() < 0.2
    both = apply_pixel_map(face, pixel_map.on_sides(0.5, 0.5), 1.0, np.empty_like(face))
    half = apply_pixel_map(face, pixel_map, 0.5, np.empty_like(face))
    np.testing.assert_allclose(both.astype(int), half.astype(int), atol=1)
    with pytest.raises(BadInput, match="amounts"):
        pixel_map.on_sides(1.2, 0.0)
