"""Edges between processes: ZeroMQ over ipc sockets in the session's private folder.

`latest`: the producer pushes and never waits, the consumer drains to the newest message and counts what it skipped.
A high-water mark of one is *not* latest-wins (the kernel's socket buffer queues hundreds of small messages), draining
is. `lossless`: the consumer acknowledges, the producer keeps what is not acknowledged for hold_s seconds and sends it
again to a consumer that comes back; what it has to let go is an explicit gap. Neither kind ever blocks a producer.

Every message that was sent is either delivered or counted under one reason on the board: the ledger closes, also when
a process is killed between any two lines. A producer claims a number before the message goes, so that one which did
not go is a gap that the consumer counts; a consumer writes down the newest number before it counts what became of it,
so that its successor can settle the difference (rt/settlement.py).
"""

import secrets
import struct
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from rt import clock
from rt.board import REASONS
from rt.errors import BadMessage, TornRead
from rt.message import Message
from rt.wire import MAX_MESSAGE_BYTES, Stamp, decode, encode, peek

_QUEUE = 1000  # messages; pictures travel as addresses, so this is small
_ACK = struct.Struct("<cQQ")  # b'A' going on | b'E' has the end mark; who is speaking; last sequence taken in
_TOKEN = struct.Struct("<QQ")  # for whom a lossless message was put on the wire, and who did that
_ACK_EVERY_S = 0.25  # how often a quiet consumer says where it is, so that a new producer learns of it
_MOST_AT_ONCE = 64  # lossless messages handled before the work loop looks elsewhere
_REASON = {reason: i for i, reason in enumerate(REASONS)}

Picture = Callable[..., np.ndarray]

# Counters are touched once per message by code that has just slept 30 ms, with cold caches: a memoryview of a cell
# then costs a quarter of what NumPy's indexing costs.


def _socket(context: zmq.Context[Any], kind: int) -> zmq.Socket[bytes]:
    socket: zmq.Socket[bytes] = context.socket(kind)
    socket.linger = 0
    socket.sndhwm = socket.rcvhwm = _QUEUE
    socket.maxmsgsize = MAX_MESSAGE_BYTES
    socket.reconnect_ivl = 5  # ms; the other end is on this machine and comes back within a second
    return socket


def _sent(socket: zmq.Socket[bytes], parts: list[Any]) -> bool:
    """Whether the parts went out; never waits."""
    try:
        if len(parts) == 1:
            socket.send(parts[0], zmq.NOBLOCK)
        else:
            socket.send_multipart(parts, zmq.NOBLOCK, copy=True)
    except zmq.Again:
        return False
    return True


