"""How sessions end that were not stopped: the camera's file is over, the disk is full, everything is killed at once."""

import resource
import time

import av
import numpy as np
import pytest
import pyxdf
from application import Application, Simulated, recordings, run, shared_folders, station_file, until

from rt.recording.recorded import recorded_chunks, recorded_rows
from rt.recording.session_folder import SessionFolder
from rt.recording.streams import EMG, ENVELOPE
from rt.recording.video import VideoReader

pytestmark = pytest.mark.integration

CONSENT = {"emg": True, "video": True}


@pytest.fixture
def short_video(tmp_path):
    """Two seconds of a moving picture."""
    path = tmp_path / "short.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for n in range(60):
            image = np.full((240, 320, 3), 4 * n, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    return path


def test_when_the_camera_ends_the_emg_goes_on(tmp_path, lsl_id, short_video):
    """The session lasts until it is stopped: the amplifier has not ended."""
    station = station_file(
        tmp_path,
        camera={"kind": "file", "path": str(short_video), "loop": False},
        emg={"kind": "lsl", "source_id": lsl_id},
        recording={"enabled": True, "folder": "recordings", "consent": CONSENT},
    )
    with Simulated(lsl_id), Application(tmp_path, "live", station, "--headless") as session:
        session.wait_until_running()
        until(lambda: session.board.edge("camera.frame->recorder.frame")["ended"][0], "the end of the video")
        kept = session.count("emg.emg->recorder.emg")
        time.sleep(1.5)
        assert session.count("emg.emg->recorder.emg") > kept + 50
        assert session.process.poll() is None
        assert session.stop() == 0, session.output
    report = session.report
    assert report["frames"]["closed"]
    assert report["frames"]["captured"] == 60
    assert report["restarts"] == {}  # who has nothing more to do is not taken for dead
    assert report["alarms"] == ["the video short.mp4 is over: no more pictures come"]
    (recording,) = recordings(tmp_path / "recordings")
    assert len(list(recorded_rows(recording / "signals.xdf"))) == 60
    emg = list(recorded_chunks(recording / "signals.xdf", EMG))
    assert sum(len(chunk.data) for chunk in emg) == report["emg"]["samples"] > 3 * 4096


def test_when_everything_has_ended_the_session_ends(tmp_path, short_video):
    """Without an amplifier, the end of the video is the end."""
    station = station_file(
        tmp_path, camera={"kind": "file", "path": str(short_video), "loop": False}, emg={"kind": "none"}
    )
    with Application(tmp_path, "live", station, "--headless") as session:
        assert session.process.wait(30) == 0
    frames = session.report["frames"]
    assert frames["closed"]
    assert frames["captured"] == 60
    assert session.report["emg"] == {**session.report["emg"], "channels": 0, "samples": 0, "gaps": 0}
    assert session.report["latency_ms"]["muscle_to_pixel"]["p50"] is None


MEGABYTE = 1 << 20


def test_a_full_disk_is_an_alarm_and_the_rest_goes_on(tmp_path, video, lsl_id):
    """The recorder's files may grow by 1 MB only, which a writer cannot tell from a full disk."""
    station = station_file(
        tmp_path,
        camera={"kind": "file", "path": str(video)},
        emg={"kind": "lsl", "source_id": lsl_id},
        recording={"enabled": True, "folder": "recordings", "consent": {"emg": True}},
    )
    with Simulated(lsl_id), Application(tmp_path, "live", station, "--headless") as session:
        session.wait_until_running()
        recorder = session.workers()["recorder"].pid
        (recording,) = recordings(tmp_path / "recordings")
        signals = recording / "signals.xdf"
        limit = signals.stat().st_size + MEGABYTE
        resource.prlimit(recorder, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        until(lambda: "data so far is readable" in session.output, lambda: session.output, 20.0)
        shown = session.shown
        until(lambda: session.shown > shown + 30, "the picture goes on")
        assert session.workers()["recorder"].pid == recorder, "it did not crash"
        assert session.stop() == 4
    report = session.report
    assert report["frames"]["closed"]
    assert report["restarts"] == {}
    assert len(report["lost"]) == 1
    assert "signals.xdf" in report["lost"][0]
    assert limit - MEGABYTE < signals.stat().st_size <= limit
    chunks = list(recorded_chunks(signals, EMG))
    samples = sum(len(chunk.data) for chunk in chunks)
    assert samples > 4096
    streams, _ = pyxdf.load_xdf(str(signals), dejitter_timestamps=False)
    assert samples in [len(stream["time_stamps"]) for stream in streams]
    assert SessionFolder.open(recording).verify() == []


def test_kill_minus_nine_of_everything_loses_less_than_a_second(tmp_path, video, lsl_id):
    """Also of what was kept in memory; the next session sweeps what is left in shared memory."""
    station = station_file(
        tmp_path,
        camera={"kind": "file", "path": str(video)},
        emg={"kind": "lsl", "source_id": lsl_id},
        recording={"enabled": True, "folder": "recordings", "consent": CONSENT},
    )
    with Simulated(lsl_id):
        with Application(tmp_path, "live", station, "--headless") as session:
            session.wait_until_running(shown=90)
            left = session.folder
            samples = int(session.board.node("emg")["samples"][0])
            frames = int(session.board.node("camera")["frames_out"][0])
            session.kill_everything()
        (recording,) = recordings(tmp_path / "recordings")
        assert SessionFolder.open(recording).info["state"] == "recording"
        done = run("repair", recording)
        assert done.returncode == 0, done.stderr
        again = run("repair", recording)
        assert "nothing was changed" in again.stdout
        _is_whole_but_for_a_second(recording, samples, frames)
    assert left.exists()
    assert run("live", station_file(tmp_path, camera={"device": "/dev/video97"}), "--headless").returncode == 3
    assert left.name not in shared_folders()  # even a session that does not begin has swept it


def _is_whole_but_for_a_second(recording, samples, frames):
    signals = recording / "signals.xdf"
    kept = {name: sum(len(chunk.data) for chunk in recorded_chunks(signals, name)) for name in (EMG, ENVELOPE)}
    assert kept[EMG] > samples - 4096
    assert kept[ENVELOPE] > samples - 4096
    rows = list(recorded_rows(signals))
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) > frames - 30
    (path,) = SessionFolder.open(recording).videos()
    with VideoReader(path) as reader:
        assert sum(1 for _ in reader) > frames - 30
        assert not reader.cut
    streams, _ = pyxdf.load_xdf(str(signals), dejitter_timestamps=False)
    by_name = {stream["info"]["name"][0]: len(stream["time_stamps"]) for stream in streams}
    assert by_name["emg"] == kept[EMG]
    assert SessionFolder.open(recording).verify() == []
