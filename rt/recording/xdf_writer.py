"""Append-only XDF writer that survives kill -9: what was written stays readable, whatever happens next.

Every chunk goes to the kernel in one unbuffered write (a killed process loses nothing already written), a thread syncs
the disk each 0.5 s (a power cut loses half a second), a Boundary chunk each second lets readers find their way
after damage. Every sample carries its own stamp: a stamp left out is rebuilt by readers as `last + 1 / rate`, sample by
sample, which rounds differently from the original and goes wrong after a gap; 9 of 97 bytes per sample buy exactness.
"""

import errno
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from rt import clock
from rt.errors import BadMessage, BadRecording, BadSettings, DataLost
from rt.recording.disk import DiskSync, create_private, lock
from rt.recording.xdf_format import (
    BOUNDARY_UUID,
    MAGIC,
    NUMPY_DTYPE,
    StreamSpec,
    Tag,
    chunk_bytes,
    footer_xml,
    header_xml,
    varlen_bytes,
)
from rt.recording.xdf_reader import Item, StreamTotals, survey

BOUNDARY_PERIOD_S = 1.0
CLOCK_OFFSET_PERIOD_S = 5.0
MAX_STRING_BYTES = 64 << 10  # of one string sample
MAX_CHUNK_BYTES = 8 << 20  # longer blocks are cut into several chunks

_SAMPLES_HEADER = struct.Struct("<BIHIBI")  # 4, length, tag, stream, 4, number of samples
_BOUNDARY = chunk_bytes(Tag.BOUNDARY, BOUNDARY_UUID)


