"""`micrograd bench --scalar`: the scalar engine beside others, in one run, round by round.

Each contender has a process of its own, and is timed only if it computes the same loss and the same
gradients as the first.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import micrograd as mg
from micrograd import core
from micrograd.bench.workers import environment
from micrograd.engine.value import Value

BLOCK_SECONDS = 0.3  # what a contender is timed for in a round
OPS, OP_ROWS = 50_000, 4096
PEER = "karpathy/micrograd"
BARS = (  # slow, fast, how many times as fast
    (PEER, "micrograd.nn", 40),
    ("slots and tuples", "micrograd.nn", 3),
    (PEER, "micrograd, op by op", 10),
    ("slots and tuples", "micrograd, op by op", 1),
    (PEER, "mg.compile, SGD step", 5000),
    ("torch tensors, SGD step", "mg.compile, SGD step", 1.5),
)


class Process:
    """One contender; `outcome` is its loss and gradients, `seconds` what its rounds took a step."""

    worker = "micrograd.bench.scalar.worker"
    block_seconds = BLOCK_SECONDS

    def __init__(self, name: str, argument: str) -> None:
        self.name = name
        self.seconds: list[float] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", self.worker, argument],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(1),
        )
        answer: Any = json.loads(self._line())
        self.error: str | None = answer["error"] if isinstance(answer, dict) else None
        self.outcome = None if self.error else (answer[0], np.array(answer[1]))
        self._count = 1
        if not self.error:
            self._time()  # the first is not like the others
            self._count = max(1, round(self.block_seconds / self._time()))

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.name!r} has ended")
        return line

    def _time(self) -> float:
        assert self._process.stdin is not None
        print(self._count, file=self._process.stdin, flush=True)
        return float(self._line())

    def round(self) -> None:
        """Times some steps."""
        self.seconds.append(self._time())

    def stop(self) -> None:
        """Ends the process."""
        self._process.communicate()


def _apart(one: Process, other: Process) -> float:
    """The largest difference of two outcomes."""
    assert one.outcome is not None and other.outcome is not None
    gradients = np.abs(one.outcome[1] - other.outcome[1]).max()
    return float(max(abs(one.outcome[0] - other.outcome[0]), gradients))


def measure(karpathy: Path | None, rounds: int) -> list[Process]:
    """All contenders, timed A B C A B C; those with an `error` are not.

    Raises:
        ValueError: karpathy/micrograd is not where it was said to be.
    """
    from micrograd.bench.scalar.contenders import CONTENDERS

    names = {name: name for name in CONTENDERS}
    first = {PEER: str(karpathy)} if karpathy else {}
    processes: list[Process] = []
    try:
        for name, argument in (first | names).items():
            processes.append(Process(name, argument))
            process, reference = processes[-1], processes[0]
            if reference.error:
                raise ValueError(reference.error)
            if not process.error and not _apart(process, reference) < 1e-9:
                process.error = f"loss or gradients are not those of {reference.name}"
        for _ in range(rounds):
            for process in processes:
                if not process.error:
                    process.round()
    finally:
        for process in processes:
            process.stop()
    return processes


def ratio(slow: Process, fast: Process) -> float:
    """The median over the rounds of how many times one goes into the other."""
    return median(a / b for a, b in zip(slow.seconds, fast.seconds, strict=True))


def mixed_function(count: int) -> Callable[[Any], Value]:
    """A function of two inputs that is `count` ops long, none of which can be left out.

    A hundred values at a time: each op replaces a random one by a function of it and of a random
    other. Of ten ops three multiply by a parameter, four add or subtract, two are a tanh and one is
    a relu. At the end the hundred are summed up.
    """
    draw = random.Random(0)
    parameters = [Value(draw.uniform(-1, 1)) for _ in range(500)]
    plan = [(draw.randrange(10), draw.randrange(100), draw.randrange(100)) for _ in range(count)]

    def function(x: Any) -> Value:
        values = [x[i % 2] * parameters[i] for i in range(100)]
        for i, (kind, at, other) in enumerate(plan[:-200]):
            a, b = values[at], values[other]
            if kind < 3:
                values[at] = a * parameters[i % len(parameters)]
            elif kind < 7:
                values[at] = a + b if kind < 5 else a - b
            else:
                values[at] = a.tanh() if kind < 9 else a.relu()
        total: Value = values[0]
        for value in values[1:]:
            total = total + value
        return parameters[0] * total

    return function


def throughput(rounds: int) -> tuple[float, int, float]:
    """Seconds to compile OPS ops, how many are left, and ops a second forward and backward.

    In processor time: both are absolute figures of one core, which a neighbour should not halve.
    """
    function = mixed_function(OPS)
    X = np.random.default_rng(0).normal(size=(OP_ROWS, 2))
    started = time.process_time()
    program = mg.compile(function).record(X)
    compile_seconds = time.process_time() - started
    left = int(str(program).split(" ops recorded, ")[1].split()[0])
    seconds = []
    for _ in range(rounds + 1):
        started = time.process_time()
        program.loss(X)
        seconds.append(time.process_time() - started)
    return compile_seconds, left, OPS * OP_ROWS / median(seconds[1:])


def run(karpathy: Path | None, rounds: int) -> list[str]:
    """Measures everything, on one thread; the lines to print.

    karpathy: its wheel or folder; None measures our own engine of that kind in its place.

    Raises:
        ValueError: karpathy/micrograd is not where it was said to be.
    """
    threads = core.threads
    mg.set_num_threads(1)
    try:
        processes = {process.name: process for process in measure(karpathy, rounds)}
        compile_seconds, left, rate = throughput(rounds)
    finally:
        mg.set_num_threads(threads)
    lines = ["MLP(2, [16, 16, 1]), 100 samples, hinge and L2: loss and gradients, one thread"]
    for name, process in processes.items():
        shown = process.error or f"{median(process.seconds) * 1e3:12.4f} ms"
        lines.append(f"  {name:26}{shown}")
    for slow, fast, bar in BARS:
        name = slow if slow in processes else "closures and sets"
        if name in processes and not processes[name].error and not processes[fast].error:
            times = ratio(processes[name], processes[fast])
            lines.append(f"  {fast} is {times:.4g} times as fast as {name} (bar: {bar})")
    if karpathy is None:
        lines.append("  for karpathy/micrograd itself: pip download micrograd, --karpathy WHEEL")
    size = f"{OPS} ops, {left} after simplification, {OP_ROWS} rows, float64"
    lines.append(f"a function of {size}: processor time")
    lines.append(f"  compiled in {compile_seconds:.2f} s (bar: 2 s)")
    lines.append(f"  {rate / 1e6:.0f} million ops a second, forward and backward (bar: 500)")
    return lines
