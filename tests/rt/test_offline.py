"""The walk without a clock: compared with a slow search through everything, however the signal was cut."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rt.errors import BadGraph, DataLost
from rt.graph import LATEST, EdgeSpec, Graph, NodeSpec
from rt.offline import Offline

TIMES = tuple(9.95 + n / 30 for n in range(12))


def graph(times=TIMES, blocks=(), emg=True, **sink):
    nodes = [
        NodeSpec("camera", "offline_nodes:ListCamera", "camera", {"times": times}),
        NodeSpec("sink", "offline_nodes:Remembering", "sink", sink),
    ]
    edges = [EdgeSpec("camera.frame", "sink.frame", LATEST)]
    if emg:
        nodes.insert(1, NodeSpec("emg", "offline_nodes:ListSignal", "emg", {"blocks": blocks}))
        edges.append(EdgeSpec("emg.emg", "sink.emg", LATEST))
    return Graph(tuple(nodes), tuple(edges))


def walked(**given):
    with Offline(graph(**given)) as offline:
        count = offline.run()
        return count, offline.nodes["sink"]


def stamps_of(blocks):
    """When each sample was taken, one by one."""
    t, found = 10.0, []
    for count, gap_s in blocks:
        t += gap_s
        for _ in range(count):
            found.append(t)
            t += 1e-3
    return np.array(found)


BLOCKS = st.lists(st.tuples(st.integers(0, 90), st.sampled_from([0.0, 0.0, 0.0, 0.08])), min_size=1, max_size=12)


@settings(max_examples=30, deadline=None, database=None)
@given(blocks=BLOCKS)
@example(blocks=[(50, 0.0), (1, 0.0)])  # the second begins a rounding error behind a picture
def test_every_sample_up_to_a_picture_has_come_and_none_after_it(blocks):
    count, sink = walked(blocks=tuple(blocks))
    taken = stamps_of(blocks)
    assert count == len(sink.frames) == len(TIMES)
    for (_, _, heard, _), t in zip(sink.frames, TIMES, strict=True):
        assert heard == np.count_nonzero(taken <= t + 1e-7)
    assert sink.heard == list(range(len(sink.heard)))  # in order, none twice
    for chunk in sink.chunks:  # the last sample of each piece keeps its own stamp
        if len(chunk.data):
            assert chunk.t_last == pytest.approx(taken[int(chunk.data[-1, 0])], abs=1e-9)
            assert chunk.first_sample == int(chunk.data[0, 0])


def test_pieces_do_not_depend_on_how_the_signal_was_cut():
    def pieces(blocks):
        return [chunk.data[:, 0].tolist() for chunk in walked(blocks=blocks)[1].chunks]

    assert pieces(((300, 0.0),)) == pieces(((7, 0.0),) * 42 + ((6, 0.0),)) == pieces(((1, 0.0), (0, 0.0), (299, 0.0)))


def test_a_gap_is_told_once_and_nothing_is_joined_over_it():
    _, sink = walked(blocks=((40, 0.0), (0, 0.05), (100, 0.0)))
    told = [(chunk.gap_s, len(chunk.data)) for chunk in sink.chunks if chunk.gap_s]
    assert [gap_s for gap_s, _ in told] == [0.05]
    before = next(i for i, chunk in enumerate(sink.chunks) if chunk.gap_s)
    assert sum(len(chunk.data) for chunk in sink.chunks[:before]) == 40


def test_a_long_pause_of_the_camera_is_fed_in_pieces():
    _, sink = walked(times=(10.0, 14.0), blocks=((100, 0.0),) * 45)
    assert max(len(chunk.data) for chunk in sink.chunks) <= 1100
    assert len(sink.heard) == 4001


def test_pictures_come_read_only_and_whole_and_the_number_is_told():
    seen = []
    with Offline(graph(emg=False)) as offline:
        assert offline.run(seen.append) == len(TIMES)
        sink = offline.nodes["sink"]
    assert seen == list(range(1, len(TIMES) + 1))
    assert [value for _, value, _, _ in sink.frames] == list(range(len(TIMES)))
    assert not any(writeable for *_, writeable in sink.frames)
    assert sink.ended == ["finish", "close"]


def test_a_picture_that_a_node_lets_go_of_is_lost_data():
    with pytest.raises(DataLost, match=r"sink let go of pictures \(1 failed\)"):
        walked(drop_at=3)


def test_nodes_are_closed_when_one_breaks():
    with pytest.raises(ValueError, match="on purpose"), Offline(graph(fail_at=2)) as offline:
        offline.run()
    assert offline.nodes["sink"].ended == ["close"]


def test_two_cameras_are_refused():
    wrong = graph()
    second = NodeSpec("second", "offline_nodes:ListCamera", "second", {})
    with pytest.raises(BadGraph, match="one source of pictures"):
        Offline(Graph((*wrong.nodes, second), wrong.edges))
