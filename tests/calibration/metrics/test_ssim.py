import cv2
import numpy as np
import pytest

from calibration.metrics.ssim import C1, ssim, ssim_map
from engines.errors import BadInput


def slow_ssim(found, truth):
    """Eq. 5, 6, 13 of Wang et al. 2004, window by window."""
    x, y = (cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(float) for picture in (found, truth))
    offset = np.arange(11) - 5
    bell = np.exp(-(offset[:, None] ** 2 + offset[None] ** 2) / (2 * 1.5**2))
    w = bell / bell.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for i in range(x.shape[0] - 10):
        for j in range(x.shape[1] - 10):
            a, b = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
            ma, mb = (w * a).sum(), (w * b).sum()
            va, vb, cov = (w * (a - ma) ** 2).sum(), (w * (b - mb) ** 2).sum(), (w * (a - ma) * (b - mb)).sum()
            values.append((2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2)))
    return np.mean(values)


def pictures(seed=0):
    rng = np.random.default_rng(seed)
    truth = cv2.GaussianBlur(rng.integers(0, 256, (26, 23, 3), np.uint8), (0, 0), 2)
    return np.clip(truth + rng.normal(0, 12, truth.shape), 0, 255).astype(np.uint8), truth


def test_the_slow_twin_agrees():
    assert ssim(*pictures()) == pytest.approx(slow_ssim(*pictures()), abs=1e-9)


def test_known_values():
    found, truth = pictures()
    assert ssim(truth, truth) == pytest.approx(1)
    assert ssim(found, truth) == pytest.approx(ssim(truth, found))
    # Flat pictures have no structure: only the luminance term (2 a b + C1) / (a^2 + b^2 + C1) is left
    flat = np.full((20, 20, 3), 100, np.uint8)
    assert ssim(flat, flat + 50) == pytest.approx((2 * 100 * 150 + C1) / (100**2 + 150**2 + C1))


def test_the_map_shows_where():
    _, truth = pictures()
    found = truth.copy()
    found[:8, :8] = 255 - found[:8, :8]
    seen = ssim_map(found, truth)
    assert seen.shape == truth.shape[:2]
    assert seen[:6, :6].mean() < 0.6
    assert np.allclose(seen[14:], 1)


def test_a_picture_smaller_than_the_window_is_refused():
    with pytest.raises(BadInput, match="11 px"):
        ssim(np.zeros((10, 40, 3), np.uint8), np.zeros((10, 40, 3), np.uint8))
