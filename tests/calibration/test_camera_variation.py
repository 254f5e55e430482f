"""Pairs before many cameras: changed alike, and only the input made worse."""

import numpy as np
import pytest

from calibration.camera_variation import CameraVariation, VariationSettings
from engines.errors import BadInput

STILL = {"turn_deg": 0.0, "zoom": 0.0, "shift": 0.0, "flip": 0.0}


@pytest.fixture
def pair():
    rng = np.random.default_rng(4)
    clean = np.repeat(np.repeat(rng.integers(40, 200, (9, 9, 3)), 8, 0), 8, 1).astype(np.uint8)  # 72 px
    mask = np.zeros((72, 72), np.uint8)
    mask[20:30, 40:60] = 255
    covered = clean.copy()
    covered[mask > 0] = 240
    return covered, clean, mask


def test_the_same_numbers_give_the_same_pictures(pair):
    vary = CameraVariation(VariationSettings(64))
    one, other = (vary(*pair, np.random.default_rng(7)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert not np.array_equal(one.covered, vary(*pair, np.random.default_rng(8)).covered)


def test_a_good_camera_that_holds_still_changes_nothing_but_by_noise(pair):
    vary = CameraVariation(VariationSettings(64, **STILL, strength=0.0, bare=0.0))
    seen = vary(*pair, np.random.default_rng(1))
    assert np.array_equal(seen.mask, pair[2][4:68, 4:68])
    inside = np.abs(seen.clean.astype(int) - pair[1][4:68, 4:68])
    assert np.median(inside) <= 6  # such a camera exposes 3 % less
    free = seen.mask == 0
    away = (seen.covered.astype(int) - seen.clean)[free]
    assert 0 < np.std(away) < 6  # the input alone is noisy
    assert abs(away.mean()) < 2


def test_colours_change_on_electrodes_and_skin_alike(pair):
    """The picture and its truth see one camera: what they share before they share after."""
    vary = CameraVariation(VariationSettings(64, strength=1.0, bare=0.0))
    for seed in range(20):
        seen = vary(*pair, np.random.default_rng(seed))
        free = np.asarray(seen.mask == 0)
        assert abs((seen.covered.astype(int) - seen.clean)[free].mean()) < 4


def test_mirrored_pictures_are_mirrored_whole(pair):
    plain = CameraVariation(VariationSettings(64, **STILL, strength=0.0, bare=0.0))
    mirrored = CameraVariation(VariationSettings(64, **{**STILL, "flip": 1.0}, strength=0.0, bare=0.0))
    one, other = plain(*pair, np.random.default_rng(1)), mirrored(*pair, np.random.default_rng(1))
    assert np.array_equal(one.mask, other.mask[:, ::-1])
    assert np.abs(one.clean.astype(int) - other.clean[:, ::-1]).max() <= 1


def test_bare_faces_have_no_mask(pair):
    seen = CameraVariation(VariationSettings(64, bare=1.0))(*pair, np.random.default_rng(0))
    assert not seen.mask.any()
    assert abs((seen.covered.astype(int) - seen.clean).mean()) < 4


@pytest.mark.parametrize("size", [200, 73])
def test_pictures_that_are_too_small_are_refused(pair, size):
    with pytest.raises(BadInput, match="72"):
        CameraVariation(VariationSettings(size))(*pair, np.random.default_rng(0))


@pytest.mark.parametrize(
    "wrong", [{"flip": 1.5}, {"strength": -0.1}, {"shift": 0.7}, {"bare": 2.0}, {"size": 0}], ids=str
)
def test_numbers_that_cannot_be(wrong):
    with pytest.raises(BadInput, match=str(*wrong.values())):
        VariationSettings(**wrong)


def test_one_picture_is_seen_as_a_pair_that_holds_still_would_be(pair):
    class Numbers:
        """Draws of the pair's camera alone: it is moved by nothing and never bare."""

        def __init__(self):
            self.rng = np.random.default_rng(7)

        def normal(self, *_):
            return 0.0

        def random(self, *size):
            return self.rng.random(*size) if size else 1.0

        def uniform(self, low, high, size=None):
            return np.zeros(size) if size == 2 else self.rng.uniform(low, high, size)

        def __getattr__(self, name):
            return getattr(self.rng, name)

    vary = CameraVariation(VariationSettings(72, **STILL, bare=0.0))
    seen = vary(pair[0], pair[0], pair[2], Numbers()).covered
    alone = vary.picture(pair[0], Numbers())
    np.testing.assert_array_equal(alone, seen)
    assert np.abs(alone.astype(int) - pair[0]).mean() > 1
    with pytest.raises(BadInput, match="must be 64 px"):
        CameraVariation(VariationSettings(64)).picture(pair[0], np.random.default_rng(0))
