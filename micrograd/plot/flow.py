"""Gradient flow as a picture, over the layers or over the epochs of a training run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from micrograd.plot.style import PALETTE, SEQUENTIAL, picture, text

PLACES = 6  # layers that a bar chart has room for at least: the bars of two are no blocks
NAMED = 24  # layers whose names find room along x


def _name_layers(axes: Any, names: Sequence[str]) -> None:
    """Layers along x: their names where they fit, every so many where not."""
    step = -(-len(names) // NAMED)
    shown = [text(name, 12) for name in names[::step]]
    long = len(shown) > 8 or any(len(name) > 4 for name in shown)
    axes.set_xticks(range(0, len(names), step), shown, rotation=90 if long else 0)
    axes.set(xlabel="layer, from the input to the output")
    axes.grid(alpha=0.3)


def gradient_flow(
    names: Sequence[str],
    quantities: Mapping[str, Sequence[float]],
    healthy: tuple[float, float],
    path: str | os.PathLike[str] | None = None,
    title: str = "",
) -> Any:
    """Draws how a gradient flows back through layers, from the input to the output.

    Args:
        names: of the layers.
        quantities: a number for each layer, nan where it has none: "ratio" of its delta to that of
            the last one, "bound" of that, "gradient" and "norm" of its weights, "update" of a step,
            and the shares "saturated" and "dead".
        healthy: the band that a ratio should lie in.
        path: the file to write: .png, .svg or .pdf; None writes none.

    Returns:
        The matplotlib Figure.

    Raises:
        ImportError, ValueError, OSError: as micrograd.plot.check.

    >>> figure = mg.diagnose(net, X, y).plot()
    """
    x = range(len(names))
    shares = [name for name in ("saturated", "dead") if any(v > 0 for v in quantities[name])]
    dots = {"ms": 5 if len(names) <= NAMED else 3}
    with picture(path, 3 if shares else 2, title=title) as (figure, panels):
        panels[0].axhspan(*healthy, color=PALETTE[2], alpha=0.1, label="healthy")
        panels[0].plot(x, quantities["ratio"], "o-", label="measured", **dots)
        if any(value == value for value in quantities["bound"]):
            label = "bound (max f')^(L-l) prod ||W||"
            panels[0].plot(x, quantities["bound"], ls="--", label=label)
        panels[0].set(yscale="log", ylabel="|delta| over that of the last layer")
        panels[1].plot(x, quantities["gradient"], "o-", label="|gradient|", **dots)
        panels[1].plot(x, quantities["norm"], "^--", label="||W||", **dots)
        if any(value == value for value in quantities["update"]):
            steps = [value if value > 0 else float("nan") for value in quantities["update"]]
            panels[1].plot(x, steps, "s:", label="|update| / |W|", **dots)
        panels[1].set(yscale="log")
        for i, name in enumerate(shares):
            _bars(panels[2], quantities[name], i, len(shares), name)
        for axes in panels:
            _name_layers(axes, names)
            axes.legend()
    return figure


def _bars(axes: Any, values: Sequence[float], number: int, of: int, label: str) -> None:
    """Shares as one of several rows of bars, side by side."""
    width = 0.8 / of
    at = [k + width * (number - (of - 1) / 2) for k in range(len(values))]
    axes.bar(at, [100 * value for value in values], width, label=label)
    margin = 0.5 + max(0, PLACES - len(values)) / 2
    axes.set(ylabel="share of units, %", ylim=(0, 100), xlim=(-margin, len(values) - 1 + margin))


def monitored_flow(
    epochs: Sequence[int],
    names: Sequence[str],
    ratios: Sequence[Sequence[float]],
    updates: Sequence[Sequence[float]],
    path: str | os.PathLike[str] | None = None,
    title: str = "",
) -> Any:
    """Draws the ratio and the update of each layer over the epochs.

    Args:
        epochs: at which something was measured; names: of the layers.
        ratios, updates: for each layer a number for each of these epochs, nan where there is none.
        path: the file to write: .png, .svg or .pdf; None writes none.

    Returns:
        The matplotlib Figure.

    Raises:
        ImportError, ValueError, OSError: as micrograd.plot.check.

    >>> monitor = mg.diagnose.Monitor(X[:256], y[:256])
    >>> history = net.fit(X, y, epochs=2, callbacks=monitor, seed=0)
    >>> figure = monitor.plot()
    """
    with picture(path, 2, title=title) as (figure, panels):
        from matplotlib import colormaps

        for number, name in enumerate(names):
            color = colormaps[SEQUENTIAL](0.85 * number / max(1, len(names) - 1))  # no yellow
            label = f"layer {text(name)}" if number in (0, len(names) - 1) else None
            for axes, lines in zip(panels, (ratios, updates), strict=True):
                axes.plot(epochs, lines[number], color=color, marker="o", ms=4, label=label)
        panels[0].set(ylabel="|delta| over that of the last layer")
        panels[1].set(ylabel="|update| / |W| of a step")
        for axes in panels:
            axes.set(xlabel="epoch", yscale="log")
            axes.grid(alpha=0.3)
            axes.legend()
            axes.xaxis.get_major_locator().set_params(integer=True)
    return figure
