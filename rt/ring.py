"""Pictures in shared memory: one writer, any number of readers, no copy.

A ring is a file under the session's runtime folder (in /dev/shm), created by the session before any process starts:
Python's own `shared_memory` lets an unrelated process that attaches and exits unlink the segment for everybody.
Every slot carries a sequence number; the writer clears it before it touches the pixels and sets it afterwards. A
reader looks at it before *and after* use: a changed number means that the pixels were overwritten meanwhile.
"""

import math
import mmap
import os
import struct
from pathlib import Path

import numpy as np

from rt.errors import BadSettings, MissingDevice, TornRead
from rt.message import Slot

_HEADER = struct.Struct("<4sIQQQ")  # magic, version, slots, bytes per slot, frames published so far
_MAGIC = b"MYOR"
_VERSION = 1
_LINE = 64  # one cache line per sequence number, so that neighbours do not share one


def _slot_stride(slot_bytes: int) -> int:
    return -(-slot_bytes // mmap.PAGESIZE) * mmap.PAGESIZE


def _data_offset(slots: int) -> int:
    return _slot_stride(_LINE + slots * _LINE)


def create_ring(path: Path, slots: int, slot_bytes: int) -> None:
    """Reserve a ring of `slots` pictures of at most `slot_bytes` bytes. Raises MissingDevice when memory is short."""
    size = _data_offset(slots) + slots * _slot_stride(slot_bytes)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)  # a sparse file would kill us with SIGBUS later instead
        os.pwrite(descriptor, _HEADER.pack(_MAGIC, _VERSION, slots, slot_bytes, 0), 0)
    except OSError as error:
        os.unlink(path)
        raise MissingDevice(
            f"{size / 2**20:.0f} MiB of shared memory are needed in {path.parent.parent}, {error.strerror}: "
            "enlarge it (docker: --shm-size), or lower `hold_s` or the picture size in the station file"
        ) from error
    finally:
        os.close(descriptor)


class _Mapping:
    """The file as memory, with its sequence numbers and slots as arrays."""

    def __init__(self, path: Path, writable: bool) -> None:
        self.name = path.stem
        descriptor = os.open(path, os.O_RDWR if writable else os.O_RDONLY)
        try:
            protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
            self._memory = mmap.mmap(descriptor, 0, mmap.MAP_SHARED, protection)
        finally:
            os.close(descriptor)
        magic, version, self.slots, self.slot_bytes, _ = _HEADER.unpack_from(self._memory)
        if magic != _MAGIC or version != _VERSION:
            raise BadSettings(f"{path} is not a ring of version {_VERSION}")
        words = np.frombuffer(self._memory, np.uint64, (_LINE + self.slots * _LINE) // 8)
        self.published = words[3:4].data  # the header's last field (byte 24): frames published so far
        self.sequences = words[_LINE // 8 :: _LINE // 8].data
        stride, start = _slot_stride(self.slot_bytes), _data_offset(self.slots)
        self.pixels = [
            np.frombuffer(self._memory, np.uint8, self.slot_bytes, start + i * stride) for i in range(self.slots)
        ]


class RingWriter:
    """The one writer of a ring. `buffer` gives the next slot to write into, `publish` hands it out."""

    def __init__(self, path: Path) -> None:
        self._map = _Mapping(path, writable=True)
        self._open: np.ndarray | None = None

    @property
    def name(self) -> str:
        return self._map.name

    def buffer(self, shape: tuple[int, ...]) -> np.ndarray:
        """The next slot as a writable (height, width, 3) uint8 array; the same slot until it is published."""
        size = math.prod(shape)
        if size > self._map.slot_bytes:
            raise BadSettings(
                f"a picture of {shape} needs {size} bytes, the ring {self.name} holds {self._map.slot_bytes}: "
                "declare the larger picture size in the station file"
            )
        place = int(self._map.published[0]) % self._map.slots
        self._map.sequences[place] = 0
        self._open = self._map.pixels[place][:size].reshape(shape)
        return self._open

    def owns(self, image: np.ndarray) -> bool:
        """Whether this is the buffer given out last and not yet published: all of it, whoever made the view."""
        mine = self._open
        return mine is not None and image.__array_interface__ == mine.__array_interface__

    def publish(self) -> Slot:
        """Hand out the slot written last: its address for the control message."""
        if self._open is None:
            raise BadSettings("publish() without a buffer() before it")
        number = int(self._map.published[0]) + 1
        place = (number - 1) % self._map.slots
        self._map.sequences[place] = number
        self._map.published[0] = number
        self._open = None
        return Slot(self.name, place, number)


class RingReader:
    """Any reader: read-only views, and the check before and after use."""

    def __init__(self, path: Path) -> None:
        self._map = _Mapping(path, writable=False)

    def view(self, slot: Slot, shape: tuple[int, ...]) -> np.ndarray:
        """The picture in this slot, read-only. Raises TornRead when it has been overwritten already."""
        size = math.prod(shape) if all(n >= 0 for n in shape) else -1
        if not 0 <= slot.place < self._map.slots or not 0 <= size <= self._map.slot_bytes:
            raise TornRead(f"slot {slot.place} with shape {shape} does not lie in the ring {self._map.name}")
        if not self.intact(slot):
            raise TornRead(f"frame {slot.sequence} of {self._map.name} was overwritten before it was read")
        return self._map.pixels[slot.place][:size].reshape(shape)

    def intact(self, slot: Slot) -> bool:
        """Whether the slot still holds the frame that the address was made for."""
        return 0 <= slot.place < self._map.slots and self._map.sequences[slot.place] == slot.sequence
