"""History: what happened in each epoch of a training run."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any


@dataclass
class History:
    """What happened in each epoch: lists of one length, empty where nothing was measured, with NaN
    for the epochs in which a run that goes on from a file has measured something else.

    loss: mean training loss over the epoch, while the weights changed; val_loss, val_accuracy:
    after the epoch, on the validation data (accuracy for classes); seconds: since the start of
    training, validation included (of epochs that one call of the C core makes, each takes as long
    as the others); metrics: the others that fit was asked for, by name. best_epoch: of early
    stopping, counted from 1, or None.

    >>> history = net.fit(X, y, epochs=3, validation=0.2, seed=0)
    >>> len(history.loss), len(history.val_accuracy), history.loss[-1] < history.loss[0]
    (3, 3, True)
    """

    loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int | None = None

    def to_dict(self, filled: Collection[str] = ()) -> dict[str, list[float]]:
        """The lists by name, copied; those named in `filled` as `fill` would leave them."""
        lists = {name: list(x) for name, x in vars(self).items() if isinstance(x, list)}
        lists |= {name: list(x) for name, x in self.metrics.items()}
        return lists | {name: lists[name] + self._missing(lists[name]) for name in filled}

    @classmethod
    def from_dict(cls, lists: Mapping[str, list[float]]) -> History:
        """What to_dict() was made from, but for best_epoch."""
        history = cls()
        for name, values in lists.items():
            history.list_of(name).extend(values)
        return history

    def list_of(self, name: str) -> list[float]:
        """The list of that name; an empty one among the metrics where there is none."""
        own = vars(self).get(name)
        return own if isinstance(own, list) else self.metrics.setdefault(name, [])

    def add(self, measured: Mapping[str, list[float]], seconds: list[float]) -> None:
        """Epochs that ended after so many seconds; what was measured in each, the loss too."""
        done = len(self.loss)
        for name, values in {**measured, "seconds": seconds}.items():
            own = self.list_of(name)
            own += [math.nan] * (done - len(own)) + values

    def fill(self, names: Collection[str]) -> None:
        """Makes these lists as long as that of the losses."""
        for name in names:
            values = self.list_of(name)
            values += self._missing(values)

    def _missing(self, values: list[float]) -> list[float]:
        """NaN for the last epochs, where these have not been measured."""
        return [math.nan] * (len(self.loss) - len(values)) if values else []

    def line(self, epochs: int, names: Collection[str] | None = None) -> str:
        """The last epoch in words; names: as for `last`."""
        text = f"epoch {len(self.loss):{len(str(epochs))}d}/{epochs}"
        for name, value in self.last(names).items():
            text += f"  {name} {in_short(value)}"
        return text + f"  {self.seconds[-1]:.2f} s"

    def last(self, names: Collection[str] | None = None) -> dict[str, float]:
        """What was measured after the last epoch, by name, without the seconds.

        names: of these alone.
        """
        lists = {name: x for name, x in self.to_dict().items() if x and name != "seconds"}
        return {name: x[-1] for name, x in lists.items() if names is None or name in names}

    # In notebooks. The room of drawings knows models and so lies above: it is loaded by name.

    def _repr_svg_(self) -> str:
        lists = {name: x for name, x in self.to_dict().items() if name != "seconds"}
        title = f"{len(self.loss)} epochs"
        drawing: str = import_module("micrograd.draw.charts").curves(title, "epoch", lists)
        return drawing

    def _repr_html_(self) -> str:
        drawing: str = import_module("micrograd.draw.notebook").framed(self._repr_svg_())
        return drawing

    def plot(self, path: str | os.PathLike[str] | None = None, title: str = "") -> Any:
        """Draws the losses and metrics over the epochs; returns the matplotlib Figure.

        Args:
            path: also write it there; the ending names the format: .png, .svg or .pdf.
            title: stands above the curves.

        Raises:
            ImportError: matplotlib is not installed; says how to install it.
            ValueError, OSError: there is no epoch to draw; the path cannot be written.
        """
        from micrograd import plot

        return plot.training_curves(self.to_dict(), path, title, self.best_epoch)


def in_short(value: float) -> str:
    """With four decimals, or four digits where that would leave few of them or very many."""
    return f"{value:.4f}" if value == 0 or 1e-2 <= abs(value) < 1e6 else f"{value:.4g}"
