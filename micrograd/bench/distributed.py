"""Several ranks beside one rank, PyTorch's DDP (gloo) and the simulator, in one MPI job:

    mpiexec -n 2 python -m micrograd.bench.distributed [--workloads LAYERS/BATCH,...]

With --plot FILE.png, how far the last workload would scale by the figures of these ranks, with what
was measured beside it.

Every rank has one thread. The result is checked before anything is timed; rounds of all
contenders alternate, and the best of each counts, as the machine may be busy.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import pairwise
from math import ceil
from time import perf_counter, sleep
from typing import Any

import numpy as np

import micrograd as mg
from micrograd import checks, core
from micrograd.bench.workloads import LEARNING_RATE, WORKLOADS, Problem, Workload, flat, make, parse
from micrograd.distributed.simulate import (
    DEFAULT_RANKS,
    Prediction,
    all_reduce_seconds,
    simulate,
)
from micrograd.distributed.wire import Wire
from micrograd.optim.constraints import Constraints

Step = Callable[[], Any]
WHERE = "micrograd.bench.distributed"
SECONDS = 0.25  # of steps in a round
ROUNDS = 7
CHECKED_STEPS = 3
FAST = 1e11  # bytes a second, where a message takes no longer than one of a byte
SHORT_MESSAGE = 2048  # bytes up to which MPICH doubles; beyond, it scatters and gathers, as a ring


@dataclass(frozen=True)
class Line:
    """What was found of a workload, seconds a step: of all ranks, of one rank that does the whole
    batch, of DataParallel with one rank, of DDP (None without torch), and as predicted; how far
    it scales by the same figures."""

    workload: Workload
    ours: float
    one: float
    wrapped: float
    ddp: float | None
    predicted: float
    scaling: Prediction


def ours(
    problem: Problem, comm: Any, whole_way: bool = False
) -> tuple[Step, Callable[[], Any], Any]:
    """A step of DataParallel on this communicator, of a plain Network where it is None; a function
    that returns the weights; and the network. whole_way: as if one rank had others to ask."""
    layers: list[Any] = []
    for m, n in pairwise(problem.workload.sizes):
        layers += [mg.Linear(m, n), mg.ReLU()]
    net = mg.Network(*layers[:-1], dtype=problem.dtype, seed=0)
    for parameter, array in zip(net.parameters(), flat(problem.weights), strict=True):
        parameter.data[...] = array
    model: Any = net if comm is None else mg.distributed.DataParallel(net, comm)
    optimizer = mg.optim.SGD(net.parameters(), lr=LEARNING_RATE)
    constraints = Constraints(net.parameters())
    step = model.train_step
    if whole_way:
        step = partial(mg.distributed.DataParallel.train_step, model)
    data = net.checked_batch(WHERE, problem.X, problem.labels)
    index = np.arange(problem.workload.batch, dtype=np.int64)
    return (
        lambda: step(data, index, optimizer, constraints),
        lambda: [p.data.copy() for p in net.parameters()],
        net,
    )


def ddp(problem: Problem, rank: int, ranks: int) -> tuple[Step, Callable[[], Any]]:
    """The same of PyTorch's DistributedDataParallel, whose process group has been made."""
    torch = checks.require(WHERE, "torch", "torch", "bench")
    nn = torch.nn
    torch.set_num_threads(1)
    layers: list[Any] = []
    for m, n in pairwise(problem.workload.sizes):
        layers += [nn.Linear(m, n), nn.ReLU()]
    inner = nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for p, array in zip(inner.parameters(), flat(problem.weights), strict=True):
            p.copy_(torch.from_numpy(array))
    model = nn.parallel.DistributedDataParallel(inner)
    own = slice(len(problem.X) * rank // ranks, len(problem.X) * (rank + 1) // ranks)
    X, y = torch.from_numpy(problem.X[own]), torch.from_numpy(problem.labels[own])
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(X), y).backward()
        optimizer.step()

    return step, lambda: [p.detach().numpy().copy() for p in inner.parameters()]


