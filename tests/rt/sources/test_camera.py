"""The camera source on a scripted device, and on OpenCV reading a real file; there is no camera on a test machine."""

import math
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from rt import clock
from rt.errors import BadSettings, MissingDevice
from rt.sources import camera
from rt.sources.camera import CameraSettings, CameraSource, MissingCounter
from rt.sources.pacing import first_number
from rt.sources.v4l2 import (
    CameraFound,
    DeviceGone,
    OpenCvDevice,
    Shot,
    find_camera,
    list_cameras,
    mid_exposure_s,
)
from rt.stage import Context

GONE, DAMAGED = "gone", "damaged"


class ScriptedDevice:
    """Gives one picture per entry of `script`: a grey level, DAMAGED, or GONE. It waits for `go` before each."""

    def __init__(self, script, size=(48, 64), stamp=lambda: math.nan, mid_exposure_s=0.0, fps=30.0):
        self.name, (self.height, self.width), self.fps = "scripted", size, fps
        self.mid_exposure_s = mid_exposure_s
        self.closed = self.idle = False
        self.go = threading.Semaphore(0)
        self.given = threading.Semaphore(0)
        self._script, self._stamp = iter(script), stamp

    def read(self, buffer):
        while not self.go.acquire(timeout=0.02):
            if self.idle:
                raise DeviceGone(self.name)
        what = next(self._script, GONE)
        self.given.release()
        if what == GONE:
            raise DeviceGone(self.name)
        if what == DAMAGED:
            return None
        buffer[:] = what
        return Shot(buffer, self._stamp())

    def close(self):
        self.closed = True

    def step(self, count=1):
        """Let it give so many pictures, and wait until the last of them is in the loop's hands."""
        for _ in range(count):
            self.go.release()
            assert self.given.acquire(timeout=5)


def opened(*devices, **settings):
    """A source whose opener gives these devices one after the other; an exception in the list is raised."""
    left = list(devices)

    def opener():
        item = left.pop(0) if left else MissingDevice("no camera")
        if isinstance(item, Exception):
            raise item
        return item

    source = CameraSource(CameraSettings(**{"width": 64, "height": 48, **settings}), Context("camera"), opener)
    source.open()
    return source


def close(source):
    """Close the source; a real device goes on giving pictures meanwhile, a scripted one has to be let go."""
    source._loop._stopping.set()
    if isinstance(source._loop._device, ScriptedDevice):
        source._loop._device.idle = True
    source.close()


def next_frame(source, timeout_s=5.0):
    t_end = clock.now() + timeout_s
    while clock.now() < t_end:
        for _, frame in source.read(0.01):
            return frame
    raise AssertionError("no frame came")


def wait_for_event(source, kind, timeout_s=5.0):
    t_end = clock.now() + timeout_s
    while clock.now() < t_end:
        list(source.read(0.01))
        for event in source.context.events:
            if event.kind == kind:
                return event
    raise AssertionError(f"no {kind} event, only {[e.kind for e in source.context.events]}")


def test_pictures_come_in_order_into_the_buffer_of_the_runtime(monkeypatch):
    device = ScriptedDevice([10, 20, 30])
    source = opened(device)
    given = np.zeros((48, 64, 3), np.uint8)
    monkeypatch.setattr(source.context, "frame_buffer", lambda port, shape: given)
    for number, level in enumerate([10, 20, 30]):
        device.step()
        frame = next_frame(source)
        assert frame.image is given
        assert (given == level).all()
        assert frame.seq == number
    close(source)


def test_the_newest_picture_wins_and_the_others_are_counted(monkeypatch):
    monkeypatch.setattr(camera, "_TOLD_EVERY_S", -1.0)
    device = ScriptedDevice(range(1, 60))
    source = opened(device)
    device.step(6)
    while source._loop._newest is None or source._loop._newest[1].image[0, 0, 0] != 6:
        time.sleep(0.001)
    assert int(next_frame(source).image[0, 0, 0]) == 6
    assert list(source.read(0.0)) == []  # it is given once
    assert source.context.facts["overtaken"] == 5
    close(source)


def test_a_picture_in_hand_is_not_written_over():
    device = ScriptedDevice(range(1, 200))
    source = opened(device)
    device.step()
    loop = source._loop
    while (taken := loop.take(0.1)) is None:
        pass
    device.step(20)
    assert (taken.image == 1).all()
    close(source)


