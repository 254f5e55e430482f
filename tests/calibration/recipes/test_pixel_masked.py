import numpy as np
import pytest

from calibration.recipes.pixel_masked import fit_masked
from engines.errors import BadInput


def ridge_of_one_pixel(neutral, target, y, x, z, lambda_, scale):
    """Eq. 2 over ten columns, one pixel at a time."""
    around = np.pad(neutral[..., z], ((0, 0), (1, 1), (1, 1)), mode="edge").astype(float) * scale
    columns = np.stack([around[:, y + i, x + j] for i in range(3) for j in range(3)] + [np.ones(len(neutral))], 1)
    goal = target[:, y, x, z] * scale
    return np.linalg.solve(columns.T @ columns + lambda_ * np.eye(10), columns.T @ goal)


@pytest.mark.parametrize(("scale", "unit"), [("[0,1]", 255.0), ("[0,255]", 1.0)])
def test_equals_the_ridge_pixel_by_pixel(scale, unit):
    neutral, target = np.random.default_rng(0).integers(0, 256, (2, 25, 5, 5, 3)).astype(np.uint8)
    found = fit_masked(neutral, target, 0.4, scale)
    for y, x, z in np.ndindex(5, 5, 3):
        wanted = ridge_of_one_pixel(neutral, target, y, x, z, 0.4, 1 / unit)
        wanted[9] *= unit
        np.testing.assert_allclose(found.weights[y, x, z], wanted, rtol=1e-3, atol=1e-4)


def test_finds_a_shift_that_a_single_pixel_cannot():
    neutral = np.random.default_rng(1).integers(0, 256, (60, 6, 6, 3)).astype(np.uint8)
    target = np.roll(neutral, 1, axis=2)
    found = fit_masked(neutral, target).apply(neutral)
    assert np.abs(found[:, :, 1:].astype(int) - target[:, :, 1:]).max() <= 2


def test_refuses_pairs_that_do_not_match():
    faces = np.zeros((3, 4, 4, 3), np.uint8)
    with pytest.raises(BadInput, match="equal shape"):
        fit_masked(faces, faces[:2])
