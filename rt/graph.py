"""The graph as data: nodes, edges, groups. Checked whole before anything starts.

An edge carries one node's output port to another's input port. `latest` edges are for eyes and inference: the
consumer takes the newest and counts what it skipped. `lossless` edges are for files and filters: nothing is skipped,
what is not acknowledged is kept for at most hold_s seconds, and what outlives that is an explicit gap. Inside one
group (one process, one thread) an edge is a plain call, whatever its kind.
"""

import importlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter, ValidationError

from rt.errors import BadGraph
from rt.message import Frame
from rt.stage import Context, Node, Source

LATEST, LOSSLESS = "latest", "lossless"
FRAME_PORT = "frame"  # the ledger counts the frames that come in here; other ports carry copies
_LONGEST_HOLD_S = 120.0
_DISPLAY_SLOTS = 8  # pictures that a `latest` consumer may hold or have queued while it works on one


@dataclass(frozen=True)
class NodeSpec:
    """One node: its name, the class as 'package.module:Class', its settings as JSON values, and its group.

    gives_way: nothing waits for what it says, so it may have what the others leave of the processor.
    """

    name: str
    kind: str
    group: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    gives_way: bool = False


@dataclass(frozen=True)
class EdgeSpec:
    """One edge from 'node.port' to 'node.port'. hold_s bounds a lossless edge."""

    source: str
    target: str
    kind: str = LATEST
    hold_s: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.source}->{self.target}"

    @property
    def producer(self) -> str:
        return self.source.partition(".")[0]

    @property
    def consumer(self) -> str:
        return self.target.partition(".")[0]

    @property
    def out_port(self) -> str:
        return self.source.partition(".")[2]

    @property
    def in_port(self) -> str:
        return self.target.partition(".")[2]


@dataclass(frozen=True)
class RingSpec:
    """Shared memory for the pictures of one output port."""

    name: str
    slots: int
    slot_bytes: int


