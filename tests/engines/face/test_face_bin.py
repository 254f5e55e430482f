"""The file of the small face: what is written is read, and what is not a face is refused."""

import struct
from dataclasses import replace

import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.face_bin import HEADER, FaceBin, decode_face, encode_face


def small_face(vertices=7, channels=3):
    rng = np.random.default_rng(2)
    counts = np.array([3, 0, 2])
    shapes = np.stack([[1e-3, 1.0, 2e-3], np.cumsum(counts) - counts, counts], 1).astype(np.float32)
    return FaceBin(
        unit_cm=5e-4,
        full_percent=100.0,
        skin=5,
        positions=rng.integers(-32767, 32767, (vertices, 3)).astype(np.int16),
        colours=rng.integers(0, 255, (vertices, 4)).astype(np.uint8),
        triangles=rng.integers(0, vertices, (9, 3)).astype(np.uint16),
        eyes=np.array([[5, 2, 3.1, 3.6, 8.0, 1]], np.float32),
        shapes=shapes,
        moved=np.array([0, 3, 6, 1, 2], np.uint16),
        moves=rng.integers(-32767, 32767, (5, 3)).astype(np.int16),
        heat=rng.integers(0, 85, (5, channels)).astype(np.uint8),
        scale=rng.integers(0, 255, (11, 3)).astype(np.uint8),
    )


def test_the_header_is_as_documented():
    data = encode_face(small_face())
    assert HEADER.size == 48
    assert data[:4] == b"MYOF"
    found = struct.unpack_from("<HHff8I", data, 4)
    assert found[:2] == (1, 1)
    assert found[2:4] == (pytest.approx(5e-4), 100.0)
    assert found[4:] == (7, 5, 9, 3, 3, 5, 11, 0)
    assert len(data) % 4 == 0


def test_what_is_written_is_read():
    face = small_face()
    again = decode_face(encode_face(face))
    for name in ("positions", "colours", "triangles", "eyes", "shapes", "moved", "moves", "heat", "scale"):
        np.testing.assert_array_equal(getattr(again, name), getattr(face, name))
    assert (again.skin, again.full_percent) == (5, 100.0)


def test_shapes_add_up():
    face = small_face()
    expected = face.positions * np.float64(5e-4)
    for k in range(3):
        expected[face.moved[k]] += 0.25 * 1e-3 * face.moves[k]
    for k in (3, 4):
        expected[face.moved[k]] += 0.5 * 2e-3 * face.moves[k]
    np.testing.assert_allclose(face.vertices([0.25, 1, 0.5]), expected, atol=1e-5)
    with pytest.raises(BadInput, match="3 shapes"):
        face.vertices([1.0])


@pytest.mark.parametrize("cut", [0, 20, 47, 48, 100, -4])
def test_what_is_cut_short_is_refused(cut):
    with pytest.raises(BadInput, match=r"header alone|cut short"):
        decode_face(encode_face(small_face())[:cut])


def test_other_versions_and_other_files_are_refused():
    data = bytearray(encode_face(small_face()))
    data[4] = 9
    with pytest.raises(BadInput, match="not a face of version 1"):
        decode_face(bytes(data))
    with pytest.raises(BadInput, match="not a face of version 1"):
        decode_face(b"\x89PNG" + bytes(60))


def test_too_many_vertices_are_refused():
    many = replace(small_face(), positions=np.zeros((70_000, 3), np.int16))
    with pytest.raises(BadInput, match="at most 65535 vertices, found 70000"):
        encode_face(many)
