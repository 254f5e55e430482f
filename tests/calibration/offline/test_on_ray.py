"""Jobs on Ray on this machine: the same tables, nothing that anybody else can reach, nothing left."""

import multiprocessing
import os
import tempfile
from pathlib import Path

import pytest

from calibration.offline import on_ray
from calibration.offline.jobs import Result
from calibration.offline.order import Order, Recording, job_text
from rt import assets
from rt.errors import BadSettings


def test_without_ray_it_is_one_sentence(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(BadSettings, match=r"Ray is not installed: pip install 'myomirror\[ray\]', or choose --ray off"):
        on_ray.run_on_ray(["{}"], on_ray.LOCAL, 1, lambda *_: None)


def test_a_machine_with_another_version_refuses_the_job():
    result = Result.of(on_ray._run("{}", "0.0.0"))
    assert result.failed == 2
    assert "not 0.0.0" in result.text


def listening():
    """Addresses on which this process and what it started listen."""
    import psutil

    here = psutil.Process()
    found = set()
    for process in [here, *here.children(recursive=True)]:
        try:
            connections = process.net_connections("inet")
        except psutil.Error:
            continue
        found |= {c.laddr.ip.removeprefix("::ffff:") for c in connections if c.status == psutil.CONN_LISTEN}
    return found


@pytest.mark.skipif(not on_ray.is_installed(), reason="Ray is not installed")
def test_recordings_go_through_ray_here_and_only_here(session, tmp_path, monkeypatch):
    monkeypatch.delenv(assets.FOLDER_VARIABLE, raising=False)
    words = {name: os.environ.get(name) for name in on_ray._local_words()}
    before = set(Path(tempfile.gettempdir()).glob("myomirror-ray-*")), set(multiprocessing.active_children())
    good = Recording(session.path, tmp_path / "out" / "a")
    bad = Recording(tmp_path / "nowhere", tmp_path / "out" / "b")
    results, addresses = {}, set()

    def finished(place, result):
        results[place] = result
        addresses.update(listening())

    order = Order(formats=("csv",))
    on_ray.run_on_ray([job_text(good, order), job_text(bad, order)], on_ray.LOCAL, 1, finished)
    assert results[0].pictures == 30, results[0]
    assert results[1].failed == 2
    assert "is no folder" in results[1].text
    assert addresses
    assert addresses <= {"127.0.0.1", "::1"}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]
    after = set(Path(tempfile.gettempdir()).glob("myomirror-ray-*")), set(multiprocessing.active_children())
    assert after == before
    assert {name: os.environ.get(name) for name in words} == words
