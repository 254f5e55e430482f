import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.webcam import Webcam, WebcamSettings

PERFECT = WebcamSettings(softness_px=0, noise=0)


@pytest.fixture
def picture():
    ramp = np.linspace(20, 200, 64)[None, :, None] * np.array([0.8, 0.9, 1.0])
    return np.rint(np.repeat(ramp, 48, 0)).astype(np.uint8)


def test_a_perfect_camera_changes_nothing(picture):
    assert np.abs(Webcam(48, 64, PERFECT).take(picture, 0).astype(int) - picture).max() <= 1


def test_the_same_frame_has_the_same_noise_and_the_next_another(picture):
    camera = Webcam(48, 64, seed=3)
    first = camera.take(picture, 5)
    np.testing.assert_array_equal(camera.take(picture, 5), first)
    np.testing.assert_array_equal(Webcam(48, 64, seed=3).take(picture, 5), first)
    assert (camera.take(picture, 6) != first).mean() > 0.5


def test_noise_is_as_strong_as_asked():
    dark = np.full((200, 200, 3), 30, np.uint8)
    taken = Webcam(200, 200, WebcamSettings(softness_px=0, noise=6)).take(dark, 0).astype(float)
    assert taken.std() == pytest.approx(6 * (1 - 0.5 * 30 / 255), rel=0.1)
    assert taken.mean() == pytest.approx(30, abs=0.3)


@pytest.mark.parametrize(
    ("settings", "brighter"),
    [
        (WebcamSettings(exposure=1.4, softness_px=0, noise=0), True),
        (WebcamSettings(exposure=0.6, softness_px=0, noise=0), False),
        (WebcamSettings(gamma=0.7, softness_px=0, noise=0), True),
        (WebcamSettings(vignette=0.5, softness_px=0, noise=0), False),
    ],
)
def test_exposure_gamma_and_vignette(picture, settings, brighter):
    assert (Webcam(48, 64, settings).take(picture, 0).mean() > picture.mean()) == brighter


def test_without_saturation_all_is_grey(picture):
    taken = Webcam(48, 64, WebcamSettings(saturation=0, softness_px=0, noise=0)).take(picture, 0)
    assert np.ptp(taken.astype(int), axis=2).max() <= 1


def test_compression_and_drawing_in_place(picture):
    camera = Webcam(48, 64, WebcamSettings(noise=0, softness_px=0, jpeg=20))
    out = picture.copy()
    assert camera.take(out, 0, out) is out
    assert 0 < np.abs(out.astype(int) - picture).mean() < 10


def test_random_cameras_differ_and_stay_in_range():
    rng = np.random.default_rng(0)
    found = {WebcamSettings.random(rng) for _ in range(50)}  # each checks itself
    assert len(found) == 50
    assert np.std([settings.saturation for settings in found]) > 0.1


def test_what_does_not_fit_is_a_sentence(picture):
    with pytest.raises(BadInput, match="exposure"):
        WebcamSettings(exposure=9)
    with pytest.raises(BadInput, match="white balance"):
        WebcamSettings(white=(1.0, 2.0, 1.0))
    with pytest.raises(BadInput, match="JPEG"):
        WebcamSettings(jpeg=5)
    with pytest.raises(BadInput, match="strength"):
        WebcamSettings.random(np.random.default_rng(0), 2)
    with pytest.raises(BadInput, match="at least one pixel"):
        Webcam(0, 5)
    with pytest.raises(BadInput, match="takes uint8"):
        Webcam(48, 64).take(picture[:20], 0)
