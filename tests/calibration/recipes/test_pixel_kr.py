import numpy as np
import pytest

from calibration.recipes.pixel_kr import PixelKRSettings, fit_curves, kernel_features
from engines.errors import BadInput
from engines.face.pixel_curves import apply_pixel_curves, positions


def eq_15_for_one_pixel(x, t, settings, levels):
    """The paper's t (K + lambda I)^-1 kappa(x), as printed, for one pixel's row vectors."""

    def kernel(a, b):
        return np.exp(-((a[:, None] - b) ** 2) / (2 * settings.sigma**2))

    return t @ np.linalg.inv(kernel(x, x) + settings.lambda_ * np.eye(len(x))) @ kernel(x, levels)


def pairs(seed=0, count=30):
    rng = np.random.default_rng(seed)
    neutral = rng.integers(20, 230, (count, 3, 3, 3)).astype(np.uint8)
    return neutral, np.clip(0.8 * neutral + 25 + rng.normal(0, 4, neutral.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("settings", "white", "table"),
    [
        (PixelKRSettings(), 1.0, False),
        (PixelKRSettings(0.4, 3.0), 1.0, False),
        (PixelKRSettings(0.4, 0.1), 1.0, True),
        (PixelKRSettings(0.4, 5.0, "[0,255]"), 255.0, True),  # more eigenvalues than pairs: the pairs' own system
    ],
)
def test_equals_eq_15_pixel_by_pixel(settings, white, table):
    neutral, target = pairs()
    curves = fit_curves(neutral, target, settings)
    assert (curves.table is not None) == table
    levels = np.arange(256)
    for place in np.ndindex(3, 3, 3):
        x, t = (p[:, *place] * (white / 255) for p in (neutral, target))
        wanted = eq_15_for_one_pixel(x, t, settings, levels * (white / 255)) * (255 / white)
        if curves.table is None:
            found = np.vander(positions(levels), 4, increasing=True) @ curves.cubic[:, *place]
        else:
            found, wanted = curves.table[place], np.clip(wanted, 0, 255)
        assert np.abs(found - wanted).max() <= 0.55  # half a grey level, and a table's rounding


def test_the_features_are_the_kernel_s():
    settings = PixelKRSettings()
    features = kernel_features(settings)
    levels = np.arange(256) / 255
    kernel = np.exp(-((levels[:, None] - levels) ** 2) / 2)
    np.testing.assert_allclose(features @ features.T, kernel, atol=1e-8)
    assert features.shape[1] < 12


def test_a_curve_that_bends_is_followed():
    """What Pixel-KR is for: no gain and bias can make dark pixels bright and bright ones dark."""
    rng = np.random.default_rng(1)
    neutral = rng.integers(0, 256, (90, 4, 4, 3)).astype(np.uint8)
    target = np.clip(255 * np.sin(np.pi * neutral / 255), 0, 255).astype(np.uint8)
    curves = fit_curves(neutral, target, PixelKRSettings(0.01, 0.2))
    face = np.linspace(10, 245, 48).astype(np.uint8).reshape(4, 4, 3)
    out = apply_pixel_curves(face, curves, 1.0, np.empty_like(face))
    assert np.abs(out - 255 * np.sin(np.pi * face / 255)).max() < 12


def test_what_cannot_be_solved_is_refused():
    neutral, target = pairs()
    for wrong in ((neutral, target[:3]), (neutral[:0], target[:0]), (neutral[0], target[0])):
        with pytest.raises(BadInput, match="pairs"):
            fit_curves(*wrong)
    for settings in (PixelKRSettings(lambda_=0), PixelKRSettings(sigma=-1)):
        with pytest.raises(BadInput, match="above 0"):
            fit_curves(neutral, target, settings)
