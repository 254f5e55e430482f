"""The words between the live page and its server; `static/protocol.js` is the same in the browser's language.

Server -> browser, binary: one *packet* = header (80 bytes, little-endian) | float32 values | uint8 contacts | JPEG.

    offset  0  u32  magic 0x504F594D ('MYOP')     40  u64  frame sequence number
            4  u16  version                       48  u32  bytes of JPEG
            6  u16  flags                         52  u16  values of estimate_percent (channels, or 0: none)
            8  u32  packet id                     54  u16  values of estimate_spread (channels, or 0: none)
           12  u16  muscle channels               56  u16  values of expression (52, or 0: none)
           14  u16  muscle pairs                  58  u16  values of expression_emg (52, or 0: none)
           16  f64  t_capture (1)                 60  u32  values of landmarks (2 x 468, or 0: none)
           24  f64  t_emg (2)                     64  f64  t_expression (3)
           32  f64  t_sent: when it was made      72  f64  t_expression_emg (4)
    values     envelope_uv (channel), percent_mvc (channel), asymmetry (pair), estimate_percent, estimate_spread,
               expression, expression_emg, landmarks (x, y, x, y, ...), then contact (channel) as uint8

Times are LSL seconds, NaN where there is nothing: (1) of the picture; (2) of the newest sample; (3) of the picture that
expression and estimates were read from; (4) of the sample that expression_emg was made from.

Server -> browser, text: JSON objects with a `type`: hello, status, alarm, role, guide, refused, ended.
Browser -> server, text: `{"ack": id, "drawn": bool, "draw_ms": number}`, `{"visible": bool}`,
`{"command": name, "value": ...}`.
"""

import json
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import IntFlag
from typing import Any, NamedTuple

import numpy as np

from rt.errors import BadMessage

MAGIC = 0x504F594D
VERSION = 3
HEADER = struct.Struct("<IHHIHHdddQIHHHHIdd")
MAX_INCOMING_BYTES = 2048
MAX_MARKER_CHARACTERS = 120
VIEWS = ("camera", "practise", "beside")
SIDES = ("both", "left", "right")
MAX_TARGET_CHARACTERS = 64
REMOVALS = ("raw", "restored", "edit")
GUIDE = ("start", "again", "keep", "skip")
"""What a person who is being calibrated can say."""
SHAPES = 52
"""Values of an expression, in the order of `engines.face.blendshapes`."""

LANDMARKS = 468
"""Landmarks of MediaPipe's face that lie on the skin."""

_NOTHING = np.zeros(0, np.float32)
_NOTHING.setflags(write=False)


def _nothing() -> np.ndarray:
    """A block of a packet that is not there."""
    return _NOTHING


class Flags(IntFlag):
    """What a packet holds and what is known about it."""

    FRAME = 1  # a JPEG follows
    EMG = 2  # the values mean something
    STALE_FRAME = 4  # the newest picture is older than its limit
    STALE_EMG = 8
    RECORDING = 16
    FIXED_CROP = 32  # no landmarks: the page shows an oval to put the face into
    SYNTHETIC = 64
    PRACTISE = 128  # the picture shows the target movement, not the camera's own pixels
    RAW = 256  # the camera's picture stands in for the processed one, which is late or could not be made
    RESTORED = 512  # electrodes are removed in the picture
    EDIT = 1024  # the picture shows where electrodes were found
    NO_FACE = 2048  # pictures come, but electrodes cannot be removed from them, as no face is seen


