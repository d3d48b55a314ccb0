"""The plots of a report: roofline and scaling. Needs matplotlib."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from micrograd.bench.contenders import CONTENDERS, OURS
from micrograd.bench.report import Report
from micrograd.bench.rounds import Row
from micrograd.bench.scaling import Scan

MARKERS = "osD^vP*X"


def draw(report: Report, scans: list[Scan], folder: Path) -> list[Path]:
    """Writes roofline.png, one for each number of threads, and scaling.png; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for threads in dict.fromkeys(row.threads for row in report.rows):
        path = folder / f"roofline-{threads}.png"
        if _roofline(report, threads, path):
            paths.append(path)
    path = folder / "scaling.png"
    _scaling(scans, path)
    return [*paths, path]


def _axes(rows: int, columns: int) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7 * columns, 5 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _style(name: str) -> dict[str, Any]:
    """The same colour and marker for a contender in every plot; ours stands out."""
    names = list(CONTENDERS)
    number = names.index(name) if name in names else len(names)
    line = {"linewidth": 2.5, "zorder": 3} if name == OURS else {"linewidth": 1.2}
    return {"color": f"C{number}", "marker": MARKERS[number], "label": name, **line}


def _roofline(report: Report, threads: int, path: Path) -> bool:
    """GFLOP/s against operations a byte, with the machine's bounds; False if there are none.

    The slanted bound is that of memory: a workload that stays in the cache may lie above it.
    """
    rows = [r for r in report.rows if r.threads == threads and r.ours.error is None]
    peaks = [p for row in rows for p in row.peaks]
    bandwidth = report.bandwidth.get(threads)
    if not peaks or bandwidth is None:
        return False
    figure, grid = _axes(1, 1)
    axes, peak = grid[0, 0], median(peaks)
    itemsize = np.dtype(report.settings.dtype).itemsize
    intensity = {row.workload: row.workload.flops / row.workload.traffic(itemsize) for row in rows}
    ends = [min(intensity.values()) / 2, max(*intensity.values(), peak / bandwidth) * 2]
    x = np.geomspace(ends[0], ends[1], 200)
    axes.plot(x, np.minimum(peak, bandwidth * x), color="black")
    axes.annotate(f"FMA peak {peak:.0f} GFLOP/s", (ends[1], peak), ha="right", va="bottom")
    axes.annotate(f"triad {bandwidth:.0f} GB/s", (x[10], bandwidth * x[10]), ha="left", va="top")
    found = _points(rows, intensity)
    for name, points in found.items():
        axes.plot(*zip(*points, strict=True), **{**_style(name), "linestyle": "none"})
    rates = [rate for points in found.values() for _, rate in points]
    bottom = min(*rates, bandwidth * ends[0]) / 10  # room for the names of the rows
    axes.set_ylim(bottom, 2 * max(*rates, peak))
    for row in rows:
        at = (intensity[row.workload], 0.01)
        axes.axvline(at[0], color="0.9", zorder=0)
        style = {"xycoords": ("data", "axes fraction"), "rotation": 90, "fontsize": 7}
        axes.annotate(row.workload.layers, at, ha="right", va="bottom", **style)
    axes.set(xscale="log", yscale="log", xlabel="operations a byte of traffic", ylabel="GFLOP/s")
    axes.set(title=f"One SGD step, {report.settings.dtype}, threads {threads}")
    axes.legend()
    figure.savefig(path, dpi=120)
    return True


def _points(rows: list[Row], intensity: dict[Any, float]) -> dict[str, list[tuple[float, float]]]:
    """(intensity, GFLOP/s) of each contender."""
    out: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for entry in row.entries:
            if entry.error is None:
                rate = row.workload.flops / entry.median / 1e9
                out.setdefault(entry.contender, []).append((intensity[row.workload], rate))
    return out


def _scaling(scans: list[Scan], path: Path) -> None:
    """Microseconds a step, one panel for each scan."""
    figure, grid = _axes((len(scans) + 1) // 2, 2)
    for axes, scan in zip(grid.flat, scans, strict=False):
        for name, points in _curves(scan).items():
            axes.plot(*zip(*points, strict=True), **_style(name))
        axes.set(xscale="log", yscale="log", xlabel=scan.axis, ylabel="µs a step", title=scan.title)
        axes.set_xticks(scan.sizes, [str(n) for n in scan.sizes], fontsize=7)
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)


def _curves(scan: Scan) -> dict[str, list[tuple[int, float]]]:
    """(size, µs) of each contender."""
    out: dict[str, list[tuple[int, float]]] = {}
    for size, row in zip(scan.sizes, scan.rows, strict=True):
        for entry in row.entries:
            if entry.error is None:
                out.setdefault(entry.contender, []).append((size, entry.median * 1e6))
    return out
