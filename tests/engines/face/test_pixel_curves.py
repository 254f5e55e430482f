import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.pixel_curves import PixelCurves, apply_pixel_curves, positions


def by_the_formula(face, cubic, amount):
    u = positions(face)
    curve = sum(c.astype(float) * u**k for k, c in enumerate(cubic))
    return np.clip(face + amount * (curve - face), 0, 255)


def random_cubic(size, seed, bend=30.0):
    rng = np.random.default_rng(seed)
    cubic = rng.normal(0, bend, (4, size, size, 3)).astype(np.float32)
    cubic[:2] += 128
    return cubic


def faces(size, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3)).astype(np.uint8)


@pytest.mark.parametrize("amount", [0.001, 0.3, 1.0])
@pytest.mark.parametrize("bend", [5.0, 40.0])
def test_the_cubic_is_within_one_grey_level_of_the_formula(amount, bend):
    cubic, face = random_cubic(64, 0, bend), faces(64)
    out = apply_pixel_curves(face, PixelCurves(cubic, "smile"), amount, np.empty_like(face))
    wrong = out - by_the_formula(face, cubic, amount)
    assert np.abs(wrong).max() <= 1.0
    assert abs(wrong.mean()) < 0.1


def test_a_table_is_looked_up_pixel_by_pixel():
    rng, face = np.random.default_rng(2), faces(8)
    table = rng.integers(0, 256, (8, 8, 3, 256)).astype(np.uint8)
    curves = PixelCurves(random_cubic(8, 0), "smile", table)
    out = apply_pixel_curves(face, curves, 1.0, np.empty_like(face))
    half = apply_pixel_curves(face, curves, 0.5, np.empty_like(face))
    for place in np.ndindex(8, 8, 3):
        wanted = int(table[place][face[place]])
        assert out[place] == wanted
        assert abs(int(half[place]) - (int(face[place]) + wanted) / 2) <= 0.51


@pytest.mark.parametrize("table", [False, True])
def test_amount_zero_is_the_face_bit_for_bit_and_faces_may_be_read_only_or_in_place(table):
    face = faces(16)
    values = np.zeros((16, 16, 3, 256), np.uint8) if table else None
    curves = PixelCurves(random_cubic(16, 3), "smile", values)
    np.testing.assert_array_equal(apply_pixel_curves(face, curves, 0.0, np.empty_like(face)), face)
    wanted = apply_pixel_curves(face, curves, 0.7, np.empty_like(face))
    face.flags.writeable = False
    np.testing.assert_array_equal(apply_pixel_curves(face, curves, 0.7, np.empty_like(face)), wanted)
    face.flags.writeable = True
    assert apply_pixel_curves(face, curves, 0.7, face) is face
    np.testing.assert_array_equal(face, wanted)


def test_what_does_not_fit_is_refused():
    cubic, face = random_cubic(8, 0), faces(8)
    with pytest.raises(BadInput, match="coefficients"):
        PixelCurves(cubic[:3], "smile")
    with pytest.raises(BadInput, match="keep them as a table"):
        PixelCurves(cubic + 2000, "smile")
    with pytest.raises(BadInput, match="table"):
        PixelCurves(cubic, "smile", np.zeros((8, 8, 3, 255), np.uint8))
    curves = PixelCurves(cubic, "smile")
    for amount in (-0.1, 1.1, float("nan")):
        with pytest.raises(BadInput, match="amount"):
            apply_pixel_curves(face, curves, amount, face)
    with pytest.raises(BadInput, match="face"):
        apply_pixel_curves(faces(9), curves, 1.0, np.empty_like(face))
