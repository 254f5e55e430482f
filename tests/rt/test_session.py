"""A session of real processes: it shows, keeps, counts, refuses, ends and leaves nothing behind."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from itertools import pairwise

import psutil
import pytest
from runtime_graphs import Files, live_graph, missing_samples

from rt.board import State
from rt.errors import BadGraph, BadSettings, LiveError, MissingDevice
from rt.graph import EdgeSpec, NodeSpec
from rt.session import Session

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def leaves_nothing(shared_memory):
    """After every test: no folder, no process."""
    yield
    left = [p for p in psutil.Process().children(recursive=True) if "rt.worker" in " ".join(_command(p))]
    assert left == []


def _command(process):
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def test_processes(tmp_path):
    with Session(live_graph(tmp_path)) as session:
        outcome = session.run(2.5)
        assert session.folder.stat().st_mode & 0o777 == 0o700
    files = Files(tmp_path)
    ledger = outcome.ledger
    assert ledger.closed
    assert ledger.captured == files.captured > 50  # two independent counts: the board's and the camera's own file
    assert ledger.shown == len(files.shown)
    assert all(line.whole and line.content == line.seq % 251 for line in files.shown)
    assert [line.seq for line in files.shown] == sorted({line.seq for line in files.shown})
    assert files.kept_frames == list(range(1, ledger.captured + 1))
    assert missing_samples(files.kept_signal) == []
    assert files.kept_signal[0].first == 0
    assert files.keeper_finished
    assert outcome.restarts == {}
    assert all(outcome.ended_well.values())
    assert outcome.stop_s < 2.0
    assert 20 < outcome.fps_shown < 40
    assert outcome.latency_ms["photon_to_pixel"].n == ledger.shown
    unseen = sum(ledger.dropped.get(reason, 0) for reason in ("superseded", "no_consumer"))  # the stage never had them
    assert outcome.stages_ms["stage"].n == ledger.captured - unseen


@pytest.mark.parametrize(
    "placement",
    [{}, {"vision": ["stage", "show"]}, {"all": ["camera", "stage", "show", "keep"]}],
    ids=["apart", "together", "one group"],
)
@pytest.mark.parametrize("threads", [True, False], ids=["threads", "processes"])
def test_the_same_pictures_however_it_is_placed(tmp_path, threads, placement):
    """A source that ends, every picture kept and shown or accounted for, in any placement."""
    graph = live_graph(tmp_path, camera={"count": 20, "fps": 100.0}, signal={"count": 200}).placed(placement)
    with Session(graph, threads=threads) as session:
        outcome = session.run(20.0)
    files = Files(tmp_path)
    assert outcome.duration_s < 10  # it ended because its sources did
    assert outcome.ledger.captured == 20
    assert outcome.ledger.closed
    assert files.kept_frames == list(range(1, 21))
    assert {line.seq: line.content for line in files.shown}.items() <= {n: n for n in range(1, 21)}.items()
    assert len(files.shown) == outcome.ledger.shown > 5
    assert files.keeper_finished
    assert all(outcome.ended_well.values())


def test_a_slow_display_and_a_failing_stage_are_accounted_for(tmp_path):
    """Three times too slow: the newest is shown, the rest superseded; what failed is counted as failed."""
    graph = live_graph(tmp_path, stage={"fail_every": 10}, show={"work_s": 0.1})
    with Session(graph) as session:
        outcome = session.run(3.0)
    files, ledger = Files(tmp_path), outcome.ledger
    assert ledger.closed
    assert ledger.captured == files.captured
    assert ledger.shown == len(files.shown)
    assert ledger.dropped["superseded"] > ledger.shown
    assert abs(ledger.dropped["failed"] - ledger.captured / 10) <= 1
    ages = sorted(line.age_ms for line in files.shown)
    assert ages[-2] < 1e3 / 30 + 100 + 40  # one period, its own work, and 40 ms for a shared machine
    alarms = [event for event in outcome.events if event.kind == "ALARM"]
    assert [(a.node, a.text) for a in alarms] == [("stage", "stage failed: made to fail")]
    assert files.kept_frames == list(range(1, ledger.captured + 1))


def test_a_stage_that_always_fails_is_restarted_and_at_last_left_off(tmp_path, monkeypatch):
    """Also when its neighbour in the same process works: the failures in a row are its own."""
    monkeypatch.setattr("rt.group._BACK_OFF_S", (0.0,))
    graph = live_graph(tmp_path, camera={"fps": 200.0})
    second = NodeSpec("second", "runtime_nodes:Stage", "vision", {"fail_every": 1})
    graph = replace(graph, nodes=(*graph.nodes, second), edges=(*graph.edges, EdgeSpec("stage.frame", "second.frame")))
    with Session(graph) as session:
        _until(session, lambda: session.groups["vision"].degraded, 30)
        session.stop()
    assert session.groups["vision"].generation == 5


def test_switches_outlive_a_restart_and_events_are_told_once(tmp_path):
    with Session(live_graph(tmp_path)) as session:
        session.start()
        session.command("record", False)
        session.command("marker", "x")
        _until(session, lambda: Files(tmp_path).told("marker"))
        os.kill(session.groups["keep"].pid, signal.SIGKILL)
        _until(session, lambda: Files(tmp_path).told("record")[-1][-1] == "1" and not session._missed)
        session.command("marker", "y")
        _until(session, lambda: len(Files(tmp_path).told("marker")) > 1)
        os.kill(session.groups["show"].pid, signal.SIGKILL)
        _until(session, lambda: any(e.kind == "RESTART" and e.node == "show" for e in session.events))
        session.stop()
    files = Files(tmp_path)
    assert files.told("record") == [["False", "0"], ["False", "1"]]
    assert files.told("marker") == [["x", "0"], ["y", "1"]]
    kinds = ["MARKER", "ALARM", "RESTART", "MARKER", "ALARM", "RESTART"]  # a marker is an event: it is recorded
    assert [kind for kind, _ in files.told("event")] == kinds


def test_what_gives_way_has_what_the_others_leave(tmp_path):
    graph = live_graph(tmp_path)
    nodes = tuple(replace(node, gives_way=node.name == "stage") for node in graph.nodes)
    with Session(replace(graph, nodes=nodes)) as session:
        own = psutil.Process().nice()
        _until(session, lambda: psutil.Process(session.groups["vision"].pid).nice() == min(own + 5, 19))
        nice = {name: psutil.Process(group.pid).nice() for name, group in session.groups.items()}
        session.stop()
    assert nice == {name: min(own + 5, 19) if name == "vision" else own for name in nice}


def _until(session, condition, limit_s=10.0):
    """Turn the session until something has happened (starting it if that has not been done)."""
    if not session.board.flags["go"][0]:
        session.start()
    t_limit = time.monotonic() + limit_s
    while not condition():
        session.turn()
        assert time.monotonic() < t_limit, [e.text for e in session.events]


def test_nodes_tick_whether_or_not_something_arrives(tmp_path):
    """At least every 50 ms (twice that allowed, half of the time, on a shared machine), and not at every message."""
    path = tmp_path / "ticks"
    graph = live_graph(tmp_path)
    ticker = NodeSpec("ticker", "runtime_nodes:Ticker", "ticker", {"path": str(path)})
    graph = replace(graph, nodes=(*graph.nodes, ticker), edges=(*graph.edges, EdgeSpec("camera.frame", "ticker.frame")))
    with Session(graph) as session:
        session.run(2.0)
    ticks = [float(line) for line in path.read_text().splitlines()]
    apart = sorted(b - a for a, b in pairwise(ticks))
    assert apart[len(apart) // 2] < 0.05
    assert apart[len(apart) * 9 // 10] < 0.1
    assert 30 < len(ticks) < 110


def test_a_missing_device_is_a_sentence_and_nothing_is_left(tmp_path):
    """Others had opened their devices already: they get to close them."""
    lock = tmp_path / "lock"
    graph = live_graph(tmp_path, camera={"missing": True})
    opened = NodeSpec("opened", "runtime_nodes:Opened", "opened", {"path": str(lock)})
    graph = replace(graph, nodes=(*graph.nodes, opened), edges=(*graph.edges, EdgeSpec("camera.frame", "opened.frame")))
    with pytest.raises(MissingDevice, match="no camera: found nothing") as caught, Session(graph) as session:
        session.run(5.0)
    assert caught.value.exit_code == 3
    assert not lock.exists()
    assert Files(tmp_path).captured == 0


def test_a_bug_while_opening_is_an_error_with_its_last_words(tmp_path):
    graph = live_graph(tmp_path, keep={"path": str(tmp_path / "no" / "folder")})
    with pytest.raises(LiveError, match="keep could not start: FileNotFoundError"), Session(graph) as session:
        session.run(5.0)


def test_a_bad_graph_starts_nothing(tmp_path):
    graph = live_graph(tmp_path, camera={"fps": "often"})
    with pytest.raises(BadGraph, match="'camera', setting fps") as caught:
        Session(graph)
    assert caught.value.exit_code == 2


def test_not_enough_memory_is_a_sentence(tmp_path):
    """Reserved before the start; 3 TB of pictures are more than any of our machines has."""
    with pytest.raises((MissingDevice, BadSettings), match=r"shared memory|cannot be prepared"):
        Session(live_graph(tmp_path, max_frame=(100_000, 1_000_000)))


def test_no_room_for_the_small_files_either(tmp_path, monkeypatch):
    import errno

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(MissingDevice, match=r"cannot be prepared.*No space left"):
        Session(live_graph(tmp_path))


def test_an_error_of_the_caller_still_lets_the_sinks_finish(tmp_path):
    def broken(status):
        if status["shown"]:
            raise RuntimeError("the caller's own bug")

    with pytest.raises(RuntimeError, match="own bug"), Session(live_graph(tmp_path), on_status=broken) as session:
        session.run(10.0)
    assert Files(tmp_path).keeper_finished


def test_stop_with_a_stopped_worker_is_still_swept(tmp_path):
    with Session(live_graph(tmp_path)) as session:
        _until(session, lambda: len(Files(tmp_path).shown) > 5)
        os.kill(session.groups["vision"].pid, signal.SIGSTOP)
        began = time.monotonic()
        ended = session.stop()
        outcome = session._outcome(0.0, 1.0, ended)
        assert time.monotonic() - began < 5.0
    assert ended == {"show": True, "keep": True, "signal": True, "camera": True, "vision": False}
    assert outcome.ledger.closed
    assert Files(tmp_path).keeper_finished


def test_what_a_slow_recorder_had_not_written_at_the_stop_is_lost_data(tmp_path):
    """80 messages a second for one that takes 30 ms for each: said once per edge, with the exact number."""
    with Session(live_graph(tmp_path, keep={"work_s": 0.03})) as session:
        outcome = session.run(5.0)
        left = {}
        for edge in ("camera.frame->keep.frame", "signal.emg->keep.emg"):
            row = session.board.edge(edge)
            left[edge] = int(row["sent"][0] - row["delivered"][0] - row["dropped"][0].sum())
    lost = [event for event in outcome.events if event.data.get("data_lost")]
    assert sum(left.values()) > 0
    assert {event.data["edge"]: int(event.text.split()[0]) for event in lost} == {k: n for k, n in left.items() if n}
    assert len(lost) == len({event.data["edge"] for event in lost})
    assert all(event.kind == "ALARM" and event.node == "keep" for event in lost)


def test_stop_while_everything_is_still_starting(tmp_path):
    with Session(live_graph(tmp_path)) as session:
        timer = threading.Timer(0.1, session.request_stop)
        timer.start()
        outcome = session.run(30.0)
        timer.join()
    assert outcome.duration_s < 5
    assert outcome.ledger.closed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_in_order(tmp_path, number):
    def send():
        while not session.board.flags["go"][0]:
            time.sleep(0.02)
        time.sleep(1.0)
        os.kill(os.getpid(), number)

    with Session(live_graph(tmp_path)) as session:
        sender = threading.Thread(target=send)
        sender.start()
        outcome = session.run(20.0)
        sender.join()
    assert outcome.duration_s < 10
    assert all(outcome.ended_well.values())
    assert outcome.ledger.closed
    assert Files(tmp_path).keeper_finished


SUPERVISOR = """
    import sys, time
    from pathlib import Path
    from rt import runtime_folder
    runtime_folder.shared_memory_root = lambda: Path(sys.argv[2])
    from runtime_graphs import live_graph
    from rt.session import Session
    with Session(live_graph(Path(sys.argv[1]))) as session:
        {when}