def timed(step: Step, count: int) -> float:
    """Seconds a step, of so many."""
    started = perf_counter()
    for _ in range(count):
        step()
    return (perf_counter() - started) / count


class Job:
    """All ranks of a benchmark."""

    def __init__(self, comm: Any) -> None:
        self.comm, self.rank, self.ranks = comm, int(comm.Get_rank()), int(comm.Get_size())
        self.own = comm.Split(self.rank)  # this rank alone
        every = comm.allgather((socket.gethostname(), core.processors()))
        self.cores = len({(host, p) for host, processors in every for p in processors})

    def best(self, steps: dict[str, Step], rounds: int) -> dict[str, float]:
        """The best seconds a step of each contender; those named "one..." run on rank 0 alone,
        while the others sleep."""
        counts = {}
        for name, step in steps.items():
            seconds = self._round(name, step, 3)
            counts[name] = max(3, min(20000, int(SECONDS / max(seconds, 1e-9))))
        found = {name: np.inf for name in steps}
        for _ in range(rounds):
            for name, step in steps.items():
                found[name] = min(found[name], self._round(name, step, counts[name]))
        return found

    def _round(self, name: str, step: Step, count: int) -> float:
        self.comm.Barrier()
        seconds = 0.0
        if self.rank == 0 or not name.startswith("one"):
            seconds = timed(step, count)
        request = self.comm.Ibcast(given := np.array([seconds]), root=0)
        while not request.Test():
            sleep(1e-4)
        return float(given[0])

    def software(self, latency: float, rounds: int = 5, count: int = 200) -> float:
        """The best seconds of what a step of DataParallel exchanges when the gradient is one
        number, over what its messages take: starting all-reduces and seeing that they are done."""
        if self.ranks == 1:
            return 0.0
        wire = Wire(self.comm, 60.0)
        wire.crowded = self.ranks > self.cores
        x, totals, best = np.ones(1, np.float32), np.zeros(2), np.inf
        for _ in range(rounds):
            self.comm.Barrier()
            started = perf_counter()
            for _ in range(count):
                pending = wire.start_sum(totals)
                wire.sum(x)
                wire.wait(pending, "add up numbers")
            best = min(best, (perf_counter() - started) / count)
        messages = all_reduce_seconds(4, self.ranks, latency, FAST, "recursive_doubling")
        return max(0.0, best - messages)

    def exchange(self, n_bytes: int, rounds: int = 5, count: int = 10) -> float:
        """The best seconds in which two neighbours send each other so many bytes, of so many times
        one after the other."""
        if self.ranks == 1:
            return 0.0
        x, y = np.ones(max(1, n_bytes), np.uint8), np.empty(max(1, n_bytes), np.uint8)
        right, left = (self.rank + 1) % self.ranks, (self.rank - 1) % self.ranks
        best = np.inf
        for _ in range(rounds):
            self.comm.Barrier()
            started = perf_counter()
            for _ in range(count):
                self.comm.Sendrecv(x, right, 0, y, left, 0)
            best = min(best, (perf_counter() - started) / count)
        return best