def _received(socket: zmq.Socket[bytes]) -> list[bytes]:
    """The parts of the next message, [] when there is none (asked first: an exception would cost more)."""
    if not int(socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
        return []
    parts = [socket.recv(zmq.NOBLOCK)]
    while socket.getsockopt(zmq.RCVMORE):
        parts.append(socket.recv(zmq.NOBLOCK))
    return parts


def address(folder: Path, edge: str) -> str:
    """The ipc address of an edge; the folder is 0700, so only this user reaches it."""
    return f"ipc://{folder}/{edge.replace('->', '~')}"


class LatestSender:
    """The producer's end of a `latest` edge."""

    def __init__(self, context: zmq.Context[Any], where: str, row: np.ndarray) -> None:
        self.socket = _socket(context, zmq.PUSH)
        self.socket.bind(where)
        self._sent, self._refused = row["sent"].data, row["refused"].data
        self._end_waiting = False

    @property
    def idle(self) -> bool:
        """No end mark is waiting for a consumer that is being restarted."""
        return not self._end_waiting

    def send(self, message: Message | None) -> None:
        """Send now or count it as refused; None ends the stream."""
        if message is None:
            self._end_waiting = True
            self.pump()
            return
        number = self._sent[0] + 1
        parts = encode(message, number, clock.now())
        self._sent[0] = number
        if not self._put(parts):
            self._refused[0] += 1
            self._sent[0] = number - 1

    def pump(self) -> None:
        """Send the end mark, if that has not been possible yet."""
        if self._end_waiting:
            self._end_waiting = not self._put(encode(None, self._sent[0], clock.now()))

    def _put(self, parts: list[Any]) -> bool:
        return _sent(self.socket, parts)

    def close(self) -> None:
        # What was just pushed must reach a living consumer before the socket goes.
        self.socket.close(linger=500)


class LatestReceiver:
    """The consumer's end of a `latest` edge."""

    def __init__(self, context: zmq.Context[Any], where: str, row: np.ndarray, picture: Picture) -> None:
        self.socket = _socket(context, zmq.PULL)
        self.socket.connect(where)
        self._last, self._delivered = row["last_sequence"].data, row["delivered"].data
        self._dropped, self._ended = row["dropped"].data, row["ended"].data
        self._picture = picture
        self.ended = False

    def receive(self) -> Iterator[tuple[Stamp, Message]]:
        """The newest message, if there is one; everything older is counted as superseded."""
        newest: tuple[Stamp, list[bytes]] | None = None
        while parts := _received(self.socket):
            stamp = self._note(parts)
            if stamp is None:
                continue
            if newest is not None:
                self._drop("superseded")
            newest = stamp, parts
        if newest is not None:
            yield from self._open(*newest)

    def _note(self, parts: list[bytes]) -> Stamp | None:
        """Check the header and count what never arrived; None for an end mark or what is not a message."""
        try:
            stamp = peek(parts[0])
        except BadMessage:
            return None  # if it was one of ours, its number is missing and gets counted
        lost = stamp.sequence - self._last[0] - (not stamp.end)
        if lost < 0:
            return None
        self._last[0] = stamp.sequence
        if lost:
            self._drop("restart", lost)
        if stamp.end:
            self._ended[0] = self.ended = True
            return None
        return stamp

    def _open(self, stamp: Stamp, parts: list[bytes]) -> Iterator[tuple[Stamp, Message]]:
        try:
            message = decode(parts, self._picture)
        except TornRead:
            self._drop("torn")
            return
        except BadMessage:
            self._drop("failed")
            return
        self._delivered[0] += 1
        yield stamp, message

    def _drop(self, reason: str, count: int = 1) -> None:
        self._dropped[0, _REASON[reason]] += count

    def close(self) -> None:
        self.socket.close()


class LosslessSender:
    """The producer's end of a `lossless` edge: keeps what is not acknowledged, at most hold_s seconds of it.

    Every message names the consumer that it was put on the wire for, so that one that has just been restarted
    ignores what was meant for its predecessor and gets it again in order. on_gap is called once per episode, when
    the first message has to be let go.
    """

    def __init__(
        self, context: zmq.Context[Any], where: str, row: np.ndarray, hold_s: float, on_gap: Callable[[], None]
    ) -> None:
        self.socket = _socket(context, zmq.DEALER)
        self.socket.bind(where)
        self._sent = row["sent"].data
        self._hold_s = hold_s
        self._on_gap = on_gap
        self._kept: deque[tuple[int, float, list[Any]]] = deque()  # (sequence, when, parts), oldest first
        self._next = 0  # the next sequence to put on the wire
        self._me = secrets.randbits(64)
        self._consumer: int | None = None
        self._overflowing = False
        self._ended = self._end_taken = False

    @property
    def idle(self) -> bool:
        """Everything, the end mark included, has been acknowledged."""
        return not self._kept and (self._end_taken or not self._ended)

    @property
    def waiting(self) -> int:
        """Messages that have not been acknowledged."""
        return len(self._kept)

    def send(self, message: Message | None) -> None:
        """Take charge of a message; None ends the stream."""
        if message is None:
            self._ended = True
        else:
            now = clock.now()
            number = self._sent[0] + 1
            # Copied: it may wait for seconds, and its arrays belong to the node.
            parts = [bytes(part) for part in encode(message, number, now)]
            self._sent[0] = number
            self._kept.append((number, now, parts))
        self.pump()

    def pump(self) -> None:
        """Read acknowledgements, let go of what is too old, send what is waiting."""
        while parts := _received(self.socket):
            if len(parts[0]) != _ACK.size:
                continue
            kind, consumer, sequence = _ACK.unpack(parts[0])
            if consumer != self._consumer:
                self._consumer, self._next = consumer, sequence + 1
            while self._kept and self._kept[0][0] <= sequence:
                self._kept.popleft()
                self._overflowing = False
            self._end_taken = kind == b"E"
        self._let_go()
        if self._consumer is not None:
            self._push()

    def _let_go(self) -> None:
        limit = clock.now() - self._hold_s
        while self._kept and self._kept[0][1] < limit:
            self._kept.popleft()
            if not self._overflowing:
                self._overflowing = True
                self._on_gap()

    def _push(self) -> None:
        first = self._kept[0][0] if self._kept else 0
        for place in range(max(self._next - first, 0), len(self._kept)):
            sequence, _, parts = self._kept[place]
            if not self._put(parts):
                return
            self._next = sequence + 1
        if self._ended and not self._end_taken:
            self._put(encode(None, self._sent[0], clock.now()))

    def _put(self, parts: list[Any]) -> bool:
        assert self._consumer is not None
        return _sent(self.socket, [_TOKEN.pack(self._consumer, self._me), *parts])

    def close(self) -> None:
        self.socket.close(linger=500)


class LosslessReceiver:
    """The consumer's end of a `lossless` edge.

    A message counts as delivered when the loop over `receive` asks for the next one, so that one in hand when its
    process dies is given to the successor. `done` acknowledges: call it after the loop.
    on_gap is told how many messages never came.
    """

    def __init__(
        self,
        context: zmq.Context[Any],
        where: str,
        row: np.ndarray,
        picture: Picture,
        on_gap: Callable[[int], None],
    ) -> None:
        self.socket = _socket(context, zmq.DEALER)
        self.socket.connect(where)
        self._last, self._delivered = row["last_sequence"].data, row["delivered"].data
        self._dropped, self._ended = row["dropped"].data, row["ended"].data
        self._picture = picture
        self._on_gap = on_gap
        self._me = secrets.randbits(64)
        self._producer: int | None = None
        self._said: tuple[int, bool] | None = None
        self._t_said = 0.0
        self.ended = False
        self.done()

    def receive(self) -> Iterator[tuple[Stamp, Message]]:
        """Everything that has arrived, in order, without repetition."""
        for _ in range(_MOST_AT_ONCE):
            if not (found := _received(self.socket)):
                return
            token, *parts = found
            if len(token) != _TOKEN.size or not parts:
                continue
            consumer, producer = _TOKEN.unpack(token)
            if consumer == self._me:
                yield from self._take(parts, producer)

    def _take(self, parts: list[bytes], producer: int) -> Iterator[tuple[Stamp, Message]]:
        try:
            stamp = peek(parts[0])
        except BadMessage:
            return  # if it was one of ours, its number is missing and gets counted
        missing = stamp.sequence - self._last[0] - (not stamp.end)
        if missing < 0:
            return  # sent again, but it had arrived
        if missing > 0:
            restarted = self._producer is not None and self._producer != producer
            self._last[0] += missing
            self._lost("restart" if restarted else "overflow", missing)
        self._producer = producer
        if stamp.end:
            self._ended[0] = self.ended = True
            return
        yield from self._deliver(stamp, parts)

    def _deliver(self, stamp: Stamp, parts: list[bytes]) -> Iterator[tuple[Stamp, Message]]:
        lost = ""
        try:
            message = decode(parts, self._picture)
        except TornRead:
            lost = "torn"
        except BadMessage:
            lost = "failed"
        else:
            yield stamp, message
        self._last[0] = stamp.sequence
        if lost:
            self._lost(lost, 1)
        else:
            self._delivered[0] += 1

    def done(self) -> None:
        """Everything received so far has been dealt with: say so, and now and then also when there is nothing new."""
        reached = self._last[0]
        if (reached, self.ended) == self._said and clock.now() - self._t_said < _ACK_EVERY_S:
            return
        kind = b"E" if self.ended else b"A"
        try:
            self.socket.send(_ACK.pack(kind, self._me, reached), zmq.NOBLOCK)
            self._said, self._t_said = (reached, self.ended), clock.now()
        except zmq.Again:
            return  # the producer is down; its successor is told by the next one

    def _lost(self, reason: str, count: int) -> None:
        self._dropped[0, _REASON[reason]] += count
        self._on_gap(count)

    def close(self) -> None:
        self.socket.close(linger=200)
