"""The line to the other ranks: collectives that end in an error, not in a hang.

Every collective is started without blocking and polled, so that a rank which waits can see that the
others do not come: after `timeout` seconds it says who waited for what, and ends the whole job.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, NoReturn

import numpy as np

from micrograd import checks
from micrograd.core import Array

TIMEOUT = 60.0  # seconds; the environment's MICROGRAD_MPI_TIMEOUT, if it is set
give_way = getattr(os, "sched_yield", None) or partial(time.sleep, 0)  # Windows has no sched_yield
_SPIN = 0.002  # seconds of polling without a pause: longer than an all-reduce between neighbours


def world() -> Any:
    """MPI.COMM_WORLD.

    Raises:
        ImportError: mpi4py is not installed.
    """
    return checks.require("micrograd.distributed", "mpi4py", "mpi4py.MPI", "mpi").COMM_WORLD


def timeout_of(where: str, timeout: float | None) -> float:
    """Seconds that a rank waits for the others: as given, of the environment, else TIMEOUT."""
    if timeout is not None:
        return checks.number(where, "timeout", timeout, above=0)
    text = os.environ.get("MICROGRAD_MPI_TIMEOUT", "")
    if not text:
        return TIMEOUT
    try:
        return checks.number(where, "MICROGRAD_MPI_TIMEOUT", float(text), above=0)
    except ValueError:
        raise ValueError(
            f"{where}: MICROGRAD_MPI_TIMEOUT is {text!r}, seconds above 0 are wanted"
        ) from None


def end_all(comm: Any) -> NoReturn:
    """Ends all ranks of the job, this one too."""
    comm.Abort(1)
    os._exit(1)  # the launcher may take its time, and nothing further is to happen here


def _wait_until_it_is_read() -> None:
    """Until the launcher has what this rank wrote: an abort makes MPICH's drop the rest."""
    deadline = time.monotonic() + 2.0
    with suppress(ImportError, OSError, ValueError):  # no such call, no descriptor, no pipe
        import fcntl
        import termios

        unread = bytearray(4)
        while time.monotonic() < deadline:
            fcntl.ioctl(sys.stderr.fileno(), termios.FIONREAD, unread)
            if not any(unread):
                break
            time.sleep(0.01)
    time.sleep(0.2)  # which it has to pass on


class Wire:
    """A communicator, and what is sent over it.

    rank, ranks: which one this is, of how many. crowded: there are more ranks here than processors,
    so that whoever waits gives its processor away at once: four ranks on two took 1.1 to 1.5 times
    as long without.
    """

    def __init__(self, comm: Any, timeout: float) -> None:
        self.comm = comm
        self.rank, self.ranks = int(comm.Get_rank()), int(comm.Get_size())
        self.timeout = timeout
        self.crowded = False
        if self.ranks > 1:
            _end_the_job_on_errors(self)

    def wait(self, request: Any, what: str) -> None:
        """Until the request is done, None is; ends the job where the others do not come in time."""
        if request is None or request.Test():
            return
        started = time.perf_counter()
        while not request.Test():
            if self.crowded:
                give_way()
            waited = time.perf_counter() - started
            if waited > self.timeout:
                self.end(
                    f"rank {self.rank} of {self.ranks} has waited {waited:.1f} s for the others to "
                    f"{what}; one of them has stopped, or is doing something else (timeout "
                    f"{self.timeout:g} s: DataParallel(timeout=), MICROGRAD_MPI_TIMEOUT)"
                )
            if waited > _SPIN:
                time.sleep(1e-5)  # whoever we wait for may need this processor

    def end(self, message: str) -> None:
        """Says why and ends all ranks, this one too."""
        print(f"micrograd.distributed: {message}", file=sys.stderr, flush=True)
        _wait_until_it_is_read()
        end_all(self.comm)

    def sum(self, x: Array, what: str = "add up numbers") -> Array:
        """The sum of all ranks' arrays, in place."""
        self.wait(self.start_sum(x), what)
        return x

    def start_sum(self, x: Array) -> Any:
        """Begins the sum of all ranks' arrays, in place; `wait` has to follow, before x is used."""
        return self.comm.Iallreduce(_in_place(), x) if self.ranks > 1 else None

    def from_first(self, x: Array, what: str = "take what rank 0 has") -> Array:
        """Rank 0's array, in place."""
        if self.ranks > 1:
            self.wait(self.comm.Ibcast(x, root=0), what)
        return x

    def object_from_first(self, value: Any) -> Any:
        """Rank 0's object, a small one."""
        if self.ranks == 1:
            return value
        import pickle

        data = pickle.dumps(value) if self.rank == 0 else b""
        size = self.from_first(np.array([len(data)], np.int64))
        buffer = np.frombuffer(data, np.uint8).copy() if self.rank == 0 else np.empty(size[0], "u1")
        return pickle.loads(self.from_first(buffer).tobytes())

    def all(self, x: Array, what: str = "exchange numbers") -> Array:
        """All ranks' arrays of one shape, (ranks, *shape)."""
        out = np.empty((self.ranks, *x.shape), x.dtype)
        if self.ranks == 1:
            out[0] = x
        else:
            self.wait(self.comm.Iallgather(np.ascontiguousarray(x), out), what)
        return out

    def all_rows(self, x: Array, counts: Array, what: str = "exchange rows") -> Array:
        """All ranks' rows one after the other; counts (ranks,) says how many each one has."""
        out = np.empty((int(counts.sum()), *x.shape[1:]), x.dtype)
        if self.ranks == 1:
            out[...] = x
            return out
        width = int(np.prod(x.shape[1:], dtype=np.int64)) * x.itemsize
        sizes = [int(n) * width for n in counts]
        starts = [sum(sizes[:rank]) for rank in range(self.ranks)]
        sent = np.ascontiguousarray(x).view(np.uint8).reshape(-1)
        received = out.view(np.uint8).reshape(-1)
        kind = _bytes()
        self.wait(self.comm.Iallgatherv(sent, [received, sizes, starts, kind]), what)
        return out

    def to_each(self, x: Array, what: str = "exchange segments") -> Array:
        """x (ranks, n): row r goes to rank r; returns what came from each rank, (ranks, n)."""
        if self.ranks == 1:
            return x
        out = np.empty_like(x)
        self.wait(self.comm.Ialltoall(x, out), what)
        return out


def _in_place() -> Any:
    from mpi4py import MPI

    return MPI.IN_PLACE


def _bytes() -> Any:
    from mpi4py import MPI

    return MPI.BYTE


def _end_the_job_on_errors(wire: Wire) -> None:
    """An exception that ends this rank ends the others, which would wait for it for ever."""
    before = sys.excepthook
    if getattr(before, "ends_the_job", False):
        return

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        before(kind, error, trace)
        last = traceback.format_exception_only(kind, error)[-1].strip()
        wire.end(f"rank {wire.rank} of {wire.ranks} stopped with {last}; the job ends")

    hook.ends_the_job = True  # type: ignore[attr-defined]
    sys.excepthook = hook
