"""`myomirror simulate signals` as people type it."""

import sys

import pytest

from calibration.data.emg_pairs import open_pairs
from rt import commands
from rt.errors import BadSettings


@pytest.fixture
def main(monkeypatch, capfd, tmp_path):
    """main(*arguments) in an empty folder; returns (exit code, out, err)."""
    from rt import cli

    if "simulate signals" not in commands.registered():
        pytest.skip("the package was installed before this command was there: pip install -e .")
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["myomirror", "simulate", "signals", *map(str, arguments)])
        try:
            cli.main()
            code = 0
        except SystemExit as caught:
            code = caught.code or 0
        return code, *capfd.readouterr()

    return call


SMALL = ("--participants", 1, "--sessions", 1, "--tasks", "Face-At-Rest", "--seconds", 1, "--mishaps", 0)


def test_a_folder_is_made_and_found_again(main, tmp_path):
    code, out, err = main("--out", "s", *SMALL, "--chains", "fast,jena_offline", "--processes", 1)
    assert code == 0, err
    assert "s: 1 synthetic recordings, signals only" in out
    for chain in ("fast", "jena_offline"):
        pairs = open_pairs(tmp_path / "s", chain=chain)
        assert pairs.clips[0].envelope_uv.shape == (30, 22)
    assert open_pairs(tmp_path / "s").chain == "fast"
    assert main("--out", "s", *SMALL, "--chains", "fast,jena_offline", "--processes", 1)[0] == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--chains", "slow"), "no EMG chain 'slow'"),
        (("--chains", ""), "at least one EMG chain"),
        (("--participants", 0), "participants must be 1 to 999"),
        (("--tasks", "Smile"), "no task 'Smile'"),
        (("--processes", 0), "processes must be 1 or more"),
    ],
)
def test_faults_are_one_sentence_and_leave_nothing(main, tmp_path, words, sentence):
    code, _, err = main("--out", "s", *SMALL, *words)
    assert code == BadSettings.exit_code
    assert sentence in " ".join(err.split())
    assert not (tmp_path / "s").exists()
