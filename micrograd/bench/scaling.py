"""How the cost of a step grows with batch, width, depth and threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from micrograd.bench import machine, rounds
from micrograd.bench.rounds import Row, Settings
from micrograd.bench.workers import Team
from micrograd.bench.workloads import WORKLOADS, Workload

ROUNDS = 5
# A scan sets up some 35 networks: the scalar engine is too slow for most, torch.compile takes a
# quarter of a minute for each.
LEFT_OUT = ("value", "torch.compile")


@dataclass(frozen=True)
class Scan:
    """One plot: rows along one size, smallest first."""

    title: str
    axis: str
    sizes: list[int]
    rows: list[Row]


def powers(first: int, last: int) -> list[int]:
    """first, 2 first, 4 first, ... up to last."""
    out = [first]
    while 2 * out[-1] <= last:
        out.append(2 * out[-1])
    return out


def batch_workload(batch: int) -> Workload:
    """A small network and more and more rows."""
    return Workload((64, 64, 10), batch)


def width_workload(width: int) -> Workload:
    """Two hidden layers that grow wider."""
    return Workload((width, width, width, 10), 64)


def depth_workload(depth: int) -> Workload:
    """`depth` layers of width 32."""
    return Workload((32,) * depth + (10,), 32)


SIZES = (
    ("64-64-10", "batch", batch_workload, powers(1, 8192)),
    ("n-n-n-10, batch 64", "width n", width_workload, powers(16, 2048)),
    ("n layers of width 32, batch 32", "depth n", depth_workload, powers(2, 512)),
)


def scans(
    contenders: list[str], threads: int, settings: Settings, say: Callable[[str], None]
) -> list[Scan]:
    """Measures all plots; those over batch, width and depth with one number of threads.

    Raises:
        WorkerError: micrograd's own worker does not run.
    """
    names = [name for name in contenders if name not in LEFT_OUT]
    few = replace(settings, rounds=min(ROUNDS, settings.rounds))
    stride = 4 if settings.quick else 1
    out = []
    with Team(names, [threads]) as team:
        for title, axis, make, all_sizes in SIZES:
            sizes = all_sizes[::stride]
            say(f"scaling: {axis}")
            rows = [rounds.measure(team, [threads], make(n), few)[0] for n in sizes]
            out.append(Scan(f"{title}, threads {threads}", axis, sizes, rows))
    out.append(_over_threads(names, few, say))
    return out


def _over_threads(names: list[str], settings: Settings, say: Callable[[str], None]) -> Scan:
    """The largest workload, or the middle one for a quick look, on 1, 2, 4, ... and all cores."""
    cores = machine.cores()
    sizes = sorted({*powers(1, cores), cores})
    workload = WORKLOADS[2] if settings.quick else WORKLOADS[-1]
    say("scaling: threads")
    with Team(names, sizes) as team:
        rows = rounds.measure(team, sizes, workload, settings)
    return Scan(str(workload), "threads", sizes, rows)
