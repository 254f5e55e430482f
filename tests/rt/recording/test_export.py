import csv
import json
import os
import stat
import sys

import numpy as np
import pytest

from rt.errors import BadRecording, BadSettings, DataLost, MissingDevice
from rt.message import Chunk, Crop, Estimate, Expression, Face, Frame, Muscles, Parameters
from rt.recording.export import export
from rt.recording.export_csv import as_of
from rt.recording.session_folder import SessionFolder
from rt.sinks.recorder import RecorderSettings, RecorderSink
from rt.stage import Context

RATE = 4096.0
ALL = ("emg", "video", "training", "sharing")


def record(tmp_path, consent=ALL, seconds=4, events=0, camera=True):
    """Four seconds of everything, half a second missing in the middle, some NaN, many events."""
    folder = SessionFolder.create(tmp_path / "data", "P01", consent, settings={"emg": {"mains_hz": 60}})
    node = RecorderSink(RecorderSettings(), Context("recorder", folder.path))
    node.open()
    rng = np.random.default_rng(0)
    ones = np.ones(22, np.float32)
    for step in range(seconds * 32):
        late = 0.5 if step >= seconds * 16 else 0.0
        t0, gap_s = 100 + step / 32 + late, 0.5 if step == seconds * 16 else 0.0
        data = rng.normal(0, 200, (128, 22)).astype(np.float32)
        if step == 3:
            data[5, 7] = np.nan
        node.process("emg", Chunk(data, RATE, t0, step * 128, "raw", gap_s))
        node.process("envelope", Chunk(np.abs(data), RATE, t0, step * 128, "envelope", gap_s, "chain1"))
        for index in range(events // (seconds * 32) + 1):
            event = {
                "t": t0 + index / 1000,
                "kind": "MARKER",
                "node": "page",
                "text": f"smile {step} {index}",
                "data": {},
            }
            if events:
                node.command("event", event)
        if camera:
            face = Face(np.zeros((478, 2), np.float32), np.full(52, step / 1000, np.float32)) if step % 2 else None
            crop = Crop(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3), np.float32), True)
            asymmetry = np.full(11, np.nan, np.float32)
            muscles = Muscles(t0, ones, ones * step, asymmetry, ones.astype(np.uint8), ones, ones, ones)
            picture = np.zeros((48, 64, 3), np.uint8)
            node.process("frame", Frame(step + 1, t0 + 0.02, "device", picture))
            found = Frame(step + 1, t0 + 0.02, "device", picture, face, crop, muscles)
            node.process("params", Parameters.of(found))
    node.finish()
    node.close()
    folder.close()
    return folder


def table(path):
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    return rows[0], rows[1:]


def test_what_networks_said_has_tables_of_its_own_and_holds_between_two_answers(tmp_path):
    folder = SessionFolder.create(tmp_path / "data", "P01", ALL)
    node = RecorderSink(RecorderSettings(), Context("recorder", folder.path))
    node.open()
    for step in range(12):
        t = 100 + step * 0.03
        node.process("frame", Frame(step + 1, t, "device", np.zeros((48, 64, 3), np.uint8)))
        if step % 2 == 0 and step < 4:  # every second picture, and then no face any more
            node.process("estimate", Estimate(t, np.full(22, step, np.float32), np.full(22, np.nan, np.float32)))
            node.process("expression", Expression(t, np.full(52, step / 10, np.float32), "arkit52", "camera"))
    node.finish()
    node.close()
    folder.close()
    written = export(folder.path, tmp_path / "out", "csv")
    assert {"estimated_muscles.csv", "expression_camera.csv"} <= {path.name for path in written}
    assert not {"muscles.csv", "envelope.csv", "expression_emg.csv"} & {path.name for path in written}
    header, rows = table(tmp_path / "out" / "estimated_muscles.csv")
    assert header[1] == "F1_estimated_percent"
    held = [row[header.index("F19_estimated_percent")] for row in rows]
    assert held == ["0", "0", "2", "2", "2", "2", "2", "2", "2", "", "", ""]  # 0.2 s at most
    assert {row[header.index("F19_estimated_sd")] for row in rows} == {""}
    header, rows = table(tmp_path / "out" / "expression_camera.csv")
    assert rows[2][header.index("mouthSmileLeft")] == "0.2"


