"""The plots of a report: roofline and scaling. Needs matplotlib."""

from __future__ import annotations

import os
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from micrograd.bench.contenders import CONTENDERS, OURS
from micrograd.bench.report import Report
from micrograd.bench.rounds import Row
from micrograd.bench.scaling import Scan
from micrograd.plot.style import marks, picture

SIZE = (8.0, 5.6)  # inches of each panel


def draw(report: Report, scans: list[Scan], folder: Path) -> list[Path]:
    """Writes roofline-N.png for each number of threads, and scaling.png; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for threads in dict.fromkeys(row.threads for row in report.rows):
        path = folder / f"roofline-{threads}.png"
        if roofline(report, threads, path) is not None:
            paths.append(path)
    path = folder / "scaling.png"
    scaling(scans, path)
    return [*paths, path]


def _style(name: str) -> dict[str, Any]:
    """The same colour and marker for a contender in every plot; ours stands out."""
    names = list(CONTENDERS)
    number = names.index(name) if name in names else len(names)
    line = {"linewidth": 2.5, "zorder": 3} if name == OURS else {"linewidth": 1.2}
    return {**marks(number), "label": name, **line}


def roofline(report: Report, threads: int, path: str | os.PathLike[str] | None = None) -> Any:
    """GFLOP/s against operations a byte, with the machine's bounds.

    The slanted bound is that of memory: a workload that stays in the cache may lie above it.

    Returns:
        The matplotlib Figure; None where the report has no bounds for that number of threads.

    Raises:
        ImportError, ValueError, OSError: as micrograd.plot.check.
    """
    rows = [r for r in report.rows if r.threads == threads and r.ours.error is None]
    peaks = [p for row in rows for p in row.peaks]
    bandwidth = report.bandwidth.get(threads)
    if not peaks or bandwidth is None:
        return None
    with picture(path, size=SIZE) as (figure, (axes,)):
        peak = median(peaks)
        itemsize = np.dtype(report.settings.dtype).itemsize
        intensity = {r.workload: r.workload.flops / r.workload.traffic(itemsize) for r in rows}
        ends = [min(intensity.values()) / 2, max(*intensity.values(), peak / bandwidth) * 2]
        x = np.geomspace(ends[0], ends[1], 200)
        axes.plot(x, np.minimum(peak, bandwidth * x), color="black")
        axes.annotate(f"FMA peak {peak:.0f} GFLOP/s", (ends[1], peak), ha="right", va="bottom")
        at = (x[10], bandwidth * x[10])
        axes.annotate(f"triad {bandwidth:.0f} GB/s", at, ha="left", va="top")
        found = _points(rows, intensity)
        for name, points in found.items():
            axes.plot(*zip(*points, strict=True), **{**_style(name), "linestyle": "none"})
        rates = [rate for points in found.values() for _, rate in points]
        bottom = min(*rates, bandwidth * ends[0]) / 10  # room for the names of the rows
        axes.set_ylim(bottom, 2 * max(*rates, peak))
        style = {"xycoords": ("data", "axes fraction"), "rotation": 90, "fontsize": 9}
        for row in rows:
            at = (intensity[row.workload], 0.01)
            axes.axvline(at[0], color="0.9", zorder=0)
            axes.annotate(row.workload.layers, at, ha="right", va="bottom", **style)
        axes.set(xscale="log", yscale="log", xlabel="operations a byte of traffic")
        axes.set(title=f"One SGD step, {report.settings.dtype}, threads {threads}")
        axes.set(ylabel="GFLOP/s")
        axes.legend()
    return figure


def _points(rows: list[Row], intensity: dict[Any, float]) -> dict[str, list[tuple[float, float]]]:
    """(intensity, GFLOP/s) of each contender."""
    out: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for entry in row.entries:
            if entry.error is None:
                rate = row.workload.flops / entry.median / 1e9
                out.setdefault(entry.contender, []).append((intensity[row.workload], rate))
    return out


def scaling(scans: list[Scan], path: str | os.PathLike[str] | None = None) -> Any:
    """Microseconds a step, one panel for each scan.

    Returns:
        The matplotlib Figure.

    Raises:
        ImportError, ValueError, OSError: as micrograd.plot.check.
    """
    with picture(path, 2, (len(scans) + 1) // 2, SIZE) as (figure, panels):
        for axes, scan in zip(panels, scans, strict=False):
            for name, points in _curves(scan).items():
                axes.plot(*zip(*points, strict=True), **_style(name))
            axes.set(xscale="log", yscale="log", xlabel=scan.axis, ylabel="µs a step")
            axes.set(title=scan.title)
            axes.set_xticks(scan.sizes, [str(n) for n in scan.sizes])
            axes.minorticks_off()
            axes.grid(alpha=0.3)
            axes.legend()
        for axes in panels[len(scans) :]:
            axes.set_axis_off()
    return figure


def _curves(scan: Scan) -> dict[str, list[tuple[int, float]]]:
    """(size, µs) of each contender."""
    out: dict[str, list[tuple[int, float]]] = {}
    for size, row in zip(scan.sizes, scan.rows, strict=True):
        for entry in row.entries:
            if entry.error is None:
                out.setdefault(entry.contender, []).append((size, entry.median * 1e6))
    return out
