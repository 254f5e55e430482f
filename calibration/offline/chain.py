"""The graph of a live session turned into one for a recording: other sources, no screens, rows at the end.

Whatever stage a session has is here too, by the graph's own edges: a node stays when rows of the tables come from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from calibration.offline.order import AUTO, OFF, Order
from calibration.offline.rows import LIMIT_S
from engines.shipped import shipped_bundles
from rt import assets
from rt.errors import BadSettings
from rt.graph import LATEST, EdgeSpec, Graph, NodeSpec, node_class
from rt.graphs.estimates import estimates_of
from rt.graphs.therapy import emg_chain, therapy_graph
from rt.message import Estimate, Expression, Message, Parameters
from rt.stages.expression import MEDIAPIPE
from rt.station import Station, parse_station

ROWS = "rows"
_TAKES: dict[type[Message], str] = {Parameters: "params", Expression: "expression", Estimate: "estimate"}
_READS_PICTURES, _RESTORED = "expression.picture", "paste_back.frame"
_SHIPPED = {"expression": "encoder-cpu", "exp2emg": "exp2emg", "emg2exp": "emg2exp"}  # what "auto" looks for

Sources = Mapping[str, NodeSpec]


def offline_graph(station: Station, order: Order, sources: Sources, chain: str = "") -> tuple[Graph, list[str]]:
    """The graph, checked with all its bundles, and a sentence for each network that was left out.

    sources: nodes in place of those with the same names; "envelope" among them stands for amplifier and filters, and
    chain is then the id of what made it.
    Raises BadSettings when a bundle that was named, by the order or the station, is not there or does not fit, or when
    electrodes would be removed for nobody.
    """
    wanted = {name: getattr(order, name) for name in _SHIPPED}
    asked = [name for name, bundle in wanted.items() if bundle == AUTO and not _of_station(station, name)]
    graph = _checked(station, {**wanted, **dict.fromkeys(asked, OFF)}, order, sources, chain)
    shipped = {folder.name for folder in shipped_bundles()}
    notes: list[tuple[str, str]] = []
    for name in asked:
        left_out = [other for other in asked[asked.index(name) + 1 :]] + [n for n, _ in notes]
        if _SHIPPED[name] not in shipped:
            notes.append((name, f"no bundle {_SHIPPED[name]} is shipped with this version"))
            continue
        try:
            graph = _checked(station, {**wanted, **dict.fromkeys(left_out, OFF)}, order, sources, chain)
        except BadSettings as error:
            notes.append((name, str(error)))
    reads = graph.by_name.get("expression")
    if order.restore != OFF and (reads is None or reads.settings["bundle"] == MEDIAPIPE):
        raise BadSettings(
            f"removing electrodes with {order.restore} changes nothing, as no face encoder reads the picture "
            "afterwards: name one with --expression, or leave --restore out"
        )
    return graph, [f"{name}: {why}" for name, why in notes]


def _of_station(station: Station, name: str) -> str | None:
    """The bundle that the station itself names."""
    if name == "expression":
        return station.expression.bundle if station.expression else None
    found = getattr(station.estimate, name) if station.estimate else None
    return None if found is None else str(found)


def _with(station: Station, wanted: Mapping[str, str], order: Order) -> Station:
    """The station with these networks, and nothing that a recording does not need."""
    content: dict[str, Any] = station.model_dump(mode="json")
    bundles = {
        name: (_of_station(station, name) or _SHIPPED[name]) if bundle == AUTO else None if bundle == OFF else bundle
        for name, bundle in wanted.items()
    }
    reading = bundles["expression"]
    content["expression"] = None if reading is None else {**(content["expression"] or {}), "bundle": reading}
    content["estimate"] = {name: bundles[name] for name in ("exp2emg", "emg2exp")}
    content["restore"] = None
    if order.restore != OFF:
        content["restore"] = {"bundle": order.restore, "view": "restored", "device": "cpu", "threads": 1}
    content["envelope"] = {**content["envelope"], "calibration": None}  # the recording's own lies in the scratch folder
    content["practise"], content["motion"] = {}, None  # no row comes from them
    content["recording"] = {**content["recording"], "enabled": False}
    content["lsl_out"] = {"enabled": False}
    return parse_station(content, "the recording's settings")


def _checked(station: Station, wanted: Mapping[str, str], order: Order, sources: Sources, chain: str) -> Graph:
    graph = _rows_graph(_with(station, wanted, order), order, sources, chain)
    graph.check_nodes()
    return graph


def _rows_graph(station: Station, order: Order, sources: Sources, chain: str) -> Graph:
    live = therapy_graph(station.model_copy(update={"expression": None, "estimate": None}), headless=True)
    said = estimates_of(station, chain or emg_chain(station), _follows_faces(station))
    edges = [*live.edges, *said.edges]
    if "envelope" in sources:  # given, not made from a signal
        edges = [e for e in edges if e.consumer != "envelope" and e.producer not in ("emg", "quality")]
    if order.restore != OFF:
        edges = [replace(e, source=_RESTORED) if e.target == _READS_PICTURES else e for e in edges]
    nodes = [_steady(sources.get(node.name, node)) for node in (*live.nodes, *said.nodes)]
    for node in nodes:
        for port, kind in node_class(node).OUTPUTS.items():
            if kind in _TAKES:
                edges.append(EdgeSpec(f"{node.name}.{port}", f"{ROWS}.{_TAKES[kind]}", LATEST))
    needed = _ancestors(ROWS, edges)
    rows = NodeSpec(ROWS, "calibration.offline.rows:RowsSink", ROWS, {"emg": station.emg.kind != "none"})
    kept = tuple(edge for edge in edges if edge.consumer in needed)
    return replace(live, nodes=(*(node for node in nodes if node.name in needed), rows), edges=kept)


def _follows_faces(station: Station) -> bool:
    """Live, a synthetic camera knows where its face is; in its recording a face has to be found as in any other."""
    return (station.face.model or assets.find(assets.FACE_LANDMARKER)) is not None


def _steady(node: NodeSpec) -> NodeSpec:
    """The node without what a session needs to be quick: every picture is read, by one core, nothing is carried on."""
    known = node_class(node).Settings.__dataclass_fields__
    steady = {"every": 1, "threads": 1, "limit_ms": 1e3 * LIMIT_S}
    return replace(node, settings={**node.settings, **{k: v for k, v in steady.items() if k in known}})


def _ancestors(name: str, edges: list[EdgeSpec]) -> set[str]:
    """The node and all that something comes from."""
    found, new = {name}, {name}
    while new:
        new = {edge.producer for edge in edges if edge.consumer in new} - found
        found |= new
    return found
