"""captured = shown + dropped: it closes when every count is right, and does not when one is not."""

from dataclasses import dataclass, field

import pytest

from rt.board import REASONS, Board, State
from rt.graph import EdgeSpec, Graph, NodeSpec
from rt.ledger import display_path, display_sink, read_ledger

N = "runtime_nodes:"
NODES = (
    NodeSpec("camera", N + "Camera", "camera"),
    NodeSpec("stage", N + "Stage", "vision"),
    NodeSpec("show", N + "Display", "show"),
    NodeSpec("keep", N + "Keeper", "keep", {"path": "x"}),
)
FIRST, SECOND = EdgeSpec("camera.frame", "stage.frame"), EdgeSpec("stage.frame", "show.frame")
ASIDE = EdgeSpec("camera.frame", "keep.frame", "lossless", 2.0)
GRAPH = Graph(NODES, (FIRST, SECOND, ASIDE))


@dataclass
class Story:
    """Counts of a session in which 100 pictures were captured; every field is one cell of the board."""

    captured: int = 100
    first: dict = field(default_factory=lambda: {"sent": 98, "refused": 2, "delivered": 90, "superseded": 8})
    stage: dict = field(default_factory=lambda: {"frames_in": 90, "frames_out": 87, "failed": 3})
    second: dict = field(default_factory=lambda: {"sent": 86, "torn_by_producer": 1, "delivered": 85, "superseded": 1})
    show: dict = field(default_factory=lambda: {"frames_in": 85, "shown": 80, "viewer_busy": 5})
    states: dict = field(default_factory=dict)
    ended: tuple = (1, 1)

    def board(self, path):
        board = Board(path / "board", [n.name for n in NODES], [e.name for e in GRAPH.edges], create=True)
        board.node("camera")["frames_out"] = self.captured
        for row, counts in (
            (board.edge(FIRST.name), self.first),
            (board.edge(SECOND.name), self.second),
            (board.node("stage"), self.stage),
            (board.node("show"), self.show),
        ):
            for name, count in counts.items():
                if name in REASONS:
                    row["dropped"][0, REASONS.index(name)] = count
                else:
                    row[name] = count
        for name in board.node_names:
            board.node(name)["state"] = self.states.get(name, State.DONE)
        board.edge(FIRST.name)["ended"], board.edge(SECOND.name)["ended"] = self.ended
        return board


def ledger(tmp_path, story):
    return read_ledger(GRAPH, story.board(tmp_path))


def test_the_way_from_camera_to_eye():
    assert display_sink(GRAPH) == "show"
    assert display_path(GRAPH, "show") == [FIRST, SECOND]
    assert display_path(GRAPH, "keep") == [ASIDE]


def test_closes_and_names_every_reason(tmp_path):
    found = ledger(tmp_path, Story())
    assert found.closed
    assert (found.captured, found.shown) == (100, 80)
    assert found.dropped == {"failed": 3, "no_consumer": 2, "superseded": 9, "torn": 1, "viewer_busy": 5}
    assert found.captured == found.shown + sum(found.dropped.values())
    assert [a.place for a in found.accounts] == [FIRST.name, "stage", SECOND.name, "show"]


CELLS = [(part, cell) for part in ("first", "stage", "second", "show") for cell in getattr(Story(), part)]
NOT_ON_THE_WAY = {("first", "sent"), ("second", "sent"), ("stage", "frames_in"), ("show", "frames_in")}


@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize(("part", "cell"), [*CELLS, ("captured", "")])
def test_one_wrong_count_and_it_does_not_close(tmp_path, part, cell, by):
    story = Story()
    if part == "captured":
        story.captured += by
    else:
        getattr(story, part)[cell] += by
    closed = ledger(tmp_path, story).closed
    assert closed == ((part, cell) in NOT_ON_THE_WAY)  # those serve the settling after a restart


def test_two_wrongs_on_the_way_do_not_make_a_right(tmp_path):
    """The sum alone would be right; each place is checked on its own."""
    story = Story()
    story.first["superseded"] += 1
    story.show["viewer_busy"] -= 1
    found = ledger(tmp_path, story)
    assert found.captured == found.shown + sum(found.dropped.values())
    assert not found.closed


@pytest.mark.parametrize("state", [State.RUNNING, State.DEGRADED, State.ABSENT])
def test_what_a_killed_node_held_is_unfinished(tmp_path, state):
    story = Story(states={"stage": state})
    story.stage["frames_out"] -= 2
    story.second.update(sent=84, delivered=83)
    story.show.update(frames_in=83, shown=78)
    found = ledger(tmp_path, story)
    assert found.closed
    assert found.dropped["unfinished"] == 2


def test_what_a_killed_producer_never_offered_is_restart(tmp_path):
    story = Story(states={"stage": State.RUNNING})
    story.second.update(sent=85, delivered=84)
    story.show.update(frames_in=84, shown=79)
    found = ledger(tmp_path, story)
    assert found.closed
    assert found.dropped["restart"] == 1


def test_what_was_on_the_way_to_a_killed_consumer_is_unfinished(tmp_path):
    story = Story(states={"show": State.DEGRADED}, ended=(1, 0))
    story.second["delivered"] -= 4
    story.show.update(frames_in=81, shown=76)
    found = ledger(tmp_path, story)
    assert found.closed
    assert found.dropped["unfinished"] == 4


def test_what_was_on_the_way_when_the_end_never_came_is_unfinished(tmp_path):
    """The producer was killed at the end: its consumer finished by itself, but some may be left in the socket."""
    story = Story(states={"stage": State.RUNNING}, ended=(1, 0))
    story.second["delivered"] -= 1
    story.show.update(frames_in=84, shown=79)
    found = ledger(tmp_path, story)
    assert found.closed
    assert found.dropped["unfinished"] == 1


def test_a_graph_without_a_display_has_nothing_to_account_for(tmp_path):
    graph = Graph((NODES[0], NODES[3]), (ASIDE,))
    board = Board(tmp_path / "board", ["camera", "keep"], [ASIDE.name], create=True)
    found = read_ledger(graph, board)
    assert (found.captured, found.shown, found.closed) == (0, 0, True)


def test_json(tmp_path):
    found = ledger(tmp_path, Story()).as_json()
    assert set(found) == {"captured", "shown", "dropped", "closed"}
    assert found["closed"] is True
