"""What a node is: frozen settings, a state it owns, and `process`.

A node works without the runtime: a test builds it with a plain `Context` and calls `process` directly. The worker
gives it a context that writes into shared memory and talks to the session.

The life of a node: `__init__` (settings only) -> `open` (devices, models, warm-up; may take seconds) -> `read`
(sources) or `process` (everything else), many times, each well under a second -> `finish` (after the last input)
-> `close` (always, also after an error).
"""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from rt import clock
from rt.message import Event, Frame, Message

Emit = tuple[str, Message]  # (output port, message)
S = TypeVar("S")


class Context:
    """What the runtime offers a node. This plain one keeps everything in lists, for tests and offline work."""

    def __init__(self, node: str = "node", folder: Path | None = None, generation: int = 0) -> None:
        self.node = node
        self.folder = folder  # the session's recording folder, where there is one
        self.scratch: Path | None = None  # a private folder that lives as long as the session, restarts included
        self.generation = generation  # 0 at first, +1 at every restart of this node's process
        self.log = logging.getLogger(f"myomirror.{node}")
        self.events: list[Event] = []
        self.facts: dict[str, Any] = {}
        self.observed: dict[str, list[float]] = {}
        self.dropped: dict[str, int] = {}
        self.commands: list[tuple[str, Any]] = []

    def frame_buffer(self, port: str, shape: tuple[int, int, int]) -> np.ndarray:
        """A picture to write in place, (height, width, 3) uint8; emit it on `port` to hand it on without a copy."""
        return np.empty(shape, np.uint8)

    def intact(self, frame: Frame) -> bool:
        """Whether the picture has not been overwritten since it arrived: ask *after* reading, before showing."""
        return True

    def event(self, kind: str, text: str, **data: Any) -> None:
        """Tell the session (log, page, recording): kind 'ALARM' is shown to people, 'GAP' goes into the recording."""
        self.events.append(Event(clock.now(), kind, self.node, text, data))

    def tell(self, **facts: Any) -> None:
        """Facts for the status line and the report, e.g. rate_hz=4096; the newest value counts."""
        self.facts.update(facts)

    def observe(self, metric: str, value_ms: float) -> None:
        """One measurement for the latency table; metrics are listed in `rt.board.METRICS`."""
        self.observed.setdefault(metric, []).append(value_ms)

    def drop(self, reason: str, count: int = 1) -> None:
        """A frame that this node took in and will not hand on or show; reasons are listed in `rt.board.REASONS`."""
        self.dropped[reason] = self.dropped.get(reason, 0) + count

    def shown(self, count: int = 1) -> None:
        """Frames that reached the eye (drawn by a browser, or encoded when headless)."""
        self.dropped["shown"] = self.dropped.get("shown", 0) + count

    def request(self, command: str, value: Any = None) -> None:
        """Ask the session for something that concerns every node: 'stop', 'record', 'view', 'marker', ..."""
        self.commands.append((command, value))

    def beat(self) -> None:
        """Say 'still alive' inside a step that is known to be long."""


class Node(Generic[S]):
    """Base of sources, stages and sinks."""

    Settings: ClassVar[type[Any]]
    INPUTS: ClassVar[dict[str, type[Message]]] = {}
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {}
    ACKNOWLEDGES: ClassVar[bool] = (
        False  # True: the node says itself, by context.shown() or drop(), how each frame ended
    )
    KEEPS: ClassVar[bool] = False  # True: what should have reached the node and did not is lost data (exit code 4)

    def __init__(self, settings: S, context: Context) -> None:
        self.settings = settings
        self.context = context

    def open(self) -> None:
        """Get devices and models, compile, warm up. Raises MissingDevice or BadSettings with one sentence."""

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """Take one message, give any number. Input arrays are read-only and valid only until this returns."""
        raise NotImplementedError(f"{type(self).__name__} takes no input")

    def command(self, name: str, value: Any) -> None:
        """A wish of the person at the page, or the session's 'status'; unknown names are not for this node."""

    def tick(self) -> Iterable[Emit]:
        """Called at least every 50 ms, also when nothing arrives: for work that depends on time passing."""
        return ()

    def finish(self) -> Iterable[Emit]:
        """After the last input: what is still inside."""
        return ()

    def close(self) -> None:
        """Let go of everything; called once, also after an error."""


class Source(Node[S]):
    """A node that makes messages: a camera, an amplifier, a file.

    can_wait: True for one that loses nothing by waiting (a file read as fast as possible): it is not read while those
    that must miss nothing are behind. A device never waits for anybody.
    """

    can_wait = False

    def read(self, timeout_s: float) -> Iterable[Emit] | None:
        """What has arrived within timeout_s (may be nothing); None when there will never be more."""
        raise NotImplementedError
