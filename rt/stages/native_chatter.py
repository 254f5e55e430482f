"""Keeps what native libraries write to stderr while they start out of the terminal, and in the log.

MediaPipe, Abseil and TensorFlow Lite greet with half a dozen lines that look like failures and are none, and offer
no switch. Whatever is not such a greeting is logged as a warning, and everything is when the start fails.
"""

import contextlib
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator

_GREETING = re.compile(r"^([IW]\d{4} |INFO: |WARNING: All log messages before absl::InitializeLog)")


@contextlib.contextmanager
def chatter_to_log(log: logging.Logger) -> Iterator[None]:
    """Within the block, file descriptor 2 goes to a file; after it, to the log: greetings as debug, others as warning.

    The whole process is concerned, so use it while nothing else runs. What a process that is killed within the
    block has written is lost: do not use it on the second try.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            kept.seek(0)
            for line in kept.read().decode(errors="replace").splitlines():
                log.log(logging.WARNING if failed or not _GREETING.match(line) else logging.DEBUG, "%s", line)
