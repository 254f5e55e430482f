"""News and wishes: the session talks to every node, every node to the session.

News (status, events, commands) go out by PUB/SUB; wishes (events, facts, commands, fatal errors) come in by
PUSH/PULL. Both are JSON of bounded size on ipc sockets in the session's private folder. Nothing that must not be
lost travels here: counters live on the board, and the stop flag too.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zmq

_QUEUE = 10_000
_LONGEST = 1 << 20


def _socket(context: zmq.Context[Any], kind: int) -> zmq.Socket[bytes]:
    socket: zmq.Socket[bytes] = context.socket(kind)
    socket.linger = 200
    socket.sndhwm = socket.rcvhwm = _QUEUE
    return socket


def _receive(socket: zmq.Socket[bytes]) -> Iterator[dict[str, Any]]:
    while True:
        try:
            text = socket.recv(zmq.NOBLOCK)
        except zmq.Again:
            return
        yield json.loads(text[:_LONGEST])


class Desk:
    """The session's end."""

    def __init__(self, context: zmq.Context[Any], folder: Path) -> None:
        self.wishes = _socket(context, zmq.PULL)
        self.wishes.bind(f"ipc://{folder}/wishes")
        self._news = _socket(context, zmq.PUB)
        self._news.bind(f"ipc://{folder}/news")

    def publish(self, command: str, value: Any, to: str | None = None) -> None:
        """Tell every node, or those of the group `to`."""
        self._news.send(json.dumps({"command": command, "value": value, "to": to}, default=str).encode())

    def read(self) -> Iterator[dict[str, Any]]:
        """Wishes that have come in."""
        return _receive(self.wishes)

    def close(self) -> None:
        self.wishes.close()
        self._news.close()


class Line:
    """A worker's end."""

    def __init__(self, context: zmq.Context[Any], folder: Path) -> None:
        self._wishes = _socket(context, zmq.PUSH)
        self._wishes.connect(f"ipc://{folder}/wishes")
        self.news = _socket(context, zmq.SUB)
        self.news.connect(f"ipc://{folder}/news")
        self.news.subscribe(b"")

    def wish(self, **what: Any) -> None:
        """Tell the session; never waits (10 000 unread wishes mean that there is no session any more)."""
        try:
            self._wishes.send(json.dumps(what, default=str).encode(), zmq.NOBLOCK)
        except zmq.Again:
            return

    def read(self) -> Iterator[dict[str, Any]]:
        """News that have come in, as {'command', 'value', 'to'}; `to` is a group, or None for everybody."""
        return _receive(self.news)

    def close(self) -> None:
        self._wishes.close()
        self.news.close()
