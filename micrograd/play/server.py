"""The server of the playground: the page, its WebSocket, tables that come, models that go."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
from collections.abc import Callable, Sequence
from typing import Any

from micrograd import checks, core
from micrograd.data.reading import table_of_bytes
from micrograd.play import page
from micrograd.play.config import Config
from micrograd.play.dataset import Table
from micrograd.play.engine import Engine
from micrograd.play.exports import EXPORTS, take
from micrograd.play.guard import App, Guard
from micrograd.play.outbox import Outbox
from micrograd.play.report import LONGEST
from micrograd.play.session import EXPECTED, Session

LOOPBACK = "127.0.0.1"
LARGEST_TABLE = 8 << 20  # bytes
AHEAD = 3  # pictures on their way: more than one, so that the way takes no time from the next
SLOW = 1.0  # seconds that a page may take to draw a picture before it is sent another all the same
HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


def _starlette(module: str) -> Any:
    return checks.require("micrograd play", "starlette", f"starlette.{module}", "play")


def application(engine: Engine, token: str, hosts: Sequence[str]) -> App:
    """The ASGI application for a session.

    hosts: what the Host of requests may be, with the port.

    Raises:
        ImportError: starlette is not installed.
    """
    routing, responses = _starlette("routing"), _starlette("responses")

    async def index(request: Any) -> Any:
        policy = {"content-security-policy": page.policy()}
        return responses.HTMLResponse(page.render(), headers=HEADERS | policy)

    async def export(request: Any) -> Any:
        name = request.path_params["name"]
        if name not in EXPORTS:
            return refusal(404, f"export: {name!r} is none of {', '.join(EXPORTS)}")
        kind, write = EXPORTS[name]
        number = request.path_params["run"]
        try:
            taken = await asyncio.wrap_future(engine.ask(lambda: take(engine.session, number)))
            body = await asyncio.to_thread(write, taken)
        except (*EXPECTED, OSError) as error:
            return refusal(400, str(error))
        attached = {"content-disposition": f'attachment; filename="{name}"'}
        return responses.Response(body, media_type=kind, headers=HEADERS | attached)

    async def table(request: Any) -> Any:
        raw = bytearray()
        async for part in request.stream():
            raw += part
            if len(raw) > LARGEST_TABLE:
                return refusal(413, f"table: more than {LARGEST_TABLE >> 20} MB; start with "
                                    "micrograd play --data FILE")  # fmt: skip
        name = request.query_params.get("name", "")[:200] or "pasted.csv"
        try:
            found = await asyncio.to_thread(_table, bytes(raw), name)
            await asyncio.wrap_future(engine.ask(lambda: engine.session.take_table(found)))
        except EXPECTED as error:
            return refusal(400, str(error))
        return responses.JSONResponse({"kind": "done"}, headers=HEADERS)

    def refusal(status: int, text: str) -> Any:
        return responses.JSONResponse({"kind": "error", "error": text}, status, headers=HEADERS)

    async def socket_(websocket: Any) -> None:
        await websocket.accept()
        await Connection(websocket, engine).run()

    app = _starlette("applications").Starlette(
        routes=[
            routing.Route("/", index),
            routing.Route("/export/{run:int}/{name}", export),
            routing.Route("/table", table, methods=["POST"]),
            routing.WebSocketRoute("/live", socket_),
        ]
    )
    return Guard(app, token, frozenset(host.lower() for host in hosts))


def _table(raw: bytes, name: str) -> Table:
    """A table that a page sent. Of its name only the last part counts: nothing is read from it."""
    name = name.replace("\\", "/").rpartition("/")[2] or "pasted.csv"
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = ""
    return Table(table_of_bytes(raw, name), name, text)


class Connection:
    """A page that is connected: what it asks is done, and it is sent what is new.

    Pictures wait until the page has drawn those before but AHEAD, as it says by {"do": "drawn"}, so
    that a slow one gets fewer, and none queue up.
    """

    def __init__(self, websocket: Any, engine: Engine) -> None:
        self._socket, self._engine = websocket, engine
        self._outbox: Outbox = engine.session.outbox
        self._loop = asyncio.get_running_loop()
        self._news, self._drawn = asyncio.Event(), asyncio.Event()
        self._ahead = 0  # pictures that were sent and are not drawn yet

    async def run(self) -> None:
        """Until the page has gone."""
        self._news.set()
        self._outbox.listen(self._tell)
        sending = asyncio.create_task(self._send())
        try:
            await self._listen()
        finally:
            self._outbox.leave(self._tell)
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await sending

    def _tell(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._news.set)

    async def _listen(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] != "websocket.receive":
                return
            text = message.get("text")
            content = text if text is not None else message.get("bytes") or b""
            if content == '{"do":"drawn"}':
                self._ahead = max(0, self._ahead - 1)
                self._drawn.set()
                continue
            reply = await self._answer(content)
            await self._socket.send_text(json.dumps(reply))

    async def _answer(self, content: str | bytes) -> dict[str, Any]:
        session = self._engine.session
        return await asyncio.wrap_future(self._engine.ask(lambda: session.handle(content)))

    async def _send(self) -> None:
        seen = 0
        while True:
            await self._news.wait()
            self._news.clear()
            seen, newer = self._outbox.since(seen)
            pictures = False
            for _, payload in newer:
                if isinstance(payload, bytes):
                    await self._socket.send_bytes(payload)
                    pictures = True
                else:
                    await self._socket.send_text(payload)
            if pictures:
                self._ahead += 1
                await self._socket.send_text('{"kind":"draw"}')
            while self._ahead >= AHEAD:
                self._drawn.clear()
                try:
                    await asyncio.wait_for(self._drawn.wait(), SLOW)
                except asyncio.TimeoutError:
                    self._ahead = 0


def serve(
    table: Table | None = None,
    configs: Sequence[Config] = (),
    port: int = 0,
    ready: Callable[[str], None] = print,
) -> None:
    """Serves the playground on this machine until it is interrupted. The C core has one thread from
    then on: results have the same bits for any number.

    Args:
        table: of the user's own; configs: one or two to begin with.
        port: 0 takes any that is free.
        ready: is told the address, with its token, once it is answered.

    Raises:
        ImportError: starlette, uvicorn or websockets are not installed.
        OSError: the port is taken.
    """
    core.set_num_threads(1)  # the other processors are for the server and the browser
    uvicorn = checks.require("micrograd play", "uvicorn", "uvicorn", "play")
    checks.require("micrograd play", "websockets", "websockets", "play")
    _starlette("applications")
    token = secrets.token_urlsafe(24)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((LOOPBACK, port))
        listening.listen()  # from here on a browser that is too early waits
        port = listening.getsockname()[1]
        engine = Engine(Session(table, configs))
        app = application(engine, token, [f"{host}:{port}" for host in (LOOPBACK, "localhost")])
        options = uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="off", ws="websockets-sansio",
            ws_max_size=LONGEST, ws_per_message_deflate=False, server_header=False,
            date_header=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        ready(f"http://{LOOPBACK}:{port}/?token={token}")
        try:
            uvicorn.Server(options).run(sockets=[listening])
        finally:
            engine.close()
