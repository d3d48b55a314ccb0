"""The measuring itself: every contender once a round, A B C A B C, in one run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from micrograd.bench.check import Outcome, difference
from micrograd.bench.contenders import OURS
from micrograd.bench.workers import Team, Worker, WorkerError
from micrograd.bench.workloads import Problem, Workload, make

NOTHING_TO_COMPARE = "left out: micrograd failed, there is nothing to compare it with"


@dataclass
class Entry:
    """One contender on one workload: seconds a step and processors kept busy, round by round.

    With an `error` there are no numbers.
    """

    contender: str
    seconds: list[float] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)
    error: str | None = None

    @property
    def median(self) -> float:
        """Seconds a step."""
        return median(self.seconds)


@dataclass
class Row:
    """One workload with one number of threads."""

    workload: Workload
    threads: int
    entries: list[Entry]  # ours first
    peaks: list[float] = field(default_factory=list)  # GFLOP/s, round by round
    passes: list[tuple[float, float]] = field(default_factory=list)  # seconds forward, backward

    @property
    def ours(self) -> Entry:
        """This core's entry."""
        return self.entries[0]

    @property
    def gflops(self) -> float:
        """GFLOP/s of our matrix products."""
        return self.workload.flops / self.ours.median / 1e9

    @property
    def fraction(self) -> float | None:
        """Our share of the FMA peak, the median over the rounds; None without a peak."""
        if len(self.peaks) != len(self.ours.seconds):
            return None
        flops = self.workload.flops / 1e9
        pairs = zip(self.ours.seconds, self.peaks, strict=True)
        return median(flops / seconds / peak for seconds, peak in pairs)

    @property
    def backward_to_forward(self) -> float | None:
        """How many forward passes, loss included, a backward pass of ours takes as long as."""
        return median(b / f for f, b in self.passes) if self.passes else None

    def ratios(self, entry: Entry) -> list[float]:
        """How many times our step goes into the contender's, round by round."""
        return [a / b for a, b in zip(entry.seconds, self.ours.seconds, strict=True)]

    def ratio(self, entry: Entry) -> float:
        """How many times our step goes into the contender's: the median of the rounds' ratios."""
        return ratio(entry, self.ours)


def ratio(of: Entry, to: Entry) -> float:
    """The median of the rounds' ratios of two entries that were measured side by side."""
    return median(a / b for a, b in zip(of.seconds, to.seconds, strict=True))


@dataclass(frozen=True)
class Settings:
    """How to measure."""

    rounds: int = 15
    dtype: str = "float32"
    quick: bool = False


def measure(team: Team, threads: list[int], workload: Workload, settings: Settings) -> list[Row]:
    """A row for each number of threads; their rounds are interleaved too."""
    problem = make(workload, settings.dtype)
    rows, timed = [], []
    for n in threads:
        row = Row(workload, n, [])
        rows.append(row)
        ready = _set_up(team.of(n), problem, settings, row)
        timed += [(row, worker, entry) for worker, entry in ready]
    for _ in range(settings.rounds):
        for row, worker, entry in timed:
            if entry is row.ours:
                _time_under_peak(row, worker, settings.dtype)
                _time_passes(row, worker)
            else:
                _time(worker, entry)
    for row in rows:
        if row.ours.error is not None:
            for entry in row.entries[1:]:
                entry.error = entry.error or NOTHING_TO_COMPARE
    return rows


def _set_up(
    workers: list[Worker], problem: Problem, settings: Settings, row: Row
) -> Iterator[tuple[Worker, Entry]]:
    """Those that compute the same step as ours; the others get an error in the row."""
    wanted: Outcome | None = None
    for worker in workers:
        entry = Entry(worker.name)
        row.entries.append(entry)
        try:
            found = worker.ask("setup", problem.workload, settings.dtype, settings.quick)
        except WorkerError as error:
            entry.error = str(error)
        else:
            if worker.name == OURS:
                wanted = found
            elif wanted is None:
                entry.error = NOTHING_TO_COMPARE
            else:
                wrong = difference(problem, found, wanted)
                entry.error = f"not timed: {wrong}" if wrong else None
        if entry.error is None:
            yield worker, entry


def _time_under_peak(row: Row, worker: Worker, dtype: str) -> None:
    """Times ours between two looks at the peak, which changes with clock and neighbours."""
    before = _peak(worker, dtype)
    _time(worker, row.ours)
    after = _peak(worker, dtype)
    if before is not None and after is not None:
        row.peaks.append((before + after) / 2)


def _time_passes(row: Row, worker: Worker) -> None:
    if row.ours.error is None:
        with contextlib.suppress(WorkerError):
            row.passes.append(worker.ask("passes"))


def _peak(worker: Worker, dtype: str) -> float | None:
    try:
        peak: float | None = worker.ask("peak", dtype)
    except WorkerError:
        return None
    return peak


def _time(worker: Worker, entry: Entry) -> None:
    if entry.error is not None:
        return
    try:
        seconds, cores = worker.ask("time")
    except WorkerError as error:
        entry.error = str(error)
        return
    entry.seconds.append(seconds)
    entry.cores.append(cores)
