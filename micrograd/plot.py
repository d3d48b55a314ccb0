"""Training curves as a picture. matplotlib is loaded by the first call, never by an import."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from micrograd.train import History

FORMATS = (".png", ".svg", ".pdf")


def check(path: str | os.PathLike[str]) -> None:
    """Finds out at once, before a long training run, whether curves can be drawn after it.

    Raises:
        ImportError: matplotlib is not installed; says how to install it.
        ValueError: the name of the file ends in none of FORMATS.
        FileNotFoundError: its folder does not exist.
    """
    if find_spec("matplotlib") is None:
        raise ImportError("a plot needs matplotlib: pip install 'micrograd[plot]'")
    text = os.fspath(path)
    if not text.lower().endswith(FORMATS):
        raise ValueError(f"cannot plot to {text!r}: its name ends in none of {', '.join(FORMATS)}")
    if not os.path.isdir(os.path.dirname(text) or "."):
        raise FileNotFoundError(f"cannot plot to {text!r}: the folder does not exist")


def training_curves(history: History, path: str | os.PathLike[str], title: str = "") -> None:
    """Draws the losses, and the validation accuracy if there is one, over the epochs.

    Args:
        history: what Network.fit returned, one epoch or more.
        path: the file to write; its ending names the format, one of FORMATS.
        title: stands above the curves.

    Raises:
        ImportError, ValueError, OSError: as `check`, or the file cannot be written.
    """
    check(path)
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    epochs = range(1, len(history.loss) + 1)
    panels = 2 if history.val_accuracy else 1
    figure = Figure(figsize=(5.0 * panels, 3.6), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    figure.suptitle(title)
    axes[0].plot(epochs, history.loss, marker=".", label="training, mean over the epoch")
    if history.val_loss:
        axes[0].plot(epochs, history.val_loss, marker=".", label="validation, after it")
    axes[0].set(xlabel="epoch", ylabel="loss", yscale="log")
    axes[0].legend()
    if history.val_accuracy:
        percent = [100 * accuracy for accuracy in history.val_accuracy]
        axes[1].plot(epochs, percent, marker=".", color="C1")
        axes[1].set(xlabel="epoch", ylabel="validation accuracy, %")
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.xaxis.get_major_locator().set_params(integer=True)
    figure.savefig(path, dpi=150)
