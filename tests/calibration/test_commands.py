"""The command as people type it: what it refuses, what it makes, what it says."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from calibration.data.mmm import Recordings
from rt import cli

COMMAND = str(Path(sys.executable).with_name("myomirror"))
SMALL = ("--participants", "1", "--sessions", "1", "--tasks", "happy,Smile-Closed", "--seconds", "0.2")

REFUSED = {
    "nothing to do": ("", 2, ("--out", "--preview")),
    "no people": ("--out there --participants 0", 2, ("participants must be 1 to 999, found 0",)),
    "negative people": ("--out there --participants -4", 2, ("found -4",)),
    "no sessions": ("--out there --sessions 0", 2, ("sessions",)),
    "unknown task": ("--out there --tasks happy,Smile-Opn", 2, ("did you mean 'Smile-Open'",)),
    "task twice": ("--out there --tasks happy,happy", 2, ("each task once",)),
    "negative seed": ("--out there --seed -1", 2, ("seed",)),
    "share": ("--out there --patients 2", 2, ("share of patients",)),
    "mishaps": ("--out there --mishaps -1", 2, ("mishaps",)),
    "seconds": ("--out there --seconds 0", 2, ("0 s",)),
    "preview nowhere": ("--preview no/where.png", 2, ("no/where.png",)),
    "preview of another kind": ("--preview sheet.gif", 2, ("sheet.gif", ".png")),
    "no photos": ("--out there --photos .", 2, ("holds no photos", "London")),
    "no face model": ("--out there --photos PHOTOS --face-model nowhere", 2, ("ICT-FaceKit", "--face-model")),
}


def main(monkeypatch, capfd, *arguments):
    monkeypatch.setattr(sys, "argv", ["myomirror", "simulate", "cohort", *map(str, arguments)])
    try:
        cli.main()
        code = 0
    except SystemExit as caught:
        code = caught.code or 0
    return code, *capfd.readouterr()


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_one_sentence_and_leaves_nothing(monkeypatch, capfd, tmp_path, name):
    arguments, code, said = REFUSED[name]
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "001.jpg").touch()
    monkeypatch.chdir(tmp_path)
    found, out, err = main(monkeypatch, capfd, *arguments.replace("PHOTOS", "photos").split())
    assert found == code, err
    assert out == ""
    assert err.count("\n") == 1, err
    assert all(text in err for text in said), err
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


@pytest.mark.parametrize("processes", ["0", "-1"])
def test_processes_are_counted_from_one(monkeypatch, capfd, tmp_path, photos, processes):
    code, _, err = main(
        monkeypatch, capfd, *SMALL, "--out", tmp_path / "c", "--photos", photos, "--processes", processes
    )
    assert (code, err.count("\n")) == (2, 1)
    assert "processes must be 1 to" in err


def test_a_cohort_is_made_once_and_then_found(monkeypatch, capfd, tmp_path, photos):
    arguments = (*SMALL, "--out", tmp_path / "cohort", "--photos", photos, "--processes", 1)
    code, out, err = main(monkeypatch, capfd, *arguments)
    assert (code, err) == (0, "")
    assert "4 clips of 1 synthetic people, 4 of them made now" in out
    assert len(Recordings.open(tmp_path / "cohort").clips) == 4
    code, out, _ = main(monkeypatch, capfd, *arguments)
    assert code == 0
    assert "all there already" in out
    code, out, err = main(monkeypatch, capfd, *arguments, "--seed", "1")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "holds another cohort (settings.seed is 0 there and 1 here)" in err


def _wait_until_gone(group):
    """Python's own tracker of shared things ends a moment after the others."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("a process was left behind")


@pytest.mark.integration
def test_ctrl_c_ends_it_at_once_and_the_same_command_goes_on(tmp_path, photos):
    arguments = ["simulate", "cohort", "--participants", "1", "--sessions", "1", "--photos", str(photos)]
    arguments += ["--tasks", "happy,sad,angry", "--seconds", "0.4", "--out", str(tmp_path / "cohort")]
    process = subprocess.Popen(
        [COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    until = time.monotonic() + 60
    while not list((tmp_path / "cohort" / "truth").glob("*_1*/*.npz")):
        assert time.monotonic() < until
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode in (0, 130), err  # 0: it had just finished
    assert "Traceback" not in err
    if process.returncode:
        assert "the same command goes on" in out
        assert not (tmp_path / "cohort" / ".making").exists()
    _wait_until_gone(process.pid)
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, check=True)
    assert "6 clips of 1 synthetic people" in done.stdout
    assert len(Recordings.open(tmp_path / "cohort").clips) == 6
