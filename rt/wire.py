"""A message's form on the wire: a fixed header, JSON, and one raw buffer per array; never pickle.

A picture about which nothing is known yet, as cameras send it, has a shorter form: a struct, without JSON.  Whatever
else arrives is refused with BadMessage.
"""

import json
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import fields
from types import UnionType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np

from rt.errors import BadMessage
from rt.message import TYPES, Frame, Hop, Message, Slot

MAX_MESSAGE_BYTES = 64 * 2**20
_HEADER = struct.Struct("<4sBBQd")  # magic, version, form, sequence on this edge, time sent
_FORM_AT = 5
_JSON, _END, _BARE = 0, 1, 2  # what follows the header: JSON and buffers, nothing, or a picture's address
_BARE_FRAME = struct.Struct(
    "<QdBHHHIQBB"
)  # seq, t_capture, flags, height, width, depth, slot's place and sequence, ...
_HOP = struct.Struct("<ddB")  # t_in, t_out, length of the node's name
_STAMPS = ("host", "device")
_MAGIC = b"MYOM"
_VERSION = 1
_MOST_AXES = 4
_DTYPES = frozenset({"|u1", "|i1", "|b1", "<i4", "<i8", "<u4", "<u8", "<f4", "<f8"})
_NAMES = {t: tuple(f.name for f in fields(t)) for t in TYPES.values()}


def _classes(hint: Any) -> tuple[type, ...]:
    """What isinstance() may find where this type is written."""
    if isinstance(hint, UnionType):
        return tuple(found for part in get_args(hint) for found in _classes(part))
    found = get_origin(hint) or hint
    return (float, int) if found is float else (found,)


_CLASSES = {t: tuple(map(_classes, get_type_hints(t).values())) for t in TYPES.values()}


class Stamp(NamedTuple):
    """What the link adds to a message: its number on the edge, when it was sent, whether it is the last one."""

    sequence: int
    t_sent: float
    end: bool


def encode(message: Message | None, sequence: int, t_sent: float) -> list[bytes | memoryview]:
    """Parts for a multipart send; None is the end of the stream. Raises BadMessage for what cannot travel."""
    buffers: list[memoryview] = []
    if message is None:
        form, body = _END, b""
    elif isinstance(message, Frame) and message.slot is not None and _is_bare(message):
        form, body = _BARE, _pack_bare(message, message.slot)
    else:
        form, body = _JSON, _json(_plain(message, buffers)).encode()
    return [_HEADER.pack(_MAGIC, _VERSION, form, sequence, t_sent) + body, *buffers]


def _is_bare(frame: Frame) -> bool:
    """A picture in a ring about which nothing is known yet: what cameras send, as a struct in a quarter of the time."""
    nothing_found = frame.face is None and frame.crop is None and frame.muscles is None
    return nothing_found and frame.restored is None and not frame.removal and frame.stamp in _STAMPS


def _pack_bare(frame: Frame, slot: Slot) -> bytes:
    flags = _STAMPS.index(frame.stamp) | frame.practise << 1
    name = slot.ring.encode()
    height, width, depth = frame.image.shape
    sizes = (height, width, depth, slot.place, slot.sequence, len(name), len(frame.trace))
    parts = [_BARE_FRAME.pack(frame.seq, frame.t_capture, flags, *sizes), name]
    for hop in frame.trace:
        node = hop.node.encode()
        parts += [_HOP.pack(hop.t_in, hop.t_out, len(node)), node]
    return b"".join(parts)


def _unpack_bare(body: bytes, picture: Callable[[Slot, tuple[int, ...]], np.ndarray]) -> Frame:
    seq, t_capture, flags, height, width, depth, place, number, length, hops = _BARE_FRAME.unpack_from(body)
    at = _BARE_FRAME.size + length
    slot = Slot(body[_BARE_FRAME.size : at].decode(), place, number)
    trace = []
    for _ in range(hops):
        t_in, t_out, length = _HOP.unpack_from(body, at)
        at += _HOP.size + length
        trace.append(Hop(body[at - length : at].decode(), t_in, t_out))
    if at != len(body):
        raise BadMessage(f"a picture's message has {len(body)} bytes where {at} are told")
    image = picture(slot, (height, width, depth))
    stamp, practise = _STAMPS[flags & 1], bool(flags & 2)
    return Frame(seq, t_capture, stamp, image, practise=practise, trace=tuple(trace), slot=slot)


