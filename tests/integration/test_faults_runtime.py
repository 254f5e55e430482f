"""SIGKILL, SIGSTOP and a hung loop of every process in turn: picture is back, the rest goes on, the ledger closes."""

import os
import signal
import time
from dataclasses import replace

import psutil
import pytest
from runtime_graphs import Files, live_graph, missing_samples, outage_s

from rt.board import State
from rt.session import Session

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("shared_memory")]

GROUPS = {"vision": "stage", "camera": "camera", "show": "show", "keep": "keep", "signal": "signal"}  # and a node of it
BACK_S = 5.0  # the issue: picture back within this


def sigkill(session, group):
    os.kill(session.groups[group].pid, signal.SIGKILL)


def sigstop(session, group):
    os.kill(session.groups[group].pid, signal.SIGSTOP)


def hang(session, group):
    session.command("hang", GROUPS[group])


def until(session, condition, what, limit_s=12.0):
    t_limit = time.monotonic() + limit_s
    while not condition():
        session.turn()
        assert time.monotonic() < t_limit, (what, [event.text for event in session.events])


def grown(session, files):
    """Until the display and the keeper have both seen something new."""
    shown, kept, signal_ = len(files.shown), len(files.kept_frames), len(files.kept_signal)
    until(
        session,
        lambda: (
            len(files.shown) > shown + 3 and len(files.kept_frames) > kept + 3 and len(files.kept_signal) > signal_ + 3
        ),
        "nothing new",
    )


@pytest.mark.parametrize("fault", [sigkill, sigstop, hang])
def test_every_process_in_turn(tmp_path, fault):
    files = Files(tmp_path)
    with Session(live_graph(tmp_path)) as session:
        session.start()
        t_go = time.monotonic()
        grown(session, files)
        for n, (group, node) in enumerate(GROUPS.items(), 1):
            pids = {name: g.pid for name, g in session.groups.items()}
            fault(session, group)
            until(session, lambda n=n: len([e for e in session.events if e.kind == "RESTART"]) == n, f"{group} back")
            grown(session, files)
            now = {name: g.pid for name, g in session.groups.items()}
            assert {name for name in now if now[name] != pids[name]} == {group}, "others were disturbed"
            assert session.status()["nodes"][node]["restarts"] == 1
        ended = session.stop()
        outcome = session._outcome(t_go, time.monotonic(), ended)
    assert all(ended.values())
    assert outcome.restarts == dict.fromkeys(GROUPS.values(), 1)

    assert outage_s(files.shown) < BACK_S
    assert all(line.whole for line in files.shown)
    seqs = [line.seq for line in files.shown]
    assert seqs == sorted(set(seqs)), "a number was used twice"

    ledger = outcome.ledger
    assert ledger.closed, ledger
    assert abs(ledger.captured - files.captured) <= 1  # the camera died between its file and the board, at most
    assert abs(ledger.shown - len(files.shown)) <= 1  # the display too
    assert ledger.captured == ledger.shown + sum(ledger.dropped.values())

    # The keeper's own restart costs nothing; the camera's costs the frame in its hand and what it had not handed over.
    assert files.kept_frames == sorted(set(files.kept_frames))
    assert ledger.captured - len(files.kept_frames) <= 2
    assert missing_samples(files.kept_signal) == []
    assert [piece.gap_s > 0 for piece in files.kept_signal].count(True) == 1  # the signal's own restart
    kinds = {event.kind for event in outcome.events}
    assert kinds <= {"ALARM", "RESTART", "GAP"}


@pytest.mark.parametrize("work_s", [0.0, 0.004])
def test_a_killed_recorder_misses_nothing_and_repeats_nothing(tmp_path, work_s):
    """Three times, at any moment (work_s: mostly in the middle of a message), within hold_s."""
    files = Files(tmp_path)
    with Session(_patient(live_graph(tmp_path, keep={"work_s": work_s}))) as session:
        session.start()
        for _ in range(3):
            grown(session, files)
            sigkill(session, "keep")
            until(session, lambda: session.groups["keep"].state < State.RUNNING, "seen dead")
            shown = len(files.shown)
            until(session, lambda: session.groups["keep"].state == State.RUNNING, "back")
            assert len(files.shown) > shown, "the display waited for the recorder"
        grown(session, files)
        until(session, lambda: _waiting(session) < 4, "the recorder has caught up")  # a stop does not wait for ever
        session.stop()
        assert _waiting(session) == 0
    _nothing_missing_nothing_twice(files)


@pytest.mark.parametrize("port", ["frame", "emg"])
def test_what_a_recorder_wrote_but_could_not_count_comes_again_and_is_known(tmp_path, port):
    """The one moment in which a message reaches two generations: the file, not the board, knows that it was written."""
    files = Files(tmp_path)
    with Session(_patient(live_graph(tmp_path, keep={"dies_on": port}))) as session:
        session.start()
        until(session, lambda: any(e.kind == "RESTART" for e in session.events), "back")
        grown(session, files)
        until(session, lambda: _waiting(session) < 4, "the recorder has caught up")  # a stop does not wait for ever
        session.stop()
        assert _waiting(session) == 0
    assert files.came_again == [port]
    _nothing_missing_nothing_twice(files)


def _patient(graph):
    """The same graph, in which a recorder may stay away for as long as a busy machine takes to start it."""
    edges = (replace(edge, hold_s=30.0) if edge.kind == "lossless" else edge for edge in graph.edges)
    return replace(graph, edges=tuple(edges))


