"""What travels between nodes, and its form on the wire.

A message is a frozen dataclass: small values, NumPy arrays, and other messages. On a link it becomes a fixed
header, JSON, and one raw buffer per array (never pickle). Pictures that live in a shared-memory ring travel as
the address of their slot. A stage returns a changed copy (`dataclasses.replace`), never edits its input.
"""

import json
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from types import UnionType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np

from rt.errors import BadMessage

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


class Hop(NamedTuple):
    """One step of a frame's way: which node, and when it went in and out (LSL seconds)."""

    node: str
    t_in: float
    t_out: float


class Slot(NamedTuple):
    """Where a picture lies in shared memory: ring name, slot, and the slot's sequence number."""

    ring: str
    place: int
    sequence: int


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """Base of everything that travels."""


@dataclass(frozen=True, slots=True, eq=False)
class Face(Message):
    """A face found in a picture.

    landmarks_px: (478, 2) float32, (x, y) in frame pixels.  blendshapes: (52,) float32 in [0, 1], the order of
    `engines.face` / MediaPipe.
    """

    landmarks_px: np.ndarray
    blendshapes: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Crop(Message):
    """The face cut out upright.

    image: (size, size, 3) uint8 BGR.  crop_from_frame: (2, 3) float32 affine.  tracked: False when it is the
    fixed middle of the picture because no face model is installed or no face is seen.
    """

    image: np.ndarray
    crop_from_frame: np.ndarray
    tracked: bool


@dataclass(frozen=True, slots=True, eq=False)
class Restored(Message):
    """What is to be laid over the electrodes of a face, in its crop's space.

    face: (size, size, 3) uint8 BGR, the crop without electrodes.  colour: (size, size, 3) uint8 BGR.  edit: (size,
    size) uint8, 255 where all is replaced by the colour, 0 where the camera's own stays.
    """

    face: np.ndarray
    colour: np.ndarray
    edit: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Muscles(Message):
    """The muscles at one moment, in montage order; NaN where nothing can be said.

    t: LSL seconds of the newest sample in it.  envelope_uv: (channel,) float32 >= 0.  percent_mvc: (channel,)
    float32.  asymmetry: (pair,) float32 in [-100, 100], positive = right stronger.  contact: (channel,) uint8,
    `engines.emg.quality.Contact`.  reference: what 100 %MVC is, in words ('' = not calibrated); rest_uv, rest_sd_uv
    and reference_uv: (channel,) float32, the calibration in force, so that whoever reads the envelope at another
    moment measures with the same ruler (NaN = not calibrated).
    """

    t: float
    envelope_uv: np.ndarray
    percent_mvc: np.ndarray
    asymmetry: np.ndarray
    contact: np.ndarray
    rest_uv: np.ndarray
    rest_sd_uv: np.ndarray
    reference_uv: np.ndarray
    reference: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Expression(Message):
    """What a face does at one moment, as a network says it.

    t: LSL seconds of the picture or the sample that it was read from.  values: (52,) float32 in [0, 1], the order of
    `engines.face.blendshapes`, or (55,) float32 where profile is 'flame55'.  source: 'camera', or 'emg' when muscles
    alone said it.  seq: the frame's number, -1 without one.
    """

    t: float
    values: np.ndarray
    profile: str
    source: str
    seq: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class Estimate(Message):
    """Muscle activity guessed from a picture, which is never a measurement and must never be kept as one.

    t: LSL seconds of the picture.  percent: (channel,) float32 >= 0, relative, like %MVC.  spread: (channel,) float32,
    its standard deviation in the same unit, NaN where the network does not say one.  seq: the frame's number.
    """

    t: float
    percent: np.ndarray
    spread: np.ndarray
    seq: int = -1


class MotionState(IntEnum):
    """Whether the face without its head's turn can be shown, and if not, what is in the way."""

    SHOWN = 1
    TURNED = 2  # further than may be trusted: it is shown, marked
    NO_FACE = 3
    OTHER_FACE = 4  # the landmarks fit no turn of the face that was taken as neutral
    PAUSED = 5  # the picture is not the person's own: a movement to practise, or electrodes not removed
    # No neutral face has been taken yet, because
    FACE_CAMERA = 10  # the head is turned
    OPEN_EYES = 11
    RELAX = 12  # the mouth or the brows are moved
    HOLD_STILL = 13  # it is being taken, or the picture is blurred
    COME_CLOSER = 14  # the face is too small in the picture
    MORE_LIGHT = 15