"""
RUNNING = (
    "session.start(); print(session.folder, *[g.pid for g in session.groups.values()], flush=True); time.sleep(60)"
)
STARTING = (
    "[g.start() for g in session.groups.values()];"
    "print(session.folder, *[g.pid for g in session.groups.values()], flush=True); time.sleep(60)"
)


@pytest.mark.parametrize("when", [RUNNING, STARTING], ids=["running", "starting"])
def test_supervisor_killed_workers_finish_and_the_next_session_sweeps(tmp_path, shared_memory, when):
    code = textwrap.dedent(SUPERVISOR.format(when=when))
    command = [sys.executable, "-c", code, str(tmp_path), str(shared_memory)]
    supervisor = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    folder, *pids = supervisor.stdout.readline().split()
    workers = [psutil.Process(int(pid)) for pid in pids]
    if when == RUNNING:
        time.sleep(0.7)
    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor.wait()
    supervisor.stdout.close()
    _, alive = psutil.wait_procs(workers, timeout=6.0)
    for worker in alive:
        worker.kill()
    assert alive == []
    if when == RUNNING:
        files = Files(tmp_path)
        assert files.keeper_finished
        assert files.kept_frames == list(range(1, files.captured + 1))
    assert os.path.exists(folder)
    with Session(live_graph(tmp_path)):
        assert not os.path.exists(folder)


def test_descriptors_and_threads_do_not_leak(tmp_path):
    """Sessions in threads: as many open files and threads afterwards as before."""
    graph = live_graph(tmp_path, camera={"count": 3, "fps": 300.0}, signal={"count": 20})
    counts = []
    for _ in range(6):
        with Session(graph, threads=True) as session:
            session.run(5.0)
        gc.collect()
        counts.append((psutil.Process().num_fds(), threading.active_count()))
    assert counts[-1] == counts[1], counts


def test_old_logs_go_and_new_ones_are_private(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    root = tmp_path / "state" / "myomirror" / "log"
    root.mkdir(parents=True)
    for n in range(40):
        (root / f"old{n}").mkdir()
        os.utime(root / f"old{n}", (n, n))
    with Session(live_graph(tmp_path)) as session:
        names = {path.name for path in root.iterdir()}
        assert session.log_folder.name in names
        assert session.log_folder.stat().st_mode & 0o777 == 0o700
    assert len(names) == 30
    assert "old39" in names
    assert "old0" not in names


def test_states_and_status(tmp_path):
    seen = []
    with Session(live_graph(tmp_path), on_status=seen.append) as session:
        session.run(2.2)
    last = seen[-1]
    assert {node["state"] for node in last["nodes"].values()} == {"running"}
    assert 20 < last["fps"]["shown"] < 40
    assert last["captured"] >= last["shown"] > 20
    assert {int(session.board.node(n.name)["state"][0]) for n in session.graph.nodes} == {State.DONE}
