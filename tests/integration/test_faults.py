"""Every process of a therapy session in turn: killed, stopped, hung. Picture and EMG come back, the recording goes on.

The camera is a recorded face, the amplifier a real LSL outlet, and everything is recorded and sent on.
"""

import json
import signal
import time
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import pyxdf
from application import HANG, Application, Simulated, others_share, recordings, station_file, until

from rt.recording.recorded import recorded_chunks, recorded_events, recorded_rows
from rt.recording.session_folder import SessionFolder
from rt.recording.streams import EMG, ENVELOPE
from rt.recording.video import VideoReader

pytestmark = pytest.mark.integration

BACK_S = 5.0  # picture back within this,
DISTURBED_S = 1.0  # and never away for longer because of others, on a machine with a processor to spare
GROUPS = ("camera", "vision", "emg", "page", "recorder", "outlets")
FAULTS = {
    signal.SIGKILL: GROUPS,
    signal.SIGSTOP: GROUPS,
    signal.SIGUSR1: ("recorder",),  # a hung work loop, see hang/sitecustomize.py; the page's: test_faults_page.py
}


@pytest.fixture
def station(tmp_path, video, lsl_id):
    def write(**recording):
        consent = {"emg": True, "video": True}
        return station_file(
            tmp_path,
            subject="P01",
            camera={"kind": "file", "path": str(video)},
            emg={"kind": "lsl", "source_id": lsl_id},
            recording={"enabled": True, "folder": "recordings", "consent": consent, **recording},
            lsl_out={"enabled": True, "prefix": lsl_id},
        )

    return write


def darkness_s(session, condition, limit_s=20.0):
    """The longest time without a new picture, until the condition holds and pictures come."""
    shown, t_last, dark_s = session.shown, time.monotonic(), 0.0
    first, t_limit = shown, t_last + limit_s
    while not (condition() and session.shown > first + 5):
        now = time.monotonic()
        assert now < t_limit, session.output
        if session.shown != shown:
            shown, t_last, dark_s = session.shown, now, max(dark_s, now - t_last)
        time.sleep(0.01)
    return max(dark_s, time.monotonic() - t_last)


def test_every_process_in_turn(tmp_path, station, lsl_id):
    path = station(hold_video_s=15.0)  # a shared machine may be slow to bring the recorder back
    env = {"PYTHONPATH": HANG}
    with Simulated(lsl_id), Application(tmp_path, "live", path, "--headless", env=env) as session:
        session.wait_until_running(shown=10)
        for number, groups in FAULTS.items():
            for group in groups:
                kept = session.count("camera.frame->recorder.frame"), session.count("emg.emg->recorder.emg")
                others = {name: process.pid for name, process in session.workers().items() if name != group}
                pid = session.strike(group, number)
                dark_s = darkness_s(session, lambda g=group, p=pid: session.replaced(g, p))
                of_its_own = group in ("camera", "vision", "page")
                limit_s = (BACK_S if of_its_own else DISTURBED_S) * others_share()
                assert dark_s < limit_s, f"{number.name} of {group}"
                until(
                    lambda k=kept: (
                        session.count("camera.frame->recorder.frame") > k[0] + 3
                        and session.count("emg.emg->recorder.emg") > k[1] + 3
                    ),
                    "the recording goes on",
                )
                now = {name: process.pid for name, process in session.workers().items() if name != group}
                assert now == others, "others were disturbed"
        code = session.stop()
    (recording,) = recordings(tmp_path / "recordings")
    # A killed process takes along what it had counted as sent and not yet handed to the kernel: seldom, one message
    assert code == (4 if session.report["lost"] else 0), session.output
    assert len(session.report["lost"]) <= 2 * sum("emg" in groups for groups in FAULTS.values())
    assert all(" 1 messages of " in f" {text}" for text in map(str, session.report["lost"])), session.report["lost"]
    _told_as_it_was(session)
    _recorded_as_it_was(session.report, recording)


