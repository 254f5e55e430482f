"""Who may come in: exact Host, exact Origin, the token; and what a browser may do with our pages.

The page is for this machine only. The token travels in the address that the session prints and nowhere else: a
cookie would also be sent to every other port of this machine, because cookies know no ports. The page keeps the
token in its tab's sessionStorage, which does, and takes it out of the address bar; `resume.js` puts it back
when the tab is reloaded. So nothing is ever sent by a browser on its own, and a foreign page has nothing to ride on.
"""

import re
import secrets
from collections.abc import Iterable, Sequence
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rt.errors import BadSettings

TOKEN_PATTERN = re.compile(r"[A-Za-z0-9_-]{22,128}")  # 22 characters of base64 hold 128 bit
_REFUSAL = b"Refused: open the page from the address that the session printed.\n"


def new_token() -> str:
    """192 random bits, safe in an address."""
    return secrets.token_urlsafe(24)


def checked_token(token: str) -> str:
    """The token, if it can be one. Raises BadSettings."""
    if not TOKEN_PATTERN.fullmatch(token):
        raise BadSettings(
            "the page's token must be 22 to 128 letters, digits, '-' or '_'; leave it out for a random one"
        )
    return token


class Gate:
    """ASGI middleware around the whole page.

    Refuses a wrong Host for everything (421), and a live connection also for a wrong Origin or token (403).
    Adds the security headers to every answer, and `scope["knows_token"]` for the page itself.
    """

    def __init__(self, app: ASGIApp, host: str, port: int, token: str) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = frozenset({f"{host}:{port}", f"localhost:{port}"})
        self._headers = _security_headers(sorted(self._hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if headers.getlist("host") != [headers.get("host")] or headers["host"] not in self._hosts:
            await self._refuse(scope, send, 421)
            return
        scope["knows_token"] = self._knows_token(scope)
        own = headers.getlist("origin") == [f"http://{headers['host']}"]
        if scope["type"] == "websocket" and not (own and scope["knows_token"]):
            await self._refuse(scope, send, 403)
            return
        await self._app(scope, receive, self._with_headers(send))

    def _knows_token(self, scope: Scope) -> bool:
        found = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])
        return len(found) == 1 and secrets.compare_digest(found[0].encode("utf-8", "replace"), self._token)

    async def _refuse(self, scope: Scope, send: Send, status: int) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted, this is a plain 403
            return
        headers = [(b"content-type", b"text/plain"), *self._headers]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": _REFUSAL})

    def _with_headers(self, send: Send) -> Send:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*_without_cache(message["headers"]), *self._headers]
            await send(message)

        return send_with_headers


def _without_cache(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() not in (b"etag", b"last-modified")]


def _security_headers(hosts: Sequence[str]) -> list[tuple[bytes, bytes]]:
    live = " ".join(f"ws://{host}" for host in hosts)
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self' {live}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    found = {
        "content-security-policy": policy,
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=()",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "cache-control": "no-store",
    }
    return [(name.encode(), value.encode()) for name, value in found.items()]
