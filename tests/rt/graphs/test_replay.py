"""A recording through the graph of the station that made it."""

import pytest

from rt.errors import BadRecording, BadSettings
from rt.graphs.replay import replay_graph, replay_station
from rt.graphs.therapy import therapy_graph
from rt.recording.session_folder import SessionFolder
from rt.station import parse_station


def recorded(folder, settings):
    return SessionFolder.create(folder, "P01", ["emg"], settings=settings)


def live():
    return parse_station(
        {
            "camera": {"kind": "device"},
            "emg": {"kind": "lsl"},
            "envelope": {"preset": "calm"},
            "recording": {"enabled": True, "consent": {"emg": True}},
            "lsl_out": {"enabled": True},
        }
    )


def test_the_station_is_the_one_that_recorded_without_its_devices(tmp_path):
    made = recorded(tmp_path, live().model_dump(mode="json"))
    station = replay_station(made.path, 8000, None)
    assert station.envelope.preset == "calm"
    assert station.page.port == 8000
    assert not station.recording.enabled
    assert not station.lsl_out.enabled  # a replay is not sent out as if it were live
    graph = replay_graph(made.path, 0.5, station, True, "", 0, 0.0)
    graph.check()
    assert graph.by_name["camera"].settings == {"recording": str(made.path), "speed": 0.5}
    kinds = {node.name: node.kind for node in therapy_graph(station, True).nodes}
    changed = {node.name for node in graph.nodes if node.kind != kinds[node.name]}
    assert changed == {"camera", "emg"}  # everything else is the same


def test_recording_a_replay_keeps_what_was_agreed_to(tmp_path):
    made = recorded(tmp_path, live().model_dump(mode="json"))
    station = replay_station(made.path, 0, tmp_path / "again")
    assert station.recording.enabled
    assert station.recording.folder == tmp_path / "again"
    assert station.recording.consent.emg
    assert not station.recording.consent.video


def test_what_cannot_be_replayed(tmp_path):
    with pytest.raises(BadRecording, match="no folder"):
        replay_station(tmp_path / "nothing", 0, None)
    with pytest.raises(BadRecording, match="does not say which station"):
        replay_station(recorded(tmp_path / "a", {}).path, 0, None)
    with pytest.raises(BadSettings, match=r"the settings in .*unknown key"):
        replay_station(recorded(tmp_path / "b", {"camra": 1}).path, 0, None)