def _waiting(session):
    """Messages on their way to the recorder."""
    rows = [session.board.edge(name) for name in ("camera.frame->keep.frame", "signal.emg->keep.emg")]
    return sum(int(row["sent"][0] - row["delivered"][0]) for row in rows)


def _nothing_missing_nothing_twice(files):
    assert files.kept_frames == list(range(1, files.captured + 1))
    assert missing_samples(files.kept_signal) == []
    assert not any(piece.gap_s for piece in files.kept_signal)


def test_a_process_that_dies_by_itself_in_the_middle_of_a_frame(tmp_path):
    with Session(live_graph(tmp_path, stage={"exit_at": 15})) as session:
        outcome = session.run(3.5)
    assert outcome.restarts == {"stage": 1}
    assert outcome.ledger.closed
    assert outcome.ledger.dropped["restart"] >= 1
    assert [e.text for e in outcome.events] == ["vision died (exit code 9); restart 1", "vision is back"]


def test_five_restarts_in_a_minute_then_it_stays_off_and_the_rest_goes_on(tmp_path):
    files = Files(tmp_path)
    with Session(live_graph(tmp_path)) as session:
        session.start()
        for _ in range(6):
            until(session, lambda: session.groups["vision"].state == State.RUNNING, "running")
            sigkill(session, "vision")
            until(session, lambda: session.groups["vision"].state != State.RUNNING, "seen dead")
        assert session.groups["vision"].degraded
        assert session.status()["nodes"]["stage"]["state"] == "degraded"
        text = session.events[-1].text
        assert session.events[-1].kind == "ALARM"
        assert "stays off" in text
        kept, shown = len(files.kept_frames), len(files.shown)
        until(session, lambda: len(files.kept_frames) > kept + 20, "the recorder goes on")
        assert len(files.shown) - shown <= 1
        ended = session.stop()
        outcome = session._outcome(0.0, 1.0, ended)
    assert outcome.stop_s is not None
    assert {name for name, well in ended.items() if not well} == {"vision"}
    assert outcome.ledger.closed
    assert outcome.ledger.dropped["no_consumer"] > 10
    assert files.kept_frames == list(range(1, files.captured + 1))
    assert files.keeper_finished


def test_a_recorder_that_stays_away_too_long_is_an_alarm_and_an_exact_gap(tmp_path):
    """It hangs longer than hold_s: what outlives that is let go, with one alarm per edge; the display goes on."""
    graph = live_graph(tmp_path)
    edges = tuple(replace(e, hold_s=0.5) if e.kind == "lossless" else e for e in graph.edges)
    graph = replace(graph, edges=edges)
    files = Files(tmp_path)
    with Session(graph) as session:
        session.start()
        grown(session, files)
        os.kill(session.groups["keep"].pid, signal.SIGSTOP)  # for 1 s, then it is killed and comes back
        until(session, lambda: any(e.kind == "RESTART" for e in session.events), "back")
        grown(session, files)
        session.stop()
        row = session.board.edge("camera.frame->keep.frame")
        delivered, sent = int(row["delivered"][0]), int(row["sent"][0])
        lost = int(row["dropped"][0].sum())
    assert lost > 10
    assert delivered + lost == sent == files.captured
    assert len(files.kept_frames) == delivered
    gaps = [e for e in session.events if e.kind == "GAP"]
    assert sum(int(e.text.split()[0]) for e in gaps if "camera.frame" in e.text) == lost
    alarms = [e for e in session.events if e.kind == "ALARM" and "has not answered" in e.text]
    assert len(alarms) == 2
    assert all(event.data["data_lost"] for event in (*alarms, *gaps))  # exit code 4
    assert outage_s(files.shown) < 1.0


def test_a_source_that_cannot_work_does_not_take_the_rest_along(tmp_path, monkeypatch):
    monkeypatch.setattr("rt.group._BACK_OFF_S", (0.0,))
    with Session(live_graph(tmp_path, camera={"crash": True})) as session:
        session.start()
        until(session, lambda: session.groups["camera"].degraded, "given up", 25.0)
        kept = len(Files(tmp_path).kept_signal)
        until(session, lambda: len(Files(tmp_path).kept_signal) > kept + 20, "the signal is kept")
        ended = session.stop()
        assert session._outcome(0.0, 1.0, ended).ledger.closed
    assert "made to crash" in session.events[-1].text
    assert missing_samples(Files(tmp_path).kept_signal) == []


def test_memory_does_not_grow_and_idle_workers_are_idle(tmp_path):
    """2 s of a 30 fps graph: no process uses more than a fifth of a core (they use 1-3 %, see benchmarks)."""
    with Session(live_graph(tmp_path)) as session:
        session.start()
        until(session, lambda: len(Files(tmp_path).shown) > 30, "running")
        processes = {name: psutil.Process(group.pid) for name, group in session.groups.items()}
        before = {name: (sum(p.cpu_times()[:2]), p.num_fds()) for name, p in processes.items()}
        t_end = time.monotonic() + 2.0
        while time.monotonic() < t_end:
            session.turn()
        for name, process in processes.items():
            cpu_s, fds = sum(process.cpu_times()[:2]) - before[name][0], process.num_fds() - before[name][1]
            assert cpu_s < 0.4, f"{name} used {cpu_s:.2f} s in 2 s"
            assert fds == 0
        session.stop()
