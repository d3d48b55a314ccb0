"""The playground: a session by itself, an application in memory, and a server with a browser."""

import pytest
from support.play import HOST, TOKEN, Server, until


@pytest.fixture
def engine():
    from micrograd.play.engine import Engine
    from micrograd.play.session import Session

    running = Engine(Session())
    yield running
    running.close()


@pytest.fixture
def client(engine):
    pytest.importorskip("starlette")
    pytest.importorskip("httpx")
    from starlette.testclient import TestClient

    from micrograd.play.server import application

    with TestClient(application(engine, TOKEN, [HOST]), base_url=f"http://{HOST}") as found:
        yield found


@pytest.fixture
def served():
    """Starts a server with these options of the command; it ends with the test."""
    pytest.importorskip("starlette")
    pytest.importorskip("uvicorn")
    pytest.importorskip("websockets")
    started = []

    def start(*options):
        started.append(Server(*options))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def opened(browser):
    """Opens a page; at the end nothing has gone wrong, and nothing else been asked for."""
    contexts, troubles = [], []

    def open_page(server, width=1280, height=860, scheme="light", fragment=""):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        origin = server.address.partition("/?")[0]
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith((origin, "data:", f"blob:{origin}"))
                else troubles.append(f"asked for {request.url}")
            ),
        )  # fmt: skip
        page.goto(server.address + fragment)
        until(page, "window.playground && playground.frames()[0] > 0")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []
