"""The packet's bytes and what a page may say, without a server."""

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt.errors import BadMessage
from rt.web import protocol
from rt.web.protocol import Ack, Flags, Packet, Visible, Wish

BLOCKS = ("estimate_percent", "estimate_spread", "expression", "expression_emg")


def said(*names: str, channels: int = 22) -> dict[str, Any]:
    """Those blocks of a packet, and when they were said."""
    random = np.random.default_rng(8)
    sizes = dict(zip(BLOCKS, (channels, channels, 52, 52), strict=True))
    found: dict[str, Any] = {name: random.random(sizes[name], np.float32) for name in names}
    return {**found, "t_expression": 1.125, "t_expression_emg": 1.375}


def packet(jpeg: bytes = b"picture", channels: int = 22, pairs: int = 11, **blocks: Any) -> Packet:
    random = np.random.default_rng(7)
    percent = random.uniform(0, 120, channels).astype(np.float32)
    percent[::5] = np.nan
    return Packet(
        4_000_000_000, Flags.FRAME | Flags.EMG | Flags.RAW, 2**40, 1.25, 1.5, random.random(channels, np.float32),
        percent, random.uniform(-100, 100, pairs).astype(np.float32), np.arange(channels, dtype=np.uint8) % 4, jpeg,
        **blocks,
    )  # fmt: skip


@pytest.mark.parametrize("jpeg", [b"", b"x", b"picture" * 1000])
@pytest.mark.parametrize(("channels", "pairs"), [(0, 0), (1, 0), (22, 11), (18, 8)])
def test_packet_comes_back_as_it_was(jpeg, channels, pairs):
    given_, found = packet(jpeg, channels, pairs), None
    found = protocol.decode_packet(protocol.encode_packet(given_, 2.0))
    for name in ("packet_id", "flags", "frame_seq", "t_capture", "t_emg"):
        assert getattr(found, name) == getattr(given_, name)
    for name in ("envelope_uv", "percent_mvc", "asymmetry", "contact"):
        np.testing.assert_array_equal(getattr(found, name), getattr(given_, name))
    assert bytes(found.jpeg) == jpeg


@pytest.mark.parametrize("names", [(), BLOCKS, ("estimate_percent",), ("expression",), ("expression_emg",)])
@pytest.mark.parametrize("channels", [22, 18])
def test_what_networks_say_comes_back_as_it_was_and_is_empty_where_nothing_says_it(names, channels):
    given_ = packet(channels=channels, **said(*names, channels=channels))
    found = protocol.decode_packet(protocol.encode_packet(given_, 2.0))
    for name in BLOCKS:
        np.testing.assert_array_equal(getattr(found, name), getattr(given_, name))
        assert len(getattr(found, name)) == (0 if name not in names else 52 if "expression" in name else channels)
    assert (found.t_expression, found.t_expression_emg) == (1.125, 1.375)
    np.testing.assert_array_equal(found.contact, given_.contact)
    assert bytes(found.jpeg) == b"picture"


def test_where_the_face_is_comes_back_as_it_was():
    landmarks = np.random.default_rng(9).uniform(-20, 640, (468, 2)).astype(np.float32)
    given_ = packet(landmarks_px=landmarks, **said(*BLOCKS))
    data = protocol.encode_packet(given_, 2.0)
    assert struct.unpack_from("<I", data, 60)[0] == 936
    assert struct.unpack_from("<ff", data, 80 + 4 * (22 + 22 + 11 + 22 + 22 + 52 + 52)) == tuple(landmarks[0])
    found = protocol.decode_packet(data)
    np.testing.assert_array_equal(found.landmarks_px, landmarks)
    np.testing.assert_array_equal(found.expression_emg, given_.expression_emg)
    assert bytes(found.jpeg) == b"picture"
    assert protocol.decode_packet(protocol.encode_packet(packet(), 2.0)).landmarks_px.size == 0


@pytest.mark.parametrize(
    ("name", "size"), [("estimate_percent", 21), ("estimate_spread", 1), ("expression", 55), ("landmarks_px", 478)]
)
def test_a_block_of_another_size_is_refused(name, size):
    with pytest.raises(BadMessage, match=f"{name} has (22|52|936) values or none, found {size}"):
        protocol.encode_packet(packet(**{name: np.zeros(size, np.float32)}), 0.0)


