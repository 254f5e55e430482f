"""The first session on a machine compiles its kernels: before the pictures begin, never in the work loop."""

import pytest
from application import Application, Simulated, recordings, station_file, until

pytestmark = pytest.mark.integration


def test_nothing_is_compiled_once_the_session_runs(tmp_path, lsl_id):
    """A live session, and a replay of it, each as the first one on its machine."""
    station = station_file(
        tmp_path,
        subject="P01",
        camera={"kind": "synthetic"},
        emg={"kind": "lsl", "source_id": lsl_id},
        practise={"view": "practise"},
        recording={"enabled": True, "folder": "recordings", "consent": {"emg": True, "video": True}},
    )
    with Simulated(lsl_id):
        _first_time(tmp_path, 90, "live", station)
    (recording,) = recordings(tmp_path / "recordings")
    _first_time(tmp_path, 30, "replay", recording)  # which ends by itself, and may drop some of its pictures


def _first_time(folder, pictures, *command):
    cache = folder / f"kernels-{command[0]}"
    with Application(folder, *command, "--headless", env={"NUMBA_CACHE_DIR": str(cache)}) as session:
        flags = session.board.flags
        until(lambda: flags["go"][0], lambda: session.output, 60.0)
        at_start = set(cache.rglob("*.nbc"))
        session.wait_until_running(shown=pictures)
        assert session.stop() == 0, session.output
    assert len(at_start) > 5
    assert set(cache.rglob("*.nbc")) - at_start == set()
    assert session.report["restarts"] == {}
    assert session.report["alarms"] == []
