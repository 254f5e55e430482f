"""Compiled plans on disk.  A plan is code for the graphics card's driver, so only our own are ever loaded.

    cache/plans/hmac.key       32 random bytes, 0600, made with the folder
    cache/plans/KEY.plan       HMAC-SHA256 over name and content (32 bytes), content

KEY is the sha256 of everything that a plan depends on.  A file that is somebody else's, open to others, or whose HMAC
does not fit is as good as absent: the plan is built again and written over it.
"""

import hashlib
import hmac
import json
import logging
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from engines.cache import digest, private_folder, read_private, write_private

_KEY_BYTES = 32
_log = logging.getLogger(__name__)


class PlanCache:
    """Plans by what they depend on."""

    def __init__(self, folder: Path) -> None:
        """folder: made 0700 when it is not there.  Raises EngineError when it is not ours alone."""
        self._folder = private_folder(folder)
        self._secret = _secret(self._folder / "hmac.key")

    def find(self, depends_on: Mapping[str, str]) -> bytes | None:
        """The plan that was made under exactly these conditions; None when there is none that can be trusted."""
        path = self._path(depends_on)
        content = read_private(path)
        if content is None:
            return None
        mac, plan = content[:_KEY_BYTES], content[_KEY_BYTES:]
        if not hmac.compare_digest(mac, self._mac(path.name, plan)):
            _log.warning("%s is not what this cache wrote: it is built again", path)
            return None
        return plan

    def keep(self, depends_on: Mapping[str, str], plan: bytes) -> None:
        """Write a plan, over an older one if there is one."""
        path = self._path(depends_on)
        write_private(path, self._mac(path.name, plan) + plan)

    def forget(self, depends_on: Mapping[str, str]) -> None:
        """Remove a plan that turned out not to load."""
        self._path(depends_on).unlink(missing_ok=True)

    def _path(self, depends_on: Mapping[str, str]) -> Path:
        return self._folder / f"{digest(json.dumps(dict(depends_on), sort_keys=True).encode())}.plan"

    def _mac(self, name: str, plan: bytes) -> bytes:
        return hmac.new(self._secret, name.encode() + b"\0" + plan, hashlib.sha256).digest()


def _secret(path: Path) -> bytes:
    """Read the key, or make one; two processes that both find none end up with the same."""
    known = read_private(path)
    if known is not None and len(known) == _KEY_BYTES:
        return known
    fresh = path.with_name(f"hmac.{secrets.token_hex(8)}.part")
    write_private(fresh, secrets.token_bytes(_KEY_BYTES))
    try:
        os.link(fresh, path)  # fails where another process was quicker
    except FileExistsError:
        if len(read_private(path) or b"") != _KEY_BYTES:
            fresh.replace(path)  # what lies there is no key of ours: plans made with it are built again
    finally:
        fresh.unlink(missing_ok=True)
    return read_private(path) or b""
