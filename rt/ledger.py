"""The drop ledger: captured = shown + dropped, for every edge and node on the picture's way from camera to eye.

Each place is counted by whoever owns it, independently of its neighbours; the ledger only adds up. It closes when
nothing is left over anywhere. A remainder is forgiven (as 'unfinished' or 'restart') only where a process was
terminated or given up and could not count any more, or where the end mark never came through because of that; anywhere
else it is a bug and says so.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rt.board import REASONS, Board, State, offered
from rt.graph import FRAME_PORT, EdgeSpec, Graph, node_class


@dataclass(frozen=True)
class Account:
    """One edge or node of the way: what went in, what came out, what was dropped and why, what is unexplained."""

    place: str
    taken: int
    passed: int
    dropped: dict[str, int]
    unexplained: int


@dataclass(frozen=True)
class Ledger:
    """The whole way of the pictures. closed: no account has anything unexplained."""

    captured: int
    shown: int
    dropped: dict[str, int]
    closed: bool
    accounts: tuple[Account, ...] = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        return {"captured": self.captured, "shown": self.shown, "dropped": self.dropped, "closed": self.closed}


def display_path(graph: Graph, sink: str) -> list[EdgeSpec]:
    """The edges that pictures take from their source to this sink."""
    path: list[EdgeSpec] = []
    here = sink
    while before := [e for e in graph.edges if e.consumer == here and e.in_port == FRAME_PORT]:
        path.insert(0, before[0])
        here = before[0].producer
    return path


def display_sink(graph: Graph) -> str | None:
    """The sink whose frames count as shown: the one that acknowledges them, or, where nobody looks, that keeps them."""
    sinks = {e.consumer: node_class(graph.by_name[e.consumer]) for e in graph.edges if e.in_port == FRAME_PORT}
    names = [name for name, kind in sinks.items() if kind.ACKNOWLEDGES]
    names += [name for name, kind in sinks.items() if kind.KEEPS]
    return names[0] if names else None


def read_ledger(graph: Graph, board: Board, sink: str | None = None) -> Ledger:
    """Add up the way to `sink` (default: the display). Only final when every process has finished."""
    sink = sink or display_sink(graph)
    path = display_path(graph, sink) if sink else []
    if not path:
        return Ledger(0, 0, {}, True, ())
    accounts: list[Account] = []
    for edge in path:
        accounts.append(_of_edge(board, edge))
        accounts.append(_of_node(board, edge.consumer, board.edge(edge.name)))
    dropped: Counter[str] = Counter()
    for account in accounts:
        dropped.update(account.dropped)
    captured = int(board.node(path[0].producer)["frames_out"][0])
    shown = int(board.node(path[-1].consumer)["shown"][0])
    closed = captured == shown + sum(dropped.values()) and not any(a.unexplained for a in accounts)
    return Ledger(captured, shown, {k: v for k, v in sorted(dropped.items()) if v}, closed, tuple(accounts))


def _reasons(row: Any) -> Counter[str]:
    return Counter({reason: int(n) for reason, n in zip(REASONS, row["dropped"][0], strict=True) if n})


def _ended_well(board: Board, node: str) -> bool:
    return int(board.node(node)["state"][0]) == State.DONE


def _of_edge(board: Board, edge: EdgeSpec) -> Account:
    row = board.edge(edge.name)
    produced, delivered = int(board.node(edge.producer)["frames_out"][0]), int(row["delivered"][0])
    dropped = _reasons(row)
    dropped["no_consumer"] += int(row["refused"][0])
    dropped["restart"] += int(row["lost_by_producer"][0])
    dropped["torn"] += int(row["torn_by_producer"][0])
    left = produced - delivered - sum(dropped.values())
    if left > 0 and not _ended_well(board, edge.producer):
        lost = min(left, max(produced - offered(row), 0))
        dropped["restart"] += lost
        left -= lost
    if left > 0 and not (row["ended"][0] and _ended_well(board, edge.consumer)):
        dropped["unfinished"] += left
        left = 0
    return Account(edge.name, produced, delivered, dict(dropped), left)


def _of_node(board: Board, name: str, edge_row: Any) -> Account:
    row = board.node(name)
    taken = int(edge_row["delivered"][0])
    passed = int(row["shown"][0]) or int(row["frames_out"][0])
    dropped = _reasons(row)
    left = taken - passed - sum(dropped.values())
    if left > 0 and not _ended_well(board, name):
        dropped["unfinished"] += left
        left = 0
    return Account(name, taken, passed, dict(dropped), left)
