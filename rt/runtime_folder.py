"""A session's private folder in shared memory, and the sweeping of those that a killed session left behind."""

import fcntl
import os
import secrets
import shutil
import tempfile
from pathlib import Path

from rt.errors import MissingDevice

_PREFIX = "myomirror-"


def shared_memory_root() -> Path:
    """Memory that looks like a folder where there is some, the temporary folder otherwise (slower, same code)."""
    root = Path("/dev/shm")  # noqa: S108 - the folder inside is 0700 and has a random name
    return root if root.is_dir() and os.access(root, os.W_OK) else Path(tempfile.gettempdir())


class RuntimeFolder:
    """Created 0700 and locked for as long as its session lives; whoever can take the lock may sweep it."""

    def __init__(self, root: Path | None = None) -> None:
        root = root or shared_memory_root()
        sweep(root)
        self.path = root / f"{_PREFIX}{secrets.token_hex(5)}"
        nursery = root / f".{self.path.name}"  # it gets its name when it is locked: nobody can sweep it before
        try:
            nursery.mkdir(mode=0o700)
            self._lock = os.open(nursery / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            nursery.rename(self.path)
        except OSError as error:
            raise MissingDevice(
                f"no folder can be made in {root} ({error.strerror}): free it or make it writable"
            ) from error

    def write(self, name: str, text: str) -> None:
        """A small file for the workers, who never see half of it."""
        descriptor = os.open(self.path / f".{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        os.replace(self.path / f".{name}", self.path / name)

    def remove(self) -> None:
        """Give back the memory; mappings that are still open stay valid until they are closed."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def sweep(root: Path) -> list[Path]:
    """Remove the folders of this user whose session is dead. Returns what was removed."""
    dead = [folder for folder in root.glob(f"{_PREFIX}*") if _is_dead(folder)]
    for folder in dead:
        shutil.rmtree(folder, ignore_errors=True)
    return dead


def _is_dead(folder: Path) -> bool:
    """Whether it is ours and nobody holds its lock."""
    try:
        if folder.lstat().st_uid != os.getuid() or folder.is_symlink():
            return False
        lock = os.open(folder / "lock", os.O_RDWR)
    except OSError:
        return False  # no session's folder, or somebody else has just swept it
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False  # its session lives
    finally:
        os.close(lock)
    return True
