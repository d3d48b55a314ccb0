"""Contenders side by side, each in a process of its own with one thread: what `--predict` and
`--many` share. `python -m micrograd.bench.beside MODULE TEXT` is such a process.

A module's `make(text)` gives an object with `outcome()`, a list of numbers that all of them have to
share, and `step()`, which is timed; both are called in that process.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from micrograd.bench.report import band, duration, times
from micrograd.bench.scalar.report import Process


class Beside(Process):
    """A contender of `make` in `module`."""

    worker = "micrograd.bench.beside"
    block_seconds = 0.05

    def __init__(self, module: str, name: str, text: str) -> None:
        super().__init__(name, f"{module} {text}")


def measure(
    module: str, kinds: Sequence[str], problem: str, rounds: int, tolerance: float
) -> list[Beside]:
    """All kinds of contender on a problem, timed A B C A B C; those with an `error` are not.

    tolerance: how far an outcome may be from the first kind's, absolute and relative.
    """
    found: list[Beside] = []
    try:
        for kind in kinds:
            found.append(Beside(module, kind, f"{problem}/{kind}"))
            ours, process = found[0].outcome, found[-1]
            if process.outcome is None or ours is None:
                continue
            theirs = process.outcome[1]
            same = theirs.shape == ours[1].shape
            if not (same and np.allclose(theirs, ours[1], rtol=tolerance, atol=tolerance)):
                process.error = f"its numbers are not those of {kinds[0]}"
        for _ in range(rounds):
            for process in found:
                if not process.error:
                    process.round()
    finally:
        for process in found:
            process.stop()
    return found


def ratios(slow: Process, fast: Process) -> list[float]:
    """How many times one goes into the other, round by round."""
    return [a / b for a, b in zip(slow.seconds, fast.seconds, strict=True)]


def lines(found: Sequence[Beside], divide: float = 1.0) -> Iterator[str]:
    """A line for each: its time, and how many times the first one's it is.

    divide: how many of what is told of there are in a step.
    """
    for process in found:
        if process.error:
            yield f"  {process.name:28} left out: {process.error}"
            continue
        line = f"  {process.name:28} {band([s / divide for s in process.seconds], duration)}"
        if process is not found[0] and not found[0].error:
            line += f", {band(ratios(process, found[0]), times)} of {found[0].name}"
        yield line


def main(text: str) -> None:
    """Serves until the other end closes the pipe: see micrograd.bench.scalar.worker."""
    module, _, problem = text.partition(" ")
    try:
        contender: Any = import_module(module).make(problem)
        print(json.dumps([0.0, [float(value) for value in contender.outcome()]]), flush=True)
    except ImportError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    for line in sys.stdin:
        count = int(line)
        started = time.perf_counter()
        for _ in range(count):
            contender.step()
        print((time.perf_counter() - started) / count, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
