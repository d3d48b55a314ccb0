"""Training curves as a picture. matplotlib is loaded by the first call, never by an import."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from micrograd import checks

FORMATS = (".png", ".svg", ".pdf")


def require_matplotlib() -> None:
    """Raises ImportError, which says what to install, where matplotlib is missing."""
    checks.require("a plot", "matplotlib", "matplotlib", "plot")


def check(path: str | os.PathLike[str]) -> None:
    """Finds out at once, before a long training run, whether curves can be drawn after it.

    Raises:
        ImportError: matplotlib is not installed; says how to install it.
        ValueError: the name of the file ends in none of FORMATS.
        FileNotFoundError: its folder does not exist.
    """
    require_matplotlib()
    text = os.fspath(path)
    if not text.lower().endswith(FORMATS):
        raise ValueError(f"cannot plot to {text!r}: its name ends in none of {', '.join(FORMATS)}")
    if not os.path.isdir(os.path.dirname(text) or "."):
        raise FileNotFoundError(f"cannot plot to {text!r}: the folder does not exist")


def training_curves(
    lists: Mapping[str, Sequence[float]],
    path: str | os.PathLike[str] | None = None,
    title: str = "",
    best_epoch: int | None = None,
) -> Any:
    """Draws the losses, and the other quantities if there are any, over the epochs.

    Args:
        lists: a number for each epoch, one or more, by name: "loss", "val_loss", and others, as
            History.to_dict() has them; an empty list is left out.
        path: the file to write, its ending names the format, one of FORMATS; None writes none.
        title: stands above the curves.
        best_epoch: counted from 1, marked.

    Returns:
        The matplotlib Figure.

    Raises:
        ImportError, ValueError, OSError: as `check`; no epoch; the file cannot be written.
    """
    if path is None:
        require_matplotlib()
    else:
        check(path)
    lists = {name: values for name, values in lists.items() if values}
    if "loss" not in lists:
        raise ValueError("cannot plot a history without an epoch")
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    epochs = range(1, len(lists["loss"]) + 1)
    others = [name for name in lists if name not in ("loss", "val_loss", "seconds")]
    panels = 1 + len(others)
    figure = Figure(figsize=(5.0 * panels, 3.6), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    figure.suptitle(title)
    axes[0].plot(epochs, lists["loss"], marker=".", label="training, mean over the epoch")
    validation = lists.get("val_loss", [])
    if validation:
        axes[0].plot(epochs, validation, marker=".", label="validation, after it")
    positive = min([*lists["loss"], *validation]) > 0
    axes[0].set(xlabel="epoch", ylabel="loss", yscale="log" if positive else "linear")
    for axis, name in zip(axes[1:], others, strict=True):
        share = name.endswith("accuracy")
        values = [100 * x for x in lists[name]] if share else lists[name]
        axis.plot(epochs, values, marker=".", color="C1")
        shown = name.replace("val_", "validation ").replace("_", " ")
        axis.set(xlabel="epoch", ylabel=shown + ", %" * share)
    for axis in axes:
        if best_epoch:
            label = "best epoch" if axis is axes[0] else None
            axis.axvline(best_epoch, color="grey", linestyle="--", label=label)
        axis.grid(alpha=0.3)
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0].legend()
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure
