"""Networks between expression and muscle stand beside the picture's way, and only bundles that fit get there."""

import pytest

from rt.errors import BadSettings
from rt.graph import LATEST, LOSSLESS
from rt.graphs import demo
from rt.graphs.demo import demo_station
from rt.graphs.recording_station import recording_graph
from rt.graphs.therapy import therapy_graph
from rt.ledger import display_path
from rt.station import parse_station

pytest.importorskip("torch")

from tiny_networks import CHAIN, write_emg, write_encoder

TOKEN = "t" * 43


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    return {
        "encoder": str(write_encoder(folder / "encoder")),
        "flame": str(write_encoder(folder / "flame", profile="flame55")),
        "exp2emg": str(write_emg(folder / "exp2emg")),
        "mediapipe2emg": str(write_emg(folder / "mediapipe2emg", method="MediaPipe")),
        "flame2emg": str(write_emg(folder / "flame2emg", profile="flame55", method="EIFER")),
        "emg2exp": str(write_emg(folder / "emg2exp", direction="emg2exp", uncertainty=False)),
        "other_chain": str(write_emg(folder / "other", chain="another")),
    }


def station(**sections):
    return parse_station({"camera": {"kind": "synthetic"}, "emg": {"kind": "synthetic"}, **sections})


def graph_of(where, headless=False):
    return therapy_graph(where, headless, TOKEN, 8000, 0.0)


def both(bundles):
    return {
        "expression": {"bundle": bundles["encoder"], "every": 2},
        "estimate": {"exp2emg": bundles["exp2emg"], "emg2exp": bundles["emg2exp"]},
    }


def targets(graph, source):
    return {edge.target for edge in graph.edges if edge.source == source}


@pytest.mark.parametrize("headless", [True, False])
def test_they_stand_in_a_process_of_their_own_beside_the_pictures_way(bundles, headless):
    graph = graph_of(station(**both(bundles)), headless)
    graph.check_nodes()
    assert {node.name for node in graph.group("estimate")} == {"expression", "exp2emg", "emg2exp"}
    assert {node.group for node in graph.nodes if node.gives_way} == {"estimate"}
    way = [edge.source for edge in display_path(graph, "page")]
    assert way == [f"{name}.frame" for name in ("camera", "face", "crop", "join", "pixel_map", "paste_back")]
    assert "expression.picture" in targets(graph, "crop.frame")
    assert targets(graph, "expression.expression") == {"exp2emg.expression", "page.expression"}
    assert targets(graph, "exp2emg.estimate") == {"page.estimate"}
    assert targets(graph, "emg2exp.expression") == {"page.expression"}
    assert {"exp2emg.muscles", "emg2exp.muscles"} <= targets(graph, "measures.muscles")
    assert all(edge.kind == LATEST for edge in graph.edges if edge.consumer in ("expression", "exp2emg", "emg2exp"))
    assert graph.by_name["expression"].settings["every"] == 2
    assert graph.by_name["exp2emg"].settings["chain"] == CHAIN


def test_the_page_is_told_what_to_make_room_for(bundles):
    def told(**sections):
        settings = graph_of(station(**sections)).by_name["page"].settings
        return settings["amplifier"], settings["estimated"], list(settings["expressions"])

    assert told() == (True, False, [])
    assert told(**both(bundles)) == (True, True, ["camera", "emg"])
    assert told(emg={"kind": "none"}, **both(bundles)) == (False, True, ["camera"])
    assert told(expression={"bundle": bundles["flame"]}) == (True, False, [])  # nothing here can draw flame55
    assert told(estimate={"exp2emg": "off", "emg2exp": bundles["emg2exp"]}) == (True, False, ["emg"])


def test_without_an_amplifier_muscles_are_estimated_and_no_face_is_driven(bundles):
    graph = graph_of(station(emg={"kind": "none"}, **both(bundles)))
    graph.check_nodes()
    assert "exp2emg" in graph.by_name
    assert "emg2exp" not in graph.by_name
    assert graph.by_name["exp2emg"].settings["chain"] == CHAIN


def test_without_an_encoder_mediapipes_blendshapes_are_taken_where_the_bundle_allows_it(bundles):
    graph = graph_of(station(estimate={"exp2emg": bundles["mediapipe2emg"], "emg2exp": None}))
    assert graph.by_name["expression"].settings["bundle"] == "mediapipe"
    assert graph.by_name["exp2emg"].settings["mediapipe"] is True
    with pytest.raises(BadSettings, match="learned from expressions of Truth, which MediaPipe's blendshapes are not"):
        graph_of(station(estimate={"exp2emg": bundles["exp2emg"], "emg2exp": None}))
    with pytest.raises(BadSettings, match="expressions in flame55, this station's encoder gives arkit52"):
        graph_of(station(estimate={"exp2emg": bundles["flame2emg"], "emg2exp": None}))
    fits = {"expression": {"bundle": bundles["flame"]}, "estimate": {"exp2emg": bundles["flame2emg"], "emg2exp": None}}
    assert graph_of(station(**fits)).by_name["exp2emg"].settings["profile"] == "flame55"


