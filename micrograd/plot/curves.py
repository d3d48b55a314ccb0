"""Training curves as a picture."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from micrograd.plot.style import PALETTE, picture, text


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
        path: the file to write, its ending names the format: .png, .svg or .pdf; None writes none.
        title: stands above the curves.
        best_epoch: counted from 1, marked.

    Returns:
        The matplotlib Figure.

    Raises:
        ImportError, ValueError, OSError: as `check`; no epoch; the file cannot be written.

    >>> figure = mg.plot.training_curves({"loss": [0.9, 0.4, 0.2]})
    """
    lists = {name: values for name, values in lists.items() if values}
    if "loss" not in lists:
        raise ValueError("cannot plot a history without an epoch")
    others = [name for name in lists if name not in ("loss", "val_loss", "seconds")]
    epochs = range(1, len(lists["loss"]) + 1)
    with picture(path, 1 + len(others), title=title) as (figure, panels):
        axes = panels[0]
        many = {} if len(epochs) > 60 else {"marker": "o", "ms": 4}
        axes.plot(epochs, lists["loss"], label="training, mean over the epoch", **many)
        validation = lists.get("val_loss", [])
        if validation:
            axes.plot(epochs, validation, "--", label="validation, after it", **many)
        positive = not any(x <= 0 for x in (*lists["loss"], *validation))  # NaN is a gap
        axes.set(xlabel="epoch", ylabel="loss", yscale="log" if positive else "linear")
        for axes, name in zip(panels[1:], others, strict=True):
            share = name.endswith("accuracy")
            values = [100 * x for x in lists[name]] if share else lists[name]
            axes.plot(epochs, values, color=PALETTE[2], **many)
            shown = text(name.replace("val_", "validation ").replace("_", " "), 40)
            axes.set(xlabel="epoch", ylabel=shown + ", %" * share)
        for axes in panels:
            if best_epoch:
                label = "best epoch" if axes is panels[0] else None
                axes.axvline(best_epoch, color="0.4", linestyle=":", label=label)
            axes.grid(alpha=0.3)
            axes.xaxis.get_major_locator().set_params(integer=True)
        panels[0].legend()
    return figure
