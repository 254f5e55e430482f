"""The demo's picture and its EMG are one person: skin follows muscle by the right delay, loop after loop."""

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d

from engines.emg.demo_performance import PERIOD_S, demo_emg, demo_performance
from engines.emg.montage import FRIDLUND
from engines.face.demo_clip import CLEAN, ELECTRODES, DemoClip
from rt.sources.looped_clip import LoopedClip

RATE_HZ, FPS = 4096, 30
CORNER_RIGHT, NOSE, LEFT_EYE, RIGHT_EYE = 61, 4, 263, 33


@pytest.fixture(scope="module")
def person():
    return DemoClip.load()


@pytest.fixture(scope="module")
def smile_px(person):
    """(frame,): how far the right corner of the mouth is from the nose, for a face of one size."""
    points = np.array([person.landmarks_px(frame) for frame in range(person.frames)])
    size = np.linalg.norm(points[:, LEFT_EYE] - points[:, RIGHT_EYE], axis=1)
    return 100 * np.linalg.norm((points[:, CORNER_RIGHT] - points[:, NOSE])[:, :1], axis=1) / size


def held(task):
    return next(each for each in demo_performance().held if each.task == task)


def test_the_skin_follows_the_muscle_by_the_delay_between_electricity_and_movement(smile_px):
    smile = held("Smile-Open")
    first, last = smile.start_s - 1.0, smile.end_s + 1.5
    samples = np.arange(int(first * RATE_HZ), int(last * RATE_HZ))
    raw = demo_emg().block(int(samples[0]), len(samples))[:, FRIDLUND.column("zygomaticus_right")]
    loudness = uniform_filter1d(np.abs(raw - raw.mean()), RATE_HZ // 10)  # centred: no delay of its own
    times = np.arange(first, last, 1 / 200)
    muscle = np.interp(times, samples / RATE_HZ, loudness)
    skin = np.interp(times, np.arange(len(smile_px)) / FPS, smile_px)
    lags_s = np.arange(-60, 100) / 200
    inner = slice(100, -100)
    alike = [np.corrcoef(muscle[inner], np.roll(skin, -round(200 * lag_s))[inner])[0, 1] for lag_s in lags_s]
    assert max(alike) > 0.9
    assert 0.06 <= lags_s[int(np.argmax(alike))] <= 0.2


@pytest.fixture(scope="module", params=[ELECTRODES, CLEAN])
def picture(request, person):
    clip = LoopedClip(person.videos[request.param])

    def picture(number):
        out = np.empty(clip.shape, np.uint8)
        clip.read(number, out)
        return out.astype(int)

    assert (clip.frames, clip.fps) == (person.frames, person.fps)
    return picture


def test_the_clip_gives_the_same_pictures_in_any_order(picture):
    in_turn = {number: picture(number) for number in range(85, 100)}  # over a key frame
    for number in (97, 86, 99, 85, 90, 91):
        np.testing.assert_array_equal(picture(number), in_turn[number])


def test_a_loop_has_no_seam(person, picture):
    """From the last picture to the first it changes no more than from one picture to the next elsewhere at rest."""

    seam = np.abs(picture(person.frames) - picture(person.frames - 1)).mean()
    elsewhere = [np.abs(picture(n + 1) - picture(n)).mean() for n in range(0, 30, 3)]
    assert seam < 2 * max(elsewhere) + 0.5
    moved = np.linalg.norm(person.landmarks_px(0) - person.landmarks_px(person.frames - 1), axis=1).max()
    assert moved < 1.0


def test_the_muscles_begin_anew_with_the_picture(person):
    assert person.period_s == PERIOD_S
    emg = demo_emg()
    times = np.array([0.0, 7.31, 20.2])
    np.testing.assert_allclose(emg.truth(times + PERIOD_S), emg.truth(times), atol=1e-9)