def _told_as_it_was(session):
    report = session.report
    faults = Counter(group for groups in FAULTS.values() for group in groups)
    assert {session_node: n for session_node, n in report["restarts"].items() if session_node in faults} == {
        group: n for group, n in faults.items() if group != "vision"
    }
    assert {report["restarts"][node] for node in ("face", "crop", "join", "paste_back")} == {faults["vision"]}
    assert report["frames"]["closed"]
    assert report["frames"]["dropped"]["no_consumer"] > 0
    assert report["emg"]["gaps"] == faults["emg"]
    told = [text for text in report["alarms"] if "died" in text or "hung" in text]
    assert len(told) == sum(faults.values()) == len(report["alarms"])
    assert "Traceback" not in session.output
    assert len(session.output.splitlines()) < 60


def _recorded_as_it_was(report, recording):
    signals = recording / "signals.xdf"
    rows = list(recorded_rows(signals))
    seqs = [row.seq for row in rows]
    assert seqs == sorted(set(seqs)), "a frame is there twice"
    camera_restarts = report["restarts"]["camera"]
    assert report["frames"]["captured"] - len(rows) <= 4 * camera_restarts  # what was in its hands when it died
    pictures = Counter(row.segment for row in rows)
    videos = SessionFolder.open(recording).videos()
    assert len(videos) == report["restarts"]["recorder"] + 1
    for number, path in enumerate(videos, 1):
        with VideoReader(path) as reader:
            assert reader.count_packets()[0] >= pictures[number] - 15  # half a second of a killed one
    for stream in (EMG, ENVELOPE):
        chunks = list(recorded_chunks(signals, stream))
        assert sum(chunk.gap_s > 0 for chunk in chunks) == report["emg"]["gaps"]
        assert all(_follows(a, b) for a, b in pairwise(chunks)), stream
    chunks = list(recorded_chunks(signals, EMG))
    in_hand = len(report["lost"]) * max(len(chunk.data) for chunk in chunks)
    assert 0 <= report["emg"]["samples"] - sum(len(chunk.data) for chunk in chunks) <= in_hand
    events = Counter(event.kind for event in recorded_events(signals))
    assert events["RESTART"] >= sum(report["restarts"][g] for g in GROUPS if g != "vision")
    streams, _ = pyxdf.load_xdf(str(signals), dejitter_timestamps=False)
    stamps = {stream["info"]["name"][0]: stream["time_stamps"] for stream in streams}
    assert all(np.diff(stamps[name]).min() > 0 for name in (EMG, ENVELOPE))
    assert SessionFolder.open(recording).verify() == []


def _follows(before, after):
    """Whether a chunk follows the one before, by its time: at once, or after the gap that it tells of."""
    return abs(after.t0 - before.t_last - 1 / after.rate_hz - after.gap_s) < 0.01


def test_a_recorder_that_is_away_too_long_is_lost_data_and_exit_code_4(tmp_path, station, lsl_id):
    """It hangs: a second until that is seen, and pictures are kept for half a second only."""
    path = station(hold_video_s=0.5)
    with Simulated(lsl_id), Application(tmp_path, "live", path, "--headless") as session:
        session.wait_until_running()
        pid = session.strike("recorder", signal.SIGSTOP)
        assert darkness_s(session, lambda: session.replaced("recorder", pid)) < 1.0
        kept = session.count("camera.frame->recorder.frame")
        until(lambda: session.count("camera.frame->recorder.frame") > kept + 10, "the recording goes on")
        assert session.stop() == 4
    report = session.report
    assert report["frames"]["closed"]
    assert any("recorder has not answered" in sentence for sentence in report["lost"])
    (recording,) = recordings(tmp_path / "recordings")
    rows = list(recorded_rows(recording / "signals.xdf"))
    missing = [b.seq - a.seq - 1 for a, b in pairwise(rows) if b.seq > a.seq + 1]
    gaps = [e for e in recorded_events(recording / "signals.xdf") if e.data.get("stream") == "frames"]
    assert sum(event.data["missing"] for event in gaps) == sum(missing) > 10  # an exact gap, never silent
    told = json.loads((recording / "session.json").read_text())
    assert told["report"]["lost"] == report["lost"]
    chunks = list(recorded_chunks(recording / "signals.xdf", EMG))
    assert not any(chunk.gap_s for chunk in chunks)  # the EMG waits for a minute: nothing of it is lost
    assert sum(len(chunk.data) for chunk in chunks) == report["emg"]["samples"]
