"""Who watches the page, what each of them still owes an answer for, and what became of every packet.

Everything here runs on the server's event loop; nothing blocks and nothing grows. Each viewer has a window of a
few packets that the browser has not answered. When it is full, the newest packet waits alone: a newer one takes
its place. Queues deeper than that only make the picture older.

    packet --offer--> viewer: waiting (one) --send--> in flight (three) --ack--> drawn
       | nobody looks          | replaced, or not drawn in time     | page closed or hidden
       v no_viewer             v viewer_busy                        v no_viewer

A packet is settled once: drawn at the first 'drawn' of any viewer, else dropped when the last of its viewers has
let it go, with the reason that this last one gave.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from rt.web.protocol import Ack

MAX_WAITING_TEXTS = 64


class Outcome(NamedTuple):
    """What became of one packet.

    reason: '' when it was drawn, else one of `rt.board.REASONS`: 'no_viewer' or 'viewer_busy'.  t: LSL seconds
    at which the server knew; for a drawn packet that is when the browser's answer came, later than the drawing.
    draw_ms: from the packet's arrival in the browser to the end of its drawing, 0 when not drawn.
    """

    packet_id: int
    reason: str
    t: float
    draw_ms: float


class Parcel(NamedTuple):
    """An encoded packet on its way. picture: whether a JPEG is in it."""

    packet_id: int
    payload: bytes
    picture: bool


def newer(waiting: Parcel | None, parcel: Parcel) -> tuple[Parcel, Parcel | None]:
    """(the one that goes on waiting, the one that is dropped): the newest wins, but values never push out a picture."""
    if waiting is not None and waiting.picture and not parcel.picture:
        return waiting, parcel
    return parcel, waiting


class Viewer:
    """One open page."""

    def __init__(self, credit: int) -> None:
        self._credit = credit
        self._in_flight: set[int] = set()
        self._waiting: Parcel | None = None
        self._aside: bytes | None = None
        self._texts: deque[str] = deque(maxlen=MAX_WAITING_TEXTS)
        self._wake = asyncio.Event()
        self.visible = True

    @property
    def open_packets(self) -> list[int]:
        """Packets without an answer, the waiting one included."""
        return [*self._in_flight, *([self._waiting.packet_id] if self._waiting else [])]

    def offer(self, parcel: Parcel) -> int | None:
        """Put a packet next in line; the number of the one for which there is no room, if any."""
        self._waiting, dropped = newer(self._waiting, parcel)
        self._wake.set()
        return dropped.packet_id if dropped else None

    def withdraw(self) -> int | None:
        """Take the waiting packet back; its number, if there was one."""
        waiting, self._waiting = self._waiting, None
        return waiting.packet_id if waiting else None

    def say(self, text: str) -> None:
        """Put a text message next in line (texts go before packets; the oldest is lost when 64 wait)."""
        self._texts.append(text)
        self._wake.set()

    def offer_aside(self, block: bytes) -> None:
        """Put a block that nobody answers for in line; only the newest waits."""
        self._aside = block
        self._wake.set()

    def answered(self, packet_id: int) -> bool:
        """Give the credit back. False when this packet was never sent or is answered already."""
        if packet_id not in self._in_flight:
            return False
        self._in_flight.remove(packet_id)
        self._wake.set()
        return True

    def take(self) -> str | bytes | None:
        """What may be sent now: texts first, then, while there is credit, the packet and what comes beside it.

        None when nothing.
        """
        if self._texts:
            return self._texts.popleft()
        if len(self._in_flight) >= self._credit:
            return None
        if self._waiting is None:
            aside, self._aside = self._aside, None
            return aside
        parcel, self._waiting = self._waiting, None
        self._in_flight.add(parcel.packet_id)
        return parcel.payload

    async def next(self) -> str | bytes:
        """As `take`, but waits until there is something."""
        while (what := self.take()) is None:
            self._wake.clear()
            await self._wake.wait()
        return what


class Hub:
    """All viewers, in the order in which they came; the controlling one; the open packets."""

    def __init__(self, settled: Callable[[Outcome], None], now: Callable[[], float]) -> None:
        self._settled = settled
        self._now = now
        self._holders: dict[int, int] = {}  # packet -> viewers that hold it, as long as nobody has drawn it
        self.viewers: list[Viewer] = []
        self.controller: Viewer | None = None

    def enter(self, viewer: Viewer) -> None:
        """A page opened; the first one controls."""
        self.viewers.append(viewer)
        self.controller = self.controller or viewer

    def leave(self, viewer: Viewer) -> None:
        """A page closed: its packets are settled; when it controlled, the oldest of the others does now."""
        self.viewers.remove(viewer)
        for packet_id in viewer.open_packets:
            self._let_go(packet_id, "no_viewer")
        if viewer is self.controller:
            self.controller = self.viewers[0] if self.viewers else None

    def see(self, viewer: Viewer, visible: bool) -> None:
        """A page went to the background, where nothing is drawn, or came back."""
        viewer.visible = visible
        if not visible and (packet_id := viewer.withdraw()) is not None:
            self._let_go(packet_id, "no_viewer")

    def offer(self, parcel: Parcel) -> None:
        """Hand a packet to everybody who can see it."""
        watching = [v for v in self.viewers if v.visible]
        if not watching:
            self._settle(parcel.packet_id, "no_viewer")
            return
        self._holders[parcel.packet_id] = len(watching)
        for viewer in watching:
            dropped = viewer.offer(parcel)
            if dropped is not None:
                self._let_go(dropped, "viewer_busy")

    def offer_aside(self, block: bytes) -> None:
        """Hand a block that nobody answers for to everybody who can see it."""
        for viewer in self.viewers:
            if viewer.visible:
                viewer.offer_aside(block)

    def answer(self, viewer: Viewer, ack: Ack) -> bool:
        """Take a browser's answer; False when it answers for something that it was not sent."""
        if not viewer.answered(ack.packet_id):
            return False
        if not ack.drawn:
            self._let_go(ack.packet_id, "viewer_busy" if viewer.visible else "no_viewer")
        elif self._holders.pop(ack.packet_id, None) is not None:
            self._settle(ack.packet_id, "", ack.draw_ms)
        return True

    def say(self, text: str) -> None:
        """A text message to everybody."""
        for viewer in self.viewers:
            viewer.say(text)

    def _let_go(self, packet_id: int, reason: str) -> None:
        holders = self._holders.get(packet_id)
        if holders is None:
            return  # somebody else has drawn it
        if holders > 1:
            self._holders[packet_id] = holders - 1
            return
        del self._holders[packet_id]
        self._settle(packet_id, reason)

    def _settle(self, packet_id: int, reason: str, draw_ms: float = 0.0) -> None:
        self._settled(Outcome(packet_id, reason, self._now(), draw_ms))
