"""Rows that lie with the ranks: batches of them, and folders of files shared out over ranks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from micrograd import checks
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
        for step in range(self.steps):
            first, last = (self.rows * i // self.steps for i in (step, step + 1))
            index = np.sort(order[first:last])  # the batch is a set: files are read in their order
            yield tuple(a[index] for a in self.arrays if a is not None)