@dataclass(frozen=True)
class Graph:
    """Nodes and edges. max_frame: the largest picture (height, width) that any port may carry."""

    nodes: tuple[NodeSpec, ...]
    edges: tuple[EdgeSpec, ...]
    max_frame: tuple[int, int] = (480, 640)
    fps: float = 30.0

    @cached_property
    def by_name(self) -> dict[str, NodeSpec]:
        return {node.name: node for node in self.nodes}

    @property
    def groups(self) -> list[str]:
        """Group names, sinks first: the order in which processes start."""
        return list(dict.fromkeys(node.group for node in reversed(self.nodes)))

    def group(self, name: str) -> list[NodeSpec]:
        """The nodes of one group, in the order given."""
        return [node for node in self.nodes if node.group == name]

    def crosses(self, edge: EdgeSpec) -> bool:
        """Whether the edge goes from one process to another."""
        return self.by_name[edge.producer].group != self.by_name[edge.consumer].group

    def links(self) -> list[EdgeSpec]:
        """The edges that are sockets."""
        return [edge for edge in self.edges if self.crosses(edge)]

    def placed(self, placement: Mapping[str, Iterable[str]]) -> "Graph":
        """The same graph with some nodes moved: {group: [node, ...]}. Raises BadGraph for unknown nodes."""
        where = {node: group for group, members in placement.items() for node in members}
        unknown = sorted(set(where) - set(self.by_name))
        if unknown:
            raise BadGraph(f"placement names {unknown[0]!r}; the nodes of this graph are {', '.join(self.by_name)}")
        nodes = tuple(replace(node, group=where.get(node.name, node.group)) for node in self.nodes)
        return replace(self, nodes=nodes)

    def rings(self) -> list[RingSpec]:
        """The rings that the links need: slots for everything that may be held, plus one written and one read."""
        ports = dict.fromkeys(edge.source for edge in self.links() if self.carries_frames(edge))
        size = self.max_frame[0] * self.max_frame[1] * 3
        return [RingSpec(p, math.ceil(self._held_s(p) * self.fps) + _DISPLAY_SLOTS + 2, size) for p in ports]

    def carries_frames(self, edge: EdgeSpec) -> bool:
        """Whether pictures go along an edge."""
        return node_class(self.by_name[edge.producer]).OUTPUTS[edge.out_port] is Frame

    def _held_s(self, port: str) -> float:
        """How long a picture of this port may be kept, by its own edges or, handed on as it is, by later ones."""
        held = 0.0
        for edge in self.edges:
            if edge.source == port:
                after = {e.source for e in self.edges if e.producer == edge.consumer and self.carries_frames(e)}
                here = edge.hold_s if self.crosses(edge) else 0.0
                held = max(held, here + max(map(self._held_s, after), default=0.0))
        return held

    def check(self) -> None:
        """Raise BadGraph with one sentence for the first thing that cannot work."""
        if not (self.fps > 0 and min(self.max_frame) > 0):
            raise BadGraph(f"{self.fps:g} pictures per second of {self.max_frame} pixels: both must be above zero")
        names = [node.name for node in self.nodes]
        for group in self.groups:
            if not group.isidentifier():
                raise BadGraph(f"group name {group!r} is not a plain word: rename it")
        for name in names:
            if names.count(name) > 1 or not name.isidentifier():
                raise BadGraph(f"node name {name!r} is used twice or is not a plain word: rename it")
        for edge in self.edges:
            self._check_edge(edge)
        for edge in self.edges:
            if self.carries_frames(edge) and [e.target for e in self.edges].count(edge.target) > 1:
                raise BadGraph(f"two edges lead to {edge.target}: pictures are counted on one way only, remove one")
        for node in self.nodes:
            build_settings(node)
            missing = set(node_class(node).INPUTS) and not any(e.consumer == node.name for e in self.edges)
            if missing:
                raise BadGraph(f"node {node.name!r} has no input: connect one of {sorted(node_class(node).INPUTS)}")
        for group in self.groups:
            sources = [n.name for n in self.group(group) if issubclass(node_class(n), Source)]
            if len(sources) > 1:
                raise BadGraph(f"group {group!r} holds {len(sources)} sources {sources}: one process, one source")
        self._check_acyclic()

    def check_nodes(self) -> None:
        """`check`, and what the nodes themselves say of their settings, without opening anything."""
        self.check()
        for node in self.nodes:
            node_class(node)(build_settings(node), Context(node.name))

    def _check_edge(self, edge: EdgeSpec) -> None:
        for end, port, side in (
            (edge.producer, edge.out_port, "OUTPUTS"),
            (edge.consumer, edge.in_port, "INPUTS"),
        ):
            if end not in self.by_name:
                raise BadGraph(f"edge {edge.name} names {end!r}; the nodes are {', '.join(self.by_name)}")
            ports = getattr(node_class(self.by_name[end]), side)
            if port not in ports:
                raise BadGraph(f"edge {edge.name}: {end!r} has no {side.lower()[:-1]} {port!r}, it has {sorted(ports)}")
        given = node_class(self.by_name[edge.producer]).OUTPUTS[edge.out_port]
        wanted = node_class(self.by_name[edge.consumer]).INPUTS[edge.in_port]
        if not issubclass(given, wanted):
            raise BadGraph(f"edge {edge.name} carries {given.__name__}, but {wanted.__name__} is wanted there")
        if edge.kind not in (LATEST, LOSSLESS):
            raise BadGraph(f"edge {edge.name} is {edge.kind!r}: say {LATEST!r} or {LOSSLESS!r}")
        if edge.kind == LOSSLESS and not 0 < edge.hold_s <= _LONGEST_HOLD_S:
            raise BadGraph(f"lossless edge {edge.name} needs 0 < hold_s <= {_LONGEST_HOLD_S:g}, found {edge.hold_s:g}")
        if edge.kind == LATEST and edge.hold_s:
            raise BadGraph(f"edge {edge.name} is {LATEST!r} and keeps nothing: leave hold_s out, or say {LOSSLESS!r}")
        if [e.name for e in self.edges].count(edge.name) > 1:
            raise BadGraph(f"edge {edge.name} is there twice: remove one")

    def _check_acyclic(self) -> None:
        waiting = {node.name: {e.producer for e in self.edges if e.consumer == node.name} for node in self.nodes}
        while free := [name for name, needs in waiting.items() if not needs & waiting.keys()]:
            for name in free:
                del waiting[name]
        if waiting:
            raise BadGraph(f"the nodes {', '.join(sorted(waiting))} feed each other in a circle: cut one edge")

    def to_json(self) -> str:
        return json.dumps(TypeAdapter(Graph).dump_python(self, mode="json"), indent=1)

    @staticmethod
    def from_json(text: str) -> "Graph":
        return TypeAdapter(Graph).validate_json(text)


def node_class(spec: NodeSpec) -> type[Node[Any]]:
    """The class that a spec names. Raises BadGraph when there is none."""
    module, _, name = spec.kind.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise BadGraph(f"node {spec.name!r}: {spec.kind!r} cannot be loaded ({error})") from error
    if not (isinstance(found, type) and issubclass(found, Node)):
        raise BadGraph(f"node {spec.name!r}: {spec.kind!r} is not a node class")
    return found


def build_settings(spec: NodeSpec) -> Any:
    """The node's frozen settings from their JSON values. Raises BadGraph for unknown names and wrong types."""
    kind = node_class(spec).Settings
    unknown = sorted(set(spec.settings) - set(kind.__dataclass_fields__))
    if unknown:
        raise BadGraph(f"node {spec.name!r} has no setting {unknown[0]!r}, it has {sorted(kind.__dataclass_fields__)}")
    try:
        return TypeAdapter(kind).validate_python(dict(spec.settings))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadGraph(f"node {spec.name!r}, setting {where}: {first['msg']}, found {first['input']!r}") from error
