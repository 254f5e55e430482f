"""A video file as a live camera: its own pace, no drift, one sentence when it cannot be read."""

import os
import time
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from rt import clock
from rt.errors import BadSettings
from rt.sources import video_file
from rt.sources.pacing import first_number
from rt.sources.video_file import VideoFileSettings, VideoFileSource
from rt.stage import Context


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Twelve 64x48 pictures at 25 fps, lossless, picture i has grey level 10 + 20 i."""
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        for i in range(12):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 + 20 * i, np.uint8), format="bgr24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


class StoppedClock:
    """A clock that only moves when somebody waits, or when the test says so."""

    def __init__(self, monkeypatch):
        self.t = 1000.0
        monkeypatch.setattr(clock, "now", lambda: self.t)
        monkeypatch.setattr(time, "sleep", self.sleep)

    def sleep(self, seconds):
        self.t += seconds


def opened(path, loop=False, generation=0):
    source = VideoFileSource(VideoFileSettings(str(path), loop), Context("camera", generation=generation))
    source.open()
    return source


def frames_of(source, count, timeout_s=0.01):
    got = []
    while len(got) < count:
        emits = source.read(timeout_s)
        if emits is None:
            break
        got += [frame for _, frame in emits]
    return got


def test_every_picture_comes_at_its_own_time_and_then_the_end(clip, monkeypatch):
    now = StoppedClock(monkeypatch)
    source = opened(clip)
    now.t += 5.0  # the graph starts long after open
    frames = frames_of(source, 100)
    assert [int(f.image[0, 0, 0]) for f in frames] == [10 + 20 * i for i in range(12)]
    np.testing.assert_allclose([f.t_capture for f in frames], 1005.0 + np.arange(12) / 25, atol=1e-6)
    assert [f.seq for f in frames] == list(range(12))
    assert source.read(0.01) is None
    source.close()


def test_nothing_is_given_before_it_is_due(clip, monkeypatch):
    now = StoppedClock(monkeypatch)
    source = opened(clip)
    assert len(list(source.read(0.01))) == 1
    assert list(source.read(0.01)) == []
    assert now.t == pytest.approx(1000.01)  # waited no longer than it was allowed to
    source.close()


def test_a_loop_is_seamless_and_its_time_goes_on(clip, monkeypatch):
    StoppedClock(monkeypatch)
    source = opened(clip, loop=True)
    frames = frames_of(source, 40)
    np.testing.assert_allclose(np.diff([f.t_capture for f in frames]), 0.04, atol=1e-6)
    assert [int(f.image[0, 0, 0]) for f in frames] == [10 + 20 * (i % 12) for i in range(40)]
    source.close()


def test_a_late_consumer_gets_the_newest_and_the_schedule_stays(clip, monkeypatch):
    now = StoppedClock(monkeypatch)
    source = opened(clip, loop=True)
    first = frames_of(source, 1)[0]
    now.t += 10 * 0.04 + 0.01  # it was busy for ten periods
    late = frames_of(source, 1)[0]
    assert late.t_capture - first.t_capture == pytest.approx(10 * 0.04)
    assert now.t - late.t_capture < 0.04
    assert late.seq == first.seq + 1
    after = frames_of(source, 1)[0]
    assert after.t_capture - first.t_capture == pytest.approx(11 * 0.04)
    now.t += 2.0
    frames_of(source, 1)
    assert source.context.facts["skipped"] >= 9
    source.close()


def test_a_machine_too_slow_to_decode_keeps_giving_pictures_and_says_so(clip, monkeypatch):
    now = StoppedClock(monkeypatch)
    source = opened(clip, loop=True)
    pictures = source._pictures

    def slowly():
        for item in pictures:
            now.t += 0.1  # 2.5 times the period
            yield item

    source._pictures = slowly()
    frames = frames_of(source, 60)
    ages = [now.t - frames[-1].t_capture, *np.diff([f.t_capture for f in frames])]
    assert max(ages) < 2.0
    assert (np.diff([f.t_capture for f in frames]) > 0).all()
    assert source.context.facts["skipped"] > 0
    assert [e.kind for e in source.context.events].count("GAP") >= 1
    source.close()


def test_the_picture_is_written_into_the_buffer_of_the_runtime(clip, monkeypatch):
    StoppedClock(monkeypatch)
    source = opened(clip)
    given = np.zeros((48, 64, 3), np.uint8)
    monkeypatch.setattr(source.context, "frame_buffer", lambda port, shape: given)
    assert frames_of(source, 1)[0].image is given
    assert (given == 10).all()
    source.close()


def test_a_restarted_source_reuses_no_number(clip, monkeypatch):
    StoppedClock(monkeypatch)
    source = opened(clip, generation=2)
    assert frames_of(source, 1)[0].seq == first_number(2) > 10_000_000
    source.close()


@pytest.mark.parametrize("content", [None, b"", b"this is not a video" * 100])
def test_what_is_no_video_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "broken.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadSettings, match=r"broken\.mp4") as error:
        opened(path)
    assert "\n" not in str(error.value)


def test_a_sound_file_is_refused(tmp_path):
    path = tmp_path / "sound.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(1600))
    with pytest.raises(BadSettings, match="no video in it"):
        opened(path)


def test_a_file_cut_in_the_middle_gives_what_it_has(clip, tmp_path, monkeypatch):
    StoppedClock(monkeypatch)
    path = tmp_path / "cut.mkv"
    path.write_bytes(clip.read_bytes()[: int(0.6 * clip.stat().st_size)])
    source = opened(path)
    frames = frames_of(source, 100)
    assert 0 < len(frames) < 12
    assert source.read(0.0) is None
    source.close()


def test_the_real_clip_plays_at_its_pace():
    folder = os.environ.get("MYOMIRROR_DATA")
    path = Path(folder or ".") / "video" / "neutral_smile_neutral.mp4"
    if folder is None or not path.exists():
        pytest.skip("the clip neutral_smile_neutral.mp4 is not there: set $MYOMIRROR_DATA")
    source = opened(path, loop=True)
    frames = frames_of(source, 15)
    assert frames[0].image.shape == (360, 640, 3)
    periods = np.diff([f.t_capture for f in frames]) * 30
    np.testing.assert_allclose(periods, np.rint(periods), atol=1e-3)  # whole periods, whatever the machine's load
    assert video_file.clock.now() >= frames[-1].t_capture
    source.close()
