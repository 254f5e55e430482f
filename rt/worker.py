"""One process (or, in tests, one thread): the nodes of one group, their links, and the work loop.

The order of things in the loop is the list 'One turn of the work loop' in ARCHITECTURE.md.
"""

import argparse
import json
import logging
import os
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from engines.errors import EngineError
from rt import clock
from rt.board import Board, State
from rt.control import Line
from rt.errors import BadMessage, LiveError
from rt.graph import FRAME_PORT, LATEST, EdgeSpec, Graph, build_settings, node_class
from rt.link import LatestReceiver, LatestSender, LosslessReceiver, LosslessSender, address
from rt.message import Chunk, Frame, Hop, Message, Slot
from rt.node_context import NodeContext
from rt.priority import give_way
from rt.ring import RingReader, RingWriter
from rt.settlement import settle
from rt.stage import Emit, Node, Source

_READ_S = 0.02  # the longest a source may keep the loop waiting
_IDLE_MS = 45  # the longest that the loop waits, and that nodes wait for a tick (they are promised 50)
_TICK_S = 0.02  # nodes tick at every turn of the loop, but not more often than this
_MOST_AHEAD = 16  # messages that a source which can wait is ahead of a recorder
_GRACE_S = 1.4  # after a stop, how long to wait for the end marks of others
_MOST_FAILURES = 20  # in a row; then the process gives up and is restarted

STANDING = "standing.json"  # in the session's folder: {command: value}

Cells = dict[str, Any]  # memoryviews by field name
Sender = LatestSender | LosslessSender
Receiver = LatestReceiver | LosslessReceiver


