"""How fit shows where it is: a bar or a line that changes on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from typing import Any

from micrograd.training.history import History

REFRESH = 0.05  # seconds between two changes of a line on a terminal


class Progress:
    """Shows the epochs on standard error.

    wanted: True, False, or None for a terminal only. On a terminal tqdm draws a bar, where it is
    installed; elsewhere every epoch is a line.
    """

    def __init__(self, wanted: bool | None, epochs: int) -> None:
        self.terminal = sys.stderr.isatty()
        self.on = self.terminal if wanted is None else bool(wanted)
        self.epochs = epochs
        self._bar: Any = None
        self._shown = 0.0
        self._unfinished = False  # the cursor stands behind a line

    @property
    def each(self) -> bool:
        """Whether it shows every epoch; a terminal is shown some of those that go by fast."""
        return self.on and not self.terminal

    def show(self, history: History) -> None:
        """Shows the last epoch of the history."""
        if not self.on:
            return
        if not self.terminal:
            print(history.line(self.epochs), file=sys.stderr, flush=True)
        elif find_spec("tqdm") is not None:
            self._show_bar(history)
        elif len(history.loss) == self.epochs or time.perf_counter() - self._shown > REFRESH:
            self._shown, self._unfinished = time.perf_counter(), True
            print("\r\x1b[K" + history.line(self.epochs), end="", file=sys.stderr, flush=True)

    def _show_bar(self, history: History) -> None:
        done = len(history.loss)
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=self.epochs, initial=done - 1, unit="epoch", dynamic_ncols=True)
        shown = {name: f"{value:.4f}" for name, value in history.last().items()}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Leaves the cursor at the start of a line."""
        if self._bar is not None:
            self._bar.close()
        elif self._unfinished:
            print(file=sys.stderr, flush=True)
