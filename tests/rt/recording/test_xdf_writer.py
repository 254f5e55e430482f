import itertools
import os
import resource
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import pyxdf
from hypothesis import given, settings
from hypothesis import strategies as st

from rt.errors import BadMessage, BadSettings, DataLost
from rt.recording.disk import hash_file
from rt.recording.xdf_format import BOUNDARY_UUID, StreamSpec
from rt.recording.xdf_reader import read_xdf
from rt.recording.xdf_writer import MAX_STRING_BYTES, XdfWriter

EMG = StreamSpec("emg", "EMG", ("F1", "F2", "F3"), ("microvolts",) * 3, rate_hz=4096.0, source_id="amplifier <1>")
EVENTS = StreamSpec("events", "Markers", ("json",), sample_format="string")
FRAMES = StreamSpec("frames", "VideoRaw", ("seq", "index"), sample_format="int32", can_drop_samples=True)
ROW_BYTES = 1 + 8 + 3 * 4


def kill(xdf):
    """What the kernel does to a killed process: no footers, the descriptor and its lock are gone."""
    xdf._sync.close()
    os.close(xdf._fd)


def load(path, **options):
    options = {"synchronize_clocks": False, "dejitter_timestamps": False, **options}
    streams, _ = pyxdf.load_xdf(path, **options)
    return {stream["info"]["name"][0]: stream for stream in streams}


def noise(n, seed=0):
    return np.random.default_rng(seed).normal(0, 50, (n, 3)).astype(np.float32)


def stamps(n, t0=1000.123456789):
    return t0 + np.arange(n) / 4096


