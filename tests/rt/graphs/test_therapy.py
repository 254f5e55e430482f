"""The three uses as data: every station gives a graph that is sound, and keeps only what was agreed to."""

import itertools

import pytest

from rt.errors import BadGraph, BadSettings
from rt.graph import LATEST, LOSSLESS
from rt.graphs.demo import demo_calibration, demo_station
from rt.graphs.recording_station import recording_graph
from rt.graphs.therapy import emg_delay_ms, therapy_graph
from rt.ledger import display_path, display_sink
from rt.station import parse_station

TOKEN = "t" * 43


def station(**sections):
    return parse_station({"camera": {"kind": "synthetic"}, "emg": {"kind": "synthetic"}, **sections})


def graph_of(where, headless=False):
    return therapy_graph(where, headless, TOKEN, 8000, 0.0)


def recording(**consent):
    return {"enabled": True, "consent": consent}


@pytest.mark.parametrize("camera", ["device", "file", "synthetic"])
@pytest.mark.parametrize("emg", ["lsl", "synthetic", "none"])
@pytest.mark.parametrize("stale", ["camera", "last", "bars"])
def test_every_combination_is_a_sound_graph(camera, emg, stale):
    for headless, outlets, consent in itertools.product(
        (True, False), (True, False), ({}, {"emg": True}, {"video": True}, {"emg": True, "video": True})
    ):
        where = station(
            camera={"kind": camera, "path": "x.mp4"},
            emg={"kind": emg},
            page={"when_stale": stale},
            lsl_out={"enabled": outlets},
            recording={"enabled": bool(consent), "consent": consent},
        )
        graph = graph_of(where, headless)
        graph.check()
        assert display_sink(graph) == "page"
        assert display_path(graph, "page")[0].producer == "camera"
        recording_graph(where, True, "", 0, 0.0).check()


def test_nothing_reaches_the_recorder_that_was_not_agreed_to():
    def reaches(**consent):
        graph = graph_of(station(recording=recording(**consent)))
        return {edge.in_port for edge in graph.edges if edge.consumer == "recorder"}

    assert reaches(emg=True, video=True) == {"params", "frame", "emg", "envelope"}
    assert reaches(emg=True) == {"params", "emg", "envelope"}
    assert reaches(video=True) == {"params", "frame"}
    assert not [node for node in graph_of(station()).nodes if node.name == "recorder"]


def test_files_and_filters_miss_nothing_and_eyes_see_the_newest():
    graph = graph_of(station(recording=recording(emg=True, video=True), lsl_out={"enabled": True}))
    kinds = {edge.name: edge.kind for edge in graph.edges}
    assert all(kind == LOSSLESS for name, kind in kinds.items() if "->recorder." in name)
    assert all(kind == LATEST for name, kind in kinds.items() if name.endswith("->page.frame"))
    assert kinds["emg.emg->envelope.emg"] == LOSSLESS
    assert kinds["envelope.envelope->outlets.envelope"] == LOSSLESS


def test_one_process_per_group_as_designed_and_placement_changes_it():
    graph = graph_of(station(recording=recording(emg=True), lsl_out={"enabled": True}))
    assert set(graph.groups) == {"camera", "vision", "emg", "page", "recorder", "outlets"}
    placed = graph_of(station(placement={"vision": ["page"]}))
    assert placed.by_name["page"].group == "vision"
    placed.check()
    with pytest.raises(BadGraph, match="'nose'"):
        graph_of(station(placement={"vision": ["nose"]}))


def test_without_emg_there_is_no_emg_process():
    graph = graph_of(station(emg={"kind": "none"}, recording=recording(video=True), lsl_out={"enabled": True}))
    assert set(graph.groups) == {"camera", "vision", "page", "recorder", "outlets"}
    assert emg_delay_ms(station(emg={"kind": "none"})) == 0.0


