import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import pyxdf
from hypothesis import given, settings
from hypothesis import strategies as st

from rt.errors import BadRecording
from rt.recording.xdf_format import MAGIC, StreamSpec, Tag, chunk_bytes, header_xml
from rt.recording.xdf_reader import read_xdf, survey, walk
from rt.recording.xdf_writer import XdfWriter

PUBLIC = sorted((Path(os.environ.get("MYOMIRROR_DATA", "/nowhere")) / "xdf").glob("*.xdf"))
SPEC = StreamSpec("emg", "EMG", ("a", "b"), rate_hz=100.0)
HEADER = chunk_bytes(Tag.STREAM_HEADER, struct.pack("<I", 1) + header_xml(SPEC))


def samples_chunk(n, stamp=5.0):
    """Samples as other writers make them: only the first one carries a stamp."""
    rows = b"".join((struct.pack("<Bd", 8, stamp) if i == 0 else b"\0") + struct.pack("<ff", i, -i) for i in range(n))
    return chunk_bytes(Tag.SAMPLES, struct.pack("<IBB", 1, 1, n) + rows)


def recorded(path, seconds=4):
    """A file of ours with a boundary each second: 8 chunks of 16 samples per second, then no footers."""
    time_s = 0.0
    xdf = XdfWriter(path, now=lambda: time_s)
    xdf.add_stream(SPEC)
    for step in range(seconds * 8):
        time_s = step / 8
        xdf.write("emg", time_s + np.arange(16) / 128, np.full((16, 2), step, np.float32))
    xdf._sync.close()
    return path


@pytest.mark.skipif(not PUBLIC, reason="MYOMIRROR_DATA/xdf is not there")
@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: path.stem)
def test_public_files_read_as_pyxdf_reads_them(path):
    expected, _ = pyxdf.load_xdf(path, dejitter_timestamps=False, synchronize_clocks=False)
    streams, damage = read_xdf(path)
    assert not damage
    assert [s.stream_id for s in streams] == [s["info"]["stream_id"] for s in expected]
    for ours, theirs in zip(streams, expected, strict=True):
        assert ours.spec.name == theirs["info"]["name"][0]
        assert ours.spec.rate_hz == float(theirs["info"]["nominal_srate"][0])
        np.testing.assert_array_equal(ours.stamps, theirs["time_stamps"])
        if ours.spec.sample_format == "string":
            assert [list(row) for row in ours.values] == theirs["time_series"]
        else:
            np.testing.assert_array_equal(ours.values, theirs["time_series"])
        assert [o.time_s for o in ours.clock_offsets] == theirs["clock_times"]
        assert [o.offset_s for o in ours.clock_offsets] == theirs["clock_values"]


def test_stamps_left_out_are_rebuilt_as_pyxdf_does(tmp_path):
    path = tmp_path / "a.xdf"
    path.write_bytes(MAGIC + HEADER + samples_chunk(7) + samples_chunk(200, 9.0))
    (ours,), damage = read_xdf(path)
    (theirs,), _ = pyxdf.load_xdf(path, dejitter_timestamps=False, synchronize_clocks=False)
    assert not damage
    np.testing.assert_array_equal(ours.stamps, theirs["time_stamps"])
    np.testing.assert_array_equal(ours.values, theirs["time_series"])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_file_cut_anywhere_keeps_every_whole_chunk(tmp_path_factory, data):
    path = recorded(tmp_path_factory.mktemp("xdf") / "a.xdf")
    ends = [end for end, _ in walk(path)]
    size = data.draw(st.integers(len(MAGIC), path.stat().st_size))
    os.truncate(path, size)
    whole = max([end for end in ends if end <= size], default=len(MAGIC))
    found = survey(path)
    assert found.whole_until == whole
    assert [d.size for d in found.damage] == ([size - whole] if size > whole else [])


def test_damage_in_the_middle_costs_at_most_the_second_to_the_next_boundary(tmp_path):
    path = recorded(tmp_path / "a.xdf")
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(bytes(40))
    (stream,), damage = read_xdf(path)
    steps = set(stream.values[:, 0].astype(int))
    lost = set(range(32)) - steps
    assert damage
    assert 0 < len(lost) <= 8
    assert survey(path).whole_until == path.stat().st_size


def test_zeros_at_the_end_after_a_power_cut_are_damage(tmp_path):
    path = recorded(tmp_path / "a.xdf")
    size = path.stat().st_size
    os.truncate(path, size + 5000)
    found = survey(path)
    assert (found.whole_until, found.damage[0].size) == (size, 5000)


@pytest.mark.parametrize(
    "hostile",
    [
        struct.pack("<BQH", 8, 1 << 62, Tag.SAMPLES),  # a chunk of exabytes
        struct.pack("<BIH", 4, 0xFFFFFFFF, Tag.SAMPLES),
        chunk_bytes(Tag.SAMPLES, struct.pack("<IBQ", 1, 8, 1 << 60)),  # samples without end
        chunk_bytes(Tag.SAMPLES, struct.pack("<IBI", 1, 4, 1 << 31) + b"\0" * 100),
        chunk_bytes(Tag.SAMPLES, struct.pack("<IBB", 77, 1, 1)),  # no such stream
        chunk_bytes(Tag.SAMPLES, b"\1"),
        chunk_bytes(Tag.SAMPLES, struct.pack("<IBB", 1, 1, 0) + b"left over"),
        chunk_bytes(
            Tag.STREAM_HEADER, struct.pack("<I", 2) + header_xml(SPEC).replace(b"count>2<", b"count>999999999<")
        ),
        chunk_bytes(Tag.STREAM_HEADER, struct.pack("<I", 2) + b"<!DOCTYPE a [<!ENTITY b 'c'>]><info/>"),
        chunk_bytes(Tag.STREAM_HEADER, struct.pack("<I", 2) + b"<info><name>"),
        chunk_bytes(Tag.STREAM_HEADER, struct.pack("<I", 1) + header_xml(SPEC)),  # a second header
        chunk_bytes(99, b"unknown"),
        bytes(64),
    ],
)
def test_hostile_bytes_are_damage_and_cost_no_memory(tmp_path, hostile):
    path = tmp_path / "a.xdf"
    path.write_bytes(MAGIC + HEADER + samples_chunk(3) + hostile)
    tracemalloc.start()
    try:
        (stream,), damage = read_xdf(path)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert len(stream.stamps) == 3
    assert len(damage) == 1


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_never_crash_the_reader(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("xdf") / "a.xdf"
    path.write_bytes(MAGIC + HEADER + content)
    streams, _ = read_xdf(path)
    assert streams[0].spec.name == "emg"


def test_no_xdf_file_is_one_sentence(tmp_path):
    (tmp_path / "a.xdf").write_bytes(b"RIFF")
    with pytest.raises(BadRecording, match="does not begin with 'XDF:'"):
        read_xdf(tmp_path / "a.xdf")
    with pytest.raises(BadRecording, match="cannot be opened"):
        survey(tmp_path / "missing.xdf")
