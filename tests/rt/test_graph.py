"""A graph that cannot work is refused with one sentence, before anything starts."""

import re

import pytest

from rt.errors import BadGraph
from rt.graph import EdgeSpec, Graph, NodeSpec, build_settings

N = "runtime_nodes:"
CAMERA = NodeSpec("camera", N + "Camera", "camera")
STAGE = NodeSpec("stage", N + "Stage", "vision")
SECOND = NodeSpec("second", N + "Stage", "vision")
SHOW = NodeSpec("show", N + "Display", "show")
KEEP = NodeSpec("keep", N + "Keeper", "keep", {"path": "x"})
SIGNAL = NodeSpec("signal", N + "Signal", "signal")
WAY = (EdgeSpec("camera.frame", "stage.frame"), EdgeSpec("stage.frame", "show.frame"))
GOOD = Graph((CAMERA, STAGE, SHOW), WAY)


def graph(*more, nodes=GOOD.nodes, edges=WAY, **sizes):
    nodes = (*nodes, *(m for m in more if isinstance(m, NodeSpec)))
    return Graph(nodes, (*edges, *(m for m in more if isinstance(m, EdgeSpec))), **sizes)


def test_a_good_one_passes():
    graph(
        KEEP, SIGNAL, EdgeSpec("camera.frame", "keep.frame", "lossless", 2.0), EdgeSpec("signal.emg", "keep.emg")
    ).check()


REFUSED = {
    "name twice": (graph(CAMERA), "'camera' is used twice"),
    "name with a dot": (graph(NodeSpec("a.b", N + "Signal", "s")), "'a.b' .* plain word"),
    "group that is a path": (graph(NodeSpec("s", N + "Signal", "../s")), "group name '../s' is not a plain word"),
    "unknown producer": (graph(EdgeSpec("cam.frame", "show.frame")), "names 'cam'; the nodes are camera, stage, show"),
    "unknown consumer": (graph(EdgeSpec("camera.frame", "page.frame")), "names 'page'"),
    "no port at all": (graph(EdgeSpec("camera", "show.frame")), "'camera' has no output ''"),
    "unknown output": (
        graph(KEEP, EdgeSpec("camera.emg", "keep.emg")),
        r"'camera' has no output 'emg', it has \['frame'\]",
    ),
    "unknown input": (graph(EdgeSpec("camera.frame", "show.raw")), r"'show' has no input 'raw', it has \['frame'\]"),
    "input as output": (graph(EdgeSpec("show.frame", "stage.frame")), "'show' has no output 'frame'"),
    "type": (graph(KEEP, EdgeSpec("camera.frame", "keep.emg")), "carries Frame, but Chunk is wanted"),
    "kind": (graph(KEEP, EdgeSpec("camera.frame", "keep.frame", "fast")), "is 'fast': say 'latest' or 'lossless'"),
    "unbounded": (graph(KEEP, EdgeSpec("camera.frame", "keep.frame", "lossless")), "needs 0 < hold_s <= 120, found 0"),
    "too long": (graph(KEEP, EdgeSpec("camera.frame", "keep.frame", "lossless", 1e6)), "found 1e.06"),
    "negative": (graph(KEEP, EdgeSpec("camera.frame", "keep.frame", "lossless", -1)), "found -1"),
    "NaN": (graph(KEEP, EdgeSpec("camera.frame", "keep.frame", "lossless", float("nan"))), "found nan"),
    "hold on latest": (
        graph(KEEP, EdgeSpec("camera.frame", "keep.frame", "latest", 2.0)),
        "'latest' and keeps nothing",
    ),
    "edge twice": (graph(WAY[0]), "camera.frame->stage.frame is there twice"),
    "two ways for pictures": (graph(EdgeSpec("camera.frame", "show.frame")), "two edges lead to show.frame"),
    "unknown class": (graph(NodeSpec("x", N + "Nobody", "x")), "'runtime_nodes:Nobody' cannot be loaded"),
    "unknown module": (graph(NodeSpec("x", "nowhere:X", "x")), "'nowhere:X' cannot be loaded"),
    "no module": (graph(NodeSpec("x", "", "x")), "cannot be loaded"),
    "not a node": (graph(NodeSpec("x", "rt.message:Frame", "x")), "'rt.message:Frame' is not a node class"),
    "no input": (graph(SECOND), r"'second' has no input: connect one of \['frame'\]"),
    "unknown setting": (
        graph(NodeSpec("s", N + "Signal", "s", {"rate": 5})),
        r"'s' has no setting 'rate', it has \['count', 'rate_hz'\]",
    ),
    "setting of another type": (
        graph(NodeSpec("s", N + "Signal", "s", {"rate_hz": "fast"})),
        "'s', setting rate_hz: .*number.*, found 'fast'",
    ),
    "setting missing": (
        graph(NodeSpec("k", N + "Keeper", "k"), EdgeSpec("camera.frame", "k.frame")),
        "'k', setting path: .*required",
    ),
    "two sources in a group": (graph(NodeSpec("s", N + "Signal", "camera")), "'camera' holds 2 sources"),
    "no pictures per second": (graph(fps=0.0), "above zero"),
    "NaN pictures per second": (graph(fps=float("nan")), "above zero"),
    "no pixels": (graph(max_frame=(0, 640)), "above zero"),
    "circle": (
        graph(
            SECOND,
            nodes=(STAGE,),
            edges=(EdgeSpec("stage.frame", "second.frame"), EdgeSpec("second.frame", "stage.frame")),
        ),
        "second, stage feed each other in a circle",
    ),
    "circle of one": (graph(nodes=(STAGE,), edges=(EdgeSpec("stage.frame", "stage.frame"),)), "stage feed"),
}


@pytest.mark.parametrize(("bad", "sentence"), REFUSED.values(), ids=REFUSED)
def test_refused(bad, sentence):
    with pytest.raises(BadGraph) as caught:
        bad.check()
    assert re.search(sentence, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_placement_moves_nodes_and_only_known_ones():
    placed = GOOD.placed({"one": ["camera", "stage"], "two": ["show"]})
    assert [node.group for node in placed.nodes] == ["one", "one", "two"]
    assert [edge.name for edge in placed.links()] == ["stage.frame->show.frame"]
    assert GOOD.placed({}) == GOOD
    with pytest.raises(BadGraph, match="placement names 'cam'; the nodes of this graph are camera, stage, show"):
        GOOD.placed({"one": ["cam"]})


def test_sinks_start_first():
    assert GOOD.groups == ["show", "vision", "camera"]


def test_survives_json():
    made = graph(KEEP, EdgeSpec("camera.frame", "keep.frame", "lossless", 2.0), max_frame=(10, 20), fps=12.5)
    assert Graph.from_json(made.to_json()) == made


def test_settings_become_what_the_node_declares():
    made = build_settings(NodeSpec("c", N + "Camera", "c", {"fps": 25, "height": 10}))
    assert (made.fps, made.height, made.width) == (25.0, 10, 64)
    assert isinstance(made.fps, float)


# ---------------------------------------------------------------------- rings


def slots(made):
    return {ring.name: ring.slots for ring in made.rings()}


def test_rings_only_where_pictures_cross():
    assert set(slots(GOOD)) == {"camera.frame", "stage.frame"}
    assert slots(GOOD.placed({"one": ["camera", "stage", "show"]})) == {}
    assert set(slots(GOOD.placed({"one": ["camera", "stage"]}))) == {"stage.frame"}


def test_a_ring_holds_what_may_be_held():
    """DESIGN: slots >= ceil(max hold x fps) + 2."""
    made = graph(KEEP, EdgeSpec("camera.frame", "keep.frame", "lossless", 2.05), fps=30.0)
    assert slots(made)["camera.frame"] >= 62 + 2
    assert slots(made)["stage.frame"] < 20
    assert {ring.slot_bytes for ring in made.rings()} == {480 * 640 * 3}


def test_a_ring_also_holds_what_is_kept_further_down():
    """The stage hands the camera's own slot on, so the camera's ring must outlast the stage's lossless edge."""
    made = graph(KEEP, EdgeSpec("stage.frame", "keep.frame", "lossless", 3.0))
    assert slots(made)["camera.frame"] >= 90 + 2
    inside = made.placed({"vision": ["stage", "keep"]})
    assert slots(inside)["camera.frame"] < 20
