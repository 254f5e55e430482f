"""What surrounds a session: its address, its one line on the terminal, its folder when it never began."""

import io
import socket

import pytest
from rich.console import Console

from rt import live
from rt.errors import DataLost, MissingDevice
from rt.graphs.therapy import therapy_graph
from rt.live import RunOptions, free_port, new_token, run_station
from rt.recording.session_folder import SessionFolder
from rt.station import parse_station

NOTHING = {"p50": float("nan"), "p95": float("nan")}


def status(alarms=(), captured=10, recording=False, **facts):
    return {
        "fps": {"captured": 30.0, "shown": 29.9},
        "captured": captured,
        "shown": 9,
        "dropped": {"superseded": 1},
        "latency_ms": {"photon_to_pixel": {"p50": 20.0, "p95": 31.4}, "muscle_to_pixel": NOTHING},
        "alarms": [{"t": float(t), "text": text} for t, text in alarms],
        "facts": facts,
        "recording": recording,
    }


def progress(terminal=False, **options):
    said = io.StringIO()
    console = Console(file=said, force_terminal=terminal, width=60, color_system=None)
    return live._Progress(console, RunOptions(**options), "http://127.0.0.1:1/?token=x" if options else ""), said


def test_a_line_every_ten_seconds_where_nobody_watches():
    line, said = progress()
    for _ in range(41):
        line.show(status())
    assert said.getvalue().splitlines() == [said.getvalue().splitlines()[0]] * 3  # whole lines, however narrow
    assert "29.9 fps" in said.getvalue()
    assert "photon-to-pixel p95 31 ms" in said.getvalue()
    assert "muscle-to-pixel p95 -" in said.getvalue()


def test_one_line_that_is_rewritten_on_a_terminal():
    line, said = progress(terminal=True)
    for _ in range(5):
        line.show(status())
    line.end()
    assert said.getvalue().count("\r\x1b[2K") == 6
    assert "\n" not in said.getvalue()


def test_the_address_is_said_once_and_whole(monkeypatch):
    opened = []
    monkeypatch.setattr(live.webbrowser, "open", opened.append)
    line, said = progress(open_browser=True)
    line.show(status())
    line.show(status())
    assert said.getvalue().count("http://127.0.0.1:1/?token=x") == 1
    assert "not a medical device" in said.getvalue()
    assert opened == []  # nobody sits at this terminal


def test_every_alarm_is_said_once_as_it_is():
    line, said = progress()
    alarms = [(1, "no [bold]room[/bold] for x[0]"), (2, "no more [/] room")]
    line.show(status(alarms))
    line.show(status(alarms))
    for _, text in alarms:
        assert said.getvalue().count(text) == 1


def test_the_recording_light_does_not_lie():
    line, said = progress()
    line.show(status(recording=True))
    assert said.getvalue().endswith("REC\n")
    line, said = progress()
    line.show(status(recording=True, recorder={"data_lost": True}))
    assert said.getvalue().endswith("RECORDING FAILED\n")


def test_a_free_port_is_free_and_tokens_are_long_and_new():
    with socket.create_server(("127.0.0.1", free_port("127.0.0.1"))):
        pass
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 43  # 256 bits


class Never:
    """A session that finds no camera."""

    began = False

    def __init__(self, graph, recording, on_status):
        (recording / "signals.xdf").write_bytes(b"XDF:")  # the recorder had opened its file already

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def run(self, seconds):
        raise MissingDevice("there is no camera")


@pytest.mark.parametrize("there_before", [False, True])
def test_a_session_that_never_began_leaves_no_recording(tmp_path, monkeypatch, there_before):
    monkeypatch.setattr(live, "Session", Never)
    data = tmp_path / "data"
    if there_before:
        data.mkdir()
    kept = {"enabled": True, "folder": data, "consent": {"emg": True}}
    station = parse_station({"camera": {"kind": "synthetic"}, "emg": {"kind": "synthetic"}, "recording": kept})
    with pytest.raises(MissingDevice):
        run_station(station, therapy_graph, RunOptions(headless=True), Console(file=io.StringIO()))
    assert list(tmp_path.iterdir()) == ([data] if there_before else [])
    assert not there_before or list(data.iterdir()) == []


def test_one_that_fails_later_keeps_its_recording(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "Session", type("Later", (Never,), {"began": True}))
    kept = {"enabled": True, "folder": tmp_path / "data", "consent": {"emg": True}}
    station = parse_station({"camera": {"kind": "synthetic"}, "emg": {"kind": "synthetic"}, "recording": kept})
    with pytest.raises(MissingDevice):
        run_station(station, therapy_graph, RunOptions(headless=True), Console(file=io.StringIO()))
    (recording,) = (tmp_path / "data").iterdir()
    assert SessionFolder.open(recording).info["state"] == "recording"  # for `repair`


def test_a_disk_without_room_for_the_manifest_says_what_to_do(tmp_path, monkeypatch):
    folder = SessionFolder.create(tmp_path, "P01", ["emg"])

    def full(**_):
        raise DataLost("session.json cannot be written (No space left on device): free some space")

    monkeypatch.setattr(folder, "close", full)
    outcome = type("Outcome", (), {"facts": {}, "ledger": type("Ledger", (), {"as_json": lambda self: {}})()})()
    with pytest.raises(DataLost, match=f"free some space, then run: myomirror repair {folder.path}"):
        live._close(folder, outcome, {})
