"""Gradient flow as a picture, over the layers or over the epochs of a training run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from micrograd.plot.curves import check

if TYPE_CHECKING:
    from micrograd.diagnose.report import Diagnosis


def _names(axis: Any, names: Sequence[str]) -> None:
    """Layers along x: their names where they fit, their numbers where not."""
    if len(names) <= 24:
        axis.set_xticks(range(len(names)), names, rotation=90 if len(names) > 8 else 0)
    axis.set(xlabel="layer, from the input to the output")
    axis.grid(alpha=0.3)


def gradient_flow(
    diagnosis: Diagnosis, path: str | os.PathLike[str], title: str = "", dpi: int = 150
) -> None:
    """Draws what diagnose found; see Diagnosis.plot."""
    check(path)
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    from micrograd.diagnose.report import FADED, GROWN

    layers = diagnosis.layers
    x = range(len(layers))
    names = [layer.name for layer in layers]
    shares = [
        (label, values)
        for label, values in (
            ("saturated", [layer.saturated for layer in layers]),
            ("dead", [layer.dead for layer in layers]),
        )
        if any(value > 0 for value in values)
    ]
    figure = Figure(figsize=(5.0 * (3 if shares else 2), 4.0), layout="constrained")
    axes = figure.subplots(1, 3 if shares else 2, squeeze=False)[0]
    figure.suptitle(f"{title}: {diagnosis.verdict}" if title else diagnosis.verdict)
    axes[0].plot(x, [v.ratio for v in layers], marker="o", ms=4, label="measured")
    bound = [layer.bound for layer in layers]
    if any(value == value for value in bound):
        axes[0].plot(x, bound, ls="--", color="C3", label="bound (max f')^(L-l) prod ||W||")
    axes[0].axhspan(FADED, GROWN, color="C2", alpha=0.08, label="healthy")
    axes[0].set(yscale="log", ylabel="|delta| over that of the last layer")
    axes[0].legend()
    axes[1].plot(x, [v.gradient for v in layers], marker="o", ms=4, label="|gradient|")
    axes[1].plot(x, [v.norm for v in layers], marker="^", ms=4, label="||W||")
    if any(v.update == v.update for v in layers):
        axes[1].plot(x, [v.update for v in layers], marker="s", ms=4, label="|update| / |W|")
    axes[1].set(yscale="log")
    axes[1].legend()
    for i, (label, values) in enumerate(shares):
        width = 0.8 / len(shares)
        at = [k + width * (i - (len(shares) - 1) / 2) for k in x]
        axes[2].bar(at, [100 * v for v in values], width, label=label)
        axes[2].set(ylabel="share of units, %", ylim=(0, 100))
        axes[2].legend()
    for axis in axes:
        _names(axis, names)
    figure.savefig(path, dpi=dpi)


def monitored_flow(
    epochs: Sequence[int],
    diagnoses: Sequence[Diagnosis],
    path: str | os.PathLike[str],
    title: str = "",
    dpi: int = 150,
) -> None:
    """Draws what a Monitor saw; see Monitor.plot."""
    check(path)
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 4.0), layout="constrained")
    axes = figure.subplots(1, 2)
    figure.suptitle(title)
    layers = diagnoses[0].layers
    for number, layer in enumerate(layers):
        color = colormaps["viridis"](number / max(1, len(layers) - 1))
        label = f"layer {layer.name}" if number in (0, len(layers) - 1) else None
        for axis, name in ((axes[0], "ratio"), (axes[1], "update")):
            values = [getattr(found.layers[number], name) for found in diagnoses]
            axis.plot(epochs, values, color=color, marker=".", label=label)
    axes[0].set(ylabel="|delta| over that of the last layer")
    axes[1].set(ylabel="|update| / |W| of a step")
    for axis in axes:
        axis.set(xlabel="epoch", yscale="log")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(path, dpi=dpi)
