"""XDF reader: stamps exactly as written, cut or damaged files read as far as they can be, lengths never trusted.

pyxdf repairs stamps for analysis (dejitter, clock synchronisation); replay and repair need the bytes as they are, a
chunk at a time. What is damaged is told, not hidden: the walk goes on at the next Boundary chunk.
"""

import io
import struct
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rt.errors import BadRecording
from rt.recording.xdf_format import (
    BOUNDARY_UUID,
    MAGIC,
    MAX_HEADER_BYTES,
    NUMPY_DTYPE,
    StreamSpec,
    Tag,
    parse_header,
    parse_xml,
)

MAX_CHUNK_BYTES = 256 << 20  # a chunk is read whole; anything longer is taken for damage
_BLOCK = 1 << 20


class Header(NamedTuple):
    """A stream begins."""

    stream_id: int
    spec: StreamSpec


class Samples(NamedTuple):
    """One chunk's samples: stamps (time,) float64; values (time, channel), or a list of tuples of strings."""

    stream_id: int
    spec: StreamSpec
    stamps: np.ndarray
    values: np.ndarray | list[tuple[str, ...]]


class ClockOffset(NamedTuple):
    """A clock offset: measured at `time_s` (the stream's own clock), to be added to get the recorder's clock."""

    stream_id: int
    time_s: float
    offset_s: float


class Footer(NamedTuple):
    """A stream was closed properly; sample_count as the writer counted, -1 when it does not say."""

    stream_id: int
    sample_count: int


class Damage(NamedTuple):
    """Bytes that are no readable chunk."""

    offset: int
    size: int
    reason: str


class Plain(NamedTuple):
    """A chunk without samples or stream: file header, boundary."""

    tag: Tag


Item = Header | Samples | ClockOffset | Footer | Damage | Plain


@dataclass
class StreamTotals:
    """How much of a stream is in the file; first and last are stamps in seconds (0 while it is empty)."""

    stream_id: int
    count: int = 0
    first: float = 0.0
    last: float = 0.0


class StreamEntry(NamedTuple):
    """A stream in a survey."""

    spec: StreamSpec
    totals: StreamTotals


@dataclass
class Survey:
    """What a file holds, without its samples.

    whole_until: end of the last whole chunk. append_at: the same, before the footers that end the file.
    """

    streams: list[StreamEntry]
    size: int
    whole_until: int
    append_at: int
    damage: list[Damage]
    missing_footers: list[str]


@dataclass
class XdfStream:
    """A stream read whole: stamps (time,) float64 as written, values (time, channel) or a list of tuples of strings."""

    stream_id: int
    spec: StreamSpec
    stamps: np.ndarray = field(default_factory=lambda: np.empty(0))
    values: np.ndarray | list[tuple[str, ...]] = field(default_factory=list)
    clock_offsets: list[ClockOffset] = field(default_factory=list)
    footer: Footer | None = None


def read_xdf(path: Path) -> tuple[list[XdfStream], list[Damage]]:
    """Read a whole file: its streams in the order of their headers, and what could not be read.

    Raises BadRecording when it is no XDF file.
    """
    streams: dict[int, XdfStream] = {}
    parts: dict[int, list[Samples]] = {}
    damage = []
    for _, item in walk(path):
        match item:
            case Header(stream_id, spec):
                streams[stream_id] = XdfStream(stream_id, spec)
                parts[stream_id] = []
            case Samples():
                parts[item.stream_id].append(item)
            case ClockOffset():
                streams[item.stream_id].clock_offsets.append(item)
            case Footer():
                streams[item.stream_id].footer = item
            case Damage():
                damage.append(item)
    for stream_id, stream in streams.items():
        _join(stream, parts[stream_id])
    return list(streams.values()), damage


def survey(path: Path, visit: Callable[[Item], None] | None = None) -> Survey:
    """Count what a file holds and find where writing can go on; `visit` sees every item on the way.

    Raises BadRecording when it is no XDF file.
    """
    found = Survey([], path.stat().st_size if path.is_file() else 0, len(MAGIC), len(MAGIC), [], [])
    entries: dict[int, StreamEntry] = {}
    footed: set[int] = set()
    for end, item in walk(path):
        if visit is not None:
            visit(item)
        match item:
            case Damage():
                found.damage.append(item)
                continue
            case Header(stream_id, spec):
                entries[stream_id] = StreamEntry(spec, StreamTotals(stream_id))
            case Samples(stream_id, _, stamps, _) if len(stamps):
                totals = entries[stream_id].totals
                totals.first = totals.first if totals.count else float(stamps[0])
                totals.last = float(stamps[-1])
                totals.count += len(stamps)
            case Footer(stream_id, _):
                footed.add(stream_id)
        found.whole_until = end
        if not isinstance(item, Footer):
            found.append_at = end
            footed.clear()  # footers before further chunks belong to an earlier run
    found.streams = list(entries.values())
    found.missing_footers = [entry.spec.name for stream_id, entry in entries.items() if stream_id not in footed]
    return found


