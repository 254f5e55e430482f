"""A session's folder: private, its own, and swept when (and only when) its session is dead."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from rt.errors import MissingDevice
from rt.runtime_folder import RuntimeFolder, shared_memory_root, sweep


def test_private_and_gone_afterwards(tmp_path):
    folder = RuntimeFolder(tmp_path)
    folder.write("graph.json", "one")
    folder.write("graph.json", "two")
    assert (folder.path / "graph.json").read_text() == "two"
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.path.iterdir())
    assert {path.name for path in folder.path.iterdir()} == {"lock", "graph.json"}
    folder.remove()
    assert list(tmp_path.iterdir()) == []


def test_two_sessions_do_not_meet(tmp_path):
    one, two = RuntimeFolder(tmp_path), RuntimeFolder(tmp_path)
    assert one.path != two.path
    assert sweep(tmp_path) == []
    assert one.path.exists()
    one.remove()
    two.remove()


def test_a_killed_session_is_swept_by_the_next(tmp_path):
    code = f"""
        import time
        from pathlib import Path
        from rt.runtime_folder import RuntimeFolder
        folder = RuntimeFolder(Path({str(tmp_path)!r}))
        folder.write("camera.ring", "x")
        print(folder.path, flush=True)
        time.sleep(60)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    dead = process.stdout.readline().strip()
    assert sweep(tmp_path) == []  # it lives
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    folder = RuntimeFolder(tmp_path)
    assert not os.path.exists(dead)
    folder.remove()


def test_what_is_not_ours_is_left_alone(tmp_path):
    (tmp_path / "myomirror-without-lock").mkdir()
    (tmp_path / "psm_other").mkdir()
    target = tmp_path / "precious"
    target.mkdir()
    (target / "lock").touch()
    (tmp_path / "myomirror-link").symlink_to(target)
    (tmp_path / "myomirror-file").touch()
    assert sweep(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 5


def test_never_seen_without_its_lock(tmp_path, monkeypatch):
    """Another session's sweep between making and locking would take it for dead: it has no name until it is locked."""
    import fcntl

    seen, real = [], fcntl.flock

    def flock(*arguments):
        seen.append([path.name for path in tmp_path.glob("myomirror-*")])
        return real(*arguments)

    monkeypatch.setattr(fcntl, "flock", flock)
    folder = RuntimeFolder(tmp_path)
    assert seen[-1] == []
    assert folder.path.exists()
    folder.remove()


def test_a_folder_that_vanishes_while_we_look(tmp_path, monkeypatch):
    """Two sessions start at once and both sweep."""
    (tmp_path / "myomirror-dead").mkdir()
    (tmp_path / "myomirror-dead" / "lock").touch()
    real = os.open

    def swept(path, *more):
        if str(path).endswith("myomirror-dead/lock"):
            raise FileNotFoundError(path)
        return real(path, *more)

    monkeypatch.setattr(os, "open", swept)
    assert sweep(tmp_path) == []


def test_nowhere_to_write_is_a_sentence(tmp_path):
    with pytest.raises(MissingDevice, match=r"no folder can be made in .*nowhere.*free it"):
        RuntimeFolder(tmp_path / "nowhere")


def test_the_root_can_be_written():
    assert os.access(shared_memory_root(), os.W_OK)