class Worker:
    """The nodes of one group. `run` returns when every node has finished."""

    def __init__(
        self, folder: Path, group: str, generation: int = 0, parent: int | None = None, own_process: bool = False
    ) -> None:
        self.folder = folder
        self.generation = generation
        self.graph = Graph.from_json((folder / "graph.json").read_text())
        self._group = group
        self.specs = self.graph.group(group)
        self._gives_way = own_process and all(spec.gives_way for spec in self.specs)
        self.board = Board(folder / "board", [n.name for n in self.graph.nodes], [e.name for e in self.graph.edges])
        self._context = zmq.Context()
        self.line = Line(self._context, folder)
        self._rows = [self.board.node(spec.name) for spec in self.specs]
        # Counters as memoryviews, which cost a quarter of NumPy's indexing on the hot path.
        self._cells = {spec.name: _cells(row) for spec, row in zip(self.specs, self._rows, strict=True)}
        self._readers: dict[str, RingReader] = {}
        # From the folder, not from the graph, which would load the classes of every other process (1 s of imports).
        self._rings = {path.stem for path in folder.glob("*.ring")}
        names = {spec.name for spec in self.specs}
        self.writers = {
            port: RingWriter(folder / f"{port}.ring") for port in self._rings if port.partition(".")[0] in names
        }
        self.nodes: dict[str, Node[Any]] = {}
        self._calls: dict[str, list[tuple[EdgeSpec, Cells]]] = defaultdict(list)
        self._senders: dict[str, list[tuple[Sender, np.ndarray]]] = defaultdict(list)
        self._receivers: list[tuple[Receiver, EdgeSpec, Any]] = []
        self._outbox: list[tuple[Sender, np.ndarray, Message | None]] = []
        self._unended: dict[str, set[str]] = {spec.name: set() for spec in self.specs}
        self._stage_ms = {spec.name: self.board.histogram(spec.name) for spec in self.specs}
        self._resuming = generation > 0
        self._failures: Counter[str] = Counter()  # in a row, by node
        self._t_complained = 0.0
        self._t_tick = 0.0
        self._parent = os.getppid() if parent is None else parent  # the session may be gone before we look

    def beat(self) -> None:
        """Say 'alive' for every node of the group."""
        now = clock.now()
        for cells in self._cells.values():
            cells["heartbeat"][0] = now

    def reader(self, ring: str) -> RingReader:
        """The ring of that name, opened once."""
        if ring not in self._readers:
            self._readers[ring] = RingReader(self.folder / f"{ring}.ring")
        return self._readers[ring]

    def run(self) -> int:
        """Open, work, close. Returns the exit code."""
        try:
            self._state(State.STARTING)
            if self.generation > 0:
                settle(self.board, self.graph, self._group)
            self._open()
            self._recall()
            self._connect()
            self._state(State.READY)
            if self._gives_way:
                give_way()  # only now: whoever gives way is not ready in time on a machine that is busy
            self._loop()
            return 0
        except (LiveError, EngineError) as error:
            self.line.wish(fatal={"code": getattr(error, "exit_code", 2), "text": str(error)})
            logging.getLogger("myomirror").error("%s", error)
            return int(getattr(error, "exit_code", 2))
        finally:
            self._close()

    # ------------------------------------------------------------------ life

    def _open(self) -> None:
        recording = (self.folder / "recording").read_text() if (self.folder / "recording").exists() else ""
        for spec in self.specs:
            context = NodeContext(self, spec, Path(recording) if recording else None)
            node = node_class(spec)(build_settings(spec), context)
            self.nodes[spec.name] = node
            self.beat()
            node.open()

    def _connect(self) -> None:
        names = set(self.nodes)
        for edge in self.graph.edges:
            row, where = self.board.edge(edge.name), address(self.folder, edge.name)
            if edge.consumer in names:
                self._unended[edge.consumer].add(edge.name)
            if edge.producer in names and edge.consumer in names:
                self._calls[edge.source].append((edge, _cells(row)))
            elif edge.producer in names:
                self._senders[edge.source].append((self._sender(edge, where, row), row))
            elif edge.consumer in names:
                receiver = self._receiver(edge, where, row)
                self._receivers.append((receiver, edge, self.board.histogram(edge.name)))
        # Filters before eyes: the envelope must be there when the frame that is joined with it comes.
        self._receivers.sort(key=lambda r: isinstance(r[0], LatestReceiver))

    def _sender(self, edge: EdgeSpec, where: str, row: np.ndarray) -> Sender:
        if edge.kind == LATEST:
            return LatestSender(self._context, where, row)
        context = self.nodes[edge.producer].context

        def on_gap() -> None:
            text = f"{edge.consumer} has not answered for {edge.hold_s:g} s: what {edge.producer} sends it is lost"
            context.event("ALARM", text, edge=edge.name)

        return LosslessSender(self._context, where, row, edge.hold_s, on_gap)

    def _receiver(self, edge: EdgeSpec, where: str, row: np.ndarray) -> Receiver:
        if edge.kind == LATEST:
            return LatestReceiver(self._context, where, row, self._picture)
        context = self.nodes[edge.consumer].context

        def on_gap(count: int) -> None:
            context.event("GAP", f"{count} messages of {edge.source} never reached {edge.consumer}", edge=edge.name)

        return LosslessReceiver(self._context, where, row, self._picture, on_gap)

    def _picture(self, slot: Slot, shape: tuple[int, ...]) -> np.ndarray:
        if slot.ring not in self._rings:
            raise BadMessage(f"there is no ring {slot.ring!r} in this session")
        return self.reader(slot.ring).view(slot, shape)

    def _close(self) -> None:
        for node in self.nodes.values():
            node.close()
        for senders in self._senders.values():
            for sender, _ in senders:
                sender.close()
        for receiver, _, _ in self._receivers:
            receiver.close()
        self.line.close()
        self._context.term()

    def _state(self, state: State) -> None:
        for row in self._rows:
            row["state"] = state
        self.beat()

    # ------------------------------------------------------------------ the work loop

    def _loop(self) -> None:
        poller = zmq.Poller()
        poller.register(self.line.news, zmq.POLLIN)
        for receiver, _, _ in self._receivers:
            poller.register(receiver.socket, zmq.POLLIN)
        for sender in self._all_senders():
            if isinstance(sender, LosslessSender):
                poller.register(sender.socket, zmq.POLLIN)
        flags = self.board.flags
        while not flags["go"][0]:
            self._listen()
            poller.poll(_IDLE_MS)
            self.beat()
            if flags["stop"][0] or os.getppid() != self._parent:
                return
        self._state(State.RUNNING)
        sources = [name for name, node in self.nodes.items() if isinstance(node, Source)]
        while self._unended or not all(s.idle for s in self._all_senders()):
            self.beat()
            stopping = bool(flags["stop"][0]) or os.getppid() != self._parent
            due = [n for n in sources if n in self._unended and (stopping or not self._must_wait(n))]
            for name in due:
                self._read(name, stopping)
            busy = any(name in self._unended for name in due)
            poller.poll(0 if busy else self._idle_ms())
            self._listen()
            self._receive()
            self._tick()
            for sender in self._all_senders():
                sender.pump()
            if stopping and self._overdue():
                break
        for name in list(self._unended):
            self._finish(name)
        self._flush()
        self._state(State.DONE)

    def _must_wait(self, name: str) -> bool:
        """Whether a source that can wait would run away from a recorder; its acknowledgement wakes the loop."""
        node = self.nodes[name]
        if not (isinstance(node, Source) and node.can_wait):
            return False
        return any(isinstance(s, LosslessSender) and s.waiting > _MOST_AHEAD for s in self._all_senders())

    def _idle_ms(self) -> int:
        """How long the loop may wait: until a tick is due."""
        return max(int((self._t_tick - clock.now()) * 1e3) + _IDLE_MS, 0)

    def _overdue(self) -> bool:
        t_stop = float(self.board.flags["t_stop"][0]) or clock.now()
        if os.getppid() != self._parent and not self.board.flags["stop"][0]:
            # The session is gone: sources stop, everybody finishes what there is.
            self.board.flags["t_stop"] = t_stop
            self.board.flags["stop"] = 1
        return clock.now() - t_stop > _GRACE_S

    def _all_senders(self) -> list[Sender]:
        return [sender for senders in self._senders.values() for sender, _ in senders]

    def _read(self, name: str, stopping: bool) -> None:
        node = self.nodes[name]
        assert isinstance(node, Source)
        t_in = clock.now()
        emits = None if stopping else node.read(_READ_S)
        if emits is None:
            self._finish(name)
        else:
            self._route(name, emits, t_in)
        self._flush()

    def _listen(self) -> None:
        for news in self.line.read():
            if news["to"] in (None, self._group):
                self._tell_nodes(news["command"], news["value"])

    def _tell_nodes(self, command: str, value: Any) -> None:
        for node in self.nodes.values():
            node.command(command, value)

    def _recall(self) -> None:
        """Find the switches as they were left before this process was restarted."""
        path = self.folder / STANDING
        if self.generation > 0 and path.exists():
            for command, value in json.loads(path.read_text()).items():
                self._tell_nodes(command, value)

    def _receive(self) -> None:
        for receiver, edge, transit_ms in self._receivers:
            for stamp, message in receiver.receive():
                transit_ms.add((clock.now() - stamp.t_sent) * 1e3)
                self._call(edge.consumer, edge.in_port, message)
                if isinstance(message, Frame) and not self.nodes[edge.consumer].context.intact(message):
                    self._discard_torn()
                self._flush()
                self.beat()
            if isinstance(receiver, LosslessReceiver):
                receiver.done()
            if receiver.ended:
                self._end(edge)

    def _tick(self) -> None:
        now = clock.now()
        if now - self._t_tick > _TICK_S:
            self._t_tick = now
            for name, node in self.nodes.items():
                if name in self._unended:
                    self._route(name, node.tick(), now)
            self._flush()

    # ------------------------------------------------------------------ through the nodes

    def _call(self, name: str, port: str, message: Message) -> None:
        cells, node = self._cells[name], self.nodes[name]
        cells["in_seq"][0] += 1
        counted = isinstance(message, Frame) and port == FRAME_PORT
        cells["frames_in"][0] += counted
        t_in = clock.now()
        try:
            emits = list(node.process(port, message))
            self._failures[name] = 0
        except Exception as error:  # noqa: BLE001 - the one place that keeps a session alive through a node's bug
            self._failed(node, error, counted)
            return
        self._stage_ms[name].add((clock.now() - t_in) * 1e3)
        if counted and not node.OUTPUTS and not node.ACKNOWLEDGES:
            cells["shown"][0] += 1
        self._route(name, emits, t_in)

    def _failed(self, node: Node[Any], error: Exception, is_frame: bool) -> None:
        if is_frame:
            node.context.drop("failed")
        self._failures[node.context.node] += 1
        if clock.now() - self._t_complained > 5.0:
            self._t_complained = clock.now()
            node.context.log.exception("while processing")
            node.context.event("ALARM", f"{node.context.node} failed: {error}")
        if self._failures[node.context.node] > _MOST_FAILURES:
            raise error

    def _route(self, name: str, emits: Iterable[Emit], t_in: float) -> None:
        cells = self._cells[name]
        for port, message in emits:
            source = f"{name}.{port}"
            cells["out_seq"][0] += 1
            sent = message
            if isinstance(message, Frame):
                cells["frames_out"][0] += 1
                sent = self._prepare(source, name, message, t_in)
            elif isinstance(message, Chunk):
                sent = self._resumed(name, message)
                cells["samples"][0] += len(sent.data)
                cells["gaps"][0] += sent.gap_s > 0
            if isinstance(sent, Frame | Chunk):
                cells["last_capture"][0] = sent.t_capture if isinstance(sent, Frame) else sent.t_last
            for edge, counts in self._calls[source]:
                counts["sent"][0] += 1
                counts["delivered"][0] += 1
                self._call(edge.consumer, edge.in_port, sent)
            self._outbox.extend((sender, counts, sent) for sender, counts in self._senders[source])

    def _prepare(self, source: str, name: str, frame: Frame, t_in: float) -> Frame:
        """Add the hop, and make sure that a picture about to cross to another process lies in shared memory."""
        if not frame.trace:  # fresh from a source, which may have been restarted: numbers are never reused
            frame = replace(frame, seq=self._cells[name]["frames_out"][0])
        trace = (*frame.trace, Hop(name, t_in if frame.trace else frame.t_capture, clock.now()))
        writer = self.writers.get(source)
        if frame.slot is not None or writer is None:
            return replace(frame, trace=trace)
        image = frame.image
        if not writer.owns(image):
            image = writer.buffer(frame.image.shape)
            np.copyto(image, frame.image)
        image = image.view()
        image.flags.writeable = False
        return replace(frame, trace=trace, image=image, slot=writer.publish())

    def _resumed(self, name: str, chunk: Chunk) -> Chunk:
        """The first chunk of a source that was restarted does not follow the last one of its predecessor."""
        if not self._resuming or not isinstance(self.nodes[name], Source):
            return chunk
        self._resuming = False
        missing_s = max(chunk.t0 - float(self.board.node(name)["last_capture"][0]), chunk.gap_s, 1 / chunk.rate_hz)
        self.nodes[name].context.event(
            "GAP", f"{missing_s:.2f} s of {name} are missing: it was restarted", gap_s=missing_s
        )
        return replace(chunk, gap_s=missing_s)

    def _flush(self) -> None:
        for sender, _, message in self._outbox:
            sender.send(message)
        self._outbox.clear()

    def _discard_torn(self) -> None:
        """The picture changed while it was worked on: nothing made from it may leave this process."""
        for _, counts, message in self._outbox:
            counts["torn_by_producer"] += isinstance(message, Frame)
        self._outbox.clear()  # it holds what came from this one message only: every message is followed by a flush

    # ------------------------------------------------------------------ ends

    def _end(self, edge: EdgeSpec) -> None:
        if edge.consumer in self._unended:
            self._unended[edge.consumer].discard(edge.name)
            if not self._unended[edge.consumer]:
                self._finish(edge.consumer)

    def _finish(self, name: str) -> None:
        if self._unended.pop(name, None) is None:
            return
        self._route(name, self.nodes[name].finish(), clock.now())
        self.board.node(name)["state"] = State.DRAINING
        for port in self.nodes[name].OUTPUTS:
            source = f"{name}.{port}"
            self._outbox.extend((sender, counts, None) for sender, counts in self._senders[source])
            for edge, _ in self._calls[source]:
                self.board.edge(edge.name)["ended"] = 1
                self._end(edge)


def _cells(row: np.ndarray) -> Cells:
    """A row's cells by name; the scalar ones are read and written as cell[0]."""
    return {name: row[name].data for name in row.dtype.names or ()}


def run_in_thread(folder: Path, group: str) -> threading.Thread:
    """The same worker as a thread of this process, for tests."""
    thread = threading.Thread(target=lambda: Worker(folder, group).run(), name=group, daemon=True)
    thread.start()
    return thread


def main() -> None:
    """`python -m rt.worker FOLDER GROUP GENERATION PARENT`, started by the session only."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("group")
    parser.add_argument("generation", type=int)
    parser.add_argument("parent", type=int, help="process id of the session")
    options = parser.parse_args()
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    code = Worker(options.folder, options.group, options.generation, options.parent, own_process=True).run()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is closed. Taking the libraries apart (MediaPipe, Numba) would cost up to a second of the shutdown.
    os._exit(code)


if __name__ == "__main__":
    main()
