"""The frontal face stands in a process of its own beside the picture's way, and only where the station asks for it."""

import pytest

from rt.errors import BadSettings
from rt.graph import LATEST, LOSSLESS
from rt.graphs import demo, motion
from rt.graphs.demo import demo_station
from rt.graphs.therapy import therapy_graph
from rt.ledger import display_path
from rt.station import parse_station

TOKEN = "t" * 43


@pytest.fixture(autouse=True)
def face_model(monkeypatch, tmp_path):
    """There is one, as far as a graph looks."""
    monkeypatch.setattr(motion, "find_face_model", lambda: tmp_path / "model.npz")
    monkeypatch.setattr(demo, "demo_calibration", lambda: tmp_path / "calibration.json")  # 3 s that are not needed here


def station(**sections):
    return parse_station({"camera": {"kind": "synthetic"}, "emg": {"kind": "synthetic"}, **sections})


def graph_of(where, headless=False):
    return therapy_graph(where, headless, TOKEN, 8000, 0.0)


def targets(graph, source):
    return {edge.target for edge in graph.edges if edge.source == source}


@pytest.mark.parametrize("headless", [True, False])
def test_it_stands_beside_the_pictures_way(headless):
    graph = graph_of(station(motion={"face_camera_deg": 15}), headless)
    graph.check()
    assert {node.name for node in graph.group("motion")} == {"motion"}
    assert "motion" not in {edge.producer for edge in display_path(graph, "page")}
    assert targets(graph, "paste_back.frame") == {"page.frame", "motion.frame"}
    assert targets(graph, "motion.frontal") == {"page.frontal"}
    assert all(edge.kind == LATEST for edge in graph.edges if "motion" in (edge.producer, edge.consumer))
    settings = graph.by_name["motion"].settings
    assert (settings["face_camera_deg"], settings["bundle"], settings["removes"]) == (15, "", False)


def test_nobody_who_does_not_ask_gets_it():
    for where in (station(), station(motion=False), demo_station(restore=None)):
        assert "motion" not in graph_of(where).by_name
    assert "motion" in graph_of(demo_station(restore=None, frontal=True)).by_name
    assert graph_of(demo_station(frontal=True)).by_name["motion"].settings["removes"] is True


def test_the_numbers_are_kept_losslessly_with_consent_to_video():
    def kept(**consent):
        recording = {"enabled": True, "consent": consent}
        graph = graph_of(station(motion=True, recording=recording, lsl_out={"enabled": True}))
        graph.check()
        assert "outlets.motion" in targets(graph, "motion.motion")
        return [edge.kind for edge in graph.edges if edge.target == "recorder.motion"]

    assert kept(emg=True, video=True) == [LOSSLESS]
    assert kept(emg=True) == []


def test_a_network_on_a_gpu_moves_into_the_process_that_owns_it(monkeypatch):
    monkeypatch.setattr(motion, "read_motion", lambda bundle: None)
    where = {"bundle": "frontal-gpu", "device": "cuda"}
    assert motion.frontal_part(station(motion=where)).nodes[0].group == "vision"
    assert motion.frontal_part(station(motion={**where, "device": "cpu"})).nodes[0].group == "motion"


def test_what_does_not_fit_is_refused_in_one_sentence_before_there_is_a_session(monkeypatch):
    with pytest.raises(BadSettings, match=r"cannot be shown from the front: .* is for mc_cyclegan") as found:
        graph_of(station(motion={"bundle": "restore-cpu"}))
    assert "\n" not in str(found.value)
    with pytest.raises(BadSettings, match="did you mean 'face_camera_deg'"):
        station(motion={"face_camera_degrees": 3})
    assert station(motion={"bundle": "off"}).motion.bundle is None
