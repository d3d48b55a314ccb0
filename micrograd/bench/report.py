"""What was measured, as a table for a terminal or for Markdown, and as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

from micrograd.bench.contenders import OURS
from micrograd.bench.rounds import Entry, Row, Settings, ratio

NOISY, FEWEST = 0.05, 4  # a band is shown where the middle half of so many rounds is this wide
MORE_CORES = 0.25  # how far above its number of threads a contender may come before we say so


@dataclass
class Report:
    """All that a run found out."""

    settings: Settings
    machine: dict[str, Any]
    versions: dict[str, str]
    rows: list[Row] = field(default_factory=list)
    bandwidth: dict[int, float] = field(default_factory=dict)  # GB/s for each number of threads
    overhead: dict[str, float] = field(default_factory=dict)  # seconds, by call
    failures: list[str] = field(default_factory=list)

    def contenders(self) -> list[str]:
        """The others that have a number in some row, in order."""
        names = [e.contender for row in self.rows for e in row.entries[1:] if e.error is None]
        return list(dict.fromkeys(names))


def duration(seconds: float) -> str:
    """Three digits and a unit: 3.08 µs, 12.1 ms."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= 0.9995 * size:
            return f"{_three_digits(seconds / size)} {unit}"
    return f"{_three_digits(seconds / 1e-9)} ns"


def _three_digits(value: float) -> str:
    """0.0123, 1.20, 12.0, 120, 1200."""
    if not 0 < value < 999.5:
        return f"{value:.0f}"
    digits = max(0, 2 - math.floor(math.log10(value * 1.0005)))
    return f"{value:.{digits}f}"


def times(value: float) -> str:
    """A ratio: 33×, 4.2×, 0.84×."""
    digits = 0 if value >= 9.95 else 1 if value >= 1.95 else 2
    return f"{value:.{digits}f}×"


def band(values: Sequence[float], write: Callable[[float], str]) -> str:
    """The median; where the machine is noisy, the ends of the values' middle half as well."""
    middle = median(values)
    if len(values) >= FEWEST:
        low, _, high = quantiles(values, n=4, method="inclusive")
        if high - low > NOISY * abs(middle):
            return f"{write(middle)} ({write(low)} to {write(high)})"
    return write(middle)


def table(report: Report) -> list[list[str]]:
    """Header and rows: our time and share of the peak, then the others' times and ratios."""
    names = report.contenders()
    out = [["one SGD step", "threads", OURS, "GFLOP/s", "of FMA peak", *names]]
    for row in report.rows:
        cells = [*_our_cells(row), *_other_cells(row, names)]
        out.append([str(row.workload), str(row.threads), *cells])
    return out


def _our_cells(row: Row) -> list[str]:
    if row.ours.error is not None:
        return ["–", "–", "–"]
    share = "–" if row.fraction is None else f"{100 * row.fraction:.0f} %"
    return [duration(row.ours.median), _three_digits(row.gflops), share]


def _other_cells(row: Row, names: list[str]) -> list[str]:
    found = {e.contender: e for e in row.entries if e.error is None}
    return [
        f"{duration(found[name].median)}, {band(row.ratios(found[name]), times)}"
        if name in found
        else "–"
        for name in names
    ]


