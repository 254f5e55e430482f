"""Pictures in shared memory: what a reader trusts is what the writer wrote, whatever happens in between."""

import errno
import os
import subprocess
import sys
import textwrap
import time
import uuid

import numpy as np
import pytest

from rt.errors import BadSettings, MissingDevice, TornRead
from rt.message import Slot
from rt.ring import RingReader, RingWriter, create_ring
from rt.runtime_folder import shared_memory_root

SHAPE = (48, 64, 3)


@pytest.fixture
def path(tmp_path):
    create_ring(tmp_path / "camera.frame.ring", 4, 48 * 64 * 3)
    return tmp_path / "camera.frame.ring"


def write(writer, value):
    writer.buffer(SHAPE)[:] = value
    return writer.publish()


def test_the_picture_comes_out_again(path):
    image = np.random.default_rng(3).integers(0, 256, SHAPE, np.uint8)
    writer, reader = RingWriter(path), RingReader(path)
    writer.buffer(SHAPE)[:] = image
    slot = writer.publish()
    assert slot == Slot("camera.frame", 0, 1)
    np.testing.assert_array_equal(reader.view(slot, SHAPE), image)
    assert reader.intact(slot)


def test_a_reader_cannot_write(path):
    writer, reader = RingWriter(path), RingReader(path)
    view = reader.view(write(writer, 1), SHAPE)
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0, 0] = 2
    with pytest.raises(ValueError, match="WRITEABLE"):
        view.flags.writeable = True


def test_a_slot_holds_until_the_ring_comes_round(path):
    writer, reader = RingWriter(path), RingReader(path)
    first = write(writer, 1)
    for value in (2, 3, 4):
        write(writer, value)
    assert (reader.view(first, SHAPE) == 1).all()
    writer.buffer(SHAPE)  # the fifth picture is being written where the first one was
    assert not reader.intact(first)
    with pytest.raises(TornRead):
        reader.view(first, SHAPE)
    writer.publish()
    assert not reader.intact(first)


def test_smaller_pictures_fit_and_larger_ones_are_refused(path):
    writer, reader = RingWriter(path), RingReader(path)
    writer.buffer((2, 3, 3))[:] = 9
    assert (reader.view(writer.publish(), (2, 3, 3)) == 9).all()
    with pytest.raises(BadSettings, match="holds 9216"):
        writer.buffer((49, 64, 3))


def test_the_same_slot_until_it_is_published(path):
    writer = RingWriter(path)
    assert writer.owns(writer.buffer(SHAPE))
    assert writer.buffer(SHAPE).__array_interface__ == writer.buffer(SHAPE).__array_interface__
    assert writer.publish().sequence == 1
    with pytest.raises(BadSettings, match="without a buffer"):
        writer.publish()


def test_owns_any_view_of_all_of_the_buffer_and_of_nothing_else(path):
    writer = RingWriter(path)
    buffer = writer.buffer(SHAPE)
    assert writer.owns(buffer[:])
    assert writer.owns(buffer.view())
    assert not writer.owns(buffer[::-1])
    assert not writer.owns(buffer[1:])
    assert not writer.owns(buffer.copy())
    writer.publish()
    assert not writer.owns(buffer)


@pytest.mark.parametrize("slot", [Slot("x", -1, 1), Slot("x", 4, 1), Slot("x", 0, 2)])
def test_an_address_that_points_nowhere(path, slot):
    writer, reader = RingWriter(path), RingReader(path)
    write(writer, 1)
    assert not reader.intact(slot)
    with pytest.raises(TornRead):
        reader.view(slot, SHAPE)


@pytest.mark.parametrize("shape", [(49, 64, 3), (-1, 64, 3), (2**32, 2**32), (2**40, 3)])
def test_a_shape_that_does_not_fit(path, shape):
    writer, reader = RingWriter(path), RingReader(path)
    slot = write(writer, 1)
    with pytest.raises((TornRead, ValueError)):
        reader.view(slot, shape)


