"""The synthetic camera keeps its pace and moves in step with the script that also makes the EMG."""

import time

import numpy as np
import pytest

from engines.emg.simulator import ActivationScript
from engines.face.subject import EXPRESSIONS, Subject
from rt import clock
from rt.errors import BadSettings
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


def test_pictures_come_at_an_absolute_pace(now):
    frames = frames_of(opened(), 20)
    np.testing.assert_allclose([f.t_capture for f in frames], 1000.0 + np.arange(20) / 30, atol=1e-9)
    assert [f.seq for f in frames] == list(range(20))
    assert frames[0].image.shape == (480, 640, 3)
    assert now.t >= frames[-1].t_capture


def test_it_says_that_it_is_synthetic(now):
    assert opened().context.facts["synthetic"] is True


def test_the_expression_is_the_scripts_at_the_moment_of_capture(now):
    """The script began 997 s ago: what is seen is what the same script's EMG shows now."""
    source = opened(start_s=3.0)
    script = ActivationScript()
    now.t = 3.0 + 997.0
    t_smile = next(t for t in np.arange(1000, 1100, 0.1) if script.expression(t).get("mouthSmileRight", 0) > 0.85)
    now.t = 3.0 + t_smile
    frame = frames_of(source, 1)[0]
    t_s = frame.t_capture - 3.0
    assert t_s == pytest.approx(t_smile, abs=1 / 30 + 1e-6)
    wanted = {name: script.expression(t_s).get(name, 0.0) for name in EXPRESSIONS}
    drawn = Subject(seed=0).render(wanted, t_s, np.empty((480, 640, 3), np.uint8))
    np.testing.assert_array_equal(frame.image, drawn)
    assert source._skipped == 0  # joining a running script is no loss


def test_a_script_that_begins_later_is_waited_for(now):
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


def test_a_picture_that_grew_old_while_it_waited_is_drawn_anew(now):
    source = opened()
    frames_of(source, 1)
    assert list(source.read(0.01)) == []  # the next one is drawn and waits
    now.t += 1.0
    frame = frames_of(source, 1)[0]
    assert now.t - frame.t_capture < 1 / 30
    wanted = {n: ActivationScript().expression(frame.t_capture - 1000.0).get(n, 0.0) for n in EXPRESSIONS}
    drawn = Subject(seed=0).render(wanted, round((frame.t_capture - 1000.0) * 30) / 30, np.empty_like(frame.image))
    np.testing.assert_array_equal(frame.image, drawn)


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


def test_it_is_drawn_into_the_buffer_of_the_runtime(now, monkeypatch):
    source = opened()
    given = np.zeros((480, 640, 3), np.uint8)
    monkeypatch.setattr(source.context, "frame_buffer", lambda port, shape: given)
    assert frames_of(source, 1)[0].image is given
    assert given.mean() > 10


def test_a_restarted_source_reuses_no_number(now):
    assert frames_of(opened(generation=1), 1)[0].seq == first_number(1)


@pytest.mark.parametrize("fps", [0.0, -1.0, 1e9, float("nan")])
def test_an_impossible_rate_is_refused(fps):
    with pytest.raises(BadSettings, match="fps"):
        opened(fps=fps)
