"""Recordings in processes: one that fails or dies does not stop the others; an interruption leaves nothing behind."""

import json
import multiprocessing
import os
import signal

import pytest

from calibration.offline import batch, jobs, on_ray, workers
from calibration.offline.batch import Account, process_all, uses_ray
from calibration.offline.jobs import Result, run_job
from calibration.offline.order import LOCK, Order, Recording, job_text
from engines.errors import BadInput
from rt import assets

ORDER = Order(formats=("csv",))


@pytest.fixture
def nowhere(tmp_path):
    return Recording(tmp_path / "nowhere", tmp_path / "out" / "nowhere")


@pytest.fixture
def no_model(monkeypatch):
    """Also in the processes that are started."""
    monkeypatch.delenv(assets.FOLDER_VARIABLE, raising=False)


def test_a_failure_is_a_result(nowhere, monkeypatch):
    result = Result.of(run_job(job_text(nowhere, ORDER)))
    assert result.failed == 2
    assert "is no folder" in result.text
    monkeypatch.setattr("calibration.offline.processing.process", lambda *args: 1 / 0)
    result = Result.of(run_job(job_text(nowhere, ORDER)))
    assert (result.failed, "ZeroDivisionError" in result.text) == (4, True)


def test_recordings_are_shared_out_and_a_bad_one_does_not_stop_the_others(session, tmp_path, nowhere, no_model):
    good = [Recording(session.path, tmp_path / "out" / name) for name in ("a", "b")]
    ended, before = [], set(multiprocessing.active_children())
    account = process_all(
        [good[0], nowhere, good[1]], ORDER, 2, "off", lambda recording, _: ended.append(recording), lambda *_: None
    )
    assert sorted(recording.name for recording in ended) == sorted(["nowhere", *[session.path.name] * 2])
    results = [account.results[str(recording.target)] for recording in good]
    assert [(result.pictures, result.text) for result in results] == [(30, results[0].text)] * 2
    assert list(account.failed) == [str(nowhere.target)]
    assert account.exit_code == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "b"]
    texts = [(r.target / "processed.json").read_text() for r in good]
    assert texts[0] == texts[1]  # whichever process made it
    assert set(multiprocessing.active_children()) == before


def test_a_process_that_dies_takes_only_its_own_recording_along(monkeypatch):
    monkeypatch.setattr(workers, "_work", _die_or_answer)
    results = {}
    workers.run_here(
        ["first", "die", "last"], 1, lambda place, result: results.update({place: result}), lambda *_: None
    )
    assert [results[place].failed for place in range(3)] == [0, 4, 0]
    assert "ended unasked (-9)" in results[1].text


def _die_or_answer(pipe):
    """In the place of a worker's loop."""
    while (job := pipe.recv_bytes()) != b"":
        if job == b"die":
            os.kill(os.getpid(), signal.SIGKILL)
        pipe.send_bytes(json.dumps([0, 0, Result(pictures=1).as_text()]).encode())


def test_an_interruption_leaves_no_process_and_nothing_half_written(session, tmp_path, no_model, monkeypatch):
    recordings = [Recording(session.path, tmp_path / "out" / name) for name in ("a", "b")]

    def interrupted(texts, processes, finished, advanced):
        for recording in recordings:
            recording.part.mkdir(parents=True)
            (recording.part / LOCK).touch()
            (recording.part / "frames.csv").write_text("half")
        os.rename(recordings[0].part, recordings[0].target)
        finished(0, Result(pictures=30))
        raise KeyboardInterrupt

    monkeypatch.setattr(batch, "run_here", interrupted)
    with pytest.raises(KeyboardInterrupt):
        process_all(recordings, ORDER, 2, "off", lambda *_: None, lambda *_: None)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]


def test_ctrl_c_ends_the_processes(monkeypatch):
    def stop(place, done, of):
        raise KeyboardInterrupt

    monkeypatch.setattr(workers, "_work", _tell_and_wait)
    before = set(multiprocessing.active_children())
    with pytest.raises(KeyboardInterrupt):
        workers.run_here(["a", "b"], 2, lambda *_: None, stop)
    assert set(multiprocessing.active_children()) == before


def _tell_and_wait(pipe):
    pipe.recv_bytes()
    pipe.send_bytes(json.dumps([3, 30, None]).encode())
    pipe.recv_bytes()


def test_exit_codes():
    good, bad, lost = Result(pictures=3), Result(failed=3, text="?"), Result(failed=4, text="?")
    assert Account({"a": good}).exit_code == 0
    assert Account({"a": good, "b": bad}).exit_code == 2
    assert Account({"a": lost, "b": bad}, {"x": "?"}).exit_code == 4
    assert Account({}, {"x": "?"}).exit_code == 2
    assert jobs.LOST == 4


def test_ray_is_taken_for_many_where_it_is_installed(monkeypatch):
    monkeypatch.setattr(on_ray, "is_installed", lambda: True)
    assert [uses_ray("auto", n) for n in (1, 2)] == [False, True]
    assert [uses_ray(word, 1) for word in ("off", "local", "head:6379")] == [False, True, True]
    monkeypatch.setattr(on_ray, "is_installed", lambda: False)
    assert not uses_ray("auto", 9)


def test_an_impossible_number_of_processes_is_refused():
    with pytest.raises(BadInput, match="1 to 1024, found 0"):
        process_all([], ORDER, 0, "off", lambda *_: None, lambda *_: None)
