"""What a process that died had in its hands, counted by its successor, so that the ledger closes."""

import numpy as np

from rt.board import REASONS, Board, offered
from rt.graph import FRAME_PORT, LATEST, EdgeSpec, Graph, node_class

_RESTART = REASONS.index("restart")


def settle(board: Board, graph: Graph, group: str) -> None:
    """Put right the counts of a group's nodes and edges, before anything comes or goes again."""
    specs = graph.group(group)
    names = {spec.name for spec in specs}
    for edge in graph.edges:
        if edge.producer in names:
            _settle_sent(board, graph, edge)
        if edge.consumer in names:
            _settle_received(board, edge, inside=edge.producer in names)
    for spec in specs:
        if node_class(spec).INPUTS:
            row = board.node(spec.name)
            held = int(row["frames_in"][0]) - _handled(row)
            row["dropped"][0, _RESTART] += max(held, 0)


def _settle_sent(board: Board, graph: Graph, edge: EdgeSpec) -> None:
    if graph.carries_frames(edge):
        row = board.edge(edge.name)
        unsent = int(board.node(edge.producer)["frames_out"][0]) - offered(row)
        row["lost_by_producer"] += max(unsent, 0)


def _settle_received(board: Board, edge: EdgeSpec, inside: bool) -> None:
    row, node = board.edge(edge.name), board.node(edge.consumer)
    if inside:  # a plain call: what was sent was delivered
        row["delivered"] = row["sent"]
    else:
        open_ = int(row["last_sequence"][0] - row["delivered"][0] - row["dropped"][0].sum())
        if edge.kind == LATEST:
            row["dropped"][0, _RESTART] += max(open_, 0)
        else:
            row["delivered"] += max(open_, 0)
    if edge.in_port != FRAME_PORT:
        return
    if edge.kind != LATEST and not inside:
        # Dealt with, but not yet crossed off: it must not come again.
        ahead = max(_handled(node) - int(row["delivered"][0]), 0)
        row["delivered"] += ahead
        row["last_sequence"] += ahead
    node["frames_in"] = row["delivered"]


def _handled(row: np.ndarray) -> int:
    """Frames that a node has shown, passed on or dropped."""
    return int(row["shown"][0] + row["frames_out"][0] + row["dropped"][0].sum())
