"""Rows that lie with the ranks, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np

from micrograd import checks
from micrograd.data.source import random_access
from micrograd.distributed.wire import Wire


class Shuffled:
    """Batches of a rank's own rows, of each batch as large a share as it has of all rows.

    All ranks make as many steps, as a batch needs every rank; the rows of each are drawn anew each
    epoch, from the seed, the rank and the number of the epoch.
    """

    def __init__(
        self, wire: Wire, arrays: tuple[Any, Any, Any], batch_size: Any, seed: int, shuffle: bool
    ) -> None:
        size = checks.count("DataParallel.fit", "batch_size", batch_size)
        self.arrays, self.seed, self.shuffle = arrays, (seed, wire.rank), shuffle
        self.rows = len(arrays[0])
        if len(arrays[1]) != self.rows:
            raise ValueError(
                f"DataParallel.fit: X of rank {wire.rank} has {self.rows} rows, y {len(arrays[1])}"
            )
        every = wire.all(np.array([self.rows], np.int64))[:, 0]
        self.steps = -(-int(every.sum()) // size)
        if int(every.min()) < self.steps:
            raise ValueError(
                f"DataParallel.fit: rank {int(every.argmin())} has {int(every.min())} rows for "
                f"{self.steps} batches; give it more, or take a larger batch_size"
            )

    def __call__(self, epoch: int) -> Iterator[tuple[Any, ...]]:
        """One epoch."""
        order = np.arange(self.rows)
        if self.shuffle:
            order = np.random.default_rng([*self.seed, epoch]).permutation(self.rows)
        given = [a for a in self.arrays if a is not None]
        files = [part for a in given for part in getattr(a, "arrays", [a])]
        with random_access(files) if self.shuffle else nullcontext():
            for step in range(self.steps):
                first, last = (self.rows * i // self.steps for i in (step, step + 1))
                index = np.sort(order[first:last])  # a batch is a set: files are read in order
                yield tuple(a[index] for a in given)
