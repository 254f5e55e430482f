"""Everything that travels arrives as it was sent; whatever else arrives is refused with BadMessage, never a crash."""

import json
import math
import struct
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rt.errors import BadMessage
from rt.message import (
    Chunk,
    Crop,
    Estimate,
    Event,
    Expression,
    Face,
    Frame,
    Frontal,
    Guidance,
    Hop,
    Message,
    Motion,
    MotionState,
    Muscles,
    Parameters,
    Quality,
    Restored,
    Slot,
)
from rt.wire import MAX_MESSAGE_BYTES, decode, encode, peek

_HEADER = struct.Struct("<4sBBQd")
_DTYPES = [np.uint8, np.int8, np.bool_, np.int32, np.int64, np.uint32, np.uint64, np.float32, np.float64]


def no_picture(slot, shape):
    raise AssertionError("there is no ring here")


def over_the_wire(message, picture=no_picture):
    return decode([bytes(part) for part in encode(message, 7, 1.5)], picture)


def same(a, b):
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, Message):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, float) and math.isnan(a):
        return math.isnan(b)
    return a == b


FACE = Face(np.random.default_rng(1).random((478, 2), np.float32), np.zeros(52, np.float32))
CROP = Crop(np.full((8, 8, 3), 7, np.uint8), np.eye(2, 3, dtype=np.float32), True)
MUSCLES = Muscles(
    3.25,
    *(np.array([1.0, np.nan, -0.0], np.float32) for _ in range(2)),
    np.array([np.nan], np.float32),
    np.array([0, 1, 2], np.uint8),
    *(np.array([np.nan, 1.0, np.inf], np.float32) for _ in range(3)),
    reference="%MVC of today – Ω",
)
IMAGE = np.random.default_rng(2).integers(0, 256, (6, 5, 3), np.uint8)
FRAME = Frame(
    12, 1e6 + 1 / 3, "device", IMAGE, FACE, CROP, MUSCLES, True, (Hop("camera", 1.0, 2.0), Hop("b", 2.0, 3.0))
)
RESTORED = Restored(CROP.image, CROP.image + 1, np.full((8, 8), 255, np.uint8))
MOTION = Motion(
    4.5, MotionState.TURNED, np.array([30, 1, np.nan, 30], np.float32), 25.0, 0.25, *(np.zeros(3, np.float32),) * 2, 12
)
MESSAGES = [
    MOTION,
    Frontal(MOTION, np.arange(200, dtype=np.uint8), np.linspace(0, 1, 52, dtype=np.float32)),
    Frontal(MOTION, np.empty(0, np.uint8), np.empty(0, np.float32)),
    Guidance(4.5, {"phase": "review", "steps": [{"title": "Smile"}], "closer_db": None}, np.arange(9, dtype=np.uint8)),
    Expression(4.5, np.linspace(0, 1, 52, dtype=np.float32), "arkit52", "camera", 12),
    Estimate(4.5, np.array([3.0, np.nan], np.float32), np.array([1.0, np.nan], np.float32), 12),
    FACE,
    CROP,
    RESTORED,
    replace(FRAME, removal="restored", restored=RESTORED),
    MUSCLES,
    FRAME,
    Frame(0, 0.0, "host", np.empty((0, 0, 3), np.uint8)),
    Parameters(3, 1.0, FACE, MUSCLES, CROP.crop_from_frame, False),
    Parameters(3, 1.0, None, None, None, True),
    Chunk(np.arange(12, dtype=np.float32).reshape(4, 3), 4096.0, 5.5, 2**40, "envelope", 0.25, "chain"),
    Chunk(np.empty((0, 22), np.float32), 4096.0, math.nan, 0),
    Quality(1.0, *(np.zeros(22, np.uint8) for _ in range(3)), np.full(22, np.nan, np.float32)),
    Event(1.0, "MARKER", "page", "said „now“", {"~": "Frame", "@": 3, "#": [1], "=": "x", "n": [1, None, {"~": 2}]}),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_arrives_as_it_was_sent(message):
    assert same(over_the_wire(message), message)


def test_header_alone_says_number_time_and_end():
    assert peek(encode(FRAME, 41, 2.5)[0]) == (41, 2.5, False)
    assert peek(encode(None, 42, 3.5)[0]) == (42, 3.5, True)


def test_arrays_arrive_read_only_and_without_a_copy():
    parts = [bytearray(part) for part in encode(next(m for m in MESSAGES if isinstance(m, Chunk)), 1, 0.0)]
    data = decode(parts, no_picture).data
    with pytest.raises(ValueError, match="read-only"):
        data[0, 0] = 1
    parts[1][:4] = np.float32(99).tobytes()
    assert data[0, 0] == 99


def test_a_picture_in_a_ring_travels_as_its_address():
    slot = Slot("camera.frame", 3, 17)
    parts = encode(replace(FRAME, slot=slot), 1, 0.0)
    assert not any(IMAGE.tobytes() in bytes(part) for part in parts)
    asked = []

    def picture(*where):
        asked.append(where)
        return IMAGE

    arrived = decode([bytes(p) for p in parts], picture)
    assert asked == [(slot, IMAGE.shape)]
    assert arrived.slot == slot
    assert arrived.image is IMAGE


BARE = [
    Frame(7, 1e6 + 1 / 3, stamp, IMAGE, practise=practise, trace=trace, slot=Slot("camera.frame", 3, 2**40))
    for stamp in ("host", "device", "clock")
    for practise in (False, True)
    for trace in ((), (Hop("camera", 1.5, 2.5), Hop("Ω", 2.5, 3.5)))
]


@pytest.mark.parametrize("frame", BARE)
def test_a_picture_of_which_nothing_is_known(frame):
    """The camera's own messages, which have a shorter form on the wire."""
    arrived = over_the_wire(frame, lambda slot, shape: IMAGE)
    assert same(arrived, frame)
    assert type(arrived.practise) is bool


def test_what_was_done_about_electrodes_has_no_place_in_the_short_form():
    told = replace(BARE[0], removal="raw")
    assert same(over_the_wire(told, lambda slot, shape: IMAGE), told)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_to_its_short_form(data):
    part = bytearray(encode(BARE[1], 1, 0.0)[0])
    for _ in range(data.draw(st.integers(1, 4))):
        part[data.draw(st.integers(0, len(part) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 30))
    asked = []

    def picture(slot, shape):
        asked.append((slot, shape))
        return IMAGE

    try:
        decode([part[: len(part) - cut]], picture)
    except BadMessage:
        return
    assert all(isinstance(slot.ring, str) for slot, _ in asked)


@pytest.mark.parametrize("data", [np.arange(24.0)[::2].reshape(3, 4).T, np.float32(3.0)[...], IMAGE[::-1, ::2]])
def test_any_layout_in_memory(data):
    assert same(over_the_wire(Chunk(np.asarray(data), 1.0, 0.0, 0)).data, np.asarray(data))


def test_scalars_of_numpy_are_numbers():
    arrived = over_the_wire(Chunk(np.empty((0, 1)), np.float32(2.5), np.float64(1.25), np.int64(9)))
    assert (arrived.rate_hz, arrived.t0, arrived.first_sample) == (2.5, 1.25, 9)


@pytest.mark.parametrize(
    "message",
    [
        Chunk(np.zeros(2, np.float16), 1.0, 0.0, 0),
        Chunk(np.zeros(2, ">f4"), 1.0, 0.0, 0),
        Chunk(np.array([object()]), 1.0, 0.0, 0),
        Event(0.0, "X", "n", "t", {"array": np.zeros(3)}),
        Event(0.0, "X", "n", "t", {"what": object()}),
    ],
)
def test_what_cannot_travel_is_refused_at_the_sender(message):
    with pytest.raises(BadMessage, match="cannot be sent"):
        encode(message, 1, 0.0)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(st.sampled_from(_DTYPES), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5), unique=False)
)
def test_every_array(data):
    assert same(over_the_wire(Chunk(data, 1.0, 0.0, 0)).data, data)


