"""The subcommands of `micrograd`, one module each, and what they share.

Their functions import what they need, so that `--help` loads no numpy.
"""

from __future__ import annotations

import time
from collections.abc import Iterable


class UsageError(Exception):
    """The command line was not understood."""


def suggestion(text: str, known: Iterable[str]) -> str:
    """What a mistyped text may have meant, as a question to append to an error."""
    from difflib import get_close_matches

    close = get_close_matches(text, list(known), n=1)
    return f", did you mean {close[0]}?" if close else ""


def said(error: BaseException) -> str:
    """What an error says, in one line; a file comes before what is wrong with it."""
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    return " ".join(text.split())


class Clock:
    """Where the time went: one lap after the other, without a gap."""

    def __init__(self, start: float) -> None:
        self.last = start
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Gives the time since the last lap to this one."""
        now = time.perf_counter()
        self.laps[name] = now - self.last
        self.last = now

    def table(self) -> str:
        """The laps in seconds and shares, and their total."""
        total = sum(self.laps.values())
        rows = [*self.laps.items(), ("total", total)]
        return "\n".join(f"  {name:18}{t:8.3f} s {t / total:6.0%}" for name, t in rows)
