"""`myomirror process`: one sentence for what cannot be, an account of the rest, and the documented exit codes."""

import pytest
import typer
from typer.testing import CliRunner

from calibration.offline import batch
from calibration.offline.jobs import Result, run_job
from calibration.process_commands import process
from rt.errors import BadSettings


@pytest.fixture
def run(monkeypatch):
    """The command, with recordings faked by their names."""

    def here(jobs, processes, finished, advanced):
        for place, job in enumerate(jobs):
            advanced(place, 10, 30)
            lost = Result(failed=4, text="the disk is full")
            finished(place, lost if "lost" in job else Result(30, 1.0, True, ("a gap",)))

    monkeypatch.setattr(batch, "run_here", here)

    def invoke(*words):
        app = typer.Typer()
        app.registered_commands = process.registered_commands
        return CliRunner().invoke(app, [str(word) for word in words])

    return invoke


def recordings(folder, *names):
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "session.json").write_text("{}")
    return folder


def test_what_became_of_each_is_told(run, tmp_path):
    found = run(recordings(tmp_path / "data", "one", "two"), "--ray", "off", "--format", "csv")
    assert found.exit_code == 0, found.output
    assert f"one: synthetic, 30 rows: {tmp_path / 'data' / 'one.processed'}" in found.output
    assert "note: a gap (2 recordings)" in found.output
    assert "2 processed, 0 there already; 2 s of recording in" in found.output


def test_failures_do_not_stop_the_others_and_decide_the_exit_code(run, tmp_path):
    folder = recordings(tmp_path / "data", "good", "lost")
    found = run(folder, tmp_path / "nowhere", "--ray", "off")
    assert found.exit_code == 4
    assert "lost: not processed: the disk is full" in found.output
    assert "nowhere does not exist" in found.output
    assert "1 processed, 0 there already, 2 FAILED" in found.output
    found = run(folder / "good", tmp_path / "nowhere", "--ray", "off")
    assert found.exit_code == 2


def test_settings_that_cannot_be_are_refused_before_anything_begins(run, tmp_path):
    folder = recordings(tmp_path / "data", "good")
    assert isinstance(run(folder, "--format", "xlsx").exception, BadSettings)
    assert isinstance(run(folder, "--station", tmp_path / "none.yaml").exception, BadSettings)


def test_an_interruption_says_how_to_go_on(run, tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(batch, "run_here", stopped)
    found = run(recordings(tmp_path / "data", "good"), "--ray", "off")
    assert found.exit_code == 130
    assert "the same command goes on" in found.output


def test_a_damaged_recording_is_a_sentence(tmp_path):
    from calibration.offline.order import Order, Recording, job_text

    folder = recordings(tmp_path, "bad") / "bad"
    result = Result.of(run_job(job_text(Recording(folder, tmp_path / "out"), Order())))
    assert result.failed == 2
    assert "session.json" in result.text
