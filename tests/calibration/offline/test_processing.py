"""Recordings through the stages: equal to what ran live, the same bytes again, whole or not at all."""

import csv
import errno
import json
import os
import shutil
import stat

import numpy as np
import pytest

from calibration.data.mmm_layout import EMG_COLUMNS
from calibration.offline import processing
from calibration.offline.order import Order, Recording
from calibration.offline.processing import process
from engines.emg.montage import FRIDLUND
from engines.face.blendshapes import BLENDSHAPES
from rt import assets
from rt.errors import BadRecording, BadSettings, DataLost
from rt.recording.export_csv import as_of
from rt.recording.recorded import recorded_chunks, recorded_table
from rt.recording.streams import CROP_COLUMNS, ENVELOPE, EXPRESSION, MUSCLES
from rt.recording.video import VideoReader

ORDER = Order(formats=("csv",))


def table(target, name):
    with (target / f"{name}.csv").open(newline="") as file:
        header = next(csv.reader(file))
        return header, np.loadtxt(file, delimiter=",", ndmin=2)


def column_of(target, name, columns):
    header, values = table(target, name)
    return values[:, [header.index(column) for column in columns]].astype(np.float32)


@pytest.fixture(scope="module")
def done(tmp_path_factory, session):
    """The tables of the session without a face."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assets, "find", lambda name: None)
        target = tmp_path_factory.mktemp("done") / "tables"
        return target, process(Recording(session.path, target), ORDER)


@pytest.fixture
def without_model(monkeypatch):
    monkeypatch.setattr(assets, "find", lambda name: None)


def test_a_row_for_every_picture_with_its_time(done, session):
    target, result = done
    assert (result.pictures, result.found, result.synthetic) == (30, False, True)
    header, values = table(target, "frames")
    assert header[:4] == ["", "seq", "t_s", "t_capture"]
    assert values[:, header.index("seq")].tolist() == list(range(1, 31))
    np.testing.assert_allclose(values[:, header.index("t_s")], np.arange(30) / 30, atol=1e-6)
    np.testing.assert_allclose(values[:, header.index("t_capture")], 700.5 + np.arange(30) / 30, atol=1e-6)
    assert set(values[:, header.index("synthetic")]) == {1}
    assert result.seconds == pytest.approx(29 / 30, abs=1e-6)


def test_envelopes_are_those_that_were_recorded_live(done, session):
    """The full-rate envelope of the live path, searched for its newest sample at each picture."""
    target, _ = done
    header, values = table(target, "emg")
    assert header == ["", *EMG_COLUMNS]
    times = 700.5 + np.arange(30) / 30
    recorded = list(recorded_chunks(session.signals, ENVELOPE))
    live = as_of(times, recorded, len(FRIDLUND))[:, [FRIDLUND.column(name) for name in EMG_COLUMNS]]
    assert 0 < np.isnan(live).any(axis=1).sum() < 10  # the gap
    np.testing.assert_array_equal(np.isnan(values[:, 1:]), np.isnan(live))
    np.testing.assert_allclose(values[:, 1:], live, rtol=1e-6)  # seven digits


def test_muscles_are_measured_with_the_calibration_that_was_in_force(done, session):
    target, _ = done
    live = recorded_table(session.signals, MUSCLES)
    columns = [name for name in live.columns if name.endswith("percent_mvc")]
    found = column_of(target, "muscles", columns)
    envelope = table(target, "emg")[1][:, 1:]
    order = [FRIDLUND.column(name) for name in EMG_COLUMNS]
    expected = np.empty_like(envelope)
    expected[:, order] = 100 * np.maximum(envelope - 2.0, 0) / (150.0 - 2.0)
    contact = column_of(target, "muscles", [name for name in live.columns if name.endswith("contact")])
    on = contact > 0
    assert on.mean() > 0.5
    np.testing.assert_allclose(found[on], expected[on], rtol=1e-4, atol=1e-4)
    assert json.loads((target / "processed.json").read_text())["emg"]["calibration"] == "maximal, made for a test"


def test_what_it_was_made_with_stands_beside_it(done, session):
    target, result = done
    about = json.loads((target / "processed.json").read_text())
    assert about["synthetic"] is True
    assert about["recording"]["name"] == session.path.name
    assert about["recording"]["consent"] == ["emg", "video"]
    assert about["emg"]["preset"] == "standard"
    assert about["emg"]["chain"] == recorded_chain(session)
    assert about["frames"] == {"recorded": 30, "processed": 30, "with_face": 0, "seconds": result.seconds}
    guessed = {"expression_camera", "estimated_muscles", "expression_emg"}  # by the networks that ship
    assert set(about["tables"]) == {"frames", "mediapipe", "emg", "muscles", *guessed}
    assert about["versions"]["myomirror"]
    assert list(about["stages"])[-1] == "rows"
    assert {"pixel_map", "paste_back", "page", "recorder"}.isdisjoint(about["stages"])
    assert str(session.path.parent) not in (target / "processed.json").read_text()
    assert any("0.200 s of EMG are missing" in note for note in about["notes"])


def recorded_chain(session):
    return next(iter(recorded_chunks(session.signals, ENVELOPE))).chain


def test_files_are_for_their_owner_only(done):
    target, _ = done
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in target.iterdir()} == {0o600}
    assert sorted(path.name for path in target.parent.iterdir()) == [target.name]


def test_the_same_again_is_found_and_gives_the_same_bytes(done, session, tmp_path, without_model):
    target, _ = done
    before = {path.name: path.stat().st_mtime_ns for path in target.iterdir()}
    assert process(Recording(session.path, target), ORDER).found
    assert {path.name: path.stat().st_mtime_ns for path in target.iterdir()} == before
    again = tmp_path / "again"
    shutil.copytree(session.path, tmp_path / session.path.name)  # another place, the same recording
    assert not process(Recording(tmp_path / session.path.name, again), ORDER).found
    assert {p.name: p.read_bytes() for p in again.iterdir()} == {p.name: p.read_bytes() for p in target.iterdir()}


def test_other_settings_and_damaged_tables_are_made_anew(done, session, tmp_path, without_model):
    target = tmp_path / "tables"
    shutil.copytree(done[0], target)
    (target / "emg.csv").write_text("damaged")
    assert not process(Recording(session.path, target), ORDER).found
    station = json.loads((session.path / "session.json").read_text())["settings"]
    station["envelope"]["preset"] = "fast"
    other = Order(station=station, formats=("csv",))
    assert not process(Recording(session.path, target), other).found
    about = json.loads((target / "processed.json").read_text())
    assert about["emg"]["preset"] == "fast"
    assert about["emg"]["calibration"] == ""  # a station file's own holds, and this one has none
    assert process(Recording(session.path, target), other).found
    assert [path.name for path in tmp_path.iterdir()] == ["tables"]


def test_nothing_half_written_is_left(session, tmp_path, without_model, monkeypatch):
    written = []

    def full(path, content):
        written.append(path)
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_bytes(content)

    monkeypatch.setattr(processing, "write_new", full)
    with pytest.raises(DataLost, match="free some space"):
        process(Recording(session.path, tmp_path / "out" / "tables"), ORDER)
    assert list((tmp_path / "out").iterdir()) == []
    assert len(written) == 2


def test_two_processes_do_not_make_the_same_tables(session, tmp_path, without_model):
    recording = Recording(session.path, tmp_path / "tables")
    with (
        processing._making(recording),
        pytest.raises(BadRecording, match="another process"),
        processing._making(recording),
    ):
        pass


def test_what_a_killed_process_left_is_swept(session, tmp_path, without_model):
    recording = Recording(session.path, tmp_path / "tables")
    (recording.part / ".scratch").mkdir(parents=True)
    (recording.part / ".scratch" / "calibration.json").write_text("{")
    (recording.part / "emg.csv").write_text("half")
    assert process(recording, ORDER).pictures == 30
    assert [path.name for path in tmp_path.iterdir()] == ["tables"]
    assert not any(path.name.startswith(".") for path in recording.target.iterdir())


def test_a_folder_of_something_else_is_left_alone(session, tmp_path, without_model):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(BadSettings, match="holds something else"):
        process(Recording(session.path, tmp_path / "mine"), ORDER)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_frames_whose_picture_is_gone_are_told(session, tmp_path, without_model):
    damaged = tmp_path / "damaged"
    shutil.copytree(session.path, damaged)
    video = damaged / "video_0001.mkv"
    os.truncate(video, int(video.stat().st_size * 0.5))
    with VideoReader(video) as reader:
        readable = len(list(reader))
    result = process(Recording(damaged, tmp_path / "tables"), ORDER)
    assert 0 < result.pictures == readable < 30
    assert any(f"{30 - readable} of 30 recorded frames have no picture" in note for note in result.notes)


def test_expressions_are_those_that_were_read_live(session_maker, tmp_path, pictures_of_a_face):
    """The same pictures (lossless video), the same times: the same landmarks, to the bit of what a table holds."""
    folder = session_maker(pictures_of_a_face(8))
    result = process(Recording(folder.path, tmp_path / "tables"), ORDER)
    live = recorded_table(folder.signals, EXPRESSION)
    assert result.pictures == len(live.stamps) == 8
    header, values = table(tmp_path / "tables", "mediapipe")
    assert tuple(header) == BLENDSHAPES
    assert values.max() > 0.3
    np.testing.assert_allclose(values, live.values[:, : len(BLENDSHAPES)], rtol=1e-6, atol=1e-12)
    crop = column_of(tmp_path / "tables", "frames", CROP_COLUMNS)
    np.testing.assert_allclose(crop, live.values[:, len(BLENDSHAPES) :], rtol=1e-6, atol=1e-9)
    assert not (tmp_path / "tables" / "emg.csv").exists()
