"""The report as a contract: which keys, which types, null for what was not measured; and the summary for people."""

import io
import json
import os

import pytest
from rich.console import Console

from rt.board import Percentiles
from rt.errors import BadSettings
from rt.ledger import Ledger
from rt.message import Event
from rt.run_report import build_report, lost_data, print_summary, versions, write_report
from rt.session import Outcome

NOTHING = Percentiles(*[float("nan")] * 4, 0)


def outcome(**changed):
    known = {
        "ledger": Ledger(100, 90, {"superseded": 10}, True, ()),
        "fps_shown": 29.987,
        "latency_ms": {"photon_to_pixel": Percentiles(20.0, 30.0, 40.0, 55.4321, 90), "muscle_to_pixel": NOTHING},
        "stages_ms": {"face": Percentiles(5.0, 6.0, 7.0, 8.0, 100), "page": NOTHING},
        "restarts": {"face": 2},
        "facts": {
            "emg": {"channels": 22, "rate_hz": 4096.0, "samples": 7},
            "envelope": {"group_delay_ms": 39.4},
            "pixel_map": {"role": "practise", "backend": "numba", "bundle": "pixel-smile", "precision": "int16"},
        },
        "signals": {"emg": (4096, 3), "envelope": (4000, 3)},
        "events": [
            Event(1.0, "ALARM", "recorder", "the disk is full", {"data_lost": True}),
            Event(2.0, "GAP", "emg", "0.1 s are missing", {"gap_s": 0.1}),
            Event(3.0, "ALARM", "vision", "vision died", {"data_lost": False}),
        ],
        "duration_s": 3.456,
        "stop_s": 0.123,
        "ended_well": {"vision": True},
    }
    return Outcome(**{**known, **changed})


def test_every_key_of_the_contract():
    report = build_report(outcome(), "drawn")
    assert report["frames"] == {"captured": 100, "shown": 90, "dropped": {"superseded": 10}, "closed": True}
    assert report["fps"] == {"shown": 29.99}
    assert report["latency_ms"] == {
        "photon_to_pixel": {"p50": 20.0, "p95": 30.0, "p99": 40.0, "max": 55.432},
        "muscle_to_pixel": {"p50": None, "p95": None, "p99": None, "max": None},
        "end": "drawn",
        "stages": {"face": {"p50": 5.0, "p95": 6.0, "p99": 7.0, "max": 8.0}},
    }
    assert report["emg"] == {"channels": 22, "rate_hz": 4096.0, "samples": 4096, "gaps": 3, "delay_ms": 39.4}
    assert report["restarts"] == {"face": 2}
    assert report["engines"] == {"practise": {"backend": "numba", "bundle": "pixel-smile", "precision": "int16"}}
    assert report["versions"] == versions()
    assert report["lost"] == ["the disk is full"]
    assert report["alarms"] == ["the disk is full", "vision died"]
    assert (report["duration_s"], report["stop_s"]) == (3.46, 0.12)


def test_samples_are_those_of_the_board_not_of_the_last_process():
    """A source that was restarted tells of its own samples only."""
    assert build_report(outcome(), "drawn")["emg"]["samples"] == 4096


def test_a_session_without_emg():
    report = build_report(outcome(facts={}, signals={}, events=[]), "encoded")
    assert report["emg"] == {"channels": 0, "rate_hz": 0.0, "samples": 0, "gaps": 0, "delay_ms": 0.0}
    assert report["engines"] == {}
    assert lost_data(outcome(events=[])) == []


def test_it_is_json_without_nan(tmp_path):
    write_report(build_report(outcome(), "drawn"), tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["latency_ms"]["end"] == "drawn"
    assert (tmp_path / "report.json").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["report.json"]


def test_it_replaces_the_last_one_or_says_why_not(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    write_report({"new": 1}, path)
    assert json.loads(path.read_text()) == {"new": 1}
    with pytest.raises(BadSettings, match="cannot be written"):
        write_report({}, tmp_path / "no" / "report.json")


def test_the_summary_for_people():
    said = io.StringIO()
    print_summary(build_report(outcome(), "drawn"), Console(file=said, width=100, color_system=None))
    text = said.getvalue()
    assert "100 captured = 90 shown + dropped (10 superseded); ledger closed" in text
    assert "photon-to-pixel (drawn)" in text
    assert "lost: the disk is full" in text
    said = io.StringIO()
    broken = outcome(ledger=Ledger(100, 90, {}, False, ()))
    print_summary(build_report(broken, "encoded"), Console(file=said, width=100, color_system=None))
    assert "DOES NOT CLOSE" in said.getvalue()