@dataclass(frozen=True, slots=True, eq=False)
class Packet:
    """What the page draws at once.

    packet_id: rises by one, 32 bits.  t_capture, t_emg: LSL seconds or NaN.  envelope_uv, percent_mvc:
    (channel,) float32, percent_mvc NaN = not calibrated.  asymmetry: (pair,) float32 in [-100, 100], positive =
    right stronger, NaN = not assessable.  contact: (channel,) uint8, 0 off, 1 on, 2 settling, 3 stable.
    jpeg: the encoded picture, empty for a packet of values only.

    What networks say, each of it empty where nothing says it.  estimate_percent: (channel,) float32 >= 0, muscle
    activity as the picture lets it be guessed: relative, like %MVC, and not measured; NaN for a channel that cannot be
    estimated.  estimate_spread: (channel,) float32 >= 0, its standard deviation.  expression: (52,) float32 in [0, 1],
    from the camera.  expression_emg: (52,) float32 in [0, 1], from the muscles alone.  t_expression,
    t_expression_emg: what moment they are of.

    landmarks_px: (468, 2) float32, x and y in pixels of this very picture; empty without a picture, or where no
    face was followed in it.
    """

    packet_id: int
    flags: Flags
    frame_seq: int
    t_capture: float
    t_emg: float
    envelope_uv: np.ndarray
    percent_mvc: np.ndarray
    asymmetry: np.ndarray
    contact: np.ndarray
    jpeg: bytes | memoryview = b""
    estimate_percent: np.ndarray = field(default_factory=_nothing)
    estimate_spread: np.ndarray = field(default_factory=_nothing)
    expression: np.ndarray = field(default_factory=_nothing)
    expression_emg: np.ndarray = field(default_factory=_nothing)
    t_expression: float = math.nan
    t_expression_emg: float = math.nan
    landmarks_px: np.ndarray = field(default_factory=_nothing)


@dataclass(frozen=True)
class Channel:
    """One EMG channel as the page names it, in the words of `engines.emg.montage`.

    side: 'left', 'right' or 'midline', the person's own.  site: electrode position in the face plane, x
    positive to the person's left, y up, both in [-100, 100].
    """

    label: str
    muscle: str
    side: str
    site: tuple[float, float]


@dataclass(frozen=True)
class Pair:
    """The same muscle on both sides, as channel numbers."""

    muscle: str
    right: int
    left: int


@dataclass(frozen=True)
class Movement:
    """A movement to practise.  name: what the page asks for.  label: what a person reads."""

    name: str
    label: str


@dataclass(frozen=True)
class Hello:
    """What a page must know before its first packet.

    target_percent and limit_percent: the target zone of the trained muscle in %MVC; keep_below_percent: what a
    forbidden (synkinetic) muscle should not reach.  emg_delay_ms: group delay of the envelope.
    frame_limit_ms, emg_limit_ms: older than that is not live and the page says so.  synthetic: one sentence, ''
    for a real person.  views: which pictures can be asked for.  movements: what can be practised.  removals: what can
    be shown of the electrodes, empty where they are not removed.  mirrored: how the page begins; the person may turn
    it round.  hide_when_stale: a late picture is taken away instead of greyed (who does not wish to see the own
    face without processing sees bars only).  amplifier: whether muscles are measured at all.  estimated: whether they
    are estimated from the picture.  expressions: which expressions come, of 'camera' and 'emg'.  guided: whether this
    session calibrates a person; what is to be done comes as messages of type 'guide'.
    """

    subject: str
    channels: tuple[Channel, ...]
    pairs: tuple[Pair, ...]
    chosen: tuple[str, ...]
    trained: str = ""
    forbidden: str = ""
    target_percent: float = 40.0
    limit_percent: float = 80.0
    keep_below_percent: float = 20.0
    emg_delay_ms: float = 0.0
    frame_limit_ms: float = 500.0
    emg_limit_ms: float = 300.0
    synthetic: str = ""
    views: tuple[str, ...] = ("camera",)
    movements: tuple[Movement, ...] = ()
    removals: tuple[str, ...] = ()
    mirrored: bool = True
    hide_when_stale: bool = False
    amplifier: bool = True
    estimated: bool = False
    expressions: tuple[str, ...] = ()
    guided: bool = False
    safety: str = "Research software, not a medical device."