# ---------------------------------------------------------------------- what others might send


def hostile(value, *buffers, head=None):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return [(head or _HEADER.pack(b"MYOM", 1, 0, 1, 0.0)) + text, *buffers]


def chunk(shape, dtype="<f4", at=1, **more):
    array = {"@": at, "d": dtype, "s": shape}
    return {"~": "Chunk", "data": array, "rate_hz": 1.0, "t0": 0.0, "first_sample": 0, **more}


def frame(image, slot=None, trace=()):
    return {"~": "Frame", "seq": 1, "t_capture": 0.0, "stamp": "host", "image": image, "slot": slot, "trace": trace}


HOSTILE = {
    "nothing": [],
    "short": [b"MYO"],
    "not JSON": hostile(b"{"),
    "not UTF-8": hostile(b'"\xff"'),
    "deep": hostile(b"[" * 100_000),
    "number": hostile(3),
    "list": hostile([1, 2]),
    "huge number": hostile(b"9" * 10_000),
    "unknown class": hostile({"~": "Popen", "args": "true"}),
    "class is a list": hostile({"~": ["Chunk"]}),
    "no class": hostile({"data": 1}),
    "unknown field": hostile(chunk([1], more=1), b"abcd"),
    "missing field": hostile({"~": "Chunk", "t0": 0.0}),
    "wrong field": hostile(chunk([1], rate_hz="fast"), b"abcd"),
    "array for a number": hostile({**chunk([1]), "t0": {"@": 1, "d": "<f4", "s": [1]}}, b"abcd"),
    "message for an array": hostile({**chunk([1]), "data": {"~": "Crop"}}, b"abcd"),
    "dtype object": hostile(chunk([1], "|O"), b"abcdefgh"),
    "dtype record": hostile(chunk([1], [["a", "<f4"]]), b"abcd"),
    "dtype half": hostile(chunk([1], "<f2"), b"ab"),
    "dtype with shape": hostile(chunk([1], "(2,)<f4"), b"abcdefgh"),
    "too few bytes": hostile(chunk([3]), b"abcd"),
    "too many bytes": hostile(chunk([1]), b"abcdefgh"),
    "product wraps to zero": hostile(chunk([2**32, 2**32]), b""),
    "product wraps to four": hostile(chunk([2**62 + 1, 4], "|u1"), b"abcd"),
    "negative": hostile(chunk([-1, -1]), b"abcd"),
    "minus one": hostile(chunk([-1]), b"abcd"),
    "float shape": hostile(chunk([1.0]), b"abcd"),
    "bool shape": hostile(chunk([True]), b"abcd"),
    "text shape": hostile(chunk("11"), b"abcd"),
    "nested shape": hostile(chunk([[1], 10**15]), b"abcd"),
    "no shape": hostile(chunk(None), b"abcd"),
    "a hundred axes": hostile(chunk([1] * 100), b"abcd"),
    "no such buffer": hostile(chunk([1], at=2), b"abcd"),
    "buffer by name": hostile(chunk([1], at="one"), b"abcd"),
    "frame without picture": hostile(frame(None)),
    "trace of nothing": hostile(frame({"@": 1, "d": "|u1", "s": [1, 1, 3]}, trace=None), b"abc"),
    "hop too long": hostile(frame({"@": 1, "d": "|u1", "s": [1, 1, 3]}, trace=[[1, 2, 3, 4]]), b"abc"),
    "slot too short": hostile(frame({"@": 1, "d": "|u1", "s": [1, 1, 3]}, slot=[1]), b"abc"),
    "address too short": hostile(frame({"#": [1], "s": [1, 1, 3]})),
    "details that are text": hostile({"~": "Event", "t": 0.0, "kind": "", "node": "", "text": "", "data": {"=": "3"}}),
    "huge": hostile(chunk([MAX_MESSAGE_BYTES], "|u1"), bytes(MAX_MESSAGE_BYTES)),
}


@pytest.mark.parametrize("parts", HOSTILE.values(), ids=HOSTILE)
def test_refused(parts):
    with pytest.raises(BadMessage):
        decode(parts, no_picture)


@pytest.mark.parametrize(
    "head", [b"", b"MYOM", _HEADER.pack(b"EVIL", 1, 0, 1, 0.0), _HEADER.pack(b"MYOM", 2, 0, 1, 0.0)]
)
def test_foreign_header(head):
    with pytest.raises(BadMessage):
        peek(head)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damage_anywhere_is_a_message_or_refused(data):
    """Bytes flipped or cut off: either still a message (of another content) or BadMessage, nothing else."""
    parts = [bytearray(part) for part in encode(replace(FRAME, face=None), 1, 0.0)]
    part = parts[data.draw(st.integers(0, len(parts) - 1))]
    for _ in range(data.draw(st.integers(1, 4))):
        part[data.draw(st.integers(0, len(part) - 1))] = data.draw(st.integers(0, 255))
    del part[len(part) - data.draw(st.integers(0, 3)) :]
    try:
        peek(parts[0])
        assert isinstance(decode(parts, no_picture), Message)
    except BadMessage:
        pass