def naive_as_of(times, chunks, n_channels):
    out = np.full((len(times), n_channels), np.nan, np.float32)
    for row, t in enumerate(times):
        for chunk in chunks:
            for sample in range(len(chunk.data)):
                age = t - (chunk.t0 + sample / chunk.rate_hz)
                if -1e-9 <= age < 0.05:
                    out[row] = chunk.data[sample]
    return out


def test_as_of_is_the_newest_sample_that_is_not_too_old():
    rng = np.random.default_rng(1)
    chunks, t0 = [], 10.0
    for n in (5, 1, 20, 3, 40):
        chunks.append(Chunk(rng.normal(size=(n, 2)).astype(np.float32), 100.0, t0, 0, "envelope"))
        t0 += n / 100 + (0.3 if n == 20 else 0)
    times = np.concatenate([np.arange(9.9, 11.5, 0.0371), [10.01, 10.05, 9.99]])
    np.testing.assert_array_equal(as_of(times, chunks, 2), naive_as_of(times, chunks, 2))


def test_csv_tables_have_a_row_per_frame_and_named_columns(tmp_path):
    folder = record(tmp_path)
    seen = []
    written = export(folder.path, tmp_path / "out", "csv", seen.append)
    assert {path.name for path in written} == {
        "frames.csv", "envelope.csv", "muscles.csv", "parameters.csv", "events.csv"
    }  # fmt: skip
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in written)
    header, rows = table(tmp_path / "out" / "envelope.csv")
    assert header == ["", *(f"F{i}" for i in range(1, 23))]
    assert [row[0] for row in rows] == [str(i) for i in range(128)]
    assert all(float(cell) >= 0 for row in rows for cell in row[1:] if cell)
    header, rows = table(tmp_path / "out" / "muscles.csv")
    assert [float(row[header.index("F5_percent_mvc")]) for row in rows] == list(range(128))
    assert {row[header.index("zygomaticus_asymmetry")] for row in rows} == {""}
    header, rows = table(tmp_path / "out" / "parameters.csv")
    assert [row[header.index("mouthSmileLeft")] for row in rows[:4]] == ["", "0.001", "", "0.003"]
    header, rows = table(tmp_path / "out" / "frames.csv")
    assert rows[1] == ["1", "2", "0.031250", "1", "1", "device", "1"]
    header, rows = table(tmp_path / "out" / "events.csv")
    assert [row[1] for row in rows] == ["RECORD", "STREAM", "STREAM", "CALIBRATION", "GAP", "GAP", "RECORD"]


def test_csv_without_a_camera_has_rows_at_30_hz(tmp_path):
    folder = record(tmp_path, camera=False)
    export(folder.path, tmp_path / "out", "csv")
    _, rows = table(tmp_path / "out" / "envelope.csv")
    assert len(rows) == 135  # 4.5 s
    empty = [index for index, row in enumerate(rows) if not row[1]]
    assert empty == list(range(62, 75))  # half a second less the 50 ms that a value is carried
    assert not (tmp_path / "out" / "frames.csv").exists()


