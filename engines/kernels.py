"""Compiled functions: one way to make them, and a cache on disk that several processes may fill at once.

Numba's own cache (0.68) reads its index, takes the next free number, and writes the index and the code, unguarded. Two
processes that compile one function for different arguments at the same moment, as the processes of a first session do,
take the same number: an entry is lost, or names the other one's code. Here each reading and each writing holds a lock.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numba
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher


def kernel(function: Callable[..., Any]) -> Any:
    """The function, compiled for the arguments it is called with and kept on disk; it leaves the interpreter's lock."""
    compiled = numba.njit(nogil=True)(function)
    if isinstance(compiled, Dispatcher):  # it is the function itself under NUMBA_DISABLE_JIT
        compiled._cache = LockedCache(function)  # type: ignore[attr-defined]
    return compiled


def inlined(function: Callable[..., Any]) -> Any:
    """A function for kernels only: its lines stand in theirs, and are compiled with them."""
    return numba.njit(nogil=True, inline="always")(function)


class LockedCache(FunctionCache):  # type: ignore[misc]  # numba has no types
    """Numba's cache of one function's compiled code: many may read it, or one may write."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The code for these argument types; None where it is not there yet."""
        with self._locked(fcntl.LOCK_SH):
            return super().load_overload(sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the code for these argument types."""
        with self._locked(fcntl.LOCK_EX):
            super().save_overload(sig, data)

    def flush(self) -> None:
        """Forget all of it."""
        with self._locked(fcntl.LOCK_EX):
            super().flush()

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """While the file beside the index is held; the system takes it back from a process that dies."""
        os.makedirs(self.cache_path, exist_ok=True)
        try:
            lock = os.open(f"{self._cache_file._index_path}.lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError:  # somebody else's folder that may be read: whoever may not write can do no harm in it
            yield
            return
        try:
            with suppress(OSError):  # a file system that knows no locks: as safe as Numba's own cache
                fcntl.flock(lock, how)
            yield
        finally:
            with suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_UN)  # a child that was forked meanwhile holds the descriptor, too
            os.close(lock)
