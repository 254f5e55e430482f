"""A graph without a clock: one thread, every message in the order of the recording's own stamps, nothing skipped.

The nodes are those of a live session, unchanged. One source gives pictures, at most one other a signal. Before a
picture goes through, every sample up to its capture time has gone through, and none after it: so what is known at a
picture does not depend on how the signal was cut, on other processes, or on how fast the machine is.

    with Offline(graph) as offline:
        offline.run(lambda pictures: ...)
        rows = offline.nodes["rows"]
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from rt.errors import BadGraph, DataLost
from rt.graph import EdgeSpec, Graph, build_settings, node_class
from rt.message import Chunk, Frame, Message
from rt.stage import Context, Emit, Node, Source

_ROUNDING = 1e-6  # samples; as the join has it
_LONGEST_S = 1.0  # of a signal in one piece
_BUFFERS = 3  # as a worker's: a stage may look at the picture before


class Offline:
    """The nodes of a graph in this thread, opened and closed by `with`."""

    def __init__(self, graph: Graph, scratch: Path | None = None) -> None:
        """scratch: a private folder, as sessions have one.

        Raises BadGraph when it cannot work, or does not have one source of pictures and at most one of a signal.
        """
        graph.check()
        self._calls: dict[str, list[EdgeSpec]] = defaultdict(list)
        for edge in graph.edges:
            self._calls[edge.source].append(edge)
        self.contexts = {spec.name: OfflineContext(spec.name, scratch) for spec in graph.nodes}
        self.nodes: dict[str, Node[Any]] = {
            spec.name: node_class(spec)(build_settings(spec), self.contexts[spec.name]) for spec in graph.nodes
        }
        sources = [name for name, node in self.nodes.items() if isinstance(node, Source)]
        pictures = [name for name in sources if Frame in self.nodes[name].OUTPUTS.values()]
        if len(pictures) != 1 or len(sources) > 2:
            raise BadGraph(
                f"offline, a graph has one source of pictures and at most one of a signal, found {sources}: "
                "take the others out"
            )
        self._picture = pictures[0]
        self._signal = next((name for name in sources if name not in pictures), None)

    def __enter__(self) -> Self:
        """Open every node.  Raises what they raise, with those that were opened closed again."""
        try:
            for node in self.nodes.values():
                node.open()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        for node in self.nodes.values():
            node.close()

    def run(self, done: Callable[[int], None] = lambda pictures: None) -> int:
        """From the first picture to the last; returns how many.  done: called with the number so far.

        Raises whatever a node raises, and DataLost when one of them let go of a picture.
        """
        signal = _Signal(self._emits(self._signal)) if self._signal is not None else None
        count = 0
        for port, message in self._emits(self._picture):
            if signal is not None and isinstance(message, Frame):
                for signal_port, piece in signal.up_to(message.t_capture):
                    self._route(f"{self._signal}.{signal_port}", piece)
            self._route(f"{self._picture}.{port}", message)
            count += 1
            done(count)
        for name, node in self.nodes.items():
            for port, message in node.finish():
                self._route(f"{name}.{port}", message)
        self._refuse_dropped()
        return count

    def _emits(self, name: str) -> Iterator[Emit]:
        source = self.nodes[name]
        assert isinstance(source, Source)
        while (emits := source.read(0.0)) is not None:
            yield from emits

    def _route(self, port: str, message: Message) -> None:
        for edge in self._calls[port]:
            sent = _read_only(message)
            for out_port, emitted in list(self.nodes[edge.consumer].process(edge.in_port, sent)):
                self._route(f"{edge.consumer}.{out_port}", emitted)

    def _refuse_dropped(self) -> None:
        for name, context in self.contexts.items():
            if context.dropped:
                said = ", ".join(f"{count} {reason}" for reason, count in context.dropped.items())
                raise DataLost(f"{name} let go of pictures ({said}): nothing may be missing offline")


class OfflineContext(Context):
    """Gives pictures memory that is used again, and forgets what only a live session asks for."""

    def __init__(self, node: str, scratch: Path | None = None) -> None:
        super().__init__(node)
        self.scratch = scratch
        self._pool: dict[str, list[np.ndarray]] = {}

    def frame_buffer(self, port: str, shape: tuple[int, int, int]) -> np.ndarray:
        pool = self._pool.get(port)
        if pool is None or pool[0].shape != shape:
            pool = self._pool[port] = [np.empty(shape, np.uint8) for _ in range(_BUFFERS)]
        pool.append(pool.pop(0))
        return pool[0]

    def observe(self, metric: str, value_ms: float) -> None:
        """Latencies mean nothing here."""

    def request(self, command: str, value: Any = None) -> None:
        """There is no session to ask."""


class _Signal:
    """A signal's chunks, cut where pictures were taken and nowhere else: one piece per picture, unless there is a gap.

    Stages that answer once per chunk then answer once per picture, at its own time.
    """

    def __init__(self, emits: Iterator[Emit]) -> None:
        self._emits = emits
        self._waiting: Emit | None = next(emits, None)
        self._given = 0  # samples of the waiting chunk that have gone through

    def up_to(self, t: float) -> Iterator[Emit]:
        """What was there at LSL seconds t and has not been given yet."""
        run: list[Chunk] = []
        port = ""
        for port, piece in self._pieces(t):
            if run and (piece.gap_s > 0 or not _takes(run, piece)):
                yield port, _joined(run)
                run = []
            run.append(piece)
        if run:
            yield port, _joined(run)

    def _pieces(self, t: float) -> Iterator[tuple[str, Chunk]]:
        while self._waiting is not None:
            port, chunk = self._waiting
            assert isinstance(chunk, Chunk)
            known = math.floor((t - chunk.t0) * chunk.rate_hz + _ROUNDING) + 1
            if known < 1 and not self._given:
                return
            begin, end = self._given, min(known, len(chunk.data))
            whole = end >= len(chunk.data)
            self._given = max(begin, end)
            if whole:
                self._waiting, self._given = next(self._emits, None), 0
            if end > begin or (whole and not begin):  # an empty chunk may tell of a gap
                yield port, _part(chunk, begin, end)
            if not whole:
                return


def _takes(run: list[Chunk], piece: Chunk) -> bool:
    """Whether another one may be added: a long pause of the camera is no reason to hold minutes in memory."""
    short = sum(len(chunk.data) for chunk in run) < _LONGEST_S * piece.rate_hz
    return short and run[0].rate_hz == piece.rate_hz


def _part(chunk: Chunk, begin: int, end: int) -> Chunk:
    if begin == 0 and end == len(chunk.data):
        return chunk
    t0 = chunk.t0 + begin / chunk.rate_hz
    gap_s = 0.0 if begin else chunk.gap_s
    return replace(chunk, data=chunk.data[begin:end], t0=t0, first_sample=chunk.first_sample + begin, gap_s=gap_s)


def _joined(run: list[Chunk]) -> Chunk:
    """One chunk whose last sample keeps its stamp: that is the one a picture asks for."""
    if len(run) == 1:
        return run[0]
    data, last = np.concatenate([chunk.data for chunk in run]), run[-1]
    return replace(run[0], data=data, t0=last.t0 - (len(data) - len(last.data)) / last.rate_hz)


def _read_only(message: Message) -> Message:
    """A picture as its consumers get it in a session."""
    if isinstance(message, Frame) and message.image.flags.writeable:
        image = message.image.view()
        image.flags.writeable = False
        return replace(message, image=image)
    return message