def _json(value: Any) -> str:
    try:
        return json.dumps(value, separators=(",", ":"), default=_scalar)
    except (TypeError, ValueError) as error:
        raise BadMessage(f"a message cannot be sent: {error}") from error


def _scalar(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} does not travel: use numbers, text, arrays or messages")


def peek(part: bytes | memoryview) -> Stamp:
    """The header alone, which is all that a skipped message costs. Raises BadMessage."""
    if len(part) < _HEADER.size:
        raise BadMessage(f"a message of {len(part)} bytes is shorter than its header of {_HEADER.size}")
    magic, version, form, sequence, t_sent = _HEADER.unpack_from(part)
    if magic != _MAGIC or version != _VERSION:
        raise BadMessage(f"not a message of version {_VERSION}: it begins with {magic!r}, version {version}")
    return Stamp(sequence, t_sent, form == _END)


def decode(parts: Sequence[Any], picture: Callable[[Slot, tuple[int, ...]], np.ndarray]) -> Message:
    """The message in these parts; `picture` opens a ring slot. Arrays are read-only views. Raises BadMessage."""
    if sum(len(p) for p in parts) > MAX_MESSAGE_BYTES:
        raise BadMessage(f"a message larger than {MAX_MESSAGE_BYTES} bytes was refused")
    try:
        if parts[0][_FORM_AT] == _BARE:
            return _unpack_bare(bytes(parts[0][_HEADER.size :]), picture)
        value = json.loads(bytes(parts[0][_HEADER.size :]), object_hook=lambda d: _rebuild(d, parts, picture))
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, OverflowError, struct.error) as error:
        raise BadMessage(f"a message could not be read: {error}") from error
    if not isinstance(value, Message):
        raise BadMessage(f"expected a message, found {type(value).__name__}")
    return value


def _plain(value: Any, buffers: list[memoryview]) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.str not in _DTYPES:
            raise BadMessage(f"an array of dtype {value.dtype.str!r} cannot be sent: convert it first")
        array = np.asarray(value, order="C")
        buffers.append(array.data.cast("B") if array.size else memoryview(b""))
        return {"@": len(buffers), "d": array.dtype.str, "s": array.shape}
    if isinstance(value, Message):
        plain: dict[str, Any] = {"~": type(value).__name__}
        slot = value.slot if isinstance(value, Frame) else None
        for name in _NAMES[type(value)]:
            part = getattr(value, name)
            in_ring = slot is not None and name == "image"
            plain[name] = {"#": slot, "s": part.shape} if in_ring else _plain(part, buffers)
        return plain
    if isinstance(value, dict):
        return {"=": _json(value)}  # as text, so that none of its keys is taken for one of ours
    return value


def _rebuild(found: dict[str, Any], parts: Sequence[Any], picture: Callable[..., np.ndarray]) -> Any:
    if "@" in found:
        return _array(found["d"], found["s"], parts[found["@"]])
    if "#" in found:
        return picture(Slot(*found["#"]), tuple(found["s"]))
    if "=" in found:
        return json.loads(found["="])
    kind = TYPES[found.pop("~")]
    if kind is Frame:
        found["trace"] = tuple(Hop(*hop) for hop in found["trace"])
        found["slot"] = Slot(*found["slot"]) if found["slot"] is not None else None
    message = kind(**found)
    for name, classes in zip(_NAMES[kind], _CLASSES[kind], strict=True):
        if not isinstance(getattr(message, name), classes):
            raise BadMessage(f"{kind.__name__}.{name} is a {type(getattr(message, name)).__name__}")
    return message


def _array(dtype: str, shape: list[int], buffer: Any) -> np.ndarray:
    if dtype not in _DTYPES:
        raise BadMessage(f"dtype {dtype!r} is not allowed on a link")
    if len(shape) > _MOST_AXES or not all(type(n) is int and n >= 0 for n in shape):
        raise BadMessage(f"not the shape of an array: {str(shape)[:80]}")
    size = math.prod(shape) * np.dtype(dtype).itemsize  # Python's integers do not wrap
    if size != len(buffer):
        raise BadMessage(f"shape {shape} of {dtype} needs {size} bytes, found {len(buffer)}")
    array = np.frombuffer(buffer, dtype).reshape(shape) if size else np.empty(shape, dtype)
    array.flags.writeable = False
    return array
