"""What the recording's files have in common: owner-only creation, atomic replacement, syncing without stalling."""

import contextlib
import errno
import fcntl
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from rt.errors import BadRecording, BadSettings, DataLost

SYNC_PERIOD_S = 0.5  # a power cut loses at most this much of what was written
_BLOCK = 1 << 20
_NOT_OURS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR})


def create_private(path: Path) -> int:
    """Create a new file that only its owner can read or write (0600); returns its descriptor, open to append.

    The folder is synced too, so that the name itself survives a power cut.
    Raises FileExistsError when the path exists (a recording is never overwritten), also for a dangling link.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, 0o600)
    sync_folder(path.parent)
    return fd


def sync_folder(folder: Path) -> None:
    """Make names created, replaced or removed in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file (0600) so that a reader, or a power cut, sees the old content or the new, never a mixture.

    Raises BadSettings where nothing can be written at all, DataLost when the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if error.errno in _NOT_OURS:
            raise BadSettings(f"{path} cannot be written ({error.strerror}): choose another place") from error
        raise DataLost(f"{path} cannot be written ({error.strerror}): free some space") from error
    sync_folder(path.parent)


def hash_file(path: Path) -> str:
    """SHA-256 of a whole file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lock(fd: int, path: Path) -> None:
    """Claim a file for this process; the kernel lets go of it when the process ends, however it ends.

    Raises BadRecording, and closes the descriptor, when another process is writing the file.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise BadRecording(f"{path} is being written by another process: stop that session first") from None


class DiskSync:
    """Syncs a growing, append-only file each 0.5 s from a thread of its own, and hashes what is final on the way.

    `os.fdatasync` can take tens of milliseconds: the thread that records must never wait for it. The running hash
    makes closing an hour's recording quick: only the last half second is left to read.
    """

    def __init__(self, fd: int, committed: Callable[[], int], hashing: bool = True) -> None:
        """fd: descriptor of the file, readable. committed: gives the number of bytes that will never change.

        hashing: False for a file whose beginning is rewritten when it is closed.
        """
        self._fd = fd
        self._hashing = hashing
        self._committed = committed
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._synced = 0
        self._error: OSError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="disk-sync", daemon=True)
        self._thread.start()

    @property
    def error(self) -> OSError | None:
        """The error that the disk reported while syncing (delayed allocation reports a full disk only there)."""
        return self._error

    def close(self) -> None:
        """Stop the thread and sync once more; the descriptor stays open."""
        self._stop.set()
        self._thread.join()
        self._sync()

    def digest(self) -> str:
        """SHA-256 of the committed bytes, as 64 hexadecimal digits; call it after `close`."""
        self._hash_up_to(self._committed())
        return self._hash.hexdigest()

    def _run(self) -> None:
        while not self._stop.wait(SYNC_PERIOD_S) and self._error is None:
            self._sync()
            if self._hashing and self._error is None:
                self._hash_up_to(self._synced)

    def _sync(self) -> None:
        size = self._committed()
        if size == self._synced or self._error is not None:
            return
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            self._error = error  # told to the recording thread, which raises DataLost at its next write
            return
        self._synced = size

    def _hash_up_to(self, size: int) -> None:
        while self._hashed < size and not (self._stop.is_set() and self._thread.is_alive()):
            block = os.pread(self._fd, min(_BLOCK, size - self._hashed), self._hashed)
            if not block:
                return
            self._hash.update(block)
            self._hashed += len(block)
