import cv2
import numpy as np
import pytest
from scipy.signal import convolve2d

from calibration.metrics.gmsd import gmsd
from engines.errors import BadInput


def published_gmsd(found, truth):
    """The authors' listing, line by line: conv2 is scipy's convolve2d, std2 divides by n - 1."""

    def same(plane, kernel):
        if kernel.shape == (2, 2):  # MATLAB's 'same' of an even kernel begins one later than SciPy's
            return convolve2d(plane, kernel)[1:, 1:]
        return convolve2d(plane, kernel, "same")

    dx = np.array([[1, 0, -1]] * 3) / 3
    magnitude = []
    for picture in (truth, found):
        luma = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(float)
        small = same(luma, np.ones((2, 2)) / 4)[::2, ::2]
        magnitude.append(np.sqrt(same(small, dx) ** 2 + same(small, dx.T) ** 2))
    a, b = magnitude
    return np.std((2 * a * b + 170) / (a**2 + b**2 + 170), ddof=1)


@pytest.mark.parametrize("shape", [(24, 32, 3), (25, 31, 3)])
def test_as_published(shape):
    found, truth = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    assert gmsd(found, truth) == pytest.approx(published_gmsd(found, truth), rel=1e-12)


def test_known_values():
    rng = np.random.default_rng(1)
    truth = cv2.GaussianBlur(rng.integers(0, 256, (48, 48, 3), np.uint8), (0, 0), 2)
    assert gmsd(truth, truth) == 0
    noisy = [np.clip(truth + rng.normal(0, sd, truth.shape), 0, 255).astype(np.uint8) for sd in (4, 12, 30)]
    worse = [gmsd(picture, truth) for picture in noisy]
    assert worse == sorted(worse)
    assert worse[0] > 0.003
    assert gmsd(noisy[1], truth) == pytest.approx(gmsd(truth, noisy[1]))


def test_a_tiny_picture_is_refused():
    with pytest.raises(BadInput, match="6 px"):
        gmsd(np.zeros((4, 9, 3), np.uint8), np.zeros((4, 9, 3), np.uint8))