def test_packet_lies_as_the_table_in_the_docstring_says():
    data = protocol.encode_packet(packet(**said(*BLOCKS)), 2.0)
    assert struct.unpack_from("<I", data, 0)[0] == 0x504F594D
    assert data[:4] == b"MYOP"
    assert struct.unpack_from("<HH", data, 4) == (3, int(Flags.FRAME | Flags.EMG | Flags.RAW))
    assert struct.unpack_from("<IHH", data, 8) == (4_000_000_000, 22, 11)
    assert struct.unpack_from("<ddd", data, 16) == (1.25, 1.5, 2.0)
    assert struct.unpack_from("<QI", data, 40) == (2**40, 7)
    assert struct.unpack_from("<HHHHIdd", data, 52) == (22, 22, 52, 52, 0, 1.125, 1.375)
    assert struct.unpack_from("<f", data, 80)[0] == packet().envelope_uv[0]
    first = 80 + 4 * (22 + 22 + 11)
    for name, before in zip(BLOCKS, (0, 22, 44, 96), strict=True):
        assert struct.unpack_from("<f", data, first + 4 * before)[0] == said(*BLOCKS)[name][0]
    assert protocol.sent_at(data) == 2.0
    assert data.endswith(b"picture")


def test_the_browsers_twin_has_the_same_numbers():
    text = (Path(protocol.__file__).parent / "static" / "protocol.js").read_text()
    for flag in Flags:
        assert f"{flag.name} = {flag.value}" in text
    assert f"HEADER_BYTES = {protocol.HEADER.size};" in text
    assert f"MAGIC = {protocol.MAGIC:#x};" in text
    assert f"VERSION = {protocol.VERSION};" in text


@pytest.mark.parametrize("cut", [0, 10, 79, 80, 200])
def test_cut_packet_is_refused(cut):
    with pytest.raises(BadMessage):
        protocol.decode_packet(protocol.encode_packet(packet(), 0.0)[:cut])


def test_arrays_that_do_not_fit_each_other_are_refused():
    wrong = packet()
    wrong = Packet(0, Flags(0), 0, 0, 0, wrong.envelope_uv, wrong.percent_mvc[:-1], wrong.asymmetry, wrong.contact)
    with pytest.raises(BadMessage, match="22"):
        protocol.encode_packet(wrong, 0.0)


def test_text_has_null_for_what_is_not_a_number():
    found = json.loads(protocol.encode_text("status", protocol.Status(photon_to_pixel_ms={"p50": math.nan})))
    assert found["type"] == "status"
    assert found["photon_to_pixel_ms"] == {"p50": None}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('{"ack": 3, "drawn": true, "draw_ms": 4.5}', Ack(3, True, 4.5)),
        ('{"ack": 0, "drawn": false, "draw_ms": 0}', Ack(0, False, 0.0)),
        ('{"visible": false}', Visible(False)),
        ('{"command": "stop"}', Wish("stop", None)),
        ('{"command": "view", "value": "practise"}', Wish("view", "practise")),
        ('{"command": "view", "value": "beside"}', Wish("view", "beside")),
        ('{"command": "side", "value": "left"}', Wish("side", "left")),
        ('{"command": "target", "value": "pixel-sad"}', Wish("target", "pixel-sad")),
        ('{"command": "amount", "value": 1}', Wish("amount", 1)),
        ('{"command": "restore", "value": "edit"}', Wish("restore", "edit")),
        ('{"command": "record", "value": true}', Wish("record", True)),
        ('{"command": "marker", "value": "smile 3"}', Wish("marker", "smile 3")),
    ],
)
def test_what_a_page_says_is_understood(text, meant):
    assert protocol.parse_incoming(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "", "no json", "[]", "3", "null", "{}", "[" * 2000, '{"visible": 1}', '{"ack": 1}',
        '{"ack": -1, "drawn": true}', '{"ack": true, "drawn": true}', '{"ack": 4294967296, "drawn": true}',
        '{"ack": 1, "drawn": true, "draw_ms": 1e999}', '{"ack": 1, "drawn": true, "draw_ms": ' + "9" * 400 + "}",
        '{"command": "rm"}', '{"command": ["stop"]}', '{"command": "stop", "value": 1}',
        '{"command": "amount", "value": NaN}', '{"command": "amount", "value": 1.01}',
        '{"command": "amount", "value": true}', '{"command": "view", "value": "mri"}',
        '{"command": "side", "value": "up"}', '{"command": "side", "value": null}',
        '{"command": "target", "value": ""}', '{"command": "target", "value": 3}',
        '{"command": "target", "value": "' + "x" * 65 + '"}',
        '{"command": "restore", "value": "camera"}', '{"command": "restore", "value": ["raw"]}',
        '{"command": "record", "value": 1}', '{"command": "marker", "value": ""}',
        '{"command": "marker", "value": "a\\nb"}', '{"command": "marker", "value": "' + "x" * 121 + '"}',
    ],
)  # fmt: skip
def test_what_no_page_says_is_refused(text):
    with pytest.raises(BadMessage):
        protocol.parse_incoming(text)


@given(st.text(max_size=200))
def test_no_text_does_anything_but_parse_or_refuse(text):
    try:
        protocol.parse_incoming(text)
    except BadMessage:
        return
