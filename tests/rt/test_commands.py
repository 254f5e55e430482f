"""Commands of other packages: listed for --help, imported when called, a sentence when they cannot be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rt import cli, commands
from rt.errors import BadSettings

PLUGIN = '''
import typer
say = typer.Typer(add_completion=False)
@say.command()
def _(word: str = "ah"):
    """Say a word."""
    print(word)
several = typer.Typer(add_completion=False, help="Two commands.")
@several.command()
def one():
    print(1)
@several.command()
def two():
    print(2)
'''
GONE = """
import sys
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "PACKAGE":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Gone())
"""


@pytest.fixture
def plugin(tmp_path):
    """A folder like site-packages, with a distribution that adds five commands, two of which cannot be imported."""
    (tmp_path / "voice.py").write_text(PLUGIN)
    (tmp_path / "broken_voice.py").write_text("import a_library_that_is_nowhere\n")
    info = tmp_path / "voice-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: voice\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[myomirror.commands]\nsay = voice:say\nsimulate.voice = voice:several\ndemo = voice:say\n"
        "gone = nowhere_at_all:app\nbroken = broken_voice:app\n"
    )
    return tmp_path


def run(plugin: Path, *arguments: str, without: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own; without: a package that cannot be found there."""
    code = "import sys; from rt import cli; sys.argv[0] = 'myomirror'\n"
    if without:
        code = GONE.replace("PACKAGE", without) + code
    env = {**os.environ, "PYTHONPATH": str(plugin), "COLUMNS": "100"}
    command = [sys.executable, "-c", code + "cli.main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def test_added_commands_are_listed_and_run(plugin):
    listed = run(plugin, "--help").stdout
    for text in ("say", "Say a word.", "demo", "The whole pipeline", "Not available here: nowhere_at_all"):
        assert text in listed
    assert listed.count(" demo ") == 1
    assert run(plugin, "say", "--word", "oh").stdout == "oh\n"
    assert "voice" in run(plugin, "simulate", "--help").stdout
    assert run(plugin, "simulate", "voice", "two").stdout == "2\n"


def test_our_own_commands_cannot_be_replaced(plugin):
    assert "synthetic person" in " ".join(run(plugin, "demo", "--help").stdout.split())


@pytest.mark.parametrize(
    ("command", "said"),
    [("gone --with arguments", "needs the package nowhere_at_all"), ("broken", "cannot be loaded")],
)
def test_a_command_that_cannot_be_imported_says_so(plugin, command, said):
    done = run(plugin, *command.split())
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("myomirror: `myomirror ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


@pytest.mark.parametrize("command", ["simulate cohort --out there", "simulate cohort --help"])
def test_without_the_learning_room_its_commands_name_it(tmp_path, command):
    done = run(tmp_path, *command.split(), without="calibration")
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert "`myomirror simulate cohort` needs the package calibration" in done.stderr


def test_a_distribution_without_the_learning_room_says_what_is_missing(monkeypatch):
    """Its entry points name no such command, so only the typed words are known."""
    monkeypatch.setattr(commands, "registered", dict)
    monkeypatch.setattr(commands.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["myomirror", "simulate", "cohort", "--out", "there"])
    with pytest.raises(BadSettings, match=r"no command `myomirror simulate cohort` here.*calibration.*not installed"):
        cli.app()


def test_a_mistyped_command_is_named(capfd, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["myomirror", "simulate", "cohrt"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert "cohrt" in capfd.readouterr().err


def test_words_with_dots_become_groups():
    assert "simulate cohort" in commands.registered()
