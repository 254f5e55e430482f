"""What every test gets: folders of its own for logs and caches, and the small nodes for the runtime's graphs.

Shared data is found through $MYOMIRROR_ASSETS and $MYOMIRROR_DATA where they are set; nothing is looked up here.
"""

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import chromium
from rt import runtime_folder

_NODES = str(Path(__file__).parent / "rt" / "nodes")
_PATIENCE_MS = 20e3  # with a page on a busy machine
_HOME = Path(tempfile.mkdtemp(prefix="myomirror-tests-"))  # where the logs of this run's sessions lie
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)

# At import, before anything asks for its folders, and inherited by every process that a test starts.
sys.path.insert(0, _NODES)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (_NODES, os.environ.get("PYTHONPATH"))))
os.environ["XDG_STATE_HOME"] = str(_HOME / "state")
os.environ["XDG_CACHE_HOME"] = str(_HOME / "cache")
# Tests' networks are tiny: more threads than one only wait for each other, and round another way on every machine
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The one browser of this run: Playwright allows no second one beside it."""
    if chromium.executable() is None:
        pytest.skip("Chromium is not installed (Debian package: chromium)")
    with chromium.launched() as found:
        from playwright.sync_api import expect

        expect.set_options(timeout=_PATIENCE_MS)
        yield found


@pytest.fixture
def shared_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A root of its own for the sessions of one test, so that nobody else's session sweeps or is seen in it.

    Every session must have swept its folder at the end.
    """
    root = Path(tempfile.mkdtemp(prefix="test-", dir=runtime_folder.shared_memory_root()))
    monkeypatch.setattr(runtime_folder, "shared_memory_root", lambda: root)
    yield root
    left = sorted(path.name for path in root.iterdir())
    shutil.rmtree(root)
    assert left == []
