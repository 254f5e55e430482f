import json
import os
import stat
import subprocess
import sys

import numpy as np
import pytest
import pyxdf

from rt.errors import BadRecording, DataLost
from rt.recording.recorded import recorded_chunks
from rt.recording.repair import repair
from rt.recording.session_folder import SessionFolder
from rt.recording.video import VideoReader, is_finished
from rt.recording.xdf_reader import read_xdf
from rt.recording.xdf_writer import XdfWriter
from rt.sinks.recorder import RecorderSettings, RecorderSink
from rt.stage import Context

# One real recorder, fed as fast as it can with 30 pictures and 32 chunks per second of its own time.
RECORDING = """
import sys
from pathlib import Path
import numpy as np
from rt.message import Chunk, Frame
from rt.sinks.recorder import RecorderSink, RecorderSettings
from rt.stage import Context
node = RecorderSink(RecorderSettings(), Context("recorder", Path(sys.argv[1])))
node.open()
rng = np.random.default_rng(0)
block = rng.normal(0, 30, (128, 22)).astype(np.float32)
noise = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
chunks = frames = 0
while True:
    t = 50 + chunks / 32
    node.process("emg", Chunk(block + chunks, 4096.0, t, chunks * 128))
    chunks += 1
    while 50 + frames / 30 <= t:
        frames += 1
        node.process("frame", Frame(frames, 50 + frames / 30, "host", np.roll(noise, frames, 1)))
    print(chunks, frames, flush=True)
    if chunks == int(sys.argv[2]):
        sys.stdin.readline()
"""


def killed_recording(tmp_path, n_chunks=130):
    folder = SessionFolder.create(tmp_path, "P01", ("emg", "video"))
    arguments = [sys.executable, "-c", RECORDING, str(folder.path), str(n_chunks)]
    child = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    told = [child.stdout.readline() for _ in range(n_chunks)][-1]
    child.kill()
    child.wait()
    chunks, frames = map(int, told.split())
    return folder, chunks, frames


def snapshot(folder):
    return {
        str(path.relative_to(folder.path)): path.read_bytes()
        for path in sorted(folder.path.rglob("*"))
        if path.is_file()
    }


def test_kill_while_recording_loses_less_than_a_second(tmp_path):
    folder, chunks, frames = killed_recording(tmp_path)
    report = repair(folder.path)
    assert report.changed
    assert report.footers
    assert report.remuxed == ["video_0001.mkv"]
    assert set(report.lost_s) == {"emg", "frames", "video"}
    assert max(report.lost_s.values()) < 1.0
    assert report.ends_s["emg"] == pytest.approx(chunks / 32, abs=0.04)
    data = np.concatenate([chunk.data for chunk in recorded_chunks(folder.signals)])
    assert len(data) == chunks * 128
    with VideoReader(folder.videos()[0]) as video:
        pictures = sum(1 for _ in video)
    assert frames - 15 <= pictures <= frames
    assert report.frames_without_picture == frames - pictures
    assert is_finished(folder.videos()[0])
    streams, _ = pyxdf.load_xdf(folder.signals)
    assert all("footer" in stream for stream in streams)
    info = SessionFolder.open(folder.path).info
    assert info["state"] == "repaired"
    assert info["repairs"][0]["lost_s"] == report.lost_s
    assert SessionFolder.open(folder.path).verify() == []
    assert "earlier" in " ".join(report.sentences())


def test_repairing_twice_changes_nothing(tmp_path):
    folder, _, _ = killed_recording(tmp_path, 40)
    with folder.signals.open("ab") as file:
        file.write(bytes(100))
    repair(folder.path)
    before = snapshot(folder)
    again = repair(folder.path)
    assert not again.changed
    assert snapshot(folder) == before
    assert "in order" in again.sentences()[0]


