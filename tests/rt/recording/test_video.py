import os
import resource
import stat
import subprocess
import sys

import av
import cv2
import numpy as np
import pytest

from rt.errors import BadMessage, BadRecording, BadSettings
from rt.recording.video import VideoReader, VideoWriter, is_finished, remux

SIZE = (160, 120)


def picture(index, size=SIZE):
    """A smooth picture with a bar whose place tells the index."""
    x, y = np.meshgrid(np.linspace(0, 200, size[0]), np.linspace(20, 180, size[1]))
    image = np.stack([x, y, 255 - x], -1).astype(np.uint8)
    left = index * 4 % (size[0] - 8)
    image[:, left : left + 8] = (30, 30, 220)
    return image


def write(path, times, codec="h264", size=SIZE):
    with VideoWriter(path, size, 30, codec) as video:
        for index, t in enumerate(times):
            assert video.write(t, picture(index, size)) == index
    return path


@pytest.mark.parametrize(
    ("codec", "size", "worst_mean"),
    [("h264", SIZE, 4), ("h264", (161, 121), 4), ("mjpeg", SIZE, 6), ("mjpeg", (161, 121), 6), ("ffv1", (161, 121), 0)],
)
def test_pictures_come_back_in_order_with_their_colours(tmp_path, codec, size, worst_mean):
    times = 5000.0 + np.arange(40) / 30
    path = write(tmp_path / "v.mkv", times, codec, size)
    with VideoReader(path) as video:
        assert video.size == size
        found = [(pts, image.copy()) for pts, image in video]
        assert not video.cut
    assert len(found) == 40
    np.testing.assert_allclose([pts for pts, _ in found], times - times[0], atol=0.0006)
    for index, (_, image) in enumerate(found):
        error = np.abs(image.astype(int) - picture(index, size)).mean()
        assert error <= worst_mean, f"picture {index}"


def test_irregular_and_backward_stamps_keep_every_picture(tmp_path):
    times = [10.0, 10.033, 10.033, 9.0, 10.5, 4000.0, 4000.033]
    with VideoReader(write(tmp_path / "v.mkv", times)) as video:
        pts = [round(p * 1000) for p, _ in video]
    assert pts == [0, 33, 34, 35, 500, 3990000, 3990033]


def test_a_keyframe_each_second_at_any_frame_rate(tmp_path):
    times = np.cumsum(np.tile([1 / 60, 1 / 7], 30))
    path = write(tmp_path / "v.mkv", times)
    with av.open(str(path)) as container:
        keys = [float(p.pts * p.time_base) for p in container.demux(video=0) if p.is_keyframe]
    assert max(np.diff(keys)) <= 1.0 + 1 / 7 + 0.002


def test_reads_into_a_given_buffer(tmp_path):
    buffer = np.empty((SIZE[1], SIZE[0], 3), np.uint8)
    with VideoReader(write(tmp_path / "v.mkv", [0.0, 0.1])) as video:
        _, image = video.read(buffer)
        assert image is buffer
        with pytest.raises(BadRecording, match="the buffer is"):
            video.read(buffer[:10])


def test_a_read_only_view_is_encoded_at_once(tmp_path):
    shared = picture(0)
    view = shared.view()
    view.flags.writeable = False
    with VideoWriter(tmp_path / "v.mkv", SIZE, 30, "ffv1") as video:
        for index in range(5):
            shared[:] = picture(index)
            video.write(index / 30, view)
            shared[:] = 0
    with VideoReader(tmp_path / "v.mkv") as video:
        for index, (_, image) in enumerate(video):
            np.testing.assert_array_equal(image, picture(index))


