"""The server over real sockets: who may come in, what they may say, how it ends."""

import asyncio
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from engines.errors import BundleError
from rt import clock
from rt.errors import BadSettings, MissingDevice
from rt.web import protocol
from rt.web.server import Allowance, PageServer, PageSettings


def get(feed: Any, path: str, **headers: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{feed.server.port}{path}", headers=headers)


def until(happened: Callable[[], Any], seconds: float = 5.0) -> Any:
    """What `happened` gives as soon as it is true; fails after a generous while."""
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)
    return found


@contextmanager
def live(feed: Any, token: str | None = None, origin: str | None = "", host: str = "") -> Iterator[ClientConnection]:
    server = feed.server
    address = f"127.0.0.1:{server.port}"
    origin = f"http://{host or address}" if origin == "" else origin
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        uri = f"ws://{host or address}/live?token={server.token if token is None else token}"
        with connect(uri, sock=line, origin=origin, compression=None) as found:
            yield found


def answer_all(connection: ClientConnection, seconds: float) -> int:
    """Behave like a page for a while; the number of packets answered."""
    answered, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        said = connection.recv(timeout=2)
        if isinstance(said, bytes):
            number = protocol.decode_packet(said).packet_id
            connection.send(json.dumps({"ack": number, "drawn": True, "draw_ms": 1.0}))
            answered += 1
    return answered


