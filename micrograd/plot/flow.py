"""Gradient flow as a picture, over the layers or over the epochs of a training run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from micrograd.plot.curves import check

PLACES = 6  # layers that a bar chart has room for at least: the bars of two are no blocks


def _name_layers(axis: Any, names: Sequence[str]) -> None:
    """Layers along x: their names where they fit, their numbers where not."""
    if len(names) <= 24:
        axis.set_xticks(range(len(names)), names, rotation=90 if len(names) > 8 else 0)
    axis.set(xlabel="layer, from the input to the output")
    axis.grid(alpha=0.3)


def gradient_flow(
    names: Sequence[str],
    quantities: Mapping[str, Sequence[float]],
    healthy: tuple[float, float],
    path: str | os.PathLike[str],
    title: str = "",
    dpi: int = 150,
) -> None:
    """Draws how a gradient flows back through layers, from the input to the output.

    Args:
        names: of the layers.
        quantities: a number for each layer, nan where it has none: "ratio" of its delta to that of
            the last one, "bound" of that, "gradient" and "norm" of its weights, "update" of a step,
            and the shares "saturated" and "dead".
        healthy: the band that a ratio should lie in.
        path: the file to write: .png, .svg or .pdf.

    Raises:
        ImportError, ValueError, OSError: as micrograd.plot.check.
    """
    check(path)
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    x = range(len(names))
    shares = [name for name in ("saturated", "dead") if any(v > 0 for v in quantities[name])]
    figure = Figure(figsize=(5.0 * (3 if shares else 2), 4.0), layout="constrained")
    axes = figure.subplots(1, 3 if shares else 2, squeeze=False)[0]
    figure.suptitle(title)
    axes[0].plot(x, quantities["ratio"], marker="o", ms=4, label="measured")
    if any(value == value for value in quantities["bound"]):
        label = "bound (max f')^(L-l) prod ||W||"
        axes[0].plot(x, quantities["bound"], ls="--", color="C3", label=label)
    axes[0].axhspan(*healthy, color="C2", alpha=0.08, label="healthy")
    axes[0].set(yscale="log", ylabel="|delta| over that of the last layer")
    axes[0].legend()
    axes[1].plot(x, quantities["gradient"], marker="o", ms=4, label="|gradient|")
    axes[1].plot(x, quantities["norm"], marker="^", ms=4, label="||W||")
    if any(value == value for value in quantities["update"]):
        axes[1].plot(x, quantities["update"], marker="s", ms=4, label="|update| / |W|")
    axes[1].set(yscale="log")
    axes[1].legend()
    for i, name in enumerate(shares):
        _bars(axes[2], quantities[name], i, len(shares), name)
    for axis in axes:
        _name_layers(axis, names)
    figure.savefig(path, dpi=dpi)


def _bars(axis: Any, values: Sequence[float], number: int, of: int, label: str) -> None:
    """Shares as one of several rows of bars, side by side."""
    width = 0.8 / of
    at = [k + width * (number - (of - 1) / 2) for k in range(len(values))]
    axis.bar(at, [100 * value for value in values], width, label=label)
    margin = 0.5 + max(0, PLACES - len(values)) / 2
    axis.set(ylabel="share of units, %", ylim=(0, 100), xlim=(-margin, len(values) - 1 + margin))
    axis.legend()


def monitored_flow(
    epochs: Sequence[int],
    names: Sequence[str],
    ratios: Sequence[Sequence[float]],
    updates: Sequence[Sequence[float]],
    path: str | os.PathLike[str],
    title: str = "",
    dpi: int = 150,
) -> None:
    """Draws the ratio and the update of each layer over the epochs.

    Args:
        epochs: at which something was measured; names: of the layers.
        ratios, updates: for each layer a number for each of these epochs, nan where there is none.
        path: the file to write: .png, .svg or .pdf.

    Raises:
        ImportError, ValueError, OSError: as micrograd.plot.check.
    """
    check(path)
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 4.0), layout="constrained")
    axes = figure.subplots(1, 2)
    figure.suptitle(title)
    for number, name in enumerate(names):
        color = colormaps["viridis"](number / max(1, len(names) - 1))
        label = f"layer {name}" if number in (0, len(names) - 1) else None
        for axis, lines in zip(axes, (ratios, updates), strict=True):
            axis.plot(epochs, lines[number], color=color, marker=".", label=label)
    axes[0].set(ylabel="|delta| over that of the last layer")
    axes[1].set(ylabel="|update| / |W| of a step")
    for axis in axes:
        axis.set(xlabel="epoch", yscale="log")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(path, dpi=dpi)
