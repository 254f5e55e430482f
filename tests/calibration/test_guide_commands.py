"""`myomirror calibrate` as people mistype it; the whole of it is tests/integration/test_calibrate.py."""

import sys

import pytest
import yaml

from rt import commands


@pytest.fixture
def main(monkeypatch, capfd, tmp_path):
    """main(*arguments) in an empty folder; returns (exit code, err)."""
    from rt import cli

    if "calibrate" not in commands.registered():
        pytest.skip("the package was installed before this command was there: pip install -e .")
    monkeypatch.chdir(tmp_path)
    content = {"camera": {"kind": "synthetic"}, "emg": {"kind": "none"}}
    (tmp_path / "station.yaml").write_text(yaml.safe_dump(content))

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["myomirror", "calibrate", *arguments])
        try:
            cli.main()
            code = 0
        except SystemExit as caught:
            code = caught.code or 0
        return code, capfd.readouterr().err

    return call


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("station.yaml", "--subject", "Anna Muster"), "is no pseudonym"),
        (("station.yaml", "--subject", "../P01"), "is no pseudonym"),
        (("nothing.yaml", "--subject", "P01"), "cannot be read"),
        (("station.yaml", "--subject", "P01", "--emg"), "no amplifier"),
        (("station.yaml", "--subject", "P01", "--movement", "pixel-smile"), "cannot be fitted to a person"),
        (("station.yaml", "--subject", "P01", "--movement", "frown"), "frown"),
        (("station.yaml", "--subject", "P01", "--report", "no/such/folder.json"), "no writable folder"),
        (("station.yaml",), "--subject"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(main, tmp_path, arguments, sentence):
    code, err = main(*arguments)
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["station.yaml"]