@dataclass(frozen=True)
class Status:
    """How the session is, once a second.

    fps_*: pictures per second.  dropped: {reason: count} since the start.  photon_to_pixel_ms, muscle_to_pixel_ms:
    {'p50', 'p95'} or empty before the first.  stages: {name: {'state': 'ok'|'late'|'restarting'|'failed',
    'restarts': n}}.  recording: 'absent' (this station keeps nothing), 'off', 'on' or 'failed'.  elapsed_s,
    recorded_s: since the session's and the recording's start.  alarms: sentences that hold now.  calibration: what
    the person is asked to do now, '' when nothing.  view, amount, side, target, removal: what the picture shows: how
    much of which movement on which of the person's sides, and what is done about electrodes.  engines: what runs
    what, {role: {'backend', 'bundle', 'precision'}}, as texts; those that estimate say more: how often (rate_hz), what
    per cent are of (relative_to), whether there is a calibration to go by (calibrated).
    """

    fps_captured: float = 0.0
    fps_shown: float = 0.0
    shown: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    photon_to_pixel_ms: Mapping[str, float] = field(default_factory=dict)
    muscle_to_pixel_ms: Mapping[str, float] = field(default_factory=dict)
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    recording: str = "off"
    elapsed_s: float = 0.0
    recorded_s: float = 0.0
    alarms: tuple[str, ...] = ()
    calibration: str = ""
    view: str = "camera"
    amount: float = 1.0
    side: str = "both"
    target: str = ""
    removal: str = ""
    engines: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Ack(NamedTuple):
    """The browser is done with a packet; drawn is False when it never reached the canvas."""

    packet_id: int
    drawn: bool
    draw_ms: float


class Visible(NamedTuple):
    """Whether anybody can see the page (a tab in the background is not sent pictures)."""

    visible: bool


class Wish(NamedTuple):
    """Something that the person at the page asks for."""

    command: str
    value: Any


def encode_packet(packet: Packet, t_sent: float) -> bytes:
    """The packet as one block of bytes. Raises BadMessage when the arrays do not fit each other."""
    channels, pairs = len(packet.envelope_uv), len(packet.asymmetry)
    if len(packet.percent_mvc) != channels or len(packet.contact) != channels:
        raise BadMessage(
            f"a packet needs as many %MVC and contacts as envelopes ({channels}), found "
            f"{len(packet.percent_mvc)} and {len(packet.contact)}"
        )
    blocks = _blocks(packet)
    sizes = [len(block) for block in blocks]
    for size, full, what in zip(sizes, (channels, channels, SHAPES, SHAPES, 2 * LANDMARKS), _BLOCKS, strict=True):
        if size not in (0, full):
            raise BadMessage(f"a packet's {what} has {full} values or none, found {size}")
    header = HEADER.pack(
        MAGIC, VERSION, packet.flags, packet.packet_id & 0xFFFFFFFF, channels, pairs,
        packet.t_capture, packet.t_emg, t_sent, packet.frame_seq, len(packet.jpeg), *sizes,
        packet.t_expression, packet.t_expression_emg,
    )  # fmt: skip
    values = (packet.envelope_uv, packet.percent_mvc, packet.asymmetry, *blocks)
    floats = [np.asarray(v, "<f4").tobytes() for v in values]
    return b"".join((header, *floats, np.asarray(packet.contact, np.uint8).tobytes(), packet.jpeg))


def decode_packet(data: bytes) -> Packet:
    """The inverse of `encode_packet`, as a browser reads it; for tests and other clients. Raises BadMessage."""
    if len(data) < HEADER.size:
        raise BadMessage(f"a packet of {len(data)} bytes is shorter than its header of {HEADER.size}")
    found = HEADER.unpack_from(data)
    magic, version, flags, number, channels, pairs, t_capture, t_emg, _, seq, jpeg = found[:11]
    sizes, (t_expression, t_expression_emg) = found[11:16], found[16:]
    lengths = (channels, channels, pairs, *sizes)
    start = HEADER.size + 4 * sum(lengths)
    whole = len(data) == start + channels + jpeg and sizes[-1] % 2 == 0
    if (magic, version) != (MAGIC, VERSION) or not whole:
        raise BadMessage(f"not a packet of version {VERSION}, or cut: {len(data)} bytes")
    values = np.split(np.frombuffer(data, "<f4", sum(lengths), HEADER.size), np.cumsum(lengths)[:-1])
    contact = np.frombuffer(data, np.uint8, channels, start)
    picture = data[start + channels :]
    envelope, percent, asymmetry, *said = values
    return Packet(
        number, Flags(flags), seq, t_capture, t_emg, envelope, percent, asymmetry, contact, picture,
        said[0], said[1], said[2], said[3], t_expression, t_expression_emg, said[4].reshape(-1, 2),
    )  # fmt: skip


