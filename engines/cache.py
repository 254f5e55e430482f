"""The folder for what can be made again: exported networks and compiled plans.

It is the user's own and nobody else may write into it, because a compiled plan is code.  Nothing lands beside the
package.
"""

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from engines.errors import EngineError

_FOREIGN = stat.S_IWGRP | stat.S_IWOTH | stat.S_IRGRP | stat.S_IROTH | stat.S_IXGRP | stat.S_IXOTH


def cache_folder(name: str) -> Path:
    """$XDG_CACHE_HOME/myomirror/NAME, made 0700 when it is not there.

    Raises EngineError when it is a link, somebody else's, or open to others.
    """
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return private_folder(Path(root) / "myomirror" / name)


def private_folder(folder: Path) -> Path:
    """Make a folder 0700, or check that the one there is ours alone.  Raises EngineError otherwise."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & _FOREIGN:
        raise EngineError(f"{folder} must be a folder that only you can enter: chmod 700 it, or remove it")
    return folder


def read_private(path: Path) -> bytes | None:
    """The content of a file of ours; None when there is none, or it is a link, another's, or open to others."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & _FOREIGN:
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def write_private(path: Path, content: bytes) -> None:
    """Write a file 0600 in one step: readers see the old one or the new one."""
    descriptor, part = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".part", dir=path.parent)  # 0600
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    Path(part).replace(path)


def digest(*parts: bytes) -> str:
    """sha256 over several pieces whose borders count: ("ab", "c") is not ("a", "bc")."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "little") + part)
    return total.hexdigest()
