import cv2
import numpy as np
import pytest
from scipy.signal import convolve2d

from calibration.metrics.mdsi import mdsi
from engines.errors import BadInput


def published_mdsi(found, truth):
    """The authors' published procedure, in the order of the paper; pictures below 384 px are not shrunk."""
    dx = np.array([[1, 0, -1]] * 3) / 3

    def slope(plane):
        return np.sqrt(convolve2d(plane, dx, "same") ** 2 + convolve2d(plane, dx.T, "same") ** 2)

    planes = []
    for picture in (truth, found):
        r, g, b = (picture[:, :, k].astype(float) for k in (2, 1, 0))
        planes.append(
            (0.2989 * r + 0.587 * g + 0.114 * b, 0.30 * r + 0.04 * g - 0.35 * b, 0.34 * r - 0.6 * g + 0.17 * b)
        )
    (l1, h1, m1), (l2, h2, m2) = planes
    g_r, g_d, g_f = slope(l1), slope(l2), slope(0.5 * (l1 + l2))
    gs = (2 * g_r * g_d + 140) / (g_r**2 + g_d**2 + 140)
    gs = gs + (2 * g_d * g_f + 55) / (g_d**2 + g_f**2 + 55) - (2 * g_r * g_f + 55) / (g_r**2 + g_f**2 + 55)
    cs = (2 * (h1 * h2 + m1 * m2) + 550) / (h1**2 + h2**2 + m1**2 + m2**2 + 550)
    gcs = (0.6 * gs + 0.4 * cs).astype(complex) ** 0.25
    return np.mean(np.abs(gcs - gcs.mean())) ** 0.25


def test_as_published():
    found, truth = np.random.default_rng(0).integers(0, 256, (2, 40, 33, 3), np.uint8)
    assert mdsi(found, truth) == pytest.approx(published_mdsi(found, truth), rel=1e-12)


def test_a_large_picture_is_averaged_first():
    rng = np.random.default_rng(2)
    small = rng.integers(0, 256, (2, 256, 260, 3), np.uint8)
    large = [picture.repeat(2, 0).repeat(2, 1) for picture in small]  # the mean of 2 x 2 equal pixels is the pixel
    assert mdsi(*large) == pytest.approx(mdsi(*small), rel=1e-12)


def test_known_values():
    rng = np.random.default_rng(1)
    truth = cv2.GaussianBlur(rng.integers(0, 256, (48, 48, 3), np.uint8), (0, 0), 2)
    assert mdsi(truth, truth) == 0
    worse = []
    for side in (4, 10, 20):
        found = truth.copy()
        found[5 : 5 + side, 5 : 5 + side] = (220, 225, 230)
        worse.append(mdsi(found, truth))
    assert worse == sorted(worse)
    assert 0 < worse[0] < worse[-1] < 1


def test_a_colour_that_luma_does_not_show_is_seen():
    grey = np.full((32, 32, 3), 128, np.uint8)
    tinted = grey.copy()
    tinted[:, 16:] = np.array([128 + 58.7, 128 - 11.4, 128]).astype(np.uint8)
    assert mdsi(tinted, grey) > 0.2


def test_different_sizes_are_refused():
    with pytest.raises(BadInput, match="one size"):
        mdsi(np.zeros((32, 32, 3), np.uint8), np.zeros((32, 30, 3), np.uint8))