def text_table(cells: list[list[str]]) -> list[str]:
    """The table in columns."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in cells
    ]


def markdown_table(cells: list[list[str]]) -> list[str]:
    """The table for Markdown."""
    rule = ["---", *["---:"] * (len(cells[0]) - 1)]
    return ["| " + " | ".join(row) + " |" for row in [cells[0], rule, *cells[1:]]]


def losses(report: Report) -> list[str]:
    """Where a contender is faster than we are."""
    return [
        f"{row.workload}, {_threads(row.threads)}: {e.contender} {times(row.ratio(e))}"
        for row in report.rows
        for e in row.entries[1:]
        if e.error is None and row.ratio(e) < 1
    ]


def speedups(report: Report) -> list[str]:
    """What more threads give us: times of the first number of threads over those of each other."""
    base: dict[Any, Row] = {}
    out = []
    for row in report.rows:
        if row.ours.error is not None:
            continue
        first = base.setdefault(row.workload, row)
        if first is not row:
            gain = ratio(first.ours, row.ours)
            out.append(f"{row.workload}: {times(gain)} from {first.threads} to {row.threads}")
    return out


def backward_costs(report: Report) -> list[str]:
    """What a backward pass of ours costs, in forward passes."""
    return [
        f"{row.workload}, {_threads(row.threads)}: {times(row.backward_to_forward)}"
        for row in report.rows
        if row.backward_to_forward is not None
    ]


def _threads(n: int) -> str:
    return f"{n} thread" if n == 1 else f"{n} threads"


def problems(report: Report) -> list[str]:
    """Everything that did not go as planned, a line each."""
    out = list(report.failures)
    for row in report.rows:
        for e in row.entries:
            where = f"{e.contender} ({row.workload}, {_threads(row.threads)})"
            if e.error is not None:
                out.append(f"{where}: {e.error}")
            elif median(e.cores) > row.threads + MORE_CORES:
                out.append(f"{where}: kept {median(e.cores):.1f} processors busy")
    return list(dict.fromkeys(out))


def bounds(report: Report) -> list[str]:
    """FMA peak and bandwidth, a line for each number of threads."""
    out = []
    for n in dict.fromkeys(row.threads for row in report.rows):
        peaks = [p for row in report.rows if row.threads == n for p in row.peaks]
        peak = f"{median(peaks):.0f} GFLOP/s" if peaks else "not measured"
        triad = f"{report.bandwidth[n]:.0f} GB/s" if n in report.bandwidth else "not measured"
        out.append(f"{_threads(n)}: FMA peak {peak}, triad {triad}")
    return out


def explanation(report: Report) -> list[str]:
    """How the numbers came about."""
    machine, settings = report.machine, report.settings
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    out = [
        f"{machine['processor']}, {machine['cores']} processors, {machine['isa']}, "
        f"{machine['compiler']}, Python {machine['python']}; {versions}.",
        f"One full SGD step in {settings.dtype}. Times are medians of {settings.rounds} rounds in "
        "which every contender has its turn, each in a process of its own with the same number of "
        "threads; × is the median of the rounds' ratios to micrograd, above 1 where micrograd is "
        "faster, in brackets their middle half where it is wide. "
        "All results were checked equal before anything was timed.",
        *(line + "." for line in bounds(report)),
    ]
    if report.overhead:
        total = duration(report.overhead["total"])
        parts = ", ".join(f"{k} {duration(v)}" for k, v in report.overhead.items() if k != "total")
        out.append(f"Step overhead (1-1 network, batch 1): {total}; {parts}.")
    if machine["load_before"] > 0.5:
        out.append(f"The machine was busy: load {machine['load_before']} before the run.")
    return out


def lines(report: Report, markdown: bool = False) -> list[str]:
    """The whole report."""
    render: Callable[[list[list[str]]], list[str]] = markdown_table if markdown else text_table
    out = [*render(table(report)), ""]
    for line in explanation(report):
        out += [line, ""] if markdown else [line]
    for title, found in (
        ("Faster than micrograd", losses(report)),
        ("More threads, micrograd", speedups(report)),
        ("A backward pass in forward passes, micrograd", backward_costs(report)),
        ("Left out or odd", problems(report)),
    ):
        if found and markdown:
            out += [f"{title}:", "", *(f"- {line}" for line in found), ""]
        elif found:
            out += [f"{title}:", *(f"  {line}" for line in found)]
    return out


def to_json(report: Report) -> dict[str, Any]:
    """Everything, for a program: times in seconds, round by round."""
    return {
        "settings": vars(report.settings),
        "machine": report.machine,
        "versions": report.versions,
        "bandwidth_gb_s": {str(n): rate for n, rate in report.bandwidth.items()},
        "step_overhead_seconds": report.overhead,
        "problems": problems(report),
        "rows": [_row_to_json(row) for row in report.rows],
    }


def _row_to_json(row: Row) -> dict[str, Any]:
    timed = row.ours.error is None
    return {
        "workload": row.workload.layers,
        "batch": row.workload.batch,
        "threads": row.threads,
        "flops": row.workload.flops,
        "fma_peak_gflop_s": row.peaks,
        "gflop_s": row.gflops if timed else None,
        "fraction_of_peak": row.fraction if timed else None,
        "passes_seconds": row.passes,
        "contenders": {e.contender: _entry_to_json(row, e) for e in row.entries},
    }


def _entry_to_json(row: Row, entry: Entry) -> dict[str, Any]:
    if entry.error is not None:
        return {"error": entry.error}
    return {
        "seconds": entry.seconds,
        "median_seconds": entry.median,
        "ratio_to_micrograd": row.ratio(entry),
        "cores": median(entry.cores),
    }
