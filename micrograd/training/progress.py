"""How fit shows where it is: a bar or a line that changes on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from micrograd.training.history import History, in_short

REFRESH = 0.05  # seconds between two changes of a line on a terminal


class Progress:
    """Shows the epochs on standard error.

    wanted: True, False, or None for a terminal only; names: of what it shows of a history. On a
    terminal tqdm draws a bar, where it is installed; elsewhere every epoch is a line.
    """

    def __init__(self, wanted: bool | None, epochs: int, names: Sequence[str]) -> None:
        self.terminal = sys.stderr.isatty()
        self.on = self.terminal if wanted is None else bool(wanted)
        self.epochs, self.names = epochs, names
        self._bar: Any = None
        self._shown = 0.0
        self._history: History | None = None  # of which the cursor stands behind a line
        self._standing = 0  # the epoch of that line

    @property
    def each(self) -> bool:
        """Whether it shows every epoch; a terminal is shown some of those that go by fast."""
        return self.on and not self.terminal

    def show(self, history: History) -> None:
        """Shows the last epoch of the history."""
        if not self.on:
            return
        if not self.terminal:
            print(history.line(self.epochs, self.names), file=sys.stderr, flush=True)
        elif find_spec("tqdm") is not None:
            self._show_bar(history)
        else:
            self._history = history
            if time.perf_counter() - self._shown > REFRESH:
                self._show_line(history)

    def _show_line(self, history: History) -> None:
        """The last epoch, unless its line stands there."""
        if len(history.loss) != self._standing:
            self._shown, self._standing = time.perf_counter(), len(history.loss)
            print(
                "\r\x1b[K" + history.line(self.epochs, self.names),
                end="",
                file=sys.stderr,
                flush=True,
            )

    def _show_bar(self, history: History) -> None:
        done = len(history.loss)
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=self.epochs, initial=done - 1, unit="epoch", dynamic_ncols=True)
        shown = {name: in_short(value) for name, value in history.last(self.names).items()}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Shows the last epoch, and leaves the cursor at the start of a line."""
        if self._bar is not None:
            self._bar.close()
        elif self._history is not None:
            self._show_line(self._history)
            print(file=sys.stderr, flush=True)
