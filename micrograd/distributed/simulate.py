"""How far data-parallel training scales: a model of compute and all-reduce, from measured figures.

A step of R ranks is the compute of one rank's rows and the all-reduce of a gradient of N bytes.
With latency a (seconds a message) and bandwidth b (bytes a second), for one message of N bytes,

    ring                2 (R - 1) (a + N / (R b))             reduce-scatter, then all-gather
    tree                2 ceil(log2 R) (a + N / b)            reduce, then broadcast
    recursive_doubling  ceil(log2 R) (a + N / b)              and 2 messages more unless R is 2^k

(Thakur, Rabenseifner and Gropp 2005, section 4, without the cost of the additions). With
overlap, the gradient of each layer is sent as soon as its backward pass is done, while those below
are at work. What an exchange costs beside its messages, starting it and seeing that it is done, is
seconds_per_exchange. Ranks that share fewer processors take turns: R of them on `cores` compute
R / cores times as long. What is left out: other traffic, ranks that are slower than others, the
waiting for ranks whose turn it is not, and the optimizer's step: it is in seconds_per_step.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, log2
from typing import Any

from micrograd import checks

ALGORITHMS = ("ring", "tree", "recursive_doubling")
SCALINGS = ("strong", "weak")
BACKWARD = 2 / 3  # of a step's multiply-adds: dX and dW for every W X of the way there
DEFAULT_RANKS = tuple(2**k for k in range(13))


@dataclass(frozen=True)
class Scaling:
    """One row of a prediction.

    ranks; rows: of one rank, in a step. compute, communication, exposed, step: seconds of a step's
    arithmetic, of its all-reduces, of what of these is not hidden behind arithmetic, of the whole.
    throughput: rows a second of all ranks; speedup: over one rank; efficiency: speedup / ranks.

    >>> rows = mg.distributed.simulate(net, ranks=[1, 8], batch=1024, seconds_per_row=4e-6,
    ...                                latency=2e-6, bandwidth=1e10)
    >>> rows[1].speedup < 8, rows[1].efficiency < 1
    (True, True)
    """

    ranks: int
    rows: int
    compute: float
    communication: float
    exposed: float
    step: float
    throughput: float
    speedup: float
    efficiency: float


class Prediction(Sequence[Scaling]):
    """What `simulate` found: a row for each number of ranks. print() shows the table.

    >>> rows = mg.distributed.simulate(net, ranks=[1, 8], batch=1024, seconds_per_row=4e-6,
    ...                                latency=2e-6, bandwidth=1e10)
    >>> len(rows), rows[1].ranks
    (2, 8)
    """

    def __init__(self, rows: Iterable[Scaling], title: str) -> None:
        self.rows, self.title = tuple(rows), title

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def stops_at(self) -> int:
        """The ranks after which another doubling gains less than a tenth, or nothing."""
        for row, after in zip(self.rows, self.rows[1:], strict=False):
            if after.throughput < 1.1 * row.throughput:
                return row.ranks
        return self.rows[-1].ranks

    def __str__(self) -> str:
        head = ("ranks", "rows", "compute ms", "all-reduce ms", "exposed ms", "rows/s", "speedup")
        lines = [self.title, "  ".join(f"{h:>13}" for h in (*head, "efficiency"))]
        for r in self.rows:
            cells = [f"{r.ranks}", f"{r.rows}"]
            cells += [f"{1e3 * s:.4g}" for s in (r.compute, r.communication, r.exposed)]
            cells += [f"{r.throughput:.4g}", f"{r.speedup:.2f}", f"{r.efficiency:.0%}"]
            lines.append("  ".join(f"{c:>13}" for c in cells))
        lines.append(f"It stops scaling at {self.stops_at} ranks.")
        return "\n".join(lines)

    def plot(
        self,
        path: str | os.PathLike[str] | None = None,
        measured: Sequence[tuple[int, float]] = (),
    ) -> Any:
        """Speedup over ranks beside the ideal line, as a matplotlib figure; written to `path`.

        measured: (ranks, speedup) of runs that have been made, drawn as points.

        Raises:
            ImportError: matplotlib is not installed.
            ValueError, OSError: the file cannot be written.
        """
        from micrograd import plot

        ranks = [r.ranks for r in self.rows]
        return plot.scaling(ranks, [r.speedup for r in self.rows], self.title, path, measured)


def all_reduce_seconds(
    n_bytes: float, ranks: int, latency: float, bandwidth: float, algorithm: str
) -> float:
    """Seconds of one all-reduce of n_bytes between `ranks` ranks."""
    if ranks == 1:
        return 0.0
    hops = ceil(log2(ranks))
    if algorithm == "ring":
        return 2 * (ranks - 1) * (latency + n_bytes / (ranks * bandwidth))
    if algorithm == "tree":
        return 2 * hops * (latency + n_bytes / bandwidth)
    extra = 0 if ranks == 2**hops else 2
    return (int(log2(ranks)) + extra) * (latency + n_bytes / bandwidth)


def simulate(
    net: Any,
    *,
    ranks: int | Iterable[int] = DEFAULT_RANKS,
    batch: int,
    seconds_per_row: float,
    latency: float,
    bandwidth: float,
    algorithm: str = "ring",
    scaling: str = "strong",
    overlap: bool = True,
    seconds_per_step: float = 0.0,
    seconds_per_exchange: float = 0.0,
    cores: int | None = None,
) -> Prediction:
    """Predicts the throughput of data-parallel training of `net` for any number of ranks.

    Args:
        net: a model with parameters(), such as a Network.
        ranks: one number or several, each 1 or more; powers of two to 4096 unless given.
        batch: rows of a step, of all ranks together ("strong") or of each rank ("weak").
        seconds_per_row: of one rank, forward and backward; measured.
        latency: seconds that a message of no bytes takes; bandwidth: bytes a second of one rank.
        algorithm: "ring", "tree" or "recursive_doubling".
        scaling: "strong", the batch is shared out, or "weak", each rank has one of its own.
        overlap: each layer's gradient is sent while the layers below are still at work.
        seconds_per_step: what a step costs whatever its rows: the update, the call.
        seconds_per_exchange: what an all-reduce costs beside its messages; of several ranks only.
        cores: processors that all ranks share, if they are on one machine; None gives each its own.

    Returns:
        A Prediction: a sequence of Scaling rows, with stops_at and plot(path).

    Raises:
        TypeError, ValueError: an argument is no number, or out of its range.

    >>> import micrograd as mg
    >>> net = mg.Network(mg.Linear(784, 128), mg.ReLU(), mg.Linear(128, 10))
    >>> rows = mg.distributed.simulate(net, ranks=[1, 2, 4], batch=1024, seconds_per_row=4e-6,
    ...                                latency=2e-5, bandwidth=1e9)
    >>> [r.ranks for r in rows]
    [1, 2, 4]
    """
    where = "simulate"
    counts = _rank_counts(where, ranks)
    checks.count(where, "batch", batch)
    checks.number(where, "seconds_per_row", seconds_per_row, above=0)
    checks.number(where, "bandwidth", bandwidth, above=0)
    checks.number(where, "latency", latency)
    checks.number(where, "seconds_per_step", seconds_per_step)
    checks.number(where, "seconds_per_exchange", seconds_per_exchange)
    if cores is not None:
        checks.count(where, "cores", cores)
    for name, text, known in (("algorithm", algorithm, ALGORITHMS), ("scaling", scaling, SCALINGS)):
        if text not in known:
            raise ValueError(f"{where}: {name} is {text!r}, one of {', '.join(known)} is wanted")
    pieces = layer_bytes(net) if overlap else [sum(layer_bytes(net))]
    alone = batch / (batch * seconds_per_row + seconds_per_step)
    found = []
    for count in counts:
        rows = ceil(batch / count) if scaling == "strong" else batch
        turns = 1.0 if cores is None else max(1.0, count / cores)
        compute = turns * (rows * seconds_per_row + seconds_per_step)
        sent = [all_reduce_seconds(n, count, latency, bandwidth, algorithm) for n in pieces]
        if count > 1:
            sent = [seconds + turns * seconds_per_exchange for seconds in sent]
        step = _overlapped(compute, turns * rows * seconds_per_row * BACKWARD, pieces, sent)
        total = batch if scaling == "strong" else batch * count
        speedup = total / step / alone
        exposed = step - compute
        found.append(
            Scaling(count, rows, compute, sum(sent), exposed, step, total / step, speedup,
                    speedup / count)
        )  # fmt: skip
    title = f"{algorithm}, {scaling} scaling, {sum(pieces):,} bytes of gradient, batch {batch}"
    if cores is not None and counts[-1] > cores:
        title += f"; more than {cores} ranks take turns on as many processors"
    return Prediction(found, title)


def _rank_counts(where: str, ranks: int | Iterable[int]) -> list[int]:
    counts = list(ranks) if isinstance(ranks, Iterable) else [ranks]
    if not counts:
        raise ValueError(f"{where}: ranks is {checks.describe(ranks)}, a number or more is wanted")
    return sorted({checks.count(where, "ranks", count) for count in counts})


def layer_bytes(net: Any) -> list[int]:
    """Bytes of each layer's gradient, in the order in which a backward pass finishes them."""
    sizes: dict[str, int] = {}
    for parameter in net.parameters():
        layer = parameter.name.rpartition(".")[0]
        sizes[layer] = sizes.get(layer, 0) + int(parameter.data.nbytes)
    return list(reversed(sizes.values()))


def _overlapped(
    compute: float, backward: float, pieces: Sequence[int], sent: Sequence[float]
) -> float:
    """Seconds of a step: each piece is sent when its layer is done and the line is free."""
    if len(pieces) == 1:
        return compute + sum(sent)
    total, ready, free = sum(pieces), compute - backward, 0.0
    for n_bytes, seconds in zip(pieces, sent, strict=True):
        ready += backward * n_bytes / total
        free = max(ready, free) + seconds
    return max(compute, free)
