"""Pages of drawings in a browser."""

import os

import pytest


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a drawing's page from disk; at the end nothing has gone wrong and nothing been asked
    for. With PAGE_SHOTS=folder in the environment a screenshot of each page is kept."""
    contexts, troubles = [], []

    def open_page(drawing, width=1280, height=760, scheme="light"):
        path = tmp_path / f"page{len(contexts)}.html"
        drawing.save(path)
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None if request.url == path.as_uri() or request.url.startswith("data:")
                else troubles.append(f"asked for {request.url}")
            ),
        )  # fmt: skip
        page.goto(path.as_uri())
        return page

    yield open_page
    for i, context in enumerate(contexts):
        if "PAGE_SHOTS" in os.environ:
            name = os.environ["PYTEST_CURRENT_TEST"].split("::")[-1].split(" ")[0]
            shot = os.path.join(os.environ["PAGE_SHOTS"], f"{name}-{i}.png")
            context.pages[0].screenshot(path=shot)
        context.close()
    assert troubles == []
