"""The page's server: a thread beside the display's work loop.

The work loop publishes and returns at once. One packet waits at the door between the two threads; a newer one
takes its place. `tick` rises ten times a second as long as the server's own loop turns, so that the work loop can
see (and tell the supervisor) that it hangs. Nothing but the page's own files is ever served, and only to this machine.
"""

import asyncio
import base64
import contextlib
import ipaddress
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from engines.errors import EngineError
from rt import clock
from rt.errors import BadMessage, BadSettings, LiveError, MissingDevice
from rt.message import Guidance
from rt.web import protocol
from rt.web.gate import Gate, checked_token, new_token
from rt.web.hub import Hub, Outcome, Parcel, Viewer, newer

STATIC = Path(__file__).parent / "static"
_TICK_S = 0.1
_BIND_RETRY_S = 2.0  # a killed predecessor may hold a fixed port for a moment
_MESSAGES_PER_S = 250.0  # a page answers each packet once (30-60 per second) and rarely says more
_log = logging.getLogger("myomirror.page")


@dataclass(frozen=True)
class PageSettings:
    """Where the page is served.

    host: a loopback address.  port: 0 = any free one.  token: '' = a new random one; pass the old one after a
    restart so that open pages come back.  credit: packets that a browser may owe an answer for.
    """

    host: str = "127.0.0.1"
    port: int = 0
    token: str = ""
    credit: int = 3
    max_viewers: int = 4


def fixed_address(settings: PageSettings) -> PageSettings:
    """The same settings with a port and a token that stay, for a server that may be restarted behind open pages.

    The port is free now; should somebody else take it before the server does, `start` says so.
    """
    with _listening_socket(settings.host, settings.port) as found:
        port = int(found.getsockname()[1])
    return PageSettings(settings.host, port, settings.token or new_token(), settings.credit, settings.max_viewers)


