"""From which size on a second thread pays: `micrograd bench --threads-threshold`.

PARALLEL_MULTIPLICATIONS in csrc/steps.c is the figure that this measures: a parallel region has to
be opened and closed, and the other threads have to wake up, before they bring anything.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from micrograd import core
from micrograd.bench.report import duration, text_table, times
from micrograd.core import ffi, lib

WIDTH = 128  # inputs and outputs of the layer
ROWS = (4, 8, 16, 32, 64, 96, 128, 192, 256, 512, 1024)
GAIN = 1.1  # below this the processors are of more use elsewhere
BLOCK_SECONDS = 1e-3


@dataclass(frozen=True)
class Size:
    """One batch through one layer of WIDTH x WIDTH: seconds with one thread and with more."""

    rows: int
    alone: float
    together: float

    @property
    def multiplications(self) -> int:
        """Multiply-adds of the product."""
        return self.rows * WIDTH * WIDTH

    @property
    def gain(self) -> float:
        """How many times faster more threads are."""
        return self.alone / self.together


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
            best = {1: np.inf, threads: np.inf}
            for _ in range(rounds):
                for n in best:
                    best[n] = min(best[n], _seconds(x, weight, n))
            out.append(Size(rows, best[1], best[threads]))
        return out
    finally:
        core.set_num_threads(before)


def _seconds(x: core.Array, weight: core.Array, threads: int) -> float:
    """Seconds of X (rows, WIDTH) @ W.T on so many threads."""
    rows = len(x)
    z = np.empty_like(x)
    arguments = (
        core.ISA_CODE,
        core.DTYPES[x.dtype.name],
        *(rows, WIDTH, WIDTH),
        1.0,
        *(ffi.from_buffer(x), WIDTH, 1),
        *(ffi.from_buffer(weight), 1, WIDTH),
        *(0, ffi.from_buffer(z), WIDTH, threads),
    )
    lib.mg_matmul(*arguments)
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < BLOCK_SECONDS:
        lib.mg_matmul(*arguments)
        count += 1
    return elapsed / max(count, 1)


def lines(sizes: list[Size], threads: int) -> list[str]:
    """A table, and where it is worth while for good."""
    cells = [["multiply-adds", "1 thread", f"{threads} threads", "gain"]]
    for size in sizes:
        cells.append(
            [
                f"{size.multiplications:,}",
                duration(size.alone),
                duration(size.together),
                times(size.gain),
            ]
        )
    pays = None
    for size in reversed(sizes):
        if size.gain < GAIN:
            break
        pays = size.multiplications
    verdict = f"from {pays:,} multiply-adds on" if pays else "nowhere in this table"
    return [*text_table(cells), f"{threads} threads are {GAIN}× faster or more {verdict}"]