def walk(path: Path, only: Collection[str] | None = None) -> Iterator[tuple[int, Item]]:
    """Go through a file chunk by chunk; yields (offset of the chunk's end, what it is).

    only: names of the streams whose samples are wanted; those of others are passed over. Default: all.
    Nothing larger than one chunk is held in memory. Headers come before their stream's other items.
    Raises BadRecording when the file cannot be opened or does not begin as an XDF file.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise BadRecording(f"{path} cannot be opened: {error.strerror}") from None
    with file:
        if file.read(len(MAGIC)) != MAGIC:
            raise BadRecording(f"{path} is no XDF file: it does not begin with 'XDF:'")
        yield from _walk(file, file.seek(0, io.SEEK_END), only)


def _walk(file: io.BufferedReader, size: int, only: Collection[str] | None) -> Iterator[tuple[int, Item]]:
    decoders: dict[int, _Decoder] = {}
    offset = len(MAGIC)
    while offset < size:
        chunk = _next_chunk(file, offset, size)
        if isinstance(chunk, str):
            end = _next_boundary(file, offset + 1, size)
            yield end, Damage(offset, end - offset, chunk)
        else:
            tag, content, end = chunk
            if only is not None and tag is Tag.SAMPLES and _is_other(content, decoders, only):
                offset = end
                continue
            try:
                yield end, _decode(tag, content, decoders)
            except (BadRecording, struct.error, IndexError) as error:
                yield end, Damage(offset, end - offset, str(error))
        offset = end


def _next_chunk(file: io.BufferedReader, offset: int, size: int) -> tuple[Tag, bytes, int] | str:
    """The chunk at an offset: (tag, content, end), or what is wrong with it."""
    file.seek(offset)
    head = file.read(11)
    n = head[0]
    if n not in (1, 4, 8) or len(head) < n + 3:
        return "no chunk begins here" if n not in (1, 4, 8) else "cut"
    length = int.from_bytes(head[1 : 1 + n], "little")
    tag = int.from_bytes(head[1 + n : 3 + n], "little")
    end = offset + 1 + n + length
    if length < 2 or not 1 <= tag <= 6 or length > MAX_CHUNK_BYTES:
        return f"impossible chunk: {length} bytes, tag {tag}"
    if end > size:
        return "cut"
    file.seek(offset + 3 + n)
    return Tag(tag), file.read(length - 2), end


def _next_boundary(file: io.BufferedReader, offset: int, size: int) -> int:
    """Where the chunk that holds the next boundary UUID ends; the file's size when there is none."""
    keep = len(BOUNDARY_UUID) - 1
    while offset < size:
        file.seek(offset)
        block = file.read(_BLOCK)
        found = block.find(BOUNDARY_UUID)
        if found >= 0:
            return offset + found + len(BOUNDARY_UUID)
        if len(block) <= keep:
            break
        offset += len(block) - keep
    return size


def _is_other(content: bytes, decoders: dict[int, "_Decoder"], only: Collection[str]) -> bool:
    decoder = decoders.get(int.from_bytes(content[:4], "little"))
    return decoder is not None and decoder.name not in only


def _decode(tag: Tag, content: bytes, decoders: dict[int, "_Decoder"]) -> Item:
    if tag in (Tag.FILE_HEADER, Tag.BOUNDARY):
        return Plain(tag)
    (stream_id,) = struct.unpack_from("<I", content)
    if tag is Tag.STREAM_HEADER:
        if stream_id in decoders:
            raise BadRecording(f"a second header of stream {stream_id}; the first one counts")
        if len(content) > MAX_HEADER_BYTES:
            raise BadRecording(f"stream {stream_id}: a header of {len(content)} bytes is refused")
        spec = parse_header(content[4:], f"stream {stream_id}")
        decoders[stream_id] = _Decoder(stream_id, spec)
        return Header(stream_id, spec)
    if stream_id not in decoders:
        raise BadRecording(f"stream {stream_id} has no header")
    if tag is Tag.SAMPLES:
        return decoders[stream_id].samples(content)
    if tag is Tag.CLOCK_OFFSET:
        return ClockOffset(stream_id, *struct.unpack_from("<dd", content, 4))
    counted = parse_xml(content[4:], f"footer of stream {stream_id}").findtext("sample_count", "")
    return Footer(stream_id, int(counted) if counted.isdecimal() else -1)