class PageServer:
    """Serves the live page and tells what became of every packet.

    `on_outcome` and `on_wish` are called on the server's thread: they must not block. `face` makes what `/face.bin` is;
    it is awaited once, when a page asks, and cancelled when the server stops. `heat` makes what `/heat.bin` is, in
    milliseconds. Typical use::

        server = PageServer(PageSettings(), on_outcome=outcomes.append, on_wish=wishes.append)
        server.start()
        server.set_hello(hello)
        server.publish(packet)          # as often as there is something to show
        server.end({"reason": "..."})   # pages show the summary
        server.stop()
    """

    def __init__(
        self,
        settings: PageSettings,
        on_outcome: Callable[[Outcome], None],
        on_wish: Callable[[protocol.Wish], None],
        now: Callable[[], float] = clock.now,
        face: Callable[[], Coroutine[Any, Any, bytes]] | None = None,
        heat: Callable[[], bytes] | None = None,
    ) -> None:
        self._settings = _checked(settings)
        self._token = checked_token(settings.token) if settings.token else new_token()
        self._on_outcome = on_outcome
        self._on_wish = on_wish
        self._now = now
        self._make_face = face
        self._make_heat = heat
        self._face_made: asyncio.Task[bytes] | None = None
        self._stopping = False
        self._hub = Hub(on_outcome, now)
        self._hello: str | None = None
        self._status: str | None = None
        self._guide: str | None = None
        self._ended: str | None = None
        self._door: Parcel | None = None  # the packet between the threads
        self._door_lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._uvicorn: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running = threading.Event()
        self._port = 0
        self.tick = 0

    @property
    def port(self) -> int:
        """The port that is really used (0 before `start`)."""
        return self._port

    @property
    def token(self) -> str:
        """The key that the address carries."""
        return self._token

    @property
    def url(self) -> str:
        """The address to open, token included."""
        return f"http://{self._settings.host}:{self.port}/?token={self._token}"

    @property
    def viewers(self) -> int:
        """How many pages are open."""
        return len(self._hub.viewers)

    def start(self) -> None:
        """Bind and serve; returns when the page can be opened. Raises MissingDevice when the port is taken."""
        self._socket = _listening_socket(self._settings.host, self._settings.port)
        self._port = int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            self._app(), log_config=None, access_log=False, log_level="warning", lifespan="on", ws="websockets-sansio",
            ws_max_size=protocol.MAX_INCOMING_BYTES, ws_per_message_deflate=False, ws_ping_interval=5.0,
            ws_ping_timeout=5.0, timeout_graceful_shutdown=1, server_header=False, proxy_headers=False,
        )  # fmt: skip
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="page-server", daemon=True)
        self._thread.start()
        if not self._running.wait(10.0):
            self.stop()
            raise MissingDevice("the page's server did not start within 10 s; see the log")

    def publish(self, packet: protocol.Packet) -> None:
        """Hand a packet to every page that can see it; never waits."""
        payload = protocol.encode_packet(packet, self._now())
        self._post(Parcel(packet.packet_id, payload, len(packet.jpeg) > 0))

    def publish_aside(self, block: bytes) -> None:
        """Hand a block that is not counted (rt/web/frontal.py) to every page that can see it; never waits."""
        self._call(self._hub.offer_aside, block)

    def set_hello(self, hello: protocol.Hello) -> None:
        """What a page is told when it opens; open pages are told at once."""
        self._hello = protocol.encode_text("hello", hello, credit=self._settings.credit)
        self._say(self._hello)

    def publish_status(self, status: protocol.Status) -> None:
        """How the session is; a page that opens later gets the newest."""
        self._status = protocol.encode_text("status", status)
        self._say(self._status)

    def publish_guide(self, guidance: Guidance) -> None:
        """What a person who is being calibrated is to do; said when it changes, and to a page that opens later."""
        still = base64.b64encode(guidance.still.tobytes()).decode()
        text = protocol.encode_text("guide", guidance.state, still=still)
        if text != self._guide:
            self._guide = text
            self._say(text)

    def alarm(self, text: str) -> None:
        """Say one sentence to everybody who watches, also to a screen reader."""
        self._say(protocol.encode_text("alarm", text=text, t=self._now()))

    def end(self, summary: Mapping[str, Any]) -> None:
        """The session is over: pages show this summary and stop trying to connect."""
        self._ended = protocol.encode_text("ended", summary)
        self._say(self._ended)

    def stop(self, timeout_s: float = 3.0) -> None:
        """Close every page and the port; what is open is settled as 'no_viewer'. May be called twice."""
        self._call(self._drop_face)
        if self._uvicorn is not None:
            self._uvicorn.should_exit = True
        if self._thread is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                _log.warning("the page's server did not stop within %.1f s and is left behind", timeout_s)
        self._take_unserved()
        if self._socket is not None:
            self._socket.close()

    def _drop_face(self) -> None:
        self._stopping = True
        if self._face_made is not None:
            self._face_made.cancel()

    def _serve(self) -> None:
        assert self._uvicorn is not None
        assert self._socket is not None
        asyncio.run(self._uvicorn.serve(sockets=[self._socket]))

    def _post(self, parcel: Parcel) -> None:
        with self._door_lock:
            was_empty = self._door is None
            self._door, dropped = newer(self._door, parcel)
        if dropped is not None:
            self._on_outcome(Outcome(dropped.packet_id, "viewer_busy", self._now(), 0.0))
        if was_empty and not self._call(self._take_from_door):
            self._take_unserved()

    def _call(self, function: Callable[..., None], *arguments: Any) -> bool:
        if self._loop is None:
            return False
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop has just been closed; there is no other way to know
            return False
        return True

    def _take_unserved(self) -> None:
        with self._door_lock:
            parcel, self._door = self._door, None
        if parcel is not None:
            self._on_outcome(Outcome(parcel.packet_id, "no_viewer", self._now(), 0.0))

    def _take_from_door(self) -> None:
        with self._door_lock:
            parcel, self._door = self._door, None
        if parcel is not None:
            self._hub.offer(parcel)

    def _say(self, text: str) -> None:
        self._call(self._hub.say, text)

    def _app(self) -> Gate:
        routes = [
            Route("/", self._page),
            Route("/face.bin", self._face),
            Route("/heat.bin", self._heat),
            WebSocketRoute("/live", self._live),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
        return Gate(Starlette(routes=routes, lifespan=self._lifespan), self._settings.host, self.port, self._token)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        ticking = asyncio.create_task(self._count_ticks())
        self._running.set()
        yield
        ticking.cancel()
        self._loop = None

    async def _count_ticks(self) -> None:
        while True:
            self.tick += 1
            await asyncio.sleep(_TICK_S)

    async def _page(self, request: Request) -> Response:
        # Without the token there is only a page that says where to find it.
        if request.scope["knows_token"]:
            return FileResponse(STATIC / "index.html")
        return FileResponse(STATIC / "refused.html", status_code=403)

    async def _face(self, request: Request) -> Response:
        if not request.scope["knows_token"]:
            return _refused()
        if self._make_face is None:
            return PlainTextResponse("This session has no 3D face.", 404)
        if self._face_made is None:
            self._face_made = asyncio.create_task(self._make_face())
        try:
            found = await asyncio.shield(self._face_made)  # whoever leaves does not stop it for the others
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            return PlainTextResponse("The session is over.", 503)
        except LiveError as error:
            self._face_made = None  # what is missing may be there when a page asks again
            return PlainTextResponse(str(error), 404)
        return Response(found, media_type="application/octet-stream")

    async def _heat(self, request: Request) -> Response:
        if not request.scope["knows_token"]:
            return _refused()
        if self._make_heat is None:
            return PlainTextResponse("This session has no muscle map.", 404)
        try:
            found = await asyncio.to_thread(self._make_heat)
        except EngineError as error:
            return PlainTextResponse(f"There is no muscle map: {error}", 404)
        return Response(found, media_type="application/octet-stream")

    async def _live(self, socket: WebSocket) -> None:
        await socket.accept()
        if len(self._hub.viewers) >= self._settings.max_viewers:
            await socket.close(1013, f"{self._settings.max_viewers} pages are open already")
            return
        viewer = Viewer(self._settings.credit)
        self._hub.enter(viewer)
        for text in (self._hello, self._status, self._guide, self._ended):
            if text is not None:
                viewer.say(text)
        self._tell_roles()
        tasks = [asyncio.create_task(_send(socket, viewer)), asyncio.create_task(self._listen(socket, viewer))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            self._hub.leave(viewer)
            self._tell_roles()
        await _part(socket, await asyncio.gather(*tasks, return_exceptions=True))

    async def _listen(self, socket: WebSocket, viewer: Viewer) -> None:
        allowance = Allowance(_MESSAGES_PER_S)
        while True:
            said = protocol.parse_incoming(await _receive_text(socket))
            if not allowance.spend(time.monotonic()):
                raise BadMessage(f"the page sent more than {_MESSAGES_PER_S:.0f} messages in a second")
            self._take(viewer, said)

    def _take(self, viewer: Viewer, said: protocol.Ack | protocol.Visible | protocol.Wish) -> None:
        if isinstance(said, protocol.Ack):
            if not self._hub.answer(viewer, said):
                raise BadMessage(f"the page answered for packet {said.packet_id}, which it was not sent")
        elif isinstance(said, protocol.Visible):
            self._hub.see(viewer, said.visible)
        elif said.command == "take_control":
            self._hub.controller = viewer
            self._tell_roles()
        elif viewer is self._hub.controller or said.command in protocol.FOR_EVERYBODY:
            self._on_wish(said)
        else:
            viewer.say(protocol.encode_text("refused", text="Another page controls this session."))

    def _tell_roles(self) -> None:
        for viewer in self._hub.viewers:
            controls = viewer is self._hub.controller
            viewer.say(protocol.encode_text("role", controls=controls, viewers=len(self._hub.viewers)))


def _refused() -> Response:
    return PlainTextResponse("Refused: open the page from the address that the session printed.", 403)


class Allowance:
    """A bucket of one second of messages that refills evenly."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._left = per_s
        self._t: float | None = None

    def spend(self, t: float) -> bool:
        """Whether one more message is within the allowance at time t (seconds, rising)."""
        passed = 0.0 if self._t is None else t - self._t
        self._t = t
        self._left = min(self._per_s, self._left + passed * self._per_s) - 1.0
        return self._left >= 0.0


async def _receive_text(socket: WebSocket) -> str:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text = message.get("text")
    if not isinstance(text, str):
        raise BadMessage("the page sent bytes where only text is understood")
    return text


async def _send(socket: WebSocket, viewer: Viewer) -> None:
    while True:
        what = await viewer.next()
        if isinstance(what, str):
            await socket.send_text(what)
        else:
            await socket.send_bytes(what)


async def _part(socket: WebSocket, ends: Sequence[BaseException | None]) -> None:
    """Close a page's connection in the way that fits why its tasks ended; anything unforeseen is raised."""
    for end in ends:
        if isinstance(end, BadMessage):
            _log.warning("a page was disconnected: %s", end)
            await socket.close(1008, str(end)[:120])
        elif not isinstance(end, (WebSocketDisconnect, asyncio.CancelledError)) and end is not None:
            raise end


def _checked(settings: PageSettings) -> PageSettings:
    try:
        loopback = ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        loopback = False
    if not loopback or ":" in settings.host:
        raise BadSettings(f"the page is for this machine only: host {settings.host!r} must be 127.0.0.1")
    if not 0 <= settings.port <= 65535:
        raise BadSettings(f"port {settings.port} is outside 0..65535 (0 = any free one)")
    if not 1 <= settings.credit <= 16 or not 1 <= settings.max_viewers <= 16:
        raise BadSettings("credit and max_viewers must be 1 to 16")
    return settings


def _listening_socket(host: str, port: int) -> socket.socket:
    deadline = time.monotonic() + (_BIND_RETRY_S if port else 0.0)
    while True:
        # The protocol is named because asyncio sets TCP_NODELAY only where it is (CPython's `_set_nodelay`): without
        # it, a picture sent right after a status waits for the browser's delayed TCP acknowledgement, up to 40 ms.
        found = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((host, port))
            found.listen(16)  # who connects before the server's loop turns waits in this queue
        except OSError as error:
            found.close()
            if time.monotonic() > deadline:
                raise MissingDevice(
                    f"the page cannot use {host}:{port}: {error.strerror}; choose another port"
                ) from error
            time.sleep(0.05)
        else:
            return found
