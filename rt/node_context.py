"""A node's context inside a worker: buffers in shared memory, numbers on the board, words to the session."""

from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rt import clock
from rt.board import REASONS, Board
from rt.control import Line
from rt.graph import NodeSpec
from rt.message import Event, Frame
from rt.ring import RingReader, RingWriter
from rt.stage import Context


class Host(Protocol):
    """What the context needs of its worker."""

    folder: Path
    generation: int
    board: Board
    line: Line
    writers: dict[str, RingWriter]

    def beat(self) -> None: ...

    def reader(self, ring: str) -> RingReader: ...


class NodeContext(Context):
    """A node's context inside a worker: buffers in shared memory, numbers on the board, words to the session."""

    def __init__(self, host: Host, spec: NodeSpec, folder: Path | None) -> None:
        super().__init__(spec.name, folder, host.generation)
        self.scratch = host.folder
        self._host = host
        self._row = host.board.node(spec.name)
        self._histograms: dict[str, Any] = {}
        self._pool: dict[str, list[np.ndarray]] = defaultdict(list)
        self._told: dict[str, Any] = {}

    def frame_buffer(self, port: str, shape: tuple[int, int, int]) -> np.ndarray:
        writer = self._host.writers.get(f"{self.node}.{port}")
        if writer is not None:
            return writer.buffer(shape)
        pool = self._pool[port]
        if not pool or pool[0].shape != shape:
            pool[:] = [np.empty(shape, np.uint8) for _ in range(3)]
        pool.append(pool.pop(0))
        return pool[0]

    def intact(self, frame: Frame) -> bool:
        return frame.slot is None or self._host.reader(frame.slot.ring).intact(frame.slot)

    def event(self, kind: str, text: str, **data: Any) -> None:
        event = Event(clock.now(), kind, self.node, text, data)
        (self.log.warning if kind == "ALARM" else self.log.info)("%s: %s", kind, text)
        self._host.line.wish(event=asdict(event))

    def tell(self, **facts: Any) -> None:
        changed = {name: value for name, value in facts.items() if self._told.get(name, self) != value}
        if changed:
            self._told.update(changed)
            self._host.line.wish(node=self.node, facts=changed)

    def observe(self, metric: str, value_ms: float) -> None:
        if metric not in self._histograms:
            self._histograms[metric] = self._host.board.histogram(metric)
        self._histograms[metric].add(value_ms)

    def drop(self, reason: str, count: int = 1) -> None:
        self._row["dropped"][0, REASONS.index(reason)] += count

    def shown(self, count: int = 1) -> None:
        self._row["shown"] += count

    def request(self, command: str, value: Any = None) -> None:
        self._host.line.wish(command=command, value=value)

    def beat(self) -> None:
        self._host.beat()