@pytest.mark.parametrize(
    ("age_s", "mid_exposure_s", "stamp"),
    [(0.005, 0.0, "device"), (0.02, -0.004, "device"), (0.9, 0.0, "device"), (1.5, 0.0, "host"), (-0.5, 0.0, "host")],
)
def test_a_device_stamp_counts_only_on_our_clock(age_s, mid_exposure_s, stamp):
    stamps = []

    def stamp_now():
        stamps.append(clock.now() - age_s)
        return stamps[-1]

    device = ScriptedDevice([1], stamp=stamp_now, mid_exposure_s=mid_exposure_s)
    source = opened(device)
    t_before = clock.now()
    device.step()
    frame = next_frame(source)
    assert frame.stamp == stamp
    if stamp == "device":
        assert frame.t_capture == pytest.approx(stamps[0] + mid_exposure_s, abs=1e-6)
    else:
        assert t_before <= frame.t_capture <= clock.now()
    close(source)


def test_stamps_that_stand_still_or_are_none_become_the_moment_of_arrival():
    fixed = clock.now()
    for stamp in (lambda: fixed, lambda: math.nan):
        device = ScriptedDevice([1, 2], stamp=stamp)
        source = opened(device)
        device.step()
        next_frame(source)
        device.step()
        assert next_frame(source).stamp == "host"
        close(source)


def test_the_middle_of_the_exposure_is_never_in_the_future():
    device = ScriptedDevice([1], stamp=clock.now, mid_exposure_s=0.4)
    source = opened(device)
    device.step()
    assert next_frame(source).t_capture <= clock.now()
    close(source)


