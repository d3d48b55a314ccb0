"""Which rows of a batch are a rank's, and the tree in which their gradients are added up.

A batch is cut into leaves of LEAF rows, whatever the number of ranks; each rank has a contiguous
run of leaves. Adding the leaves' gradients along one binary tree, whose shape depends on the number
of leaves alone, gives the same bits for any number of ranks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

LEAF = 32  # rows: matrix products of fewer rows are much slower a row

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """Rows [first, last) of a batch."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first


def even_part(rows: int, rank: int, ranks: int) -> Part:
    """The rows of a rank where all have as many, give or take one."""
    return Part(rows * rank // ranks, rows * (rank + 1) // ranks)


def leaf_count(rows: int) -> int:
    """Leaves of a batch; the last one may be smaller."""
    return -(-rows // LEAF)


def leaf_range(rows: int, rank: int, ranks: int) -> range:
    """The leaves of a rank."""
    leaves = leaf_count(rows)
    return range(leaves * rank // ranks, leaves * (rank + 1) // ranks)


def leaf_rows(rows: int, leaf: int) -> Part:
    """The rows of a leaf."""
    return Part(leaf * LEAF, min(rows, (leaf + 1) * LEAF))


def leaf_part(rows: int, rank: int, ranks: int) -> Part:
    """The rows of a rank's leaves."""
    leaves = leaf_range(rows, rank, ranks)
    return Part(min(rows, leaves.start * LEAF), min(rows, leaves.stop * LEAF))


def subtrees(leaves: range) -> list[tuple[int, int]]:
    """The largest nodes (level, place) of the tree that hold these leaves and no others, in order.

    Node (k, p) holds the leaves [p 2^k, (p + 1) 2^k) that there are.
    """
    nodes = []
    first = leaves.start
    while first < leaves.stop:
        level = 0
        while first % 2 ** (level + 1) == 0 and first + 2 ** (level + 1) <= leaves.stop:
            level += 1
        nodes.append((level, first >> level))
        first += 2**level
    return nodes


def tree_sum(nodes: list[tuple[int, int]], values: list[T], add: Callable[[T, T], T]) -> T:
    """The sum along the tree of all nodes' values, which hold all leaves between them, in order.

    Two halves are added where both are there; what is alone goes up as it is.
    """
    level = 0
    while len(values) > 1:
        kept_nodes: list[tuple[int, int]] = []
        kept: list[T] = []
        for (height, place), value in zip(nodes, values, strict=True):
            if height > level:
                kept_nodes.append((height, place))
                kept.append(value)
            elif kept_nodes and kept_nodes[-1] == (level + 1, place >> 1) and place % 2:
                kept[-1] = add(kept[-1], value)
            else:
                kept_nodes.append((level + 1, place >> 1))
                kept.append(value)
        nodes, values, level = kept_nodes, kept, level + 1
    return values[0]