@dataclass(frozen=True, slots=True, eq=False)
class Motion(Message):
    """How a head is turned, and how symmetric the movement of its face is without the turn.

    t: LSL seconds of the picture.  state: of MotionState.  pose_deg: (4,) float32: yaw, pitch, roll, and the angle away
    from the neutral face's direction; the first three as engines/face/pose.py has them; without a neutral face they are
    against the camera.  limit_deg: beyond that angle nothing is trusted.  hidden: share of the face that the turn
    hides, 0..1.  asymmetry: (3,) float32 in [-100, 100], brows, eyes, mouth, positive = right moves more.  moved: (3,)
    float32 how far they move, in cm, both sides together.  NaN where nothing can be said.  seq: the frame's number.
    """

    t: float
    state: int
    pose_deg: np.ndarray
    limit_deg: float
    hidden: float
    asymmetry: np.ndarray
    moved: np.ndarray
    seq: int = -1

    def row(self) -> np.ndarray:
        """All of it that streams hold, (12,) float32: state, pose, share hidden, asymmetries, ways moved."""
        parts = ([self.state], self.pose_deg, [self.hidden], self.asymmetry, self.moved)
        return np.concatenate(parts, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Frontal(Message):
    """The face without its head's turn, for eyes.

    motion: what is said of the same picture.  jpeg: (bytes,) uint8, empty where there is none.  expression: (52,)
    float32 in [0, 1], blendshapes beyond those of the neutral face, empty where there are none: any face can wear them.
    """

    motion: Motion
    jpeg: np.ndarray
    expression: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Guidance(Message):
    """What a person who is being calibrated is to do now: for the page.

    t: LSL seconds when it was said.  state: everything that is to be shown, JSON values (calibration/guided.py).
    still: (bytes,) uint8, a JPEG, empty where there is none; for eyes only, never kept.
    """

    t: float
    state: dict[str, Any]
    still: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Frame(Message):
    """One picture of the camera and what has been found out about it.

    seq: number of the frame since the camera opened, never reused in a session.  t_capture: LSL seconds, middle
    of the exposure where known.  stamp: 'device' or 'host', where t_capture comes from.  image: (height, width,
    3) uint8 BGR, read-only for everybody but its producer.  practise: True when `image` shows the target
    movement instead of the camera's own pixels.  muscles: the envelope as of t_capture, None when it is stale.
    removal: what is shown of the electrodes, as it was asked for ('raw', 'restored' or 'edit'); '' where nothing has
    been done about them, so that a station which removes them must not show the picture.  restored: what paste-back
    needs for that, None in the raw view.
    """

    seq: int
    t_capture: float
    stamp: str
    image: np.ndarray
    face: Face | None = None
    crop: Crop | None = None
    muscles: Muscles | None = None
    practise: bool = False
    trace: tuple[Hop, ...] = ()
    slot: Slot | None = None
    removal: str = ""
    restored: Restored | None = None

    def with_image(self, image: np.ndarray, practise: bool) -> "Frame":
        """A copy that shows another picture (which is in no ring yet), finished: nothing is left to lay over it."""
        return replace(self, image=image, practise=practise, restored=None, slot=None)


@dataclass(frozen=True, slots=True, eq=False)
class Parameters(Message):
    """What has been found out about one picture, without the picture: for recorders and LSL.

    seq, t_capture, face, muscles: as in Frame.  crop_from_frame: (2, 3) float32 or None.  tracked: as in Crop.
    """

    seq: int
    t_capture: float
    face: Face | None
    muscles: Muscles | None
    crop_from_frame: np.ndarray | None
    tracked: bool

    @classmethod
    def of(cls, frame: Frame) -> "Parameters":
        """Those of a frame."""
        crop = frame.crop
        transform = None if crop is None else crop.crop_from_frame
        return cls(frame.seq, frame.t_capture, frame.face, frame.muscles, transform, crop is not None and crop.tracked)


@dataclass(frozen=True, slots=True, eq=False)
class Chunk(Message):
    """A piece of a regular multi-channel signal, in montage order.

    data: (time, channel) float32, microvolt.  rate_hz: nominal rate.  t0: LSL seconds of the first sample.
    first_sample: its index since the stream was opened (continues over gaps by the number of samples received,
    not by time).  gap_s: > 0 when this chunk does not follow the one before; the seconds that are missing (or
    the size of a clock step), and every filter starts anew.  kind: 'raw' or 'envelope'.  chain: id of the EMG
    chain for envelopes, '' for raw.
    """

    data: np.ndarray
    rate_hz: float
    t0: float
    first_sample: int
    kind: str = "raw"
    gap_s: float = 0.0
    chain: str = ""

    @property
    def t_last(self) -> float:
        """LSL seconds of the last sample (of the one before t0 when the chunk is empty)."""
        return self.t0 + (len(self.data) - 1) / self.rate_hz


@dataclass(frozen=True, slots=True, eq=False)
class Quality(Message):
    """What is known of the electrodes at time t: contact (channel,) uint8 and flags per channel."""

    t: float
    contact: np.ndarray
    clipping: np.ndarray
    flat: np.ndarray
    mains_ratio: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Event(Message):
    """Something that happened: kind ('GAP', 'RESTART', 'ALARM', 'MARKER', ...), one sentence, and details."""

    t: float
    kind: str
    node: str
    text: str
    data: dict[str, Any] = field(default_factory=dict)


_TYPES: dict[str, type[Message]] = {
    t.__name__: t
    for t in (
        *(Face, Crop, Restored, Muscles, Expression, Estimate, Motion, Frontal, Frame, Parameters, Chunk, Quality),
        *(Guidance, Event),
    )
}
_NAMES = {t: tuple(f.name for f in fields(t)) for t in _TYPES.values()}


def _classes(hint: Any) -> tuple[type, ...]:
    """What isinstance() may find where this type is written."""
    if isinstance(hint, UnionType):
        return tuple(found for part in get_args(hint) for found in _classes(part))
    found = get_origin(hint) or hint
    return (float, int) if found is float else (found,)


_CLASSES = {t: tuple(map(_classes, get_type_hints(t).values())) for t in _TYPES.values()}


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
    kind = _TYPES[found.pop("~")]
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
