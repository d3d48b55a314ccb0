"""Who is answered: only this machine's own pages, with the token of this session.

A page of another site that is open in the same browser can send requests to this address. It does
not know the token, and its requests bear its Origin; one that has its name resolve to this machine
(DNS rebinding) bears its name as the Host.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = 1008  # close code of a WebSocket that is refused


class Guard:
    """An ASGI application in front of another that lets pass what has the right token, Host and
    Origin; all else is refused, with 403 or before the WebSocket opens.

    hosts: what Host may be, with the port.
    """

    def __init__(self, app: App, token: str, hosts: frozenset[str]) -> None:
        self._app, self._token, self._hosts = app, token.encode(), hosts
        self._origins = frozenset(f"http://{host}" for host in hosts)

    def reason(self, scope: Scope) -> str:
        """Why a request is refused; "" where it is not."""
        headers: dict[bytes, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value.decode("latin-1"))
        host, origin = headers.get(b"host", []), headers.get(b"origin", [])
        if len(host) != 1 or host[0].lower() not in self._hosts:
            return "a foreign Host"
        if len(origin) > 1 or (origin and origin[0].lower() not in self._origins):
            return "a foreign Origin"
        try:
            pairs = parse_qsl(scope["query_string"].decode("ascii"), max_num_fields=20)
        except ValueError:
            return "an address that is none"
        tokens = [value for name, value in pairs if name == "token"]
        if len(tokens) != 1 or not hmac.compare_digest(
            tokens[0].encode("utf-8", "surrogateescape"), self._token
        ):
            return "no token, or a wrong one: open the address that `micrograd play` printed"
        return ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, refuses, or hands on."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        reason = self.reason(scope)
        if not reason:
            return await self._app(scope, receive, send)
        if scope["type"] == "websocket":
            await receive()
            return await send({"type": "websocket.close", "code": POLICY, "reason": reason[:100]})
        body = f"micrograd play: refused, {reason}\n".encode()
        head = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store"),
                (b"content-length", str(len(body)).encode())]  # fmt: skip
        await send({"type": "http.response.start", "status": 403, "headers": head})
        await send({"type": "http.response.body", "body": body})
