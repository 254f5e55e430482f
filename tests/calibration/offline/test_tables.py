"""Tables: MMM's names and form, every reader of numbers can read them, and nothing guessed looks measured."""

import io
import json

import numpy as np
import pytest

from calibration.data.mmm_layout import EMG_COLUMNS, column_groups
from calibration.offline.rows import RowsSettings, RowsSink
from calibration.offline.tables import Table, choose_formats, csv_bytes, parquet_bytes, tables_of
from engines.emg.montage import FRIDLUND
from engines.face.blendshapes import BLENDSHAPES
from rt.errors import BadSettings
from rt.message import Estimate, Expression, Face, Muscles, Parameters
from rt.stage import Context

CHANNELS = len(FRIDLUND)
RAMP = np.arange(CHANNELS, dtype=np.float32)
ORDER = [FRIDLUND.column(name) for name in EMG_COLUMNS]


def parameters(seq, face=True, muscles=True):
    t = 5.0 + seq / 30
    seen = Face(np.zeros((478, 2), np.float32), np.full(52, seq / 10, np.float32)) if face else None
    nothing = np.full(CHANNELS, np.nan, np.float32)
    contact = np.full(CHANNELS, 3, np.uint8)
    said = Muscles(t, RAMP + seq, RAMP * 2, np.zeros(11, np.float32), contact, nothing, nothing, nothing)
    crop = np.arange(6, dtype=np.float32).reshape(2, 3)
    return Parameters(seq, t, seen, said if muscles else None, crop if face else None, face)


def rows_of(*messages, emg=True):
    sink = RowsSink(RowsSettings(emg), Context("rows"))
    for message in messages:
        port = {Parameters: "params", Expression: "expression", Estimate: "estimate"}[type(message)]
        assert list(sink.process(port, message)) == []
    return sink


def tables(sink, synthetic=False):
    return tables_of(sink.columns(), sink.profiles, synthetic)


def read(table):
    lines = io.StringIO(csv_bytes(table).decode())
    header = lines.readline().rstrip("\n").split(",")
    return header, np.loadtxt(lines, delimiter=",", ndmin=2)


def test_measured_muscles_have_the_columns_order_and_form_of_mmm():
    found = tables(rows_of(parameters(0), parameters(1, muscles=False), parameters(2)))
    header, values = read(found["emg"])
    assert header == ["", *EMG_COLUMNS]
    assert values[:, 0].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(values[0, 1:], RAMP[ORDER])
    assert np.isnan(values[1, 1:]).all()
    assert values[2, 1 + EMG_COLUMNS.index("Zygomaticus_r")] == FRIDLUND.column("zygomaticus_right") + 2
    header, values = read(found["muscles"])
    assert values[0, header.index("F5_percent_mvc")] == 8
    assert values[0, header.index("F5_contact")] == 3


def test_blendshapes_have_the_columns_of_mmm_and_a_lost_face_is_nan():
    found = tables(rows_of(parameters(0), parameters(1, face=False)), synthetic=True)
    header, values = read(found["mediapipe"])
    assert column_groups("MediaPipe", header)["blendshapes"] == list(range(52))
    assert np.isnan(values[1]).all()
    header, values = read(found["frames"])
    assert values[:, header.index("face")].tolist() == [1, 0]
    assert values[:, header.index("synthetic")].tolist() == [1, 1]
    assert values[0, header.index("crop_from_frame_12")] == 5
    assert np.isnan(values[1, header.index("crop_from_frame_12")])


def test_what_networks_say_comes_into_the_row_of_its_picture_before_or_after_it():
    def camera(seq):
        return Expression(5 + seq / 30, np.full(52, seq + 0.5, np.float32), "arkit52", "camera", seq)

    def guess(seq):
        return Estimate(5 + seq / 30, RAMP + 100 * seq, np.full(CHANNELS, np.nan, np.float32), seq)

    sink = rows_of(parameters(0), camera(0), guess(0), camera(1), guess(1), parameters(1), parameters(2))
    found = tables(sink)
    header, values = read(found["expression_camera"])
    assert tuple(header) == BLENDSHAPES
    np.testing.assert_array_equal(values[:, 3], [0.5, 1.5, np.nan])
    header, values = read(found["estimated_muscles"])
    assert header[0] == ""
    assert not set(header) & set(EMG_COLUMNS)  # never taken for a measurement
    np.testing.assert_array_equal(values[1, 1 : 1 + CHANNELS], (RAMP + 100)[ORDER])
    assert header[1 + CHANNELS] == f"{EMG_COLUMNS[0]}_estimated_sd"
    assert "not measured" in found["estimated_muscles"].unit


def test_what_muscles_say_is_the_newest_that_is_not_too_old():
    def driven(t):
        return Expression(t, np.full(55, t, np.float32), "flame55", "emg")

    sink = rows_of(driven(4.99), parameters(0), parameters(1), parameters(2), driven(5.08), parameters(3))
    header, values = read(tables(sink)["expression_emg"])
    assert header[0] == "exp_0"
    assert header[-1] == "jaw_2"
    np.testing.assert_allclose(values[:, 0], [4.99, 4.99, np.nan, 5.08], rtol=1e-6)


def test_without_emg_there_are_no_empty_muscles():
    assert set(tables(rows_of(parameters(0, muscles=False), emg=False))) == {"frames", "mediapipe"}


def test_a_table_is_always_the_same_bytes():
    table = Table({"n": np.array([1, 2]), "v": np.array([-0.0, 1 / 3], np.float32)}, "1")
    assert csv_bytes(table) == b",n,v\n0,1,0\n1,2,0.3333333\n"
    assert csv_bytes(Table(table.columns, "1", indexed=False)) == b"n,v\n1,0\n2,0.3333333\n"


def test_parquet_holds_the_same_numbers_with_their_times_and_says_what_they_are():
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    table = Table({"a": np.array([1.5, np.nan], np.float32)}, "microvolt")
    content = parquet_bytes(table, np.array([0.0, 1 / 30]), {"synthetic": True})
    assert content == parquet_bytes(table, np.array([0.0, 1 / 30]), {"synthetic": True})
    found = parquet.read_table(pyarrow.BufferReader(content))
    assert found.column_names == ["frame", "t_s", "a"]
    assert found["a"].to_pylist() == [1.5, None]
    assert found["t_s"].to_pylist() == [0.0, 1 / 30]
    assert json.loads(found.schema.metadata[b"myomirror"]) == {"synthetic": True}
    assert found.schema.metadata[b"unit"] == b"microvolt"


def test_formats(monkeypatch):
    assert choose_formats("csv") == ("csv",)
    with pytest.raises(BadSettings, match="no format 'xlsx': choose csv or parquet"):
        choose_formats("csv,xlsx")
    monkeypatch.setattr("calibration.offline.tables.importlib.util.find_spec", lambda name: None)
    assert choose_formats("") == ("csv",)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(BadSettings, match=r"pyarrow is needed to write Parquet: pip install 'myomirror\[process\]'"):
        choose_formats("parquet")
