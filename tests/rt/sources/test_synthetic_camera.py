"""The synthetic camera keeps its pace and moves in step with the performance that also makes the EMG."""

import time

import numpy as np
import pytest

from engines.emg.demo_performance import PERIOD_S, demo_performance
from engines.errors import BundleError
from engines.face.blendshapes import BLENDSHAPE_INDEX
from engines.face.demo_clip import CLEAN, ELECTRODES, DemoClip
from engines.face.sensor_noise import SensorNoise
from rt import clock
from rt.errors import BadSettings
from rt.sources.looped_clip import LoopedClip
from rt.sources.pacing import first_number
from rt.sources.synthetic_camera import SyntheticCamera, SyntheticCameraSettings
from rt.stage import Context


class StoppedClock:
    """A clock that only moves when somebody waits, or when the test says so."""

    def __init__(self, monkeypatch):
        self.t = 1000.0
        monkeypatch.setattr(clock, "now", lambda: self.t)
        monkeypatch.setattr(time, "sleep", self.sleep)

    def sleep(self, seconds):
        self.t += seconds


@pytest.fixture
def now(monkeypatch):
    return StoppedClock(monkeypatch)


def opened(generation=0, **settings):
    source = SyntheticCamera(SyntheticCameraSettings(**settings), Context("camera", generation=generation))
    source.open()
    return source


def frames_of(source, count):
    got = []
    for _ in range(1000):
        got += [frame for _, frame in source.read(0.01)]
        if len(got) >= count:
            return got
    raise AssertionError("the camera gives nothing")


@pytest.fixture(scope="module")
def recorded():
    """The picture of a number, read from the recording."""
    clip = LoopedClip(DemoClip.load().videos[ELECTRODES])
    noise = SensorNoise(*clip.shape[:2])

    def picture(number):
        out = np.empty(clip.shape, np.uint8)
        clip.read(number, out)
        return noise.add(out, number)

    return picture


def test_pictures_come_at_an_absolute_pace(now):
    frames = frames_of(opened(), 20)
    np.testing.assert_allclose([f.t_capture for f in frames], 1000.0 + np.arange(20) / 30, atol=1e-9)
    assert [f.seq for f in frames] == list(range(20))
    assert frames[0].image.shape == (480, 640, 3)
    assert now.t >= frames[-1].t_capture


def test_it_says_that_it_is_synthetic(now):
    assert opened().context.facts["synthetic"] is True


def test_the_picture_is_the_performance_s_at_the_moment_of_capture(now, recorded):
    """The performance began 997 s ago: what is seen is what the same performance's EMG shows now."""
    source = opened(start_s=3.0)
    smile = BLENDSHAPE_INDEX["mouthSmileRight"]
    times = np.arange(997, 1060, 1 / 30)
    t_smile = times[demo_performance().expression(times)[:, smile] > 0.5][0]
    now.t = 3.0 + t_smile
    frame = frames_of(source, 1)[0]
    t_s = frame.t_capture - 3.0
    assert t_s == pytest.approx(t_smile, abs=1 / 30 + 1e-6)
    np.testing.assert_array_equal(frame.image, recorded(round(30 * t_s)))
    np.testing.assert_allclose(frame.face.blendshapes[smile], 0.5, atol=0.1)
    assert source._skipped == 0  # joining a running performance is no loss


def test_the_recording_shows_what_the_performance_does():
    """To the picture, over the whole loop: it asks for a new rendering when the performance is changed."""
    person = DemoClip.load()
    assert person.period_s == PERIOD_S
    shown = np.array([person.expression(number) for number in range(person.frames)])
    wanted = demo_performance().expression(np.arange(person.frames) / person.fps)
    muscles = [index for name, index in BLENDSHAPE_INDEX.items() if not name.startswith("eyeLook")]  # gaze has no EMG
    np.testing.assert_allclose(shown[:, muscles], wanted[:, muscles], atol=0.003)


def test_both_recordings_are_there_and_differ_only_by_the_electrodes(now):
    with_them, without = (frames_of(opened(start_s=1000.0, electrodes=on), 1)[0] for on in (True, False))
    np.testing.assert_array_equal(with_them.face.landmarks_px, without.face.landmarks_px)
    assert {CLEAN, ELECTRODES} <= set(DemoClip.load().videos)
    changed = np.abs(with_them.image.astype(int) - without.image).max(2) > 40
    assert 0.01 < changed.mean() < 0.25
    assert changed[:60, :60].mean() == 0  # the wall


def test_another_rate_shows_the_picture_nearest_in_time(now, recorded):
    frames = frames_of(opened(fps=50.0), 12)
    for frame in frames:
        np.testing.assert_array_equal(frame.image, recorded(round(30 * (frame.t_capture - 1000.0))))


def test_a_performance_that_begins_later_is_waited_for(now):
    source = opened(start_s=1000.5)
    assert list(source.read(0.01)) == []
    assert frames_of(source, 1)[0].t_capture == pytest.approx(1000.5)


def test_a_late_consumer_gets_the_newest_and_the_schedule_stays(now):
    source = opened()
    first = frames_of(source, 1)[0]
    now.t = first.t_capture + 10.4 / 30
    late = frames_of(source, 1)[0]
    assert (late.t_capture - first.t_capture) * 30 == pytest.approx(10)
    assert late.seq == first.seq + 1
    assert source._skipped == 9
    after = frames_of(source, 1)[0]
    assert (after.t_capture - late.t_capture) * 30 == pytest.approx(1)


def test_a_picture_that_grew_old_while_it_waited_is_decoded_anew(now, recorded):
    source = opened()
    frames_of(source, 1)
    assert list(source.read(0.01)) == []  # the next one is decoded and waits
    now.t += 1.0
    frame = frames_of(source, 1)[0]
    assert now.t - frame.t_capture < 1 / 30
    np.testing.assert_array_equal(frame.image, recorded(round(30 * (frame.t_capture - 1000.0))))


def test_a_machine_slower_than_the_camera_still_gets_pictures(now, monkeypatch):
    source = opened()
    draw = source._draw

    def slowly(image, t_s):
        now.t += 0.1
        return draw(image, t_s)

    monkeypatch.setattr(source, "_draw", slowly)
    frames = frames_of(source, 10)
    assert (np.diff([f.t_capture for f in frames]) > 0).all()
    assert now.t - frames[-1].t_capture < 0.2


def test_it_is_decoded_into_the_buffer_of_the_runtime(now, monkeypatch):
    source = opened()
    given = np.zeros((480, 640, 3), np.uint8)
    monkeypatch.setattr(source.context, "frame_buffer", lambda port, shape: given)
    assert frames_of(source, 1)[0].image is given
    assert given.mean() > 10


def test_a_restarted_source_reuses_no_number(now):
    assert frames_of(opened(generation=1), 1)[0].seq == first_number(1)


def test_a_damaged_recording_is_a_sentence(monkeypatch):
    def damaged():
        raise BundleError("the demo's bundle is altered")

    monkeypatch.setattr(DemoClip, "load", damaged)
    with pytest.raises(BadSettings, match="altered"):
        opened()


@pytest.mark.parametrize("fps", [0.0, -1.0, 1e9, float("nan")])
def test_an_impossible_rate_is_refused(fps):
    with pytest.raises(BadSettings, match="fps"):
        opened(fps=fps)