def texts(connection: ClientConnection, kind: str, seconds: float = 5.0) -> dict[str, Any]:
    """The next text message of that type."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        said = connection.recv(timeout=seconds)
        if isinstance(said, str) and (message := json.loads(said))["type"] == kind:
            return message
    raise AssertionError(f"no {kind} came")


# ---- who may come in


def test_page_needs_the_token(serve):
    feed = serve()
    assert get(feed, f"/?token={feed.server.token}").status_code == 200
    for wrong in (
        "/",
        "/?token=",
        "/?token=x",
        f"/?token={feed.server.token}x",
        f"/?token={feed.server.token}&token=x",
    ):
        found = get(feed, wrong)
        assert found.status_code == 403
        assert feed.server.token not in found.text
        assert "app.js" not in found.text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example", ""])
def test_wrong_host_is_refused_everywhere(serve, host):
    feed = serve()
    for path in ("/static/app.js", f"/?token={feed.server.token}"):
        assert get(feed, path, host=host).status_code in (400, 421)
    if host:
        with pytest.raises(InvalidStatus), live(feed, host=host):
            pass


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "https://127.0.0.1", "http://127.0.0.1:1"])
def test_wrong_origin_gets_no_live_connection(serve, origin):
    feed = serve()
    with pytest.raises(InvalidStatus) as refused, live(feed, origin=origin):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("token", ["", "x", "A" * 32])
def test_wrong_token_gets_no_live_connection(serve, token):
    feed = serve()
    with pytest.raises(InvalidStatus) as refused, live(feed, token=token):
        pass
    assert refused.value.response.status_code == 403


def test_only_the_pages_own_files_are_served(serve):
    feed = serve()
    assert get(feed, "/static/app.js").status_code == 200
    with socket.create_connection(("127.0.0.1", feed.server.port)) as line:
        host = f"127.0.0.1:{feed.server.port}"
        line.sendall(f"GET /static/../server.py HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert b" 404 " in line.recv(100)
    assert get(feed, "/static/%2e%2e/server.py").status_code == 404
    assert get(feed, "/docs").status_code == 404


def test_every_answer_is_strict_with_the_browser(serve):
    feed = serve()
    for path in ("/", f"/?token={feed.server.token}", "/static/app.js", "/static/nothing"):
        headers = get(feed, path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers
        assert "set-cookie" not in headers


def test_token_is_long_and_new_each_time():
    made = {PageServer(PageSettings(), print, print).token for _ in range(20)}
    assert len(made) == 20
    assert all(len(token) >= 32 for token in made)


# ---- what they may say


def test_packets_come_with_credits_and_are_settled(serve):
    feed = serve()
    with live(feed) as page:
        assert texts(page, "hello")["subject"] == "P-017"
        answered = answer_all(page, 0.5)
        assert answered > 5
        time.sleep(0.5)  # does not answer any more: three are sent, the newest waits, the others are dropped
        until(lambda: Counter(o.reason for o in list(feed.outcomes))["viewer_busy"] > 3)
        assert Counter(o.reason for o in list(feed.outcomes))[""] == answered
    feed.stop()
    feed.server.stop()
    assert Counter(o.packet_id for o in list(feed.outcomes)) == Counter(range(feed.published))


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("x" * 3000, 1009), ("no json", 1008), ('{"command": "format_disk"}', 1008),
        ('{"ack": 123456, "drawn": true, "draw_ms": 0}', 1008), (b"bytes", 1008),
    ],
)  # fmt: skip
def test_nonsense_ends_only_that_connection(serve, said, code):
    feed = serve()
    with live(feed) as page, live(feed) as other:
        page.send(said)
        with pytest.raises(ConnectionClosed) as closed:
            answer_all(page, 5.0)
        assert closed.value.rcvd.code == code
        assert answer_all(other, 0.2) > 0
    assert not feed.wishes


def chatter(connection: ClientConnection) -> None:
    """More than a page ever says; ends when the server has had enough."""
    for _ in range(400):
        connection.send('{"visible": true}')
    answer_all(connection, 5.0)


def test_too_many_messages_end_the_connection(serve):
    feed = serve()
    with live(feed) as page:
        with pytest.raises(ConnectionClosed) as closed:
            chatter(page)
        assert closed.value.rcvd.code == 1008


def test_allowance_refills_evenly():
    allowance = Allowance(per_s=10)
    assert [allowance.spend(0.0) for _ in range(11)] == [True] * 10 + [False]
    assert not allowance.spend(0.1)
    assert all(allowance.spend(5.0 + 0.1 * i) for i in range(100))


def test_one_controls_the_others_watch_and_may_stop(serve):
    feed = serve()
    with live(feed) as first, live(feed) as second:
        until(lambda: feed.server.viewers == 2)
        second.send('{"command": "record", "value": true}')
        assert "controls" in texts(second, "refused")["text"]
        first.send('{"command": "record", "value": true}')
        until(lambda: list(feed.wishes) == [protocol.Wish("record", True)])
        second.send('{"command": "stop"}')
        until(lambda: feed.wishes[-1].command == "stop")
        second.send('{"command": "take_control"}')
        while not texts(second, "role")["controls"]:
            pass
        second.send('{"command": "view", "value": "practise"}')
        until(lambda: feed.wishes[-1] == protocol.Wish("view", "practise"))


def test_a_fifth_page_is_turned_away(serve):
    feed = serve(max_viewers=2)
    with live(feed), live(feed):
        until(lambda: feed.server.viewers == 2)
        with live(feed) as third:
            with pytest.raises(ConnectionClosed) as closed:
                third.recv(timeout=5)
            assert closed.value.rcvd.code == 1013


# ---- the two threads, and the end


def test_publish_never_waits_for_a_server_that_hangs(serve):
    feed = serve()
    until(lambda: feed.published > 3)
    released = threading.Event()
    feed.server._loop.call_soon_threadsafe(released.wait)
    try:
        time.sleep(0.3)
        before = feed.server.tick
        published = feed.published
        time.sleep(0.5)
        assert feed.server.tick == before  # this is how the work loop sees it
        assert feed.published > published + 5
    finally:
        released.set()
    until(lambda: feed.server.tick > before)


def test_fixed_port_and_token_survive_a_restart(serve):
    feed = serve()
    port, token = feed.server.port, feed.server.token
    with live(feed) as page:
        texts(page, "hello")
        feed.stop()
        feed.server.stop()
        with pytest.raises(ConnectionClosed):
            answer_all(page, 5.0)
    again = serve(port=port, token=token)
    assert again.server.url == f"http://127.0.0.1:{port}/?token={token}"
    with live(again) as page:
        texts(page, "hello")


def test_end_is_told_also_to_those_who_come_late(serve):
    feed = serve()
    with live(feed) as page:
        texts(page, "hello")
        feed.server.end({"rows": {"Recording": "saved"}})
        assert texts(page, "ended")["rows"] == {"Recording": "saved"}
    with live(feed) as late:
        assert texts(late, "ended")["rows"] == {"Recording": "saved"}


def test_without_a_server_packets_are_settled_too():
    outcomes = []
    server = PageServer(PageSettings(), outcomes.append, print)
    none = np.zeros(0, np.float32)
    server.publish(protocol.Packet(5, protocol.Flags(0), 0, 0.0, clock.now(), none, none, none, none))
    assert [(o.packet_id, o.reason) for o in outcomes] == [(5, "no_viewer")]


def test_taken_port_is_one_sentence():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(MissingDevice, match=str(port)):
            PageServer(PageSettings(port=port), print, print).start()


@pytest.mark.parametrize(
    "settings",
    [{"host": "0.0.0.0"}, {"host": "::1"}, {"host": "my-computer"}, {"port": 70000}, {"token": "short"}, {"credit": 0},
     {"token": "a b" * 20}, {"max_viewers": 0}],
)  # fmt: skip
def test_settings_that_do_not_fit_are_refused(settings):
    with pytest.raises(BadSettings):
        PageServer(PageSettings(**settings), print, print)


# ---- the 3D face


def test_the_face_is_made_once_and_only_for_who_knows_the_token(serve):
    made = []

    async def face():
        made.append(1)
        await asyncio.sleep(0.2)
        return b"the face"

    feed = serve(face=face)
    assert get(feed, "/face.bin").status_code == 403
    assert get(feed, "/face.bin?token=wrong").status_code == 403
    assert made == []
    address, found = f"/face.bin?token={feed.server.token}", []
    threads = [threading.Thread(target=lambda: found.append(get(feed, address))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.content for answer in found] == [b"the face"] * 2
    assert found[0].headers["cache-control"] == "no-store"
    assert found[0].headers["content-type"] == "application/octet-stream"
    assert made == [1]


def test_without_a_face_there_is_a_sentence_and_another_attempt(serve):
    answers = [MissingDevice("There is no 3D face, as the model is not installed."), None]

    async def face():
        if error := answers.pop(0):
            raise error
        return b"the face"

    feed = serve(face=face)
    first = get(feed, f"/face.bin?token={feed.server.token}")
    assert (first.status_code, first.text) == (404, "There is no 3D face, as the model is not installed.")
    assert get(feed, f"/face.bin?token={feed.server.token}").content == b"the face"
    bare = serve()
    none = get(bare, f"/face.bin?token={bare.server.token}")
    assert (none.status_code, none.text) == (404, "This session has no 3D face.")


def test_the_muscle_map_is_for_who_knows_the_token_and_says_why_there_is_none(serve):
    answers = [BundleError("the bundle is altered."), None]

    def heat():
        if (answer := answers.pop(0)) is not None:
            raise answer
        return b"the map"

    feed = serve(heat=heat)
    assert get(feed, "/heat.bin").status_code == 403
    first = get(feed, f"/heat.bin?token={feed.server.token}")
    assert (first.status_code, first.text) == (404, "There is no muscle map: the bundle is altered.")
    assert get(feed, f"/heat.bin?token={feed.server.token}").content == b"the map"
    bare = serve()
    none = get(bare, f"/heat.bin?token={bare.server.token}")
    assert (none.status_code, none.text) == (404, "This session has no muscle map.")


def test_a_face_that_is_being_made_does_not_hold_the_end(serve):
    begun, ended, answers = threading.Event(), threading.Event(), []

    async def face():
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    feed = serve(face=face)
    asking = threading.Thread(target=lambda: answers.append(get(feed, f"/face.bin?token={feed.server.token}")))
    asking.start()
    assert begun.wait(5)
    feed.stop()
    feed.server.stop(5)
    asking.join(5)
    assert ended.is_set()
    assert (answers[0].status_code, answers[0].text) == (503, "The session is over.")
