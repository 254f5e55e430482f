"""XDF 1.0 as bytes: tags, variable-length integers, stream headers (github.com/sccn/xdf/wiki/Specifications).

A file is the magic `XDF:` and then chunks: [length of the length: 1, 4 or 8][length][tag: u16][content]; little endian.
"""

import math
import struct
from dataclasses import dataclass, field
from enum import IntEnum
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from rt.errors import BadRecording, BadSettings

MAGIC = b"XDF:"
BOUNDARY_UUID = bytes.fromhex("43a546dccbf5410fb30ed5467383cbe4")
MAX_HEADER_BYTES = 4 << 20  # a stream header of 1000 channels is 0.1 MB

# XDF's names of sample formats, as numpy writes them.
NUMPY_DTYPE = {
    "int8": "<i1",
    "int16": "<i2",
    "int32": "<i4",
    "int64": "<i8",
    "float32": "<f4",
    "double64": "<f8",
}


class Tag(IntEnum):
    """The six kinds of chunk."""

    FILE_HEADER = 1
    STREAM_HEADER = 2
    SAMPLES = 3
    CLOCK_OFFSET = 4
    BOUNDARY = 5
    STREAM_FOOTER = 6


@dataclass(frozen=True)
class StreamSpec:
    """One stream of a file: what its header says.

    name, kind: the stream's name and LSL content type ('EMG', 'Markers', ...).
    labels, units: one per channel. sample_format: a key of NUMPY_DTYPE, or 'string'.
    rate_hz: nominal rate, 0 = irregular. can_drop_samples: true for one-row-per-video-frame streams, where a missing
    row must not be smoothed away by a reader's dejittering.
    details: further text fields of the header's description, such as the EMG chain's id.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    units: tuple[str, ...] = ()
    sample_format: str = "float32"
    rate_hz: float = 0.0
    source_id: str = ""
    can_drop_samples: bool = False
    details: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.sample_format != "string" and self.sample_format not in NUMPY_DTYPE:
            known = ", ".join([*NUMPY_DTYPE, "string"])
            raise BadSettings(f"stream {self.name!r}: unknown sample format {self.sample_format!r}; known: {known}")
        if not self.name or not self.labels:
            raise BadSettings(f"stream {self.name!r}: needs a name and at least one channel")
        if self.units and len(self.units) != len(self.labels):
            raise BadSettings(f"stream {self.name!r}: {len(self.units)} units for {len(self.labels)} channels")
        if not (math.isfinite(self.rate_hz) and self.rate_hz >= 0):
            raise BadSettings(f"stream {self.name!r}: rate_hz is {self.rate_hz}; give 0 (irregular) or more")


def chunk_bytes(tag: Tag, content: bytes) -> bytes:
    """Put length and tag before a chunk's content."""
    return struct.pack("<BIH", 4, len(content) + 2, tag) + content


def varlen_bytes(value: int) -> bytes:
    """XDF's variable-length integer: 1 + 1, 1 + 4 or 1 + 8 bytes."""
    if value < 1 << 8:
        return struct.pack("<BB", 1, value)
    return struct.pack("<BI", 4, value) if value < 1 << 32 else struct.pack("<BQ", 8, value)


def header_xml(spec: StreamSpec) -> bytes:
    """A stream header's XML. No host name and no user name: a recording carries a pseudonym only."""
    units = spec.units or ("",) * len(spec.labels)
    channels = "".join(
        f"<channel><label>{_text(label)}</label><unit>{_text(unit)}</unit><type>{_text(spec.kind)}</type></channel>"
        for label, unit in zip(spec.labels, units, strict=True)
    )
    details = "".join(f"<{_tag(key)}>{_text(value)}</{key}>" for key, value in spec.details.items())
    drop = "true" if spec.can_drop_samples else "false"
    return (
        f'<?xml version="1.0"?><info><name>{_text(spec.name)}</name><type>{_text(spec.kind)}</type>'
        f"<channel_count>{len(spec.labels)}</channel_count><nominal_srate>{spec.rate_hz!r}</nominal_srate>"
        f"<channel_format>{spec.sample_format}</channel_format><source_id>{_text(spec.source_id)}</source_id>"
        f"<desc><channels>{channels}</channels>"
        f"<synchronization><can_drop_samples>{drop}</can_drop_samples></synchronization>"
        f"{details}</desc></info>"
    ).encode()


def footer_xml(first: float, last: float, count: int) -> bytes:
    """A stream footer's XML: stamps in seconds of the stream's own clock, number of samples."""
    return (
        f'<?xml version="1.0"?><info><first_timestamp>{first!r}</first_timestamp>'
        f"<last_timestamp>{last!r}</last_timestamp><sample_count>{count}</sample_count></info>"
    ).encode()


def parse_xml(content: bytes, where: str) -> ElementTree.Element:
    """Parse a header or footer from an untrusted file.

    Raises BadRecording for broken XML, and for any document type: entities could expand without bound.
    """
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise BadRecording(f"{where}: the XML declares a document type, which no XDF header needs; refused")
    try:
        return ElementTree.fromstring(content.decode("utf-8", "replace"))  # noqa: S314 - no entities, checked above
    except ElementTree.ParseError as error:
        raise BadRecording(f"{where}: the XML is broken ({error})") from None


def parse_header(content: bytes, where: str) -> StreamSpec:
    """A stream header's XML as StreamSpec. Raises BadRecording when a required field is missing or out of range."""
    info = parse_xml(content, where)
    sample_format = info.findtext("channel_format", "").strip()
    try:
        n_channels = int(info.findtext("channel_count", ""))
        rate_hz = float(info.findtext("nominal_srate", "") or 0)
    except ValueError:
        raise BadRecording(f"{where}: channel_count or nominal_srate is not a number") from None
    if sample_format not in (*NUMPY_DTYPE, "string") or not 0 < n_channels <= 1 << 16 or not 0 <= rate_hz <= 1e9:
        raise BadRecording(f"{where}: {n_channels} channels of {sample_format!r} at {rate_hz} Hz cannot be read")
    channels = info.findall("desc/channels/channel")
    labels = [channel.findtext("label", "") for channel in channels]
    units = [channel.findtext("unit", "") for channel in channels]
    if len(labels) != n_channels:  # many writers describe no channels, some the wrong number
        labels, units = [str(index + 1) for index in range(n_channels)], []
    details = {child.tag: child.text or "" for child in info.findall("desc/*") if len(child) == 0}
    return StreamSpec(
        name=info.findtext("name", "").strip() or where,
        kind=info.findtext("type", "").strip(),
        labels=tuple(labels),
        units=tuple(units) if any(units) else (),
        sample_format=sample_format,
        rate_hz=rate_hz,
        source_id=info.findtext("source_id", ""),
        can_drop_samples=info.findtext("desc/synchronization/can_drop_samples", "") == "true",
        details=details,
    )


def _text(value: str) -> str:
    if any(ord(character) < 32 and character not in "\t\n\r" for character in value):
        raise BadSettings(f"{value!r} holds a control character, which XML cannot carry; remove it")
    return escape(value)


def _tag(key: str) -> str:
    if not (key.isidentifier() and key.isascii()):
        raise BadSettings(f"{key!r} cannot be a field of a stream header; use letters, digits and underscores")
    return key
