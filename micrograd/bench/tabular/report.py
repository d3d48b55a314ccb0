"""What came out: errors, ranks, times, and the sets that are lost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from micrograd.core import Array
from micrograd.plot.style import picture, text

# Critical values of the studentised range at 0.05, divided by sqrt(2), for 2 to 8 contenders
# (Demsar 2006, table 5a).
CRITICAL = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031}


@dataclass
class Result:
    """One run: test error (share of wrong classes, or RMSE), seconds of the processor, bytes."""

    error: float
    fit: float
    predict: float
    size: int


Results = Mapping[str, Mapping[str, Sequence[Result]]]  # data set, contender, seeds


def mean_errors(results: Results, names: Sequence[str]) -> Array:
    """(sets, contenders): means over the seeds."""
    return np.array(
        [
            [np.mean([run.error for run in runs[name]]) for name in names]
            for runs in results.values()
        ]
    )


def ranks(errors: Array) -> Array:
    """(sets, contenders): 1 for the lowest error, the mean rank for equal ones."""
    found = np.empty_like(errors)
    for row, values in zip(found, errors, strict=True):
        for i, value in enumerate(values):
            row[i] = (values < value).sum() + ((values == value).sum() + 1) / 2
    return found


def critical_difference(sets: int, contenders: int) -> float:
    """The distance of mean ranks from which on they differ (Nemenyi test at 0.05)."""
    if contenders not in CRITICAL:
        return math.nan
    return CRITICAL[contenders] * math.sqrt(contenders * (contenders + 1) / (6 * sets))


def relative(errors: Array, to: Array) -> Array:
    """Errors as shares of another's; where both are 0 they are equal."""
    return np.where(to > 0, errors / np.where(to > 0, to, 1), np.where(errors > 0, np.inf, 1.0))


def table(results: Results, names: Sequence[str]) -> str:
    """Errors by set, then ranks, times and what is lost to whom."""
    errors = mean_errors(results, names)
    width = max(
        len(name) for name in [*results, "relative to sklearn MLP", "fit time of RealMLP-TD"]
    )
    lines = [" " * width + "".join(f"{name:>13}" for name in names)]
    for name, row in zip(results, errors, strict=True):
        best = row.min()
        cells = (f"{value:12.4f}{'*' if value == best else ' '}" for value in row)
        lines.append(name.ljust(width) + "".join(cells))
    found = ranks(errors).mean(axis=0)
    lines += ["", "mean rank".ljust(width) + "".join(f"{rank:12.2f} " for rank in found)]
    for other in ("HistGB", "sklearn MLP", "RealMLP-TD"):
        if other in names:
            shares = relative(errors, errors[:, [names.index(other)]]).mean(axis=0)
            label = f"relative to {other}".ljust(width)
            lines.append(label + "".join(f"{share:12.3f} " for share in shares))
    lines += _of_fit_times(results, names, width)
    for label, pick in (("fit, s", "fit"), ("predict, s", "predict"), ("kB", "size")):
        means = [
            np.mean([getattr(run, pick) for runs in results.values() for run in runs[name]])
            for name in names
        ]
        scale = 1000 if pick == "size" else 1
        lines.append(label.ljust(width) + "".join(f"{mean / scale:12.3f} " for mean in means))
    difference = critical_difference(len(results), len(names))
    lines += ["", f"ranks differ from {difference:.2f} on (Nemenyi, 0.05); * the lowest error"]
    return "\n".join([*lines, *lost(results, names, errors)])


def _of_fit_times(results: Results, names: Sequence[str], width: int) -> list[str]:
    """Fit times as shares of another's: the mean over the sets, whatever their size."""
    lines = []
    for other in ("HistGB", "RealMLP-TD"):
        if other in names:
            seconds = np.array(
                [
                    [np.mean([run.fit for run in runs[name]]) for name in names]
                    for runs in results.values()
                ]
            )
            shares = (seconds / seconds[:, [names.index(other)]]).mean(axis=0)
            label = f"fit time of {other}".ljust(width)
            lines.append(label + "".join(f"{share:12.3f} " for share in shares))
    return lines


def lost(results: Results, names: Sequence[str], errors: Array) -> list[str]:
    """The sets on which `default` has a larger error than each of the others."""
    if "default" not in names:
        return []
    own = errors[:, names.index("default")]
    lines = []
    for i, name in enumerate(names):
        if name in ("fast", "default", "best"):
            continue
        sets = [each for each, a, b in zip(results, own, errors[:, i], strict=True) if a > b]
        lines.append(f"default loses to {name} on {', '.join(sets) or 'none'}")
    return lines


def critical_difference_plot(
    results: Results, names: Sequence[str], path: str | None = None
) -> Any:
    """Mean ranks on a line, those that do not differ joined by a bar (Demsar 2006, figure 1).

    Returns:
        The matplotlib Figure, written to `path` unless that is None.

    Raises:
        ImportError, ValueError, OSError: as micrograd.plot.check.
    """
    found = ranks(mean_errors(results, names)).mean(axis=0)
    order = np.argsort(found)
    difference = critical_difference(len(results), len(names))
    with picture(path, size=(7.5, 1.0 + 0.4 * len(names))) as (figure, (axes,)):
        for row, i in enumerate(order):
            axes.plot(found[i], -row, "o", color="black")
            label = text(f"{names[i]} {found[i]:.2f}")
            axes.annotate(label, (found[i], -row), (8, -3), textcoords="offset points")
            near = [j for j in order[row:] if found[j] - found[i] < difference]
            if len(near) > 1:
                axes.plot([found[i], found[near[-1]]], [-row - 0.3] * 2, color="0.5")
        axes.set_xlim(0.5, len(names) + 1)
        axes.set_yticks([])
        axes.set_xlabel(f"mean rank over {len(results)} sets; grey: no difference at 0.05")
    return figure
