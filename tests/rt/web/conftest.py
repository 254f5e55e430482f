"""A page server fed by a small moving picture and slowly swinging muscles, and a headless browser to look at it."""

import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import pytest

from engines.emg.montage import FRIDLUND
from rt import clock
from rt.web.hub import Outcome
from rt.web.protocol import Channel, Flags, Hello, Movement, Packet, Pair, Status, Wish
from rt.web.server import PageServer, PageSettings

CHANNELS = tuple(Channel(c.label, c.muscle, c.side, c.site_xy) for c in FRIDLUND.channels)
HELLO = Hello(
    "P-017", CHANNELS, tuple(Pair(*pair) for pair in FRIDLUND.pairs()), trained="zygomaticus",
    forbidden="orbicularis_oculi", emg_delay_ms=37.0, synthetic="Picture and signals are synthetic.",
    chosen=("zygomaticus", "orbicularis_oculi", "orbicularis_oris", "lateral_frontalis"),
    views=("camera", "practise", "beside"),
    movements=(Movement("pixel-smile-open", "Smile open"), Movement("pixel-snarl", "Snarl")),
    removals=("raw", "restored", "edit"),
)  # fmt: skip
STATUS = Status(
    fps_captured=30.0, fps_shown=29.9, shown=1204, dropped={"latest": 2, "viewer_busy": 1},
    photon_to_pixel_ms={"p50": 41.3, "p95": 58.2}, muscle_to_pixel_ms={"p50": 68.4, "p95": 83.0},
    stages={"vision": {"state": "ok", "restarts": 0}, "emg": {"state": "ok", "restarts": 1}},
    recording="on", recorded_s=724.0, removal="restored",
    engines={"restore": {"backend": "openvino", "bundle": "restore-cpu", "precision": "bf16"}},
)  # fmt: skip
_TEST_JPEG_WIDTH = 320


def left_half_red(width: int = _TEST_JPEG_WIDTH, height: int = 240) -> bytes:
    """A JPEG whose left half is red and right half blue."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 2] = 220
    image[:, width // 2 :, 0] = 220
    return cv2.imencode(".jpg", image)[1].tobytes()


def values(t: float, contact: int = 3) -> dict[str, Any]:
    """Muscle values that swing with period 4 s; the second half of the muscles is not calibrated."""
    phase = np.arange(22) * 0.35
    envelope = (20 + 18 * np.sin(2 * np.pi * t / 4 + phase)).astype(np.float32)
    percent = (envelope * 2).astype(np.float32)
    right, left = envelope[0::2], envelope[1::2]
    return {
        "envelope_uv": envelope,
        "percent_mvc": percent,
        "asymmetry": (100 * (right - left) / (right + left)).astype(np.float32),
        "contact": np.full(22, contact, np.uint8),
    }


@dataclass
class Feed:
    """Publishes packets at 30 Hz (and a status each second) on a thread of its own."""

    server: PageServer
    hello: Hello
    picture: Callable[[int], bytes]
    change: Callable[[Packet], Packet] = lambda packet: packet
    outcomes: deque[Outcome] = field(default_factory=deque)
    wishes: deque[Wish] = field(default_factory=deque)
    status: Status = STATUS
    rate_hz: float = 30.0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self.published = 0

    def start(self) -> None:
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(1 / self.rate_hz):
            t = clock.now()
            flags = Flags.FRAME | Flags.EMG | Flags.SYNTHETIC
            found = Packet(
                self.published, flags, self.published, t - 0.02, t, jpeg=self.picture(self.published), **values(t)
            )
            self.server.publish(self.change(found))
            if self.published % int(self.rate_hz) == 0:
                self.server.publish_status(replace(self.status, elapsed_s=self.published / self.rate_hz))
            self.published += 1


@pytest.fixture
def hello() -> Hello:
    """What pages are told at first."""
    return HELLO


@pytest.fixture
def serve() -> Iterator[Callable[..., Feed]]:
    """Start a fed server: serve(port=..., hello=..., picture=..., face=..., heat=...), stopped at the test's end."""
    feeds: list[Feed] = []

    def start(
        hello: Hello = HELLO,
        picture: Callable[[int], bytes] | None = None,
        face: Callable[[], Coroutine[Any, Any, bytes]] | None = None,
        heat: Callable[[], bytes] | None = None,
        **settings: Any,
    ) -> Feed:
        outcomes: deque[Outcome] = deque()
        wishes: deque[Wish] = deque()
        server = PageServer(PageSettings(**settings), outcomes.append, wishes.append, face=face, heat=heat)
        server.start()
        server.set_hello(hello)
        jpeg = left_half_red()
        feed = Feed(server, hello, picture or (lambda _: jpeg), outcomes=outcomes, wishes=wishes)
        feeds.append(feed)
        feed.start()
        return feed

    yield start
    for feed in feeds:
        feed.stop()
        feed.server.stop()


@pytest.fixture
def open_page(browser):
    """Open the page of a feed: open_page(feed, begin=True, **browser context options); no script error is forgiven."""
    contexts, errors = [], []

    def opened(feed: Any, begin: bool = True, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda m: errors.append(m.text) if "Content Security Policy" in m.text else None)
        page.goto(feed.server.url)
        if begin:
            page.click("#begin")
            page.locator("#waiting").wait_for(state="hidden")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []
