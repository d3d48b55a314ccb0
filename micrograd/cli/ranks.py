"""`--distributed`: the ranks of an MPI job, of which one speaks, and which end together."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

import numpy as np

from micrograd.cli.command import said

AGREEMENT = 2.0  # seconds that a rank which fails waits for the others to fail too
SAVING = 30.0  # the same after Ctrl-C, when rank 0 may still be writing the model
SHORT = 0.01  # seconds between two looks

FAILED, INTERRUPTED = 1, 2


class Ranks:
    """A context in which a command runs on all ranks.

    An error that comes on all of them is raised by rank 0 alone, the others end without a word. One
    that comes on some, while the others work or wait, is printed and ends the whole job at once.
    """

    def __init__(self) -> None:
        from micrograd.distributed.wire import world

        self.comm = world()
        self.rank, self.ranks = int(self.comm.Get_rank()), int(self.comm.Get_size())
        self._aside = self.comm.Dup()  # what ranks agree on here meets no sum of a training step

    @property
    def first(self) -> bool:
        """Whether this is the rank that speaks and writes."""
        return self.rank == 0

    def __enter__(self) -> Ranks:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None or self.ranks == 1:
            return
        how = INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED
        if self._all_fail(how, SAVING if how == INTERRUPTED else AGREEMENT):
            if self.first:
                return
            raise SystemExit(130 if how == INTERRUPTED else 1) from None
        from micrograd.distributed.wire import end_all

        what = "interrupted" if how == INTERRUPTED else f"error: {said(error)}"
        message = f"micrograd: rank {self.rank} of {self.ranks}: {what}; the job ends"
        print(message, file=sys.stderr, flush=True)
        end_all(self.comm)

    def _all_fail(self, how: int, seconds: float) -> bool:
        """Whether all ranks come here in the same way within so many seconds."""
        mine, every = np.array([how], np.int64), np.empty(self.ranks, np.int64)
        request: Any = self._aside.Iallgather(mine, every)
        end = time.monotonic() + seconds
        while not request.Test():
            if time.monotonic() > end:
                return False
            time.sleep(SHORT)
        return bool((every == how).all())
