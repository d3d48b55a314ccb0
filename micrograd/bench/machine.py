"""The machine: what it is, what it can do at most, and what a step costs beside arithmetic."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from micrograd import core
from micrograd.core import ffi, lib
from micrograd.network.layers import Linear
from micrograd.network.network import Network
from micrograd.optim.methods import SGD

OVERHEAD_STEPS = 500
OVERHEAD_BLOCKS = 21


def fma_peak(dtype: str, threads: int) -> float | None:
    """GFLOP/s of multiply-adds in registers by `threads` threads at once; None: not measured."""
    rate = float(lib.mg_measure_fma(core.ISA_CODE, core.DTYPES[dtype], threads))
    return rate if rate > 0 else None


def triad(threads: int) -> float | None:
    """GB/s of the STREAM triad over arrays larger than the cache; None: not measured."""
    rate = float(lib.mg_measure_triad(threads))
    return rate if rate > 0 else None


def description() -> dict[str, Any]:
    """What the numbers were measured on and with."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "isa": core.isa(),
        "compiler": ffi.string(lib.mg_compiler()).decode(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def step_overhead() -> dict[str, float]:
    """Seconds of zero_grad, loss, backward and step on a network 1-1, batch 1, and of all four.

    The arithmetic is 8 floating-point operations, an exp and a log, under 0.02 microseconds:
    nothing is taken off, so that the figures are upper bounds of the overhead. Each of the four
    has one look at the clock in it, the total has none.
    """
    net = Network(Linear(1, 1), seed=0)
    optimizer = SGD(net.parameters(), lr=0.01)
    X, y = np.ones((1, 1), np.float32), np.zeros(1, np.int64)
    totals = []
    for _ in range(OVERHEAD_BLOCKS):
        start = time.perf_counter()
        for _ in range(OVERHEAD_STEPS):
            optimizer.zero_grad()
            net.loss(X, y)
            net.backward()
            optimizer.step()
        totals.append((time.perf_counter() - start) / OVERHEAD_STEPS)
    return {"total": median(totals), **_by_call(net, optimizer, X, y)}


def _by_call(net: Network, optimizer: SGD, X: core.Array, y: core.Array) -> dict[str, float]:
    calls: dict[str, Callable[[], object]] = {
        "zero_grad": optimizer.zero_grad,
        "loss": lambda: net.loss(X, y),
        "backward": net.backward,
        "step": optimizer.step,
    }
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(OVERHEAD_STEPS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            spent[name].append(time.perf_counter() - start)
    return {name: median(seconds) for name, seconds in spent.items()}