def test_the_envelopes_delay_is_told_to_whoever_measures():
    for preset, least, most in (("fast", 5, 40), ("standard", 20, 60), ("calm", 60, 400)):
        where = station(envelope={"preset": preset})
        assert least < emg_delay_ms(where) < most
        for headless in (True, False):
            settings = graph_of(where, headless).by_name["page"].settings
            assert settings["emg_delay_ms"] == emg_delay_ms(where)


def test_what_is_synthetic_is_called_so_on_the_page_and_in_the_outlets():
    def told(camera, emg):
        where = station(camera={"kind": camera, "path": "x"}, emg={"kind": emg}, lsl_out={"enabled": True})
        graph = graph_of(where)
        return graph.by_name["page"].settings["synthetic"], graph.by_name["outlets"].settings["origin"]

    assert told("file", "lsl") == ("", "")
    assert told("synthetic", "lsl") == ("Synthetic picture: not a real person", "synthetic")
    assert told("file", "synthetic") == ("Synthetic EMG: not a real person", "synthetic")
    assert told("synthetic", "synthetic")[0] == "Synthetic picture and EMG: not a real person"


def test_the_raw_camera_stands_in_only_where_the_station_says_so():
    def raw(stale, headless=False):
        graph = graph_of(station(page={"when_stale": stale}), headless)
        return any(edge.target == "page.raw" for edge in graph.edges)

    assert raw("camera")
    assert not raw("last")
    assert not raw("bars")
    assert not raw("camera", headless=True)


def test_a_recording_station_keeps_everything_and_shows_nothing():
    where = station(recording=recording(emg=True, video=True))
    graph = recording_graph(where, True, "", 0, 0.0)
    assert "page" not in graph.by_name
    assert display_sink(graph) == "recorder"  # its ledger counts what is kept


def test_the_demo_needs_nothing_and_is_calibrated(tmp_path):
    where = demo_station(8123, tmp_path)
    assert (where.camera.kind, where.emg.kind) == ("synthetic", "synthetic")
    assert where.page.port == 8123
    assert where.recording.folder == tmp_path
    assert not demo_station().recording.enabled
    path = demo_calibration()
    assert path == where.envelope.calibration
    made = path.stat().st_mtime_ns
    assert demo_calibration().stat().st_mtime_ns == made  # once is enough
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    pytest.importorskip("onnx")
    from painted_bundle import write_painted

    return str(write_painted(tmp_path_factory.mktemp("bundles") / "painted"))


def test_removal_stands_between_join_and_practise_and_decides_the_crops_size(painted):
    graph = graph_of(station(restore={"bundle": painted, "threads": 1}))
    graph.check_nodes()
    assert [e.source for e in display_path(graph, "page")] == [
        f"{name}.frame" for name in ("camera", "face", "crop", "join", "restore", "pixel_map", "paste_back")
    ]
    assert graph.by_name["crop"].settings["size"] == 32
    assert graph.by_name["restore"].settings["threads"] == 1
    assert graph_of(station()).by_name["crop"].settings["size"] == 128
    assert "restore" not in graph_of(station()).by_name
    assert "restore" not in recording_graph(station(restore={"bundle": painted}), True, "", 0, 0.0).by_name


@pytest.mark.parametrize(("when_down", "when_stale"), [("last_good", "last"), ("bars", "bars"), ("raw", "camera")])
@pytest.mark.parametrize("page", ["camera", "last", "bars"])
def test_what_is_shown_when_electrodes_cannot_be_removed_is_the_stations_word(painted, when_down, when_stale, page):
    where = station(restore={"bundle": painted, "when_down": when_down}, page={"when_stale": page})
    for headless in (True, False):
        graph = graph_of(where, headless)
        settings = graph.by_name["page"].settings
        assert (settings["removal"], settings["when_stale"]) == ("restored", when_stale)
        assert any(e.target == "page.raw" for e in graph.edges) == (when_down == "raw" and not headless)


def test_a_bundle_that_does_not_fit_is_refused_before_there_is_a_session():
    with pytest.raises(BadSettings, match="is for pixel_rr, not for removing electrodes"):
        graph_of(station(restore={"bundle": "pixel-smile"}))
