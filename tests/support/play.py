"""A playground to talk to: where it is said to be, its token, and its command in a process."""

import subprocess
import sys
import time
from pathlib import Path

HOST = "127.0.0.1:8123"
TOKEN = "t0ken"
WITH = f"token={TOKEN}"


class Server:
    """`micrograd play` in a process of its own."""

    def __init__(self, *options):
        command = [sys.executable, "-m", "micrograd", "play", "--no-browser", *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )
        line = self.process.stdout.readline()
        self.address = line.removeprefix("micrograd play: ").strip()

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        self.process.stdout.close()


def until(page, expression, seconds=60):
    """Waits until an expression holds in a page. Playwright's own wait would have it evaluated by
    the page, whose policy forbids that."""
    ends = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < ends, f"never: {expression}"
        page.wait_for_timeout(40)