def measure(workload: Workload, job: Job, rounds: int, with_torch: bool) -> Line:
    """Checks, times and predicts one workload."""
    problem = make(workload)
    part = -(-workload.batch // job.ranks)
    steps: dict[str, Step] = {}
    steps["ours"], weights, net = ours(problem, job.comm)
    steps["one"], plain_weights, _ = ours(problem, None)
    steps["one, wrapped"], _, _ = ours(problem, job.own)
    less = Workload(workload.sizes, part)
    small = Problem(less, problem.dtype, problem.X[:part], problem.labels[:part],
                    problem.weights)  # fmt: skip
    steps["part"], _, _ = ours(small, None)  # a rank's own part, on all ranks at once
    steps["part, wrapped"], _, _ = ours(small, job.own, whole_way=True)
    given = [weights]
    if with_torch:
        steps["ddp"], torch_weights = ddp(problem, job.rank, job.ranks)
        given.append(torch_weights)
    for _ in range(CHECKED_STEPS):
        for step in steps.values():
            step()
    for other in given:
        for a, b in zip(plain_weights(), other(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    found = job.best(steps, rounds)
    n_bytes = 4 * workload.parameters
    short = n_bytes <= SHORT_MESSAGE
    message = n_bytes if short else ceil(n_bytes / job.ranks)  # over TCP half as much takes no half
    latency, whole = job.exchange(1), job.exchange(message)
    if job.ranks == 1:
        latency, whole = 0.0, message / FAST
    turns = max(1.0, job.ranks / job.cores)  # all ranks were at it when a part was timed
    scaling = simulate(
        net, ranks=sorted({job.ranks, *DEFAULT_RANKS}), batch=workload.batch,
        seconds_per_row=found["part"] / part / turns,
        seconds_per_step=max(0.0, found["part, wrapped"] - found["part"]) / turns,
        seconds_per_exchange=job.software(latency) / turns, cores=job.cores, latency=latency,
        bandwidth=message / max(whole - latency, message / FAST), overlap=False,
        algorithm="recursive_doubling" if short else "ring",
    )  # fmt: skip
    predicted = next(row.step for row in scaling if row.ranks == job.ranks)
    return Line(workload, found["ours"], found["one"], found["one, wrapped"], found.get("ddp"),
                predicted, scaling)  # fmt: skip


def table(lines: Sequence[Line], ranks: int) -> str:
    """The figures, in milliseconds and ratios."""
    head = ("network, batch", f"{ranks} ranks ms", "one rank ms", "speedup", "DDP ms", "DDP/ours",
            "predicted ms", "off by", "wrapper")  # fmt: skip
    rows = [head]
    for line in lines:
        torch = ("-", "-") if line.ddp is None else (
            f"{1e3 * line.ddp:.3f}", f"{line.ddp / line.ours:.2f}")  # fmt: skip
        rows.append((
            str(line.workload), f"{1e3 * line.ours:.3f}", f"{1e3 * line.one:.3f}",
            f"{line.one / line.ours:.2f}", *torch, f"{1e3 * line.predicted:.3f}",
            f"{line.predicted / line.ours - 1:+.0%}", f"{line.wrapped / line.one - 1:+.1%}",
        ))  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows
    )


def join(job: Job) -> None:
    """Makes torch's process group of the ranks of this job."""
    torch = checks.require(WHERE, "torch", "torch", "bench")
    place: Any = None
    if job.rank == 0:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            place = probe.getsockname()
    os.environ["MASTER_ADDR"], port = job.comm.bcast(place, root=0)
    os.environ["MASTER_PORT"] = str(port)
    torch.distributed.init_process_group(
        "gloo", rank=job.rank, world_size=job.ranks, timeout=timedelta(seconds=60)
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the benchmark on the ranks that mpiexec has started; rank 0 prints."""
    parser = argparse.ArgumentParser(prog=f"mpiexec -n 2 python -m {WHERE}")
    usual = ",".join(f"{w.layers}/{w.batch}" for w in WORKLOADS)
    parser.add_argument("--workloads", default=usual, metavar="LAYERS/BATCH,...")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--plot", metavar="FILE.png", help="draw how the last workload scales")
    parser.add_argument("--no-torch", action="store_true", help="leave PyTorch's DDP out")
    options = parser.parse_args(arguments)
    mg.set_num_threads(1)
    mpi = checks.require(WHERE, "mpi4py", "mpi4py.MPI", "mpi")
    job = Job(mpi.COMM_WORLD)
    if not options.no_torch:
        join(job)
    lines = []
    for text in options.workloads.split(","):
        lines.append(measure(parse(text), job, options.rounds, not options.no_torch))
        if job.rank == 0:
            print(table(lines, job.ranks).splitlines()[-1], file=sys.stderr, flush=True)
    if job.rank == 0:
        print(table(lines, job.ranks))
        if options.plot:
            last = lines[-1]
            measured = [(1, 1.0), (job.ranks, last.one / last.ours)]
            last.scaling.plot(options.plot, measured)


if __name__ == "__main__":
    main()
