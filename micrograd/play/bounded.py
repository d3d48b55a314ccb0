"""Histories of any length in bounded memory: of all steps those are kept that a stride divides.

When there are too many the stride doubles, and every second one goes. What is kept depends on the
number of steps alone, not on how they came about.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Generic, TypeVar

T = TypeVar("T")


class Bounded(Generic[T]):
    """Things noted at steps, at most `most` of them, evenly spread.

    most: 2 or more. steps: at which something is kept, rising; the first is 0. last: the furthest
    step that was offered.
    """

    def __init__(self, most: int) -> None:
        self.most = max(2, most)
        self.stride = 1
        self.last = -1
        self.steps: list[int] = []
        self.kept: list[T] = []

    def wants(self, step: int) -> bool:
        """Whether something of this step would be kept; steps that were there before are not."""
        return step > self.last and step % self.stride == 0

    def add(self, step: int, thing: T) -> None:
        """Keeps something of a step that `wants`, which is later than all before."""
        self.last = step
        self.steps.append(step)
        self.kept.append(thing)
        while len(self.steps) > self.most:
            self.stride *= 2
            both = [(s, k) for s, k in zip(self.steps, self.kept, strict=True)
                    if s % self.stride == 0]  # fmt: skip
            self.steps, self.kept = [s for s, _ in both], [k for _, k in both]

    def before(self, step: int) -> tuple[int, T]:
        """The latest that is kept of this step or an earlier one."""
        at = bisect_right(self.steps, step) - 1
        return self.steps[at], self.kept[at]