def test_a_writer_that_is_restarted_goes_on_counting(path):
    reader = RingReader(path)
    old = write(RingWriter(path), 5)
    crashed = RingWriter(path)
    crashed.buffer(SHAPE)[:] = 77  # killed here: never published
    writer = RingWriter(path)
    slot = write(writer, 6)
    assert slot.sequence == old.sequence + 1
    assert (reader.view(old, SHAPE) == 5).all()
    assert (reader.view(slot, SHAPE) == 6).all()


def test_something_else_is_not_a_ring(tmp_path):
    (tmp_path / "a.ring").write_bytes(bytes(8192))
    with pytest.raises(BadSettings, match="not a ring"):
        RingReader(tmp_path / "a.ring")


def test_short_of_memory_is_a_sentence_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(MissingDevice, match=r"0 MiB of shared memory.*No space left.*--shm-size"):
        create_ring(tmp_path / "a.ring", 4, 1000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(str(shared_memory_root()) != "/dev/shm", reason="no tmpfs here that could be full")
def test_more_than_the_machine_has():
    path = shared_memory_root() / f"test-{uuid.uuid4().hex}.ring"
    with pytest.raises(MissingDevice, match="shared memory are needed"):
        create_ring(path, 2**20, 2**30)
    assert not path.exists()


WRITER = """
    import sys, time
    from pathlib import Path
    from rt.ring import RingWriter
    writer = RingWriter(Path(sys.argv[1]))
    shape, t_end, n = (240, 320, 3), time.monotonic() + float(sys.argv[2]), 0
    while time.monotonic() < t_end:
        n += 1
        writer.buffer(shape)[:] = n % 251
        writer.publish()
"""


def start(code, *arguments):
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)])


def test_no_torn_picture_goes_unseen(tmp_path):
    """A writer process goes round a ring of three as fast as it can; a reader looks at every picture it can get."""
    path, shape = tmp_path / "a.ring", (240, 320, 3)
    create_ring(path, 3, 240 * 320 * 3)
    reader, words = RingReader(path), np.memmap(path, np.uint64, "r")
    torn, whole, wrong = 0, 0, []
    writer = start(WRITER, path, 2.5)
    try:
        while writer.poll() is None:
            number = int(words[3])  # frames published so far
            slot = Slot("a", (number - 1) % 3, number)
            try:
                view = reader.view(slot, shape)
            except TornRead:
                continue
            right = bool((view[:120] == number % 251).all())
            if number % 2:
                time.sleep(0.0002)
            right = right and bool((view[120:] == number % 251).all())
            if reader.intact(slot):
                whole += 1
                wrong += [] if right else [number]
            else:
                torn += not right
    finally:
        writer.wait()
    assert wrong == []
    assert torn > 10, "nothing was torn, so nothing was tested"
    assert whole > 10, "nothing was whole, so nothing was tested"


FOREIGN = """
    import mmap, os, sys
    from multiprocessing import shared_memory
    path = sys.argv[1]
    try:
        found = shared_memory.SharedMemory(name=path.removeprefix("/dev/shm/"))
        found.close()
    except (OSError, ValueError):
        pass
    descriptor = os.open(path, os.O_RDWR)
    memory = mmap.mmap(descriptor, 0)
    assert memory[:4] == b"MYOR"
    # and it exits without closing anything
"""


def test_a_foreign_process_that_attaches_and_exits_takes_nothing_away():
    folder = shared_memory_root() / f"test-{uuid.uuid4().hex[:8]}"
    folder.mkdir(mode=0o700)
    path = folder / "camera.frame.ring"
    try:
        create_ring(path, 4, 48 * 64 * 3)
        writer, reader = RingWriter(path), RingReader(path)
        write(writer, 3)
        assert start(FOREIGN, path).wait() == 0
        time.sleep(0.2)  # Python's resource tracker unlinks after its process has gone
        assert path.exists()
        assert (RingReader(path).view(write(writer, 4), SHAPE) == 4).all()
        assert reader.intact(Slot("camera.frame", 1, 2))
    finally:
        path.unlink(missing_ok=True)
        folder.rmdir()


def test_files_are_private(path):
    assert path.stat().st_mode & 0o777 == 0o600