def test_without_the_landmark_model_there_are_no_blendshapes_to_take(bundles, monkeypatch):
    monkeypatch.setenv("MYOMIRROR_ASSETS", "/nowhere")
    monkeypatch.setattr("rt.graphs.therapy.assets.find", lambda _: None)
    where = station(camera={"kind": "device"}, estimate={"exp2emg": bundles["exp2emg"], "emg2exp": None})
    with pytest.raises(BadSettings, match="its model is not installed: run `myomirror assets fetch`"):
        graph_of(where)
    where = station(camera={"kind": "device"}, **both(bundles))
    assert graph_of(where).by_name["expression"].settings["allow_untracked"] is True


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        (lambda b: {"estimate": {"exp2emg": b["other_chain"]}}, "made with EMG chain another, this station runs"),
        (lambda b: {"estimate": {"exp2emg": b["emg2exp"]}}, "from muscles to expression, exp2emg is needed"),
        (lambda b: {"estimate": {"exp2emg": None, "emg2exp": b["exp2emg"]}}, "emg2exp is needed"),
        (lambda b: {"expression": {"bundle": "restore-cpu"}}, "is for mc_cyclegan, not for reading expressions"),
        (lambda b: {"expression": {"bundle": b["flame"]}, "estimate": {"exp2emg": b["exp2emg"]}}, "gives flame55"),
        (lambda b: {"estimate": {"exp2emg": "no-such-bundle"}}, "is no bundle"),
        (lambda b: {"envelope": {"preset": "fast"}, "estimate": {"exp2emg": b["exp2emg"]}}, f"EMG chain {CHAIN}"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence_before_there_is_a_session(bundles, sections, sentence):
    with pytest.raises(BadSettings, match=sentence) as found:
        graph_of(station(**sections(bundles)))
    assert "\n" not in str(found.value)


def test_what_they_say_is_kept_losslessly_and_only_as_far_as_was_agreed(bundles):
    def kept(**consent):
        recording = {"enabled": True, "consent": consent}
        graph = graph_of(station(recording=recording, lsl_out={"enabled": True}, **both(bundles)))
        graph.check()
        edges = [
            e for e in graph.edges if e.consumer == "recorder" and e.producer in ("expression", "exp2emg", "emg2exp")
        ]
        assert all(edge.kind == LOSSLESS for edge in edges)
        assert {"outlets.expression", "outlets.estimate"} <= {edge.target for edge in graph.edges}
        return {edge.producer for edge in edges}

    assert kept(emg=True, video=True) == {"expression", "exp2emg", "emg2exp"}
    assert kept(emg=True) == {"emg2exp"}
    assert kept(video=True) == {"expression", "exp2emg"}


def test_an_encoder_on_a_gpu_runs_in_the_process_that_owns_it(bundles):
    sections = {**both(bundles), "expression": {"bundle": bundles["encoder"], "device": "cuda"}}
    graph = graph_of(station(**sections))
    graph.check()
    assert graph.by_name["expression"].group == "vision"
    assert graph.by_name["exp2emg"].group == "estimate"


def test_a_recording_station_leaves_them_for_later(bundles):
    where = station(recording={"enabled": True, "consent": {"emg": True}}, **both(bundles))
    graph = recording_graph(where, True, "", 0, 0.0)
    assert not {"expression", "exp2emg", "emg2exp"} & set(graph.by_name)


def test_the_demo_uses_what_is_shipped_and_can_do_without(monkeypatch, tmp_path):
    def shipped(*names):
        monkeypatch.setattr(demo, "shipped_bundles", lambda: [tmp_path / name for name in names])
        found = demo_station()
        estimate = found.estimate and (found.estimate.exp2emg, found.estimate.emg2exp)
        return found.expression and found.expression.bundle, estimate

    assert shipped() == (None, None)
    assert shipped("encoder-cpu", "exp2emg", "emg2exp") == ("encoder-cpu", ("exp2emg", "emg2exp"))
    assert shipped("emg2exp") == (None, (None, "emg2exp"))
    assert shipped("encoder-cpu") == ("encoder-cpu", None)
    assert shipped("exp2emg", "emg2exp") == (None, (None, "emg2exp"))  # nothing reads the face for it
    assert shipped("exp2emg") == (None, None)
    off = demo_station(estimates=False)
    assert (off.expression, off.estimate) == (None, None)


def test_whatever_is_shipped_fits_the_demo():
    graph_of(demo_station(restore=None)).check_nodes()