_BLOCKS = ("estimate_percent", "estimate_spread", "expression", "expression_emg", "landmarks_px")


def _blocks(packet: Packet) -> tuple[np.ndarray, ...]:
    said = packet.estimate_percent, packet.estimate_spread, packet.expression, packet.expression_emg
    return *said, np.ravel(packet.landmarks_px)


def sent_at(data: bytes) -> float:
    """LSL seconds at which an encoded packet was made."""
    return float(HEADER.unpack_from(data)[8])


def encode_text(kind: str, content: Any = None, **more: Any) -> str:
    """A text message: `type` plus the fields of a dataclass or mapping. NaN and infinity become null."""
    found = asdict(content) if hasattr(content, "__dataclass_fields__") else dict(content or {})
    return json.dumps(_finite({"type": kind, **found, **more}), separators=(",", ":"), allow_nan=False)


def parse_incoming(text: str) -> Ack | Visible | Wish:
    """What a browser said. Raises BadMessage for anything that this page would never say."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadMessage("the page sent something that is not JSON") from error
    if isinstance(said, dict):
        if "ack" in said:
            return _ack(said)
        if isinstance(said.get("visible"), bool):
            return Visible(said["visible"])
        if "command" in said:
            return _wish(said["command"], said.get("value"))
    raise BadMessage("the page sent a message that is neither ack, visible nor command")


def _ack(said: dict[str, Any]) -> Ack:
    number, drawn, draw_ms = said["ack"], said.get("drawn"), said.get("draw_ms", 0)
    if type(number) is not int or not 0 <= number < 2**32 or type(drawn) is not bool or not _is_number(draw_ms):
        raise BadMessage("the page sent an ack without a packet number, drawn or draw_ms")
    return Ack(number, drawn, float(draw_ms))


def _wish(command: Any, value: Any) -> Wish:
    fits = COMMANDS.get(command) if isinstance(command, str) else None
    if fits is None:
        raise BadMessage(f"unknown command; known are {', '.join(COMMANDS)}")
    if not fits(value):
        raise BadMessage(f"command {command} came with a value that does not fit it")
    return Wish(command, value)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e9  # False for NaN, and safe for very long integers


def _is_nothing(value: Any) -> bool:
    return value is None


def _is_marker(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_MARKER_CHARACTERS and value.isprintable()


COMMANDS: Mapping[str, Callable[[Any], bool]] = {
    "stop": _is_nothing,
    "marker": _is_marker,
    "record": lambda value: type(value) is bool,
    "view": lambda value: isinstance(value, str) and value in VIEWS,
    "amount": lambda value: _is_number(value) and 0.0 <= value <= 1.0,
    "side": lambda value: isinstance(value, str) and value in SIDES,
    "target": lambda value: isinstance(value, str) and 0 < len(value) <= MAX_TARGET_CHARACTERS,
    "restore": lambda value: isinstance(value, str) and value in REMOVALS,
    "calibrate_rest": _is_nothing,
    "calibrate_reference": _is_nothing,
    "neutral": _is_nothing,
    "guide": lambda value: isinstance(value, str) and value in GUIDE,
    "take_control": _is_nothing,
}
FOR_EVERYBODY = frozenset({"stop", "marker", "take_control"})  # safety: a viewer who only watches may stop


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return value