@pytest.mark.parametrize("cut", [1, 40, 3000])
def test_a_cut_tail_is_set_aside_not_thrown_away(tmp_path, cut):
    folder, _, _ = killed_recording(tmp_path, 40)
    signals, video = folder.signals, folder.videos()[0]
    os.truncate(signals, signals.stat().st_size - cut)
    os.truncate(video, video.stat().st_size - cut)
    signals_before, video_before = signals.read_bytes(), video.read_bytes()
    report = repair(folder.path)
    kept = {
        path.name.partition(".mkv.")[0].partition(".xdf.")[0]: path for path in (folder.path / "repaired").iterdir()
    }
    offset = int(kept["signals"].name.split(".")[-2])
    assert kept["signals"].read_bytes() == signals_before[offset:]
    assert signals.read_bytes().startswith(signals_before[:offset])
    if "video_0001" in kept:
        assert video_before.endswith(kept["video_0001"].read_bytes())
    assert report.cut_bytes["signals.xdf"] == len(signals_before) - offset
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in kept.values())
    assert stat.S_IMODE((folder.path / "repaired").stat().st_mode) == 0o700
    assert SessionFolder.open(folder.path).verify() == []
    assert not read_xdf(signals)[1]


def test_damage_inside_stays_where_it_is(tmp_path):
    folder, chunks, _ = killed_recording(tmp_path, 40)
    content = bytearray(folder.signals.read_bytes())
    third = list(recorded_chunks(folder.signals))[3]
    at = content.find(third.data[:1].tobytes()) - 9
    content[at - 4 : at] = bytes(4)  # its number of samples
    folder.signals.write_bytes(content)
    report = repair(folder.path)
    assert report.damaged_bytes == 16 + 128 * 97
    assert folder.signals.read_bytes().startswith(bytes(content[: at + 1000]))
    assert len(list(recorded_chunks(folder.signals))) == chunks - 1


def test_a_recording_in_order_is_left_alone(tmp_path):
    folder = SessionFolder.create(tmp_path, "P01", ("emg", "video"))
    with XdfWriter(folder.signals):
        pass
    folder.close()
    before = snapshot(folder)
    assert not repair(folder.path).changed
    assert snapshot(folder) == before


def test_what_changed_after_closing_is_told_and_stays_in_the_session_file(tmp_path):
    folder = SessionFolder.create(tmp_path, "P01", ("emg", "video"))
    with XdfWriter(folder.signals):
        pass
    folder.close()
    (folder.path / "video_0001.mkv").write_bytes(b"not a video")
    report = repair(folder.path)
    assert report.notes[0] == "Since it was closed, video_0001.mkv is not in the manifest."
    assert "left as it is" in report.notes[1]
    assert SessionFolder.open(folder.path).info["repairs"][0]["notes"] == report.notes
    assert (folder.path / "video_0001.mkv").read_bytes() == b"not a video"


def test_a_power_cut_that_left_empty_files(tmp_path):
    folder = SessionFolder.create(tmp_path, "P01", ("emg", "video"))
    folder.signals.touch()
    (folder.path / "video_0001.mkv").touch()
    report = repair(folder.path)
    assert len(report.notes) == 2
    assert not repair(folder.path).changed


def test_a_recording_killed_before_its_first_sample_says_so(tmp_path):
    folder = SessionFolder.create(tmp_path, "P01", ("emg",))
    XdfWriter(folder.signals).close()
    (sentence,) = repair(folder.path).sentences()
    assert "holds nothing but its settings" in sentence


def test_a_session_that_is_running_is_not_touched(tmp_path):
    folder = SessionFolder.create(tmp_path, "P01", ("emg",))
    node = RecorderSink(RecorderSettings(), Context("recorder", folder.path))
    node.open()
    before = snapshot(folder)
    with pytest.raises(BadRecording, match="stop that session first"):
        repair(folder.path)
    assert snapshot(folder) == before
    node.close()


def test_no_room_for_what_is_set_aside_leaves_the_original(tmp_path, monkeypatch):
    folder, _, _ = killed_recording(tmp_path, 10)
    with folder.signals.open("ab") as file:
        file.write(bytes(100))
    before = snapshot(folder)

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rt.recording.repair.create_private", full)
    with pytest.raises(DataLost, match="free some space"):
        repair(folder.path)
    assert snapshot(folder) == before


def test_no_recording_is_one_sentence(tmp_path):
    with pytest.raises(BadRecording, match=r"holds no session\.json"):
        repair(tmp_path)
    (tmp_path / "session.json").write_text(json.dumps({"format": "else"}))
    with pytest.raises(BadRecording, match="does not say"):
        repair(tmp_path)
