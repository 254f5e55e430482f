import sys

import pytest

from benchmarks import start_time
from benchmarks.start_time import first_picture_s, help_s, targets


def test_help_is_timed_after_a_first_start_that_does_not_count():
    found = help_s(2)
    assert found.n == 2
    assert 0.01 < found.median < 60


def test_targets_are_the_medians():
    rows = [{"what": "myomirror --help", "median_s": 0.6}, {"what": "demo's first picture", "median_s": 7.0}]
    assert [(target.value, target.reached) for target in targets(rows)] == [(0.6, False), (7.0, True)]


def test_a_demo_that_ends_without_a_picture_says_why(monkeypatch, tmp_path):
    monkeypatch.setattr("benchmarks.processes.MYOMIRROR", _command(tmp_path, "print('no luck'); raise SystemExit(3)"))
    with pytest.raises(RuntimeError, match=r"ended with 3 .*no luck"):
        first_picture_s()


def test_a_demo_that_shows_nothing_is_not_waited_for_for_ever(monkeypatch, tmp_path):
    monkeypatch.setattr("benchmarks.processes.MYOMIRROR", _command(tmp_path, "import time; time.sleep(60)"))
    monkeypatch.setattr(start_time, "_LIMIT_S", 0.5)
    with pytest.raises(RuntimeError, match="shown nothing"):
        first_picture_s()


def _command(folder, code):
    path = folder / "command"
    path.write_text(f"#!{sys.executable}\n{code}\n")
    path.chmod(0o700)
    return path
