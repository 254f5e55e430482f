import csv
import gzip

import numpy as np
import pytest
import pyxdf

from calibration.cohort_signals import ClipEmg
from calibration.cohort_tables import index_bytes, json_bytes, write_blendshapes, write_envelope, write_new, write_raw
from calibration.data.mmm_layout import EMG_COLUMNS
from engines.emg.artefacts import LeadOff
from engines.emg.montage import FRIDLUND
from engines.face.blendshapes import BLENDSHAPES


def test_an_envelope_is_written_as_the_data_set_writes_it(tmp_path):
    envelope_uv = np.arange(44, dtype=np.float32).reshape(2, 22) / 7
    write_envelope(tmp_path / "a.csv", envelope_uv)
    with (tmp_path / "a.csv").open(newline="") as lines:
        header, *rows = csv.reader(lines)
    assert header == ["", *EMG_COLUMNS]
    assert [row[0] for row in rows] == ["0", "1"]
    for name, text in zip(EMG_COLUMNS, rows[1][1:], strict=True):
        assert float(text) == pytest.approx(envelope_uv[1, FRIDLUND.column(name)], rel=1e-5)


def test_parameters_are_packed_and_named(tmp_path):
    shown = np.random.default_rng(0).random((3, 52))
    for name in ("a.gz", "b.gz"):
        write_blendshapes(tmp_path / name, shown)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    with gzip.open(tmp_path / "a.gz", "rt", newline="") as lines:
        header, *rows = csv.reader(lines)
    assert tuple(header) == BLENDSHAPES
    np.testing.assert_allclose(np.array(rows, float), shown, atol=6e-6)


def test_raw_emg_opens_in_pyxdf_with_its_frames_and_what_went_wrong(tmp_path):
    rng = np.random.default_rng(0)
    raw_s = np.concatenate([np.arange(-4096, 0), np.arange(100, 4096)]) / 4096.0  # a gap of 100 samples
    emg = ClipEmg(raw_s, rng.normal(0, 20, (len(raw_s), 22)).astype(np.float32), np.zeros((30, 22)), np.zeros((30, 22)))
    for name in ("a.xdf", "b.xdf"):
        write_raw(tmp_path / name, "Snarl", 30, emg, (LeadOff(21.0, 2.0, "F3"),), 20.0)
    assert (tmp_path / "a.xdf").read_bytes() == (tmp_path / "b.xdf").read_bytes()
    streams, _ = pyxdf.load_xdf(tmp_path / "a.xdf", dejitter_timestamps=False)
    found = {stream["info"]["name"][0]: stream for stream in streams}
    np.testing.assert_array_equal(found["emg"]["time_series"], emg.raw_uv)
    np.testing.assert_allclose(found["emg"]["time_stamps"], 2 + raw_s)
    labels = [c["label"][0] for c in found["emg"]["info"]["desc"][0]["channels"][0]["channel"]]
    assert tuple(labels) == FRIDLUND.labels
    assert found["emg"]["info"]["desc"][0]["origin"] == ["synthetic"]
    np.testing.assert_allclose(found["frames"]["time_stamps"], 2 + np.arange(30) / 30)
    assert found["frames"]["time_series"][:, 0].tolist() == list(range(30))
    texts = [text for (text,) in found["events"]["time_series"]]
    assert "Snarl" in texts[0]
    assert "LeadOff" in texts[1]
    np.testing.assert_allclose(found["events"]["time_stamps"], [2.0, 3.0])


def test_new_files_are_new_and_the_owners(tmp_path):
    write_new(tmp_path / "a", b"first")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"


def test_an_index_is_a_csv_with_these_columns():
    assert index_bytes(["a", "b"], [{"a": "1", "b": "x,y"}]) == b'a,b\n1,"x,y"\n'
    with pytest.raises(ValueError, match="not in fieldnames"):
        index_bytes(["a"], [{"a": "1", "c": "2"}])


def test_json_ends_with_a_line():
    assert json_bytes({"b": 1, "a": "ü"}) == '{\n "b": 1,\n "a": "ü"\n}\n'.encode()