def test_file_is_private_and_wrong_input_is_one_sentence(tmp_path):
    with VideoWriter(tmp_path / "v.mkv", SIZE, 30) as video:
        with pytest.raises(BadMessage, match="160x120"):
            video.write(0.0, picture(0, (80, 60)))
        video.write(0.0, picture(0))
    assert stat.S_IMODE((tmp_path / "v.mkv").stat().st_mode) == 0o600
    with pytest.raises(BadSettings, match="never overwritten"):
        VideoWriter(tmp_path / "v.mkv", SIZE, 30)
    with pytest.raises(BadSettings, match="h264, mjpeg, ffv1"):
        VideoWriter(tmp_path / "w.mkv", SIZE, 30, "divx")
    with pytest.raises(BadSettings, match="0x0"):
        VideoWriter(tmp_path / "w.mkv", (0, 0), 30)
    (tmp_path / "x.mkv").write_text("#EXTM3U\nhttp://localhost/secret\n")
    with pytest.raises(BadRecording, match="not a readable Matroska"):
        VideoReader(tmp_path / "x.mkv")
    with pytest.raises(BadRecording, match="does not exist"):
        VideoReader(tmp_path / "y.mkv")


KILLED = """
import sys, numpy as np
from pathlib import Path
from rt.recording.video import VideoWriter
video = VideoWriter(Path(sys.argv[1]), (160, 120), 30, sys.argv[2])
noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
n = 0
while True:
    video.write(n / 30, np.roll(noise, n, 1))
    n += 1
    print(n, flush=True)
    if n == 165:
        sys.stdin.readline()
"""


@pytest.mark.parametrize("codec", ["h264", "mjpeg", "ffv1"])
def test_a_killed_writer_loses_less_than_a_second(tmp_path, codec):
    path = tmp_path / "v.mkv"
    arguments = [sys.executable, "-c", KILLED, str(path), codec]
    child = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for _ in range(165):
        assert child.stdout.readline()
    child.kill()
    child.wait()
    assert not is_finished(path)
    with VideoReader(path) as video:
        kept = sum(1 for _ in video)
    assert kept >= 165 - 10

    mended = remux(path, tmp_path / "mended.mkv")
    assert mended.frames == kept
    assert mended.last_s == pytest.approx((kept - 1) / 30, abs=0.001)
    assert mended.readable_bytes <= path.stat().st_size
    assert is_finished(tmp_path / "mended.mkv")
    with VideoReader(tmp_path / "mended.mkv") as video:
        assert sum(1 for _ in video) == kept
    assert cv2.VideoCapture(str(tmp_path / "mended.mkv")).get(cv2.CAP_PROP_FRAME_COUNT) == pytest.approx(kept, abs=1)


@pytest.mark.parametrize("part", [0.3, 0.77, 0.999])
def test_a_cut_file_is_read_to_its_last_whole_packet(tmp_path, part):
    path = write(tmp_path / "v.mkv", np.arange(90) / 30)
    whole = path.stat().st_size
    os.truncate(path, int(whole * part))
    assert not is_finished(path)
    with VideoReader(path) as video:
        kept = sum(1 for _ in video)
    assert 0.5 * part * 90 <= kept <= 90
    assert remux(path, tmp_path / "mended.mkv").frames >= kept


FULL = """
import resource, signal, sys, numpy as np
from pathlib import Path
from rt.errors import DataLost
from rt.recording.video import VideoReader, VideoWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
video = VideoWriter(Path(sys.argv[1]), (160, 120), 30)
rng = np.random.default_rng(0)
try:
    for n in range(1000):
        video.write(n / 30, rng.integers(0, 255, (120, 160, 3), dtype=np.uint8))
except DataLost as error:
    print(n, error)
    video.close()
"""


def test_full_disk_is_data_lost_and_the_video_stays_readable(tmp_path):
    path = tmp_path / "v.mkv"
    told = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True).stdout
    written, _, sentence = told.partition(" ")
    assert "the video so far is readable" in sentence
    with VideoReader(path) as video:
        kept = sum(1 for _ in video)
    assert int(written) - 30 <= kept <= int(written)
    assert kept > 5
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 300_000
