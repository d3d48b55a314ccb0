"""How the ranks' gradients become one: the sum, the sum in a fixed order, the sum in 16 bits.

All take the sums over a rank's rows that lie in its flat gradient, and leave the sums over all
ranks' rows there. The mean, clipping and the update follow on every rank alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from micrograd.core import Array
from micrograd.distributed.partition import (
    Part,
    even_part,
    leaf_part,
    leaf_range,
    leaf_rows,
    subtrees,
    tree_sum,
)
from micrograd.distributed.wire import Wire

# Sums over some rows of a batch: leaves them in the flat gradient, returns (weight, weighted loss).
Pass = Callable[[Part], tuple[float, float]]


class Reduction(Protocol):
    """A way to add up; one object a model, as it may keep what it could not send."""

    def part(self, rows: int, rank: int, ranks: int) -> Part:
        """The rows of a batch that are a rank's."""

    def step(self, rows: int, part: Part, run: Pass) -> tuple[float, float]:
        """Runs this rank's part of so many rows and adds up; all rows' weight and weighted loss."""


class Sum:
    """MPI's sum, in the dtype of the parameters. Another number of ranks rounds otherwise."""

    def __init__(self, wire: Wire, gradient: Array) -> None:
        self.wire, self.gradient = wire, gradient

    def part(self, rows: int, rank: int, ranks: int) -> Part:
        """As many rows as the others, give or take one."""
        return even_part(rows, rank, ranks)

    def step(self, rows: int, part: Part, run: Pass) -> tuple[float, float]:
        """One all-reduce of the gradient, and one of two numbers."""
        totals = np.zeros(2)
        if len(part):
            totals[:] = run(part)
        else:
            self.gradient[...] = 0  # a small last batch: this rank has none of it
        pending = self.wire.start_sum(totals)  # two numbers, on their way along with the gradient
        self.reduce()
        self.wire.wait(pending, "add up a step's weights and losses")
        return float(totals[0]), float(totals[1])

    def reduce(self) -> None:
        """The gradient becomes the sum of all ranks'."""
        self.wire.sum(self.gradient, "add up a step's gradients")


class BFloat16(Sum):
    """Half the bytes: gradients go as bfloat16, 8 bits of precision, and each rank adds what
    rounding took away to what it sends next (error feedback: Seide et al. 2014; Karimireddy et
    al. 2019).
    """

    def __init__(self, wire: Wire, gradient: Array) -> None:
        super().__init__(wire, gradient)
        self.width = -(-gradient.size // wire.ranks)
        self.lost = np.zeros((wire.ranks, self.width), np.float32)  # of what this rank sends
        self.lost_sum = np.zeros(self.width, np.float32)  # of the sum of this rank's segment

    def reduce(self) -> None:
        """Each rank adds up one segment of all ranks' gradients, and sends it to all."""
        wire = self.wire
        mine = np.zeros((wire.ranks, self.width), np.float32)
        mine.reshape(-1)[: self.gradient.size] = self.gradient
        sent = _rounded(mine, self.lost)
        came = _restored(wire.to_each(sent, "add up a step's gradients"))
        total = came.sum(axis=0, dtype=np.float32)
        segments = wire.all(_rounded(total, self.lost_sum), "share out a step's gradients")
        self.gradient[...] = _restored(segments).reshape(-1)[: self.gradient.size]


class Ordered:
    """The same bits for any number of ranks: leaves of a fixed number of rows, whose gradients are
    added in float64 along a tree that depends on the number of rows alone."""

    def __init__(self, wire: Wire, gradient: Array) -> None:
        self.wire, self.gradient = wire, gradient
        self.width = -(-gradient.size // wire.ranks)

    def part(self, rows: int, rank: int, ranks: int) -> Part:
        """Whole leaves."""
        return leaf_part(rows, rank, ranks)

    def step(self, rows: int, part: Part, run: Pass) -> tuple[float, float]:
        """Leaf by leaf; then each rank adds up one segment of all, and sends it to all."""
        wire = self.wire
        nodes = subtrees(leaf_range(rows, wire.rank, wire.ranks))
        sums = np.zeros((len(nodes), wire.ranks * self.width))
        totals = np.zeros((len(nodes), 2))
        for at, (level, place) in enumerate(nodes):
            leaves = range(place << level, (place + 1) << level)
            sums[at, : self.gradient.size], totals[at] = self._subtree(rows, leaves, run)
        every = [subtrees(leaf_range(rows, rank, wire.ranks)) for rank in range(wire.ranks)]
        counts = np.array([len(each) for each in every])
        order = [node for each in every for node in each]
        all_totals = wire.all_rows(totals, counts, "add up a step's weights and losses")
        weight, loss = tree_sum(order, list(all_totals), np.add)
        self.gradient[...] = self._exchanged(sums, every, order)
        return float(weight), float(loss)

    def _subtree(self, rows: int, leaves: range, run: Pass) -> tuple[Array, Array]:
        """Gradient and totals of the leaves below one node, added up as they come."""
        stack: list[tuple[int, Array, Array]] = []
        for leaf in leaves:
            totals = np.array(run(leaf_rows(rows, leaf)))
            level, gradient = 0, self.gradient.astype(np.float64)
            while stack and stack[-1][0] == level:
                _, left, left_totals = stack.pop()
                gradient, totals, level = left + gradient, left_totals + totals, level + 1
            stack.append((level, gradient, totals))
        _, gradient, totals = stack[0]
        return gradient, totals

    def _exchanged(
        self, sums: Array, every: Sequence[Sequence[tuple[int, int]]], order: list[tuple[int, int]]
    ) -> Array:
        """The sum of all nodes: segment by segment, one a rank."""
        wire, most = self.wire, max(len(each) for each in every)
        sent = np.zeros((wire.ranks, most, self.width))
        sent[:, : len(sums)] = sums.reshape(len(sums), wire.ranks, self.width).swapaxes(0, 1)
        came = wire.to_each(sent, "add up a step's gradients")
        values = [came[rank, at] for rank, each in enumerate(every) for at in range(len(each))]
        mine = np.ascontiguousarray(tree_sum(order, values, np.add))
        segments = wire.all(mine, "share out a step's gradients")
        return segments.reshape(-1)[: self.gradient.size]


REDUCTIONS: dict[str, Callable[[Wire, Array], Reduction]] = {
    "sum": Sum,
    "ordered": Ordered,
    "bfloat16": BFloat16,
}


def _rounded(x: Array, lost: Array) -> Array:
    """x + lost as bfloat16 bits, rounded to even; `lost` keeps what that takes away."""
    x = x + lost
    bits = x.view(np.uint32)
    halves = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    halves = np.where(np.isfinite(x), halves, (bits >> 16).astype(np.uint16) | 0x40 * np.isnan(x))
    lost[...] = np.where(np.isfinite(x), x - _restored(halves), 0)
    return halves.astype(np.uint16)


def _restored(halves: Array) -> Array:
    return (halves.astype(np.uint32) << 16).view(np.float32)