class _Decoder:
    """Turns one stream's Samples chunks into arrays; remembers the last stamp for samples that carry none."""

    def __init__(self, stream_id: int, spec: StreamSpec) -> None:
        self.name = spec.name
        self._id = stream_id
        self._spec = spec
        self._period = 1.0 / spec.rate_hz if spec.rate_hz > 0 else 0.0
        self._last = 0.0

    def samples(self, content: bytes) -> Samples:
        n, at = _varlen(content, 4)
        if n > len(content) - at:  # each sample takes at least its stamp's length byte: nothing is allocated before
            raise BadRecording(f"stream {self._id}: {n} samples do not fit into {len(content)} bytes")
        if self._spec.sample_format == "string":
            stamps, values = self._strings(content, at, n)
            return Samples(self._id, self._spec, stamps, values)
        stamps, numbers = self._numbers(content, at, n)
        return Samples(self._id, self._spec, stamps, numbers)

    def _numbers(self, content: bytes, at: int, n: int) -> tuple[np.ndarray, np.ndarray]:
        dtype = np.dtype(NUMPY_DTYPE[self._spec.sample_format])
        n_channels = len(self._spec.labels)
        size = len(content) - at
        row = np.dtype([("stamp_bytes", "u1"), ("stamp", "<f8"), ("values", dtype, (n_channels,))])
        if size == n * row.itemsize:
            rows = np.frombuffer(content, row, n, at)
            if np.all(rows["stamp_bytes"] == 8):
                self._last = float(rows["stamp"][-1]) if n else self._last
                return np.ascontiguousarray(rows["stamp"]), np.ascontiguousarray(rows["values"])
        width = n_channels * dtype.itemsize
        if n * (1 + width) > size:
            raise BadRecording(f"stream {self._id}: {n} samples of {width} bytes do not fit into {size} bytes")
        stamps = np.empty(n)
        values = np.empty((n, n_channels), dtype)
        for index in range(n):  # other writers leave stamps out, in any pattern
            at = self._stamp(content, at, stamps, index)
            values[index] = np.frombuffer(content, dtype, n_channels, _checked(content, at, width))
            at += width
        self._check_end(content, at)
        return stamps, values

    def _strings(self, content: bytes, at: int, n: int) -> tuple[np.ndarray, list[tuple[str, ...]]]:
        stamps = np.empty(n)
        values = []
        for index in range(n):
            at = self._stamp(content, at, stamps, index)
            texts = []
            for _ in self._spec.labels:
                length, at = _varlen(content, at)
                _checked(content, at, length)
                texts.append(content[at : at + length].decode("utf-8", "replace"))
                at += length
            values.append(tuple(texts))
        self._check_end(content, at)
        return stamps, values

    def _stamp(self, content: bytes, at: int, stamps: np.ndarray, index: int) -> int:
        """Read one sample's stamp, or rebuild it as `last + 1 / rate`; returns where the values begin."""
        if content[at] == 0:
            self._last += self._period
            at += 1
        else:
            (self._last,) = struct.unpack_from("<d", content, at + 1)
            at += 9
        stamps[index] = self._last
        return at

    def _check_end(self, content: bytes, at: int) -> None:
        """XDF has no checksums: that the samples fill their chunk exactly is what tells damage from data."""
        if at != len(content):
            raise BadRecording(f"stream {self._id}: the samples end {len(content) - at} bytes before their chunk")


def _varlen(content: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer: (value, offset after it)."""
    n = content[at]
    if n not in (1, 4, 8):
        raise BadRecording(f"{n} is no length of a variable-length integer")
    _checked(content, at + 1, n)
    return int.from_bytes(content[at + 1 : at + 1 + n], "little"), at + 1 + n


def _checked(content: bytes, at: int, size: int) -> int:
    if at + size > len(content):
        raise BadRecording("a sample reaches beyond its chunk")
    return at


def _join(stream: XdfStream, parts: list[Samples]) -> None:
    if parts:
        stream.stamps = np.concatenate([part.stamps for part in parts])
    if stream.spec.sample_format == "string":
        stream.values = [texts for part in parts for texts in part.values]
        return
    dtype = np.dtype(NUMPY_DTYPE[stream.spec.sample_format])
    empty = np.empty((0, len(stream.spec.labels)), dtype)
    stream.values = np.concatenate([empty, *(part.values for part in parts if isinstance(part.values, np.ndarray))])