class _Stream:
    """One stream's place in the file and its preallocated chunk, which is packed in place."""

    def __init__(self, spec: StreamSpec, totals: StreamTotals) -> None:
        self.spec = spec
        self.totals = totals
        self._capacity = 0
        if spec.sample_format != "string":
            self.dtype = np.dtype(NUMPY_DTYPE[spec.sample_format])
            self._row = np.dtype([("stamp_bytes", "u1"), ("stamp", "<f8"), ("values", self.dtype, (len(spec.labels),))])
            self.max_rows = max(1, MAX_CHUNK_BYTES // self._row.itemsize)
            self._allocate(min(256, self.max_rows))

    def _allocate(self, capacity: int) -> None:
        self._buffer = bytearray(_SAMPLES_HEADER.size + capacity * self._row.itemsize)
        rows = np.frombuffer(self._buffer, self._row, capacity, _SAMPLES_HEADER.size)
        rows["stamp_bytes"] = 8
        self._stamps, self._values = rows["stamp"], rows["values"]
        self._capacity = capacity

    def pack(self, stamps: np.ndarray, values: np.ndarray) -> memoryview:
        """stamps (time,) float64 seconds, values (time, channel): one Samples chunk, valid until the next call."""
        n = len(stamps)
        if n > self._capacity:
            self._allocate(min(2 * n, self.max_rows))
        self._stamps[:n] = stamps
        self._values[:n] = values
        size = _SAMPLES_HEADER.size + n * self._row.itemsize
        _SAMPLES_HEADER.pack_into(self._buffer, 0, 4, size - 5, Tag.SAMPLES, self.totals.stream_id, 4, n)
        return memoryview(self._buffer)[:size]

    def count(self, first: float, last: float, n: int) -> None:
        if self.totals.count == 0:
            self.totals.first = first
        self.totals.last = last
        self.totals.count += n


class XdfWriter:
    """Writes one XDF file, chunk by chunk. Not thread-safe: one thread owns it.

    with XdfWriter(path) as xdf:
        xdf.add_stream(StreamSpec("emg", "EMG", labels, units, rate_hz=4096))
        xdf.write("emg", stamps, samples_uv)
    """

    def __init__(self, path: Path, now: Callable[[], float] = clock.now) -> None:
        """Create a new file with mode 0600; an existing one is refused (see `append`).

        now: seconds on the streams' clock (LSL's local_clock), for boundary and clock-offset chunks only.
        Raises BadSettings when the path exists, DataLost when not even the header fits on the disk.
        """
        try:
            fd = create_private(path)
        except FileExistsError:
            raise BadSettings(f"{path} exists; a recording is never overwritten, choose another folder") from None
        except OSError as error:
            raise DataLost(f"{path} cannot be created: {error.strerror}") from None
        lock(fd, path)
        self._begin(path, fd, now, size=0)
        self._write(MAGIC + chunk_bytes(Tag.FILE_HEADER, b'<?xml version="1.0"?><info><version>1.0</version></info>'))

    @classmethod
    def append(
        cls,
        path: Path,
        now: Callable[[], float] = clock.now,
        visit: Callable[[Item], None] | None = None,
        before_cut: Callable[[], None] | None = None,
    ) -> Self:
        """Go on with a file whose writer died (or closed): same stream ids, no second headers.

        visit: sees everything that the file holds, in order, while it is looked through.
        before_cut: called when the file is claimed and before anything is cut, to save what will be.
        An incomplete last chunk and the footers at the end are cut (footers come again at `close`).
        Raises BadRecording when the file is no XDF file, a link, or being written by another process.
        """
        try:
            fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise BadRecording(f"{path} cannot be opened for writing: {error.strerror}") from None
        lock(fd, path)
        try:
            found = survey(path, visit)
            if before_cut is not None:
                before_cut()
            os.ftruncate(fd, found.append_at)
        except BaseException:
            os.close(fd)
            raise
        writer = cls.__new__(cls)
        writer._begin(path, fd, now, found.append_at)
        writer._streams = {entry.spec.name: _Stream(entry.spec, entry.totals) for entry in found.streams}
        writer._last_id = max((entry.totals.stream_id for entry in found.streams), default=0)
        return writer

    def _begin(self, path: Path, fd: int, now: Callable[[], float], size: int) -> None:
        self.path = path
        self._fd = fd
        self._now = now
        self._size = size
        self._streams: dict[str, _Stream] = {}
        self._last_id = 0
        self._closed = self._failed = False
        self._next_boundary = self._next_offsets = now()
        self._sync = DiskSync(fd, lambda: self._size)

    @property
    def size(self) -> int:
        """Bytes of whole chunks in the file."""
        return self._size

    def streams(self) -> dict[str, StreamSpec]:
        """The streams by name."""
        return {name: stream.spec for name, stream in self._streams.items()}

    def totals(self, name: str) -> StreamTotals:
        """Samples so far, and first and last stamp, of a stream."""
        return self._streams[name].totals

    def add_stream(self, spec: StreamSpec) -> None:
        """Write a stream's header; streams may be added at any time.

        A stream of the same name that the file already has is continued. Raises BadSettings when it has other
        channels, another format or another rate: its samples could not be told apart.
        """
        known = self._streams.get(spec.name)
        if known is None:
            content = struct.pack("<I", self._last_id + 1) + header_xml(spec)
            self._write(chunk_bytes(Tag.STREAM_HEADER, content))
            self._last_id += 1
            self._streams[spec.name] = _Stream(spec, StreamTotals(self._last_id))
            self._next_offsets = self._now()
        elif _layout(known.spec) != _layout(spec):
            raise BadSettings(
                f"{self.path.name}: stream {spec.name!r} has {_layout(known.spec)} in the file and "
                f"{_layout(spec)} now; start a new recording"
            )

    def write(self, name: str, stamps: np.ndarray, values: np.ndarray) -> None:
        """Append numeric samples.

        stamps: (time,) float64, seconds on the stream's clock. values: (time, channel), castable to the stream's
        format without loss of kind (float64 to float32 rounds, float to integer is refused). Empty is legal.
        Raises BadMessage for a shape or dtype that does not fit (nothing is written), DataLost when the disk is full.
        """
        stream = self._streams[name]
        _check(stream, stamps, values)
        for begin in range(0, len(stamps), stream.max_rows):
            block = slice(begin, begin + stream.max_rows)
            part = stamps[block]
            self._write(stream.pack(part, values[block]))
            stream.count(float(part[0]), float(part[-1]), len(part))
        self._punctuate()

    def write_text(self, name: str, stamp: float, *texts: str) -> None:
        """Append one sample of a string stream: one text per channel, at most 64 KiB together.

        Raises BadMessage when it is longer or the number of texts differs, DataLost when the disk is full.
        """
        stream = self._streams[name]
        encoded = [text.encode() for text in texts]
        total = sum(map(len, encoded))
        spec = stream.spec
        if spec.sample_format != "string" or len(texts) != len(spec.labels) or total > MAX_STRING_BYTES:
            raise BadMessage(
                f"stream {name!r} takes {len(spec.labels)} channel(s) of {spec.sample_format}, strings up to "
                f"{MAX_STRING_BYTES} bytes; got {len(texts)} text(s) of {total} bytes"
            )
        content = struct.pack("<IBBBd", stream.totals.stream_id, 1, 1, 8, stamp)
        content += b"".join(varlen_bytes(len(text)) + text for text in encoded)
        self._write(chunk_bytes(Tag.SAMPLES, content))
        stream.count(stamp, stamp, 1)
        self._punctuate()

    def close(self) -> None:
        """Write the footers, sync and close. After DataLost no footer is tried: the file is readable as it is."""
        if self._closed:
            return
        self._closed = True
        try:
            if not self._failed:
                for stream in self._streams.values():
                    totals = stream.totals
                    xml = footer_xml(totals.first, totals.last, totals.count)
                    self._write(chunk_bytes(Tag.STREAM_FOOTER, struct.pack("<I", totals.stream_id) + xml))
        finally:
            self._sync.close()
            self._digest = self._sync.digest()
            os.close(self._fd)
        if self._sync.error is not None and not self._failed:
            raise DataLost(f"{self.path.name}: the disk could not keep it ({self._sync.error.strerror}); run repair")

    def digest(self) -> str:
        """SHA-256 of the closed file, without reading it again."""
        return self._digest

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            with suppress(DataLost):  # the first error is the one to report
                self.close()

    def _punctuate(self) -> None:
        """Boundary each second; each 5 s a clock offset of 0 per stream (they all keep this machine's clock)."""
        now = self._now()
        if now >= self._next_boundary:
            self._next_boundary = now + BOUNDARY_PERIOD_S
            self._write(_BOUNDARY)
        if now >= self._next_offsets:
            self._next_offsets = now + CLOCK_OFFSET_PERIOD_S
            for stream in self._streams.values():
                content = struct.pack("<Idd", stream.totals.stream_id, now, 0.0)
                self._write(chunk_bytes(Tag.CLOCK_OFFSET, content))

    def _write(self, chunk: bytes | memoryview) -> None:
        if self._failed:
            raise DataLost(
                f"{self.path.name} stopped at {self._size / 1e6:.1f} MB after a disk error; nothing is written"
            )
        error = self._sync.error
        if error is None:
            try:
                if os.write(self._fd, chunk) == len(chunk):
                    self._size += len(chunk)
                    return
                error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # a short write: the disk is full
            except OSError as failure:
                error = failure
        self._fail(error)

    def _fail(self, error: OSError) -> None:
        self._failed = True
        with suppress(OSError):  # a cut file is readable too, only with a warning
            os.ftruncate(self._fd, self._size)
        raise DataLost(
            f"{self.path.name}: {error.strerror} at {self._size / 1e6:.1f} MB; the data so far is readable, "
            f"free some space and start a new recording"
        ) from error


def _layout(spec: StreamSpec) -> str:
    return f"{len(spec.labels)} channels ({', '.join(spec.labels)}) of {spec.sample_format} at {spec.rate_hz:g} Hz"


def _check(stream: _Stream, stamps: np.ndarray, values: np.ndarray) -> None:
    n_channels = len(stream.spec.labels)
    if stream.spec.sample_format == "string":
        raise BadMessage(f"stream {stream.spec.name!r} holds strings; use write_text")
    if stamps.ndim != 1 or values.shape != (len(stamps), n_channels):
        raise BadMessage(
            f"stream {stream.spec.name!r} needs values of shape (time, {n_channels}) and one stamp each; got values "
            f"{values.shape} and stamps {stamps.shape}"
        )
    if values.dtype != stream.dtype and not np.can_cast(values.dtype, stream.dtype, "same_kind"):
        raise BadMessage(f"stream {stream.spec.name!r} holds {stream.dtype}, got {values.dtype}; convert it first")
