"""What every test of the live graph needs from LSL: a session of its own, and ids that nobody else has."""

import os
import time
import uuid

import pytest

# Before any LSL call of this process, and inherited by the processes that tests start.
os.environ.setdefault("MYOMIRROR_LSL_SESSION", f"test-{uuid.uuid4().hex[:12]}")


@pytest.fixture
def lsl_id() -> str:
    """An LSL source_id that no other test has."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def until():
    """Wait for something that another thread or process does; fails after `limit_s`."""

    def wait(condition, limit_s=15.0):
        deadline = time.monotonic() + limit_s
        while not (value := condition()):
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.005)
        return value

    return wait