def test_a_vanished_camera_is_one_alarm_and_one_gap_and_numbers_go_on(monkeypatch):
    monkeypatch.setattr(camera, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(camera, "_LONGEST_PAUSE_S", 0.02)
    first, second = ScriptedDevice([10, GONE]), ScriptedDevice([50, 60], size=(24, 32))
    source = opened(first, MissingDevice("still away"), MissingDevice("still away"), second)
    first.step()
    assert next_frame(source).seq == 0
    first.step()
    gap = wait_for_event(source, "GAP")
    assert gap.data["gap_s"] > 0
    assert [e.kind for e in source.context.events].count("ALARM") == 1
    second.step()
    frame = next_frame(source)
    assert frame.seq == 1
    assert frame.image.shape == (24, 32, 3)  # it came back with another, smaller size
    assert (frame.image == 50).all()
    assert first.closed
    close(source)
    assert second.closed


def test_a_camera_that_comes_back_too_large_is_said_once(monkeypatch):
    monkeypatch.setattr(camera, "_FIRST_PAUSE_S", 0.005)
    monkeypatch.setattr(camera, "_LONGEST_PAUSE_S", 0.005)
    large = [ScriptedDevice([1], size=(720, 1280)) for _ in range(3)]
    good = ScriptedDevice([7])
    source = opened(ScriptedDevice([GONE]), *large, good)
    source._loop._device.step()
    wait_for_event(source, "GAP")
    assert sum("1280x720" in e.text for e in source.context.events) == 1
    assert all(device.closed for device in large)
    close(source)


def test_damaged_pictures_are_counted_and_many_in_a_row_are_a_lost_camera(monkeypatch):
    monkeypatch.setattr(camera, "_TOLD_EVERY_S", -1.0)
    monkeypatch.setattr(camera, "_DAMAGED_IN_A_ROW", 3)
    device = ScriptedDevice([DAMAGED, DAMAGED, 5, DAMAGED, DAMAGED, DAMAGED])
    source = opened(device)
    device.step(3)
    assert (next_frame(source).image == 5).all()
    device.step(3)
    wait_for_event(source, "ALARM")
    assert source.context.facts["damaged"] == 5
    close(source)


def test_another_size_is_used_and_said_but_not_beyond_the_largest():
    source = opened(ScriptedDevice([1], size=(36, 64)))
    assert "64x36" in source.context.events[0].text
    assert source.context.facts["height"] == 36
    close(source)
    with pytest.raises(BadSettings, match=r"1280x720.*at most 64x48"):
        opened(ScriptedDevice([1], size=(720, 1280)))
    source = opened(ScriptedDevice([1], size=(720, 1280)), max_width=1280, max_height=720)
    close(source)


def test_a_dead_capture_thread_is_an_error_not_silence(monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    device = ScriptedDevice([object()])  # cannot be written into a picture: a bug of ours
    source = opened(device)
    device.go.release()
    source._loop._thread.join(timeout=5)
    with pytest.raises(MissingDevice, match="capture thread"):
        source.read(0.0)


def test_close_ends_the_thread_and_a_restart_reuses_no_number():
    device = ScriptedDevice([1])
    source = CameraSource(CameraSettings(width=64, height=48), Context("camera", generation=1), lambda: device)
    source.open()
    device.step()
    assert next_frame(source).seq == first_number(1)
    close(source)
    assert not source._loop._thread.is_alive()


def test_missing_pictures_are_seen_in_the_stamps_and_a_lower_rate_is_none():
    counter = MissingCounter()
    stamps = list(np.arange(20) / 30)
    stamps += [stamps[-1] + 3 / 30, stamps[-1] + 4 / 30]  # two are missing
    for t in stamps:
        counter.see(t)
    assert counter.count == 2
    for t in stamps[-1] + np.arange(1, 200) / 15:  # dark room: half the rate
        counter.see(t)
    assert counter.count < 2 + 20
    before = counter.count
    counter.restart()
    counter.see(1000.0)
    assert counter.count == before


@pytest.mark.parametrize(
    ("exposure", "at_start", "expected"),
    [(100, False, -0.005), (100, True, 0.005), (0, False, 0.0), (-6, True, 0.0), (1e9, True, 0.0)],
)
def test_mid_exposure(exposure, at_start, expected):
    assert mid_exposure_s(exposure, at_start) == pytest.approx(expected)


@pytest.fixture
def sysfs(tmp_path):
    for node, name, index in (("video0", "Desk cam", "0"), ("video1", "Desk cam", "1"), ("video10", "Lab cam", "0")):
        (tmp_path / node).mkdir()
        (tmp_path / node / "name").write_text(name + "\n")
        (tmp_path / node / "index").write_text(index + "\n")
    return tmp_path


def test_cameras_are_listed_without_their_metadata_nodes(sysfs):
    assert list_cameras(sysfs) == [CameraFound("/dev/video0", "Desk cam"), CameraFound("/dev/video10", "Lab cam")]
    assert list_cameras(sysfs / "nothing") == []


def test_a_camera_is_found_by_path_or_name_and_a_missing_one_lists_what_is_there(sysfs):
    cameras = list_cameras(sysfs)
    assert find_camera("lab", cameras) == "/dev/video10"
    assert find_camera("/dev/null", cameras) == "/dev/null"
    for missing in ("webcam", "/dev/video77", "77", ""):
        with pytest.raises(MissingDevice, match=r"/dev/video0 \(Desk cam\), /dev/video10 \(Lab cam\)"):
            find_camera(missing, cameras)


def test_a_missing_device_stops_the_opening(monkeypatch):
    source = CameraSource(CameraSettings(device="/dev/video77"), Context("camera"))
    with pytest.raises(MissingDevice, match="found: "):
        source.open()
    source.close()


def test_opencv_reads_a_real_file_and_its_end_is_a_vanished_camera(monkeypatch):
    folder = os.environ.get("MYOMIRROR_DATA")
    path = Path(folder or ".") / "video" / "neutral_smile_neutral.mp4"
    if folder is None or not path.exists():
        pytest.skip("the clip neutral_smile_neutral.mp4 is not there: set $MYOMIRROR_DATA")
    monkeypatch.setattr(camera, "_FIRST_PAUSE_S", 0.01)
    context = Context("camera")
    settings = CameraSettings(device=str(path), width=640, height=360)
    source = CameraSource(settings, context)
    source.open()
    assert context.facts["width"] == 640
    frame = next_frame(source)
    assert frame.stamp == "host"  # the file's own time does not lie on our clock
    assert frame.image.mean() > 1
    wait_for_event(source, "GAP")  # it ended, and was opened again
    next_frame(source)
    close(source)
    assert not source._loop._thread.is_alive()


def test_opencv_decodes_into_the_buffer_it_is_given():
    folder = os.environ.get("MYOMIRROR_DATA")
    path = Path(folder or ".") / "video" / "neutral_smile_neutral.mp4"
    if folder is None or not path.exists():
        pytest.skip("the clip neutral_smile_neutral.mp4 is not there: set $MYOMIRROR_DATA")
    device = OpenCvDevice(str(path), 640, 360, 30.0)
    buffer = np.zeros((360, 640, 3), np.uint8)
    shot = device.read(buffer)
    assert np.shares_memory(shot.image, buffer)
    assert buffer.mean() > 1
    device.close()