@contextmanager
def file_size_limit(size):
    """A real full disk without root: the kernel cuts writes beyond `size` short, then refuses them."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_pyxdf_reads_what_was_written_bit_for_bit(tmp_path):
    path = tmp_path / "signals.xdf"
    data = noise(1000)
    irregular = np.array([3.25, 3.3, 1e6, -7.0])  # a clock may jump and run backwards
    with XdfWriter(path) as xdf:
        for spec in (EMG, EVENTS, FRAMES):
            xdf.add_stream(spec)
        for begin in range(0, 1000, 127):
            xdf.write("emg", stamps(1000)[begin : begin + 127], data[begin : begin + 127])
        xdf.write_text("events", 3.5, '{"kind": "GAP", "text": "ärger < & >"}')
        xdf.write("frames", irregular, np.arange(8, dtype=np.int32).reshape(4, 2))
    found = load(path)
    np.testing.assert_array_equal(found["emg"]["time_series"], data)
    np.testing.assert_array_equal(found["emg"]["time_stamps"], stamps(1000))
    np.testing.assert_array_equal(found["frames"]["time_stamps"], irregular)
    np.testing.assert_array_equal(found["frames"]["time_series"], np.arange(8).reshape(4, 2))
    assert found["events"]["time_series"] == [['{"kind": "GAP", "text": "ärger < & >"}']]
    info = found["emg"]["info"]
    assert info["source_id"] == ["amplifier <1>"]
    assert [c["label"][0] for c in info["desc"][0]["channels"][0]["channel"]] == ["F1", "F2", "F3"]
    assert [c["unit"][0] for c in info["desc"][0]["channels"][0]["channel"]] == ["microvolts"] * 3
    assert found["frames"]["info"]["desc"][0]["synchronization"][0]["can_drop_samples"] == ["true"]
    assert found["emg"]["footer"]["info"]["sample_count"] == ["1000"]
    assert float(found["emg"]["footer"]["info"]["last_timestamp"][0]) == stamps(1000)[-1]


def test_nan_and_infinity_survive(tmp_path):
    data = np.array([[np.nan, np.inf, -np.inf]], np.float32)
    with XdfWriter(tmp_path / "a.xdf") as xdf:
        xdf.add_stream(EMG)
        xdf.write("emg", stamps(1), data)
    np.testing.assert_array_equal(load(tmp_path / "a.xdf")["emg"]["time_series"], data)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 700), max_size=6), dtype=st.sampled_from(["float32", "double64", "int32"]))
def test_any_chunking_of_any_format_reads_back_the_same(tmp_path_factory, cuts, dtype):
    path = tmp_path_factory.mktemp("xdf") / "a.xdf"
    numpy_dtype = {"float32": "f4", "double64": "f8", "int32": "i4"}[dtype]
    data = (noise(700) * 1e3).astype(numpy_dtype)
    edges = [0, *sorted(cuts), 700]
    with XdfWriter(path) as xdf:
        xdf.add_stream(StreamSpec("s", "EMG", ("a", "b", "c"), sample_format=dtype, rate_hz=4096.0))
        for begin, end in itertools.pairwise(edges):  # equal edges are empty chunks, which are legal
            xdf.write("s", stamps(700)[begin:end], data[begin:end])
    (stream,), damage = read_xdf(path)
    assert not damage
    np.testing.assert_array_equal(stream.values, data)
    np.testing.assert_array_equal(stream.stamps, stamps(700))
    np.testing.assert_array_equal(load(path)["s"]["time_series"], data)


def test_a_block_longer_than_a_chunk_may_be_is_cut_into_several(tmp_path, monkeypatch):
    monkeypatch.setattr("rt.recording.xdf_writer.MAX_CHUNK_BYTES", 100 * ROW_BYTES)
    with XdfWriter(tmp_path / "a.xdf") as xdf:
        xdf.add_stream(EMG)
        xdf.write("emg", stamps(1001), noise(1001))
        assert xdf.totals("emg").count == 1001
    np.testing.assert_array_equal(load(tmp_path / "a.xdf")["emg"]["time_series"], noise(1001))


def test_boundaries_each_second_and_clock_offsets_each_five(tmp_path):
    path = tmp_path / "a.xdf"
    time_s = 500.0
    with XdfWriter(path, now=lambda: time_s) as xdf:
        xdf.add_stream(EMG)
        for step in range(320):  # 10 s
            time_s = 500.0 + step / 32
            xdf.write("emg", stamps(128, time_s), noise(128))
    assert path.read_bytes().count(BOUNDARY_UUID) == 10
    found = load(path)["emg"]
    assert found["clock_times"] == [500.0, 505.0]
    assert found["clock_values"] == [0.0, 0.0]


def test_clock_synchronisation_changes_no_stamp(tmp_path):
    path = tmp_path / "a.xdf"
    time_s = 1000.0
    with XdfWriter(path, now=lambda: time_s) as xdf:
        xdf.add_stream(EMG)
        for step in range(640):
            time_s = 1000.0 + step / 32
            xdf.write("emg", stamps(128, time_s), noise(128))
    plain, synchronised = load(path)["emg"], load(path, synchronize_clocks=True)["emg"]
    np.testing.assert_array_equal(synchronised["time_stamps"], plain["time_stamps"])
    pyxdf.load_xdf(path)  # with everything that it does by default


def test_file_is_for_its_owner_only_and_never_overwritten(tmp_path):
    path = tmp_path / "a.xdf"
    old = os.umask(0)
    try:
        XdfWriter(path).close()
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(BadSettings, match="never overwritten"):
        XdfWriter(path)


def test_digest_is_that_of_the_file_also_after_append(tmp_path):
    path = tmp_path / "a.xdf"
    xdf = XdfWriter(path)
    xdf.add_stream(EMG)
    xdf.write("emg", stamps(500), noise(500))
    xdf.close()
    assert xdf.digest() == hash_file(path)
    xdf = XdfWriter.append(path)
    xdf.write("emg", stamps(500, 2000.0), noise(500))
    xdf.close()
    assert xdf.digest() == hash_file(path)


@pytest.mark.parametrize("cut", [1, 3, 17, ROW_BYTES, 128 * ROW_BYTES + 10])
def test_append_cuts_the_incomplete_chunk_and_goes_on_with_the_same_streams(tmp_path, cut):
    path = tmp_path / "a.xdf"
    xdf = XdfWriter(path)
    xdf.add_stream(EMG)
    xdf.add_stream(EVENTS)
    xdf.write_text("events", 1.0, "before")
    for step in range(3):
        xdf.write("emg", stamps(128, step), noise(128, step))
    kill(xdf)
    os.truncate(path, xdf.size - cut)

    with XdfWriter.append(path) as again:
        again.add_stream(EMG)
        again.add_stream(EVENTS)
        assert again.totals("emg").count == 2 * 128
        again.write("emg", stamps(128, 50), noise(128, 50))
        again.write_text("events", 50.0, "after")
    found = load(path)
    assert [stream["info"]["stream_id"] for stream in found.values()] == [1, 2]
    expected = np.concatenate([noise(128, 0), noise(128, 1), noise(128, 50)])
    np.testing.assert_array_equal(found["emg"]["time_series"], expected)
    assert found["events"]["time_series"] == [["before"], ["after"]]
    assert found["emg"]["footer"]["info"]["sample_count"] == ["384"]


def test_append_to_a_closed_file_leaves_one_footer_per_stream(tmp_path):
    path = tmp_path / "a.xdf"
    for _ in range(3):
        with XdfWriter(path) if not path.exists() else XdfWriter.append(path) as xdf:
            xdf.add_stream(EMG)
            xdf.write("emg", stamps(10), noise(10))
    assert path.read_bytes().count(b"<sample_count>") == 1
    assert load(path)["emg"]["footer"]["info"]["sample_count"] == ["30"]


def test_append_refuses_a_stream_that_changed(tmp_path):
    with XdfWriter(tmp_path / "a.xdf") as xdf:
        xdf.add_stream(EMG)
        with pytest.raises(BadSettings, match="start a new recording"):
            xdf.add_stream(StreamSpec("emg", "EMG", ("F2", "F1", "F3"), rate_hz=4096.0))


def test_append_refuses_a_link(tmp_path):
    XdfWriter(tmp_path / "a.xdf").close()
    (tmp_path / "b.xdf").symlink_to(tmp_path / "a.xdf")
    with pytest.raises(BadSettings):
        XdfWriter.append(tmp_path / "b.xdf")


@pytest.mark.parametrize("room", [0, 5, 16, 500])
def test_full_disk_is_one_sentence_and_the_file_stays_readable(tmp_path, room):
    path = tmp_path / "a.xdf"
    xdf = XdfWriter(path)
    xdf.add_stream(EMG)
    xdf.write("emg", stamps(128), noise(128))
    with file_size_limit(xdf.size + room):
        with pytest.raises(DataLost, match="data so far is readable"):
            xdf.write("emg", stamps(128), noise(128))
        with pytest.raises(DataLost, match="nothing is written"):
            xdf.write("emg", stamps(128), noise(128))
        xdf.close()
    assert path.stat().st_size == xdf.size  # truncated to the last whole chunk
    np.testing.assert_array_equal(load(path)["emg"]["time_series"], noise(128))
    assert xdf.digest() == hash_file(path)


def test_what_does_not_fit_is_refused_and_nothing_is_written(tmp_path):
    with XdfWriter(tmp_path / "a.xdf") as xdf:
        xdf.add_stream(EMG)
        xdf.add_stream(EVENTS)
        xdf.add_stream(FRAMES)
        size = xdf.size
        with pytest.raises(BadMessage, match="shape"):
            xdf.write("emg", stamps(4), noise(5))
        with pytest.raises(BadMessage, match="shape"):
            xdf.write("emg", stamps(4), noise(4)[:, :2])
        with pytest.raises(BadMessage, match="convert"):
            xdf.write("frames", stamps(4), noise(4)[:, :2])
        with pytest.raises(BadMessage, match="bytes"):
            xdf.write_text("events", 1.0, "x" * (MAX_STRING_BYTES + 1))
        with pytest.raises(BadMessage, match="write_text"):
            xdf.write("events", stamps(1), noise(1)[:, :1])
        assert xdf.size == size


def test_header_refuses_what_xml_cannot_carry(tmp_path):
    with XdfWriter(tmp_path / "a.xdf") as xdf, pytest.raises(BadSettings, match="control character"):
        xdf.add_stream(StreamSpec("a\x00b", "EMG", ("a",)))
    with pytest.raises(BadSettings, match="unknown sample format"):
        StreamSpec("a", "EMG", ("a",), sample_format="float16")


def test_append_refuses_a_file_that_is_being_written(tmp_path):
    with XdfWriter(tmp_path / "a.xdf") as xdf:
        xdf.add_stream(EMG)
        with pytest.raises(BadSettings, match="stop that session first"):
            XdfWriter.append(tmp_path / "a.xdf")
    XdfWriter.append(tmp_path / "a.xdf").close()


KILLED = """
import sys, numpy as np
from pathlib import Path
from rt.recording.xdf_writer import XdfWriter
from rt.recording.xdf_format import StreamSpec
xdf = XdfWriter(Path(sys.argv[1]))
xdf.add_stream(StreamSpec("emg", "EMG", ("a", "b", "c"), rate_hz=4096.0))
n = 0
while True:
    xdf.write("emg", np.full(128, float(n)), np.full((128, 3), n, np.float32))
    n += 1
    print(n, flush=True)
"""


def test_kill_loses_no_chunk_that_was_written(tmp_path):
    path = tmp_path / "a.xdf"
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    for _ in range(200):
        told = int(child.stdout.readline())
    child.kill()
    told = int((child.stdout.read().split() or [told])[-1])
    child.wait()
    kept = load(path)["emg"]["time_series"]
    assert len(kept) >= told * 128
    np.testing.assert_array_equal(kept[:, 0], np.arange(len(kept)) // 128)