def test_bids_reads_back_with_every_annotation_and_the_gap(tmp_path):
    import pyedflib

    folder = record(tmp_path, events=200)
    out = tmp_path / "bids"
    written = export(folder.path, out, "bids")
    (bdf,) = out.glob("sub-P01/ses-*/emg/*_emg.bdf")
    assert bdf in written
    with pyedflib.EdfReader(str(bdf)) as reader:
        assert reader.getSignalLabels() == [f"F{i}" for i in range(1, 23)]
        assert set(reader.getSampleFrequencies()) == {4096}
        onsets, durations, texts = reader.readAnnotations()
        signal = reader.readSignal(0)
    assert len(onsets) == 256 + 4  # markers, recording on and off, calibration, gap
    gap = list(texts).index(next(text for text in texts if text.startswith("BAD_gap")))
    assert (onsets[gap], durations[gap]) == (2.0, 0.5)
    begin, end = 2 * 4096, 2 * 4096 + 2048
    assert np.abs(signal[begin:end]).max() < 1e-3
    assert np.abs(signal[end : end + 100]).max() > 10

    sidecar = json.loads(bdf.with_suffix(".json").read_text())
    required = {
        "EMGPlacementScheme", "EMGReference", "SamplingFrequency", "PowerLineFrequency", "RecordingType",
        "SoftwareFilters", "TaskName",
    }  # fmt: skip
    assert required <= sidecar.keys()
    assert (sidecar["SamplingFrequency"], sidecar["PowerLineFrequency"], sidecar["RecordingDuration"]) == (
        4096,
        60,
        4.5,
    )
    lines = bdf.with_name(bdf.name.replace("_emg.bdf", "_channels.tsv")).read_text().splitlines()
    assert lines[0].split("\t")[:3] == ["name", "type", "units"]
    assert lines[20].split("\t") == ["F20", "EMG", "uV", "bipolar", "zygomaticus, left"]
    events = bdf.with_name(bdf.name.replace("_emg.bdf", "_events.tsv")).read_text().splitlines()
    assert events[0].split("\t")[:2] == ["onset", "duration"]
    assert len(events) == 1 + 260
    assert json.loads((out / "dataset_description.json").read_text())["BIDSVersion"].startswith("1.11")
    assert (out / "participants.tsv").read_text() == "participant_id\nsub-P01\n"
    assert not list(out.rglob("*.tmp"))
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in out.rglob("*") if path.is_file())


def test_bids_agrees_with_the_recording_sample_by_sample(tmp_path):
    import pyedflib

    from rt.recording.recorded import recorded_chunks

    folder = record(tmp_path)
    export(folder.path, tmp_path / "bids", "bids")
    chunks = list(recorded_chunks(folder.signals))
    before = np.concatenate([c.data for c in chunks[:64]])
    after = np.concatenate([c.data for c in chunks[64:]])
    expected = np.nan_to_num(np.concatenate([before, np.zeros((2048, 22)), after]))
    (bdf,) = (tmp_path / "bids").rglob("*_emg.bdf")
    with pyedflib.EdfReader(str(bdf)) as reader:
        for channel in range(22):
            np.testing.assert_allclose(reader.readSignal(channel)[: len(expected)], expected[:, channel], atol=2e-4)


def test_what_does_not_read_back_is_no_export(tmp_path, monkeypatch):
    import pyedflib

    folder = record(tmp_path, events=300)
    monkeypatch.setattr(pyedflib.EdfWriter, "set_number_of_annotation_signals", lambda self, number: None)
    with pytest.raises(DataLost, match="annotations"):
        export(folder.path, tmp_path / "bids", "bids")
    assert not list((tmp_path / "bids").rglob("*.bdf"))


def test_refusals_are_one_sentence(tmp_path, monkeypatch):
    folder = record(tmp_path, consent=("emg", "video"), seconds=1)
    with pytest.raises(BadSettings, match="csv, bids"):
        export(folder.path, tmp_path / "out", "xlsx")
    with pytest.raises(BadSettings, match="sharing"):
        export(folder.path, tmp_path / "out", "bids")
    export(folder.path, tmp_path / "out", "csv")
    with pytest.raises(BadSettings, match="nothing is overwritten"):
        export(folder.path, tmp_path / "out", "csv")
    shared = record(tmp_path, seconds=1)
    export(shared.path, tmp_path / "bids", "bids")
    with pytest.raises(BadSettings, match="nothing is overwritten"):
        export(shared.path, tmp_path / "bids", "bids")
    monkeypatch.setitem(sys.modules, "pyedflib", None)
    with pytest.raises(MissingDevice, match="pip install"):
        export(shared.path, tmp_path / "other", "bids")
    os.unlink(shared.path / "signals.xdf")
    with pytest.raises(BadRecording, match="nothing can be exported"):
        export(shared.path, tmp_path / "third", "csv")
