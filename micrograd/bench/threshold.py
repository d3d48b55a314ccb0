"""From which size on a second thread pays: `micrograd bench --threads-threshold`.

PARALLEL_MULTIPLICATIONS in csrc/plan/steps.c is the figure that this measures. It lies between two:
where one call follows another, the other threads are awake and a parallel region costs next to
nothing; after a pause they sleep, and waking them takes tens of microseconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from micrograd import core
from micrograd.bench.report import duration, text_table, times
from micrograd.core import ffi, lib

WIDTH = 128  # inputs and outputs of the layer
ROWS = (4, 8, 16, 32, 64, 96, 128, 192, 256, 512, 1024)
GAIN = 1.1  # below this the processors are of more use elsewhere
BLOCK_SECONDS = 1e-3
PAUSE_SECONDS = 1e-3  # longer than waiting threads spin before they sleep
PAUSES = 15


@dataclass(frozen=True)
class Size:
    """Seconds of one batch through one layer of WIDTH x WIDTH, with one thread and with more."""

    rows: int
    alone: float  # call after call
    together: float
    rested_alone: float  # after a pause
    rested_together: float

    @property
    def multiplications(self) -> int:
        """Multiply-adds of the product."""
        return self.rows * WIDTH * WIDTH

    @property
    def gain(self) -> float:
        """How many times faster more threads are, call after call."""
        return self.alone / self.together

    @property
    def rested_gain(self) -> float:
        """The same after a pause."""
        return self.rested_alone / self.rested_together


def measure(threads: int, dtype: str, rounds: int) -> list[Size]:
    """The forward product of a layer for growing batches, each in a parallel region of its own.

    The best of all rounds counts, one thread and more in turn: a neighbour who takes a processor
    away for a moment makes the other thread look useless.
    """
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(WIDTH, WIDTH)).astype(dtype)
    before = core.get_num_threads()
    core.set_num_threads(threads)
    try:
        out = []
        for rows in ROWS:
            x = rng.normal(size=(rows, WIDTH)).astype(dtype)
            calls = [_product(x, weight, n) for n in (1, threads)]
            found = [
                [time_it(call) for time_it in (_seconds, _rested_seconds) for call in calls]
                for _ in range(rounds)
            ]
            out.append(Size(rows, *map(min, zip(*found, strict=True))))
        return out
    finally:
        core.set_num_threads(before)


def _product(x: core.Array, weight: core.Array, threads: int) -> Callable[[], Any]:
    """X (rows, WIDTH) @ W.T on so many threads."""
    arguments = (
        core.ISA_CODE,
        core.DTYPES[x.dtype.name],
        *(len(x), WIDTH, WIDTH),
        1.0,
        *(ffi.from_buffer(x), WIDTH, 1),
        *(ffi.from_buffer(weight), 1, WIDTH),
        *(0, ffi.from_buffer(np.empty_like(x)), WIDTH, threads),
    )
    return lambda: lib.mg_matmul(*arguments)


def _seconds(call: Callable[[], Any]) -> float:
    """Seconds of a call among others."""
    call()
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < BLOCK_SECONDS:
        call()
        count += 1
    return elapsed / max(count, 1)


def _rested_seconds(call: Callable[[], Any]) -> float:
    """Seconds of a call after a pause."""
    found = []
    for _ in range(PAUSES):
        time.sleep(PAUSE_SECONDS)
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return median(found)


def _pays_from(sizes: list[Size], gain: Callable[[Size], float]) -> str:
    """Where it is worth while for good."""
    pays = None
    for size in reversed(sizes):
        if gain(size) < GAIN:
            break
        pays = size.multiplications
    return f"from {pays:,} multiply-adds on" if pays else "nowhere in this table"


def lines(sizes: list[Size], threads: int) -> list[str]:
    """A table, and where more threads are worth while for good."""
    many = f"{threads} threads"
    cells = [["multiply-adds", "1 thread", many, "gain", "paused: 1 thread", many, "gain"]]
    for s in sizes:
        together = [duration(s.alone), duration(s.together), times(s.gain)]
        rested = [duration(s.rested_alone), duration(s.rested_together), times(s.rested_gain)]
        cells.append([f"{s.multiplications:,}", *together, *rested])
    return [
        *text_table(cells),
        f"{many} are {GAIN}× faster or more {_pays_from(sizes, lambda s: s.gain)}; "
        f"after a pause, {_pays_from(sizes, lambda s: s.rested_gain)}",
    ]
