"""The process of one contender: `python -m micrograd.bench.worker NAME THREADS`.

It answers requests that come in over standard input, (method, arguments), one at a time:
("ok", value) or ("error", one line). See `micrograd.bench.workers` for the other end.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from importlib import import_module
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

from micrograd import core
from micrograd.bench import machine
from micrograd.bench.check import Outcome, first_step
from micrograd.bench.contenders import Contender, Micrograd, find
from micrograd.bench.workloads import Workload, make

SLICE_SECONDS = 0.05  # what a contender is timed for in a round
BLOCKS = 9  # of which the median counts
QUIET_SECONDS = 0.25  # how long to wait at most until a library's threads stop spinning


def wait_until_quiet() -> None:
    """Returns when this process no longer burns processor time.

    OpenMP's and OpenBLAS's threads spin for a while after their work is done: they would take the
    processor from the next contender.
    """
    deadline = time.perf_counter() + QUIET_SECONDS
    while time.perf_counter() < deadline:
        before = time.process_time()
        time.sleep(0.002)
        if time.process_time() - before < 0.0005:
            return


class Refusal(Exception):
    """A contender does not try this workload."""


class Server:
    """What a worker can be asked for; each public method is a request."""

    def __init__(self, name: str, threads: int) -> None:
        self.kind = find(name)
        self.threads = threads
        self.contender: Contender
        self.steps = 1

    def version(self) -> tuple[str, str]:
        """The contender's module and its version; loads it."""
        return self.kind.module, str(import_module(self.kind.module).__version__)

    def setup(self, workload: Workload, dtype: str, quick: bool) -> Outcome:
        """Makes the model, runs one step, and finds how many steps a block takes."""
        refusal = self.kind.refuses(workload)
        if refusal:
            raise Refusal(refusal)
        self.problem = make(workload, dtype)
        self.contender = self.kind(self.problem, self.threads)
        outcome = first_step(self.contender)
        self.slice_seconds = SLICE_SECONDS / 10 if quick else SLICE_SECONDS
        self.steps = self._steps_of_a_block()
        wait_until_quiet()
        return outcome

    def _block(self, steps: int) -> float:
        step = self.contender.step
        start = time.perf_counter()
        for _ in range(steps):
            step()
        return time.perf_counter() - start

    def _steps_of_a_block(self) -> int:
        steps, target = 1, self.slice_seconds / BLOCKS
        while (elapsed := self._block(steps)) < target / 2:
            steps *= 2
        return max(1, round(steps * target / elapsed))

    def time(self) -> tuple[float, float]:
        """Seconds a step takes (the median of some blocks) and how many processors it kept busy.

        Starts from the first weights again, and runs a block that does not count.
        """
        self.contender.load(self.problem.weights)
        warm = self._block(self.steps)
        blocks = max(1, min(BLOCKS, round(self.slice_seconds / max(warm, 1e-9))))
        cpu, start = time.process_time(), time.perf_counter()
        seconds = [self._block(self.steps) / self.steps for _ in range(blocks)]
        cores = (time.process_time() - cpu) / (time.perf_counter() - start)
        wait_until_quiet()
        return median(seconds), cores

    def passes(self) -> tuple[float, float]:
        """Seconds of a forward pass with the loss and of a backward pass, in turn; only ours."""
        assert isinstance(self.contender, Micrograd)
        found: list[tuple[float, float]] = []
        deadline = time.perf_counter() + self.slice_seconds
        while len(found) < BLOCKS or time.perf_counter() < deadline:
            self.contender.net.zero_grad()  # the backward pass overwrites, as in a step
            found.append(self.contender.passes())
        wait_until_quiet()
        forward, backward = zip(*found, strict=True)
        return median(forward), median(backward)

    def peak(self, dtype: str) -> float | None:
        """GFLOP/s of multiply-adds in registers, by all threads at once."""
        rate = machine.fma_peak(dtype, self.threads)
        wait_until_quiet()
        return rate

    def bandwidth(self) -> float | None:
        """GB/s of the STREAM triad."""
        rate = machine.triad(self.threads)
        wait_until_quiet()
        return rate

    def isa(self) -> str:
        """The instruction set of our kernels in this process."""
        return core.isa()

    def overhead(self) -> dict[str, float]:
        """Seconds of each call of a step on a 1-1 network, batch 1."""
        return machine.step_overhead()


def one_line(error: BaseException) -> str:
    """An exception as one line of text."""
    text = " ".join(str(error).split())
    if isinstance(error, Refusal):
        return text
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


def answer(server: Server, method: str, arguments: tuple[Any, ...]) -> tuple[str, Any]:
    """The reply to one request."""
    try:
        return "ok", getattr(server, method)(*arguments)
    except Exception as error:
        return "error", one_line(error)


def main(name: str, threads: str) -> None:
    """Serves until the other end closes the pipe."""
    requests, replies = Connection(os.dup(0)), Connection(os.dup(1))
    os.dup2(2, 1)  # what libraries print goes to standard error, not between the replies
    warnings.simplefilter("ignore")
    try:
        server = Server(name, int(threads))
        replies.send(("ok", server.version()))
    except Exception as error:
        replies.send(("error", one_line(error)))
        return
    while True:
        try:
            method, arguments = requests.recv()
        except EOFError:
            return
        replies.send(answer(server, method, arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
